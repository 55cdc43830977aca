//! One worker's state of a version: the state that all workers share, and the worker's own results since.

use super::{Accrual, Period, Transition, Verdict, VersionState, bucket};
use crate::draws::Fraction;
use canary_config::FailureAccrual;

/// One worker's state of a version. The worker judges the version by this state at once.
#[derive(Debug, Clone, Default)]
pub struct WorkerView {
    state: Accrual,
    unpublished: Counts,
    /// Changes that this worker has made, and has not published.
    transitions: Vec<Transition>,
}

/// Results that the worker has not published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    has_success: bool,
    /// Failures in succession, since the last success if there was one.
    consecutive: u32,
    /// The length of one bucket of the window, in nanoseconds. `None` if nothing was counted in a window.
    bucket: Option<u64>,
    requests: u32,
    failures: u32,
    /// Successful trial requests.
    successes: u32,
}

impl WorkerView {
    /// Which requests the version may get now.
    #[must_use]
    pub const fn version_state(&self, now: u64) -> VersionState {
        self.state.version_state(now)
    }

    /// The period of a request that is sent now.
    #[must_use]
    pub const fn period(&self, now: u64) -> Period {
        Period { generation: self.state.generation, version_state: self.version_state(now) }
    }

    /// The shared state with the worker's own results.
    #[must_use]
    pub const fn state(&self) -> &Accrual {
        &self.state
    }

    /// Whether the result of a request of this period would change the state.
    #[must_use]
    pub fn would_change(&self, period: Period, verdict: Verdict, settings: &FailureAccrual, now: u64) -> bool {
        let changes_state = match (self.version_state(now), verdict) {
            (VersionState::Ejected, _) => false,
            (VersionState::OnTrial, _) | (VersionState::Serving, Verdict::Failure) => true,
            (VersionState::Serving, Verdict::Success) => self.state.consecutive > 0 || settings.failure_ratio.is_some(),
        };
        changes_state && period == self.period(now)
    }

    /// Counts the result of a request of this period.
    pub fn record(&mut self, period: Period, verdict: Verdict, settings: &FailureAccrual, now: u64, jitter: Fraction) {
        if !self.would_change(period, verdict, settings, now) {
            return;
        }
        self.unpublished.count(self.version_state(now), verdict, settings);
        let transition = self.state.record(verdict, settings, now, jitter);
        self.add_transition(transition);
    }

    /// Replaces the shared state, and counts the unpublished results on top. The call may be repeated until the result
    /// is [published](Self::mark_published). Without settings the version is not judged. A state that this worker alone
    /// may still hold is replaced: the other workers have forgotten it.
    pub fn merge(&mut self, shared: Accrual, settings: Option<&FailureAccrual>, now: u64, jitter: Fraction) {
        let own = self.state.rank();
        if shared.rank() < own && !self.state.is_forgettable(now) {
            return;
        }
        // Another worker has ended the period first, so this worker's results no longer count.
        if shared.rank() != own || !shared.is_same_period(&self.state) {
            self.unpublished = Counts::default();
            self.transitions.clear();
        }
        self.state = shared;
        self.state.add(&self.unpublished, now);
        let transition = settings.and_then(|settings| self.state.judge(settings, now, jitter));
        self.add_transition(transition);
    }

    /// Call this after the state was published. Returns the transitions that this worker was the first to make.
    pub fn mark_published(&mut self) -> Vec<Transition> {
        self.unpublished = Counts::default();
        std::mem::take(&mut self.transitions)
    }

    fn add_transition(&mut self, transition: Option<Transition>) {
        if let Some(transition) = transition {
            self.unpublished = Counts::default();
            self.transitions.push(transition);
        }
    }
}

impl Accrual {
    /// Whether both states are in the same period.
    const fn is_same_period(&self, other: &Self) -> bool {
        use super::Phase::{Ejection, Serving};
        match (self.phase, other.phase) {
            (Serving { since }, Serving { since: other }) => since == other,
            (Ejection { from, until, .. }, Ejection { from: other_from, until: other_until, .. }) => {
                from == other_from && until == other_until
            }
            (Serving { .. }, Ejection { .. }) | (Ejection { .. }, Serving { .. }) => false,
        }
    }

    fn add(&mut self, counts: &Counts, now: u64) {
        if *counts == Counts::default() {
            return;
        }
        let before = if counts.has_success { 0 } else { self.consecutive };
        self.consecutive = before.saturating_add(counts.consecutive);
        if let Some(bucket) = counts.bucket {
            self.window.advance(bucket, now);
            self.window.add(counts.requests, counts.failures);
        }
        self.pass(counts.successes);
        self.last_result = now;
    }
}

impl Counts {
    fn count(&mut self, version_state: VersionState, verdict: Verdict, settings: &FailureAccrual) {
        let is_failure = u32::from(verdict == Verdict::Failure);
        match version_state {
            VersionState::Ejected => {}
            VersionState::OnTrial => self.successes = self.successes.saturating_add(1).saturating_sub(is_failure),
            VersionState::Serving => {
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
