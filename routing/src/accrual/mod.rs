//! Failure accrual: ejects versions that fail, and lets them back after a trial.
//!
//! The module is pure: the time (nanoseconds since the Unix epoch) and the jitter are arguments. A version serves until
//! it is ejected. After the ejection it is on trial, until it is ejected again or serves. Each ejection and each
//! recovery starts a new generation. A result counts only in the generation and the state in which its request was
//! sent. So a request that an ejected version gets because no other can serve is not a trial.

mod codec;
mod view;
mod window;

use std::time::Duration;

pub use view::WorkerView;

use crate::draws::Fraction;
use canary_config::{FailureAccrual, Percentage};
use window::Window;

/// The result of one request, as the version that served it caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The version has served the request.
    Success,
    /// The version has failed.
    Failure,
}

/// Which requests a version may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// Every request that picks the version.
    Serving,
    /// No request, unless no other version can serve.
    Ejected,
    /// A share of the requests that pick it.
    OnTrial,
}

/// Why a version was ejected. Metrics and logs use these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EjectionReason {
    /// This number of failures in succession.
    ConsecutiveFailures(u32),
    /// Failures, and requests, within the window.
    FailureRatio(u64, u64),
    /// A request of the trial failed.
    Trial,
}

/// A change of a version's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The version is ejected.
    Ejected {
        /// The reason.
        reason: EjectionReason,
        /// The length of the ejection.
        length: Duration,
        /// The number of this ejection in succession, from 1.
        number: u32,
    },
    /// The version serves again, after this number of successful trial requests.
    Recovered(u32),
}

/// The number of ejections and recoveries of a version so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Generation(u32);

/// The generation and the state in which a request was sent. Its result counts in no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    generation: Generation,
    version_state: VersionState,
}

/// The state of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accrual {
    generation: Generation,
    phase: Phase,
    /// Ejections in succession.
    ejections: u32,
    /// Failures in succession.
    consecutive: u32,
    window: Window,
    /// When a result was last counted, in nanoseconds since the Unix epoch.
    last_result: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving {
        since: u64,
    },
    /// The version is ejected until `until`, then on trial.
    Ejection {
        from: u64,
        until: u64,
        successes: u32,
    },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Serving { since: 0 }
    }
}

/// A version that is not ejected is forgotten after this time without a result. In nanoseconds.
const FORGET_AFTER: u64 = 3_600_000_000_000;
/// The most by which two workers' readings of one clock differ, in nanoseconds. An ejection that starts later than this
/// from now means that the clock was set back.
const MAX_CLOCK_SKEW: u64 = 1_000_000_000;

impl EjectionReason {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures(_) => "consecutive-failures",
            Self::FailureRatio(..) => "failure-ratio",
            Self::Trial => "trial",
        }
    }
}

impl Period {
    /// Whether the request was sent during a trial.
    #[must_use]
    pub fn is_trial(self) -> bool {
        self.version_state == VersionState::OnTrial
    }
}

impl Accrual {
    /// Which requests the version may get now.
    #[must_use]
    pub const fn version_state(&self, now: u64) -> VersionState {
        match self.phase {
            Phase::Serving { .. } => VersionState::Serving,
            Phase::Ejection { from, until, .. } if now < until && now.saturating_add(MAX_CLOCK_SKEW) >= from => {
                VersionState::Ejected
            }
            Phase::Ejection { .. } => VersionState::OnTrial,
        }
    }

    /// Counts a result and judges the version. Results during an ejection do not count.
    fn record(
        &mut self,
        verdict: Verdict,
        settings: &FailureAccrual,
        now: u64,
        jitter: Fraction,
    ) -> Option<Transition> {
        match (self.version_state(now), verdict) {
            (VersionState::Ejected, _) => return None,
            (VersionState::OnTrial, Verdict::Failure) => {
                return Some(self.eject(EjectionReason::Trial, settings, now, jitter));
            }
            (VersionState::OnTrial, Verdict::Success) => self.pass(1),
            (VersionState::Serving, verdict) => {
                self.consecutive = match verdict {
                    Verdict::Success => 0,
                    Verdict::Failure => self.consecutive.saturating_add(1),
                };
                if settings.failure_ratio.is_some() {
                    self.window.advance(bucket(settings), now);
                    self.window.add(1, u32::from(verdict == Verdict::Failure));
                }
            }
        }
        self.last_result = now;
        self.judge(settings, now, jitter)
    }

