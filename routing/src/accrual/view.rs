//! What one worker knows of a version: what all have told each other, and what it has not told yet on top.

use super::{Accrual, Change, Standing, Stretch, Verdict, bucket};
use crate::draws::Fraction;
use canary_config::FailureAccrual;

/// One worker's view of a version. It is judged at once by everything that the worker knows.
#[derive(Debug, Clone, Default)]
pub struct View {
    state: Accrual,
    untold: Counts,
    /// Turns that this worker has seen first, as far as it knows.
    changes: Vec<Change>,
}

/// Results that the other workers have not been told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    has_success: bool,
    /// In succession, since the last success where there was one.
    consecutive: u32,
    /// Length of the window's buckets, where results are counted in a window.
    bucket: Option<u64>,
    requests: u32,
    failures: u32,
    /// Of a trial.
    successes: u32,
}

impl View {
    /// What the version may get now.
    #[must_use]
    pub const fn standing(&self, now: u64) -> Standing {
        self.state.standing(now)
    }

    /// The stretch that a request sent now belongs to.
    #[must_use]
    pub const fn stretch(&self, now: u64) -> Stretch {
        Stretch { generation: self.state.generation, standing: self.standing(now) }
    }

    /// Everything that the worker knows.
    #[must_use]
    pub const fn state(&self) -> &Accrual {
        &self.state
    }

    /// Whether the result of a request of a stretch would change anything.
    #[must_use]
    pub fn wants(&self, stretch: Stretch, verdict: Verdict, settings: &FailureAccrual, now: u64) -> bool {
        let is_news = match (self.standing(now), verdict) {
            (Standing::Ejected, _) => false,
            (Standing::OnTrial, _) | (Standing::Serving, Verdict::Failure) => true,
            (Standing::Serving, Verdict::Success) => self.state.consecutive > 0 || settings.failure_ratio.is_some(),
        };
        is_news && stretch == self.stretch(now)
    }

    /// Counts the result of a request of a stretch.
    pub fn record(
        &mut self,
        stretch: Stretch,
        verdict: Verdict,
        settings: &FailureAccrual,
        now: u64,
        jitter: Fraction,
    ) {
        if !self.wants(stretch, verdict, settings, now) {
            return;
        }
        self.untold.count(self.standing(now), verdict, settings);
        let change = self.state.record(verdict, settings, now, jitter);
        self.turn(change);
    }

    /// Takes over what the workers share at this time, with what this one has to tell on top. May be repeated until the
    /// others are [`told`](Self::told). Without settings nothing is judged. What this worker still knows of a version that it
    /// may have been the last to remember gives way: the others have forgotten it.
    pub fn merge(&mut self, shared: Accrual, settings: Option<&FailureAccrual>, now: u64, jitter: Fraction) {
        let own = self.state.rank();
        if shared.rank() < own && !self.state.is_forgettable(now) {
            return;
        }
        // Another worker has been faster: what this one counted belongs to the past.
        if shared.rank() != own || !shared.began_with(&self.state) {
            self.untold = Counts::default();
            self.changes.clear();
        }
        self.state = shared;
        self.state.add(&self.untold, now);
        let change = settings.and_then(|settings| self.state.judge(settings, now, jitter));
        self.turn(change);
    }

    /// The others have been told everything; the turns that this worker was the first to see.
    pub fn told(&mut self) -> Vec<Change> {
        self.untold = Counts::default();
        std::mem::take(&mut self.changes)
    }

    fn turn(&mut self, change: Option<Change>) {
        if let Some(change) = change {
            self.untold = Counts::default();
            self.changes.push(change);
        }
    }
}

impl Accrual {
    /// Whether both are the same stretch of the version's life.
    const fn began_with(&self, other: &Self) -> bool {
        use super::Phase::{Out, Serving};
        match (self.phase, other.phase) {
            (Serving { since }, Serving { since: other }) => since == other,
            (Out { from, until, .. }, Out { from: other_from, until: other_until, .. }) => {
                from == other_from && until == other_until
            }
            (Serving { .. }, Out { .. }) | (Out { .. }, Serving { .. }) => false,
        }
    }

    fn add(&mut self, counts: &Counts, now: u64) {
        if *counts == Counts::default() {
            return;
        }
        let before = if counts.has_success { 0 } else { self.consecutive };
        self.consecutive = before.saturating_add(counts.consecutive);
        if let Some(bucket) = counts.bucket {
            self.window.turn(bucket, now);
            self.window.add(counts.requests, counts.failures);
        }
        self.pass(counts.successes);
        self.heard = now;
    }
}

impl Counts {
    fn count(&mut self, standing: Standing, verdict: Verdict, settings: &FailureAccrual) {
        let is_failure = u32::from(verdict == Verdict::Failure);
        match standing {
            Standing::Ejected => {}
            Standing::OnTrial => self.successes = self.successes.saturating_add(1).saturating_sub(is_failure),
            Standing::Serving => {
                self.has_success |= verdict == Verdict::Success;
                self.consecutive = self.consecutive.saturating_add(1).saturating_mul(is_failure);
                if settings.failure_ratio.is_some() {
                    self.bucket = Some(bucket(settings));
                    self.requests = self.requests.saturating_add(1);
                    self.failures = self.failures.saturating_add(is_failure);
                }
            }
        }
    }
}
