//! Requests and failures of the last seconds.

/// The number of buckets of a window. A result leaves the window at most one bucket late.
pub(super) const BUCKETS: u64 = 10;

/// A ring of [`BUCKETS`] buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// The length of a bucket in nanoseconds. 0 if nothing was counted.
    pub(super) length: u64,
    /// The number of the newest bucket since the epoch.
    pub(super) newest: u64,
    /// (requests, failures) of each bucket, the newest first.
    pub(super) buckets: [(u32, u32); BUCKETS as usize],
}

impl Window {
    /// Moves the window to the present. A window of another length starts empty, and so does one whose clock was set
    /// back.
    pub(super) fn advance(&mut self, length: u64, now: u64) {
        let number = now.checked_div(length).unwrap_or_default();
        if self.length != length || number.saturating_add(1) < self.newest {
            *self = Self { length, newest: number, ..Self::default() };
            return;
        }
        let passed = usize::try_from(number.saturating_sub(self.newest).min(BUCKETS)).unwrap_or_default();
        self.buckets.rotate_right(passed);
        self.buckets.iter_mut().take(passed).for_each(|bucket| *bucket = (0, 0));
        self.newest = self.newest.max(number);
    }

    /// Counts in the newest bucket.
    pub(super) fn add(&mut self, requests: u32, failures: u32) {
        if let Some(newest) = self.buckets.first_mut() {
            *newest = (newest.0.saturating_add(requests), newest.1.saturating_add(failures));
        }
    }

    /// Requests and failures of a window with buckets of this length, now.
    pub(super) fn totals(&self, length: u64, now: u64) -> (u64, u64) {
        let mut window = self.clone();
        window.advance(length, now);
        let sum = |(requests, failures): (u64, u64), bucket: &(u32, u32)| {
            (requests.saturating_add(bucket.0.into()), failures.saturating_add(bucket.1.into()))
        };
        window.buckets.iter().fold((0, 0), sum)
    }

    pub(super) fn is_empty(&self, now: u64) -> bool {
        self.length == 0 || self.totals(self.length, now) == (0, 0)
    }
}