    fn pass(&mut self, more: u32) {
        if let Phase::Ejection { successes, .. } = &mut self.phase {
            *successes = successes.saturating_add(more);
        }
    }

    /// Ejects or recovers the version if the counts say so.
    fn judge(&mut self, settings: &FailureAccrual, now: u64, jitter: Fraction) -> Option<Transition> {
        match self.phase {
            Phase::Ejection { successes, .. } if successes >= settings.trial.requests => {
                *self = Self { phase: Phase::Serving { since: now }, ..self.next_generation(now) };
                Some(Transition::Recovered(successes))
            }
            Phase::Ejection { .. } => None,
            Phase::Serving { .. } => {
                let reason = self.too_many(settings, now)?;
                Some(self.eject(reason, settings, now, jitter))
            }
        }
    }

    fn too_many(&self, settings: &FailureAccrual, now: u64) -> Option<EjectionReason> {
        if settings.consecutive_failures > 0 && self.consecutive >= settings.consecutive_failures {
            return Some(EjectionReason::ConsecutiveFailures(self.consecutive));
        }
        let ratio = settings.failure_ratio?;
        let (requests, failures) = self.window.totals(bucket(settings), now);
        let failed = failures.saturating_mul(Percentage::ALL.millionths().into());
        let is_too_much = failed >= requests.saturating_mul(ratio.millionths().into());
        (requests >= settings.min_requests.into() && is_too_much)
            .then_some(EjectionReason::FailureRatio(failures, requests))
    }

    fn eject(&mut self, reason: EjectionReason, settings: &FailureAccrual, now: u64, jitter: Fraction) -> Transition {
        let longest = nanoseconds(settings.max_ejection);
        let before = match self.phase {
            Phase::Serving { since } if now.saturating_sub(since) >= longest => 0,
            Phase::Serving { .. } | Phase::Ejection { .. } => self.ejections,
        };
        let doubled = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
        let length = nanoseconds(settings.ejection).saturating_mul(doubled).min(longest);
        let tenth = length.checked_div(10).unwrap_or_default();
        let length = length.saturating_add(jitter.scale(tenth.saturating_add(1)));
        let number = before.saturating_add(1);
        let phase = Phase::Ejection { from: now, until: now.saturating_add(length), successes: 0 };
        *self = Self { phase, ejections: number, ..self.next_generation(now) };
        Transition::Ejected { reason, length: Duration::from_nanos(length), number }
    }

    /// The state of the next generation, with nothing counted.
    fn next_generation(&self, now: u64) -> Self {
        let generation = Generation(self.generation.0.saturating_add(1));
        Self { generation, ejections: self.ejections, last_result: now, ..Self::default() }
    }

    /// The order in which states replace each other. A later generation is newer. In one generation, an ejection is
    /// newer.
    fn rank(&self) -> (Generation, bool) {
        (self.generation, matches!(self.phase, Phase::Ejection { .. }))
    }

    /// Whether nothing is lost when the state is dropped.
    #[must_use]
    pub fn is_forgettable(&self, now: u64) -> bool {
        let until = match self.phase {
            Phase::Serving { .. } => 0,
            Phase::Ejection { until, .. } => until,
        };
        let is_idle = now.abs_diff(self.last_result.max(until)) >= FORGET_AFTER;
        let is_blank = self.generation == Generation(0) && self.consecutive == 0 && self.window.is_empty(now);
        is_blank || (is_idle && self.version_state(now) != VersionState::Ejected)
    }
}

/// The length of one bucket of the window, in nanoseconds.
fn bucket(settings: &FailureAccrual) -> u64 {
    nanoseconds(settings.window).checked_div(window::BUCKETS).unwrap_or_default()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
