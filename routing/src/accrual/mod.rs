//! Failure accrual: what the results of requests make of a version.
//!
//! Pure: time, in nanoseconds since the Unix epoch, and jitter are arguments. A version serves until it is ejected; when the
//! ejection is over it is on trial, until it is ejected again or serves. Every ejection and every recovery begins a new
//! generation: results of requests that were sent before say nothing of it. Nor do those that were sent during an ejection, for
//! want of another version, count as trials.

mod codec;
mod view;
mod window;

use std::time::Duration;

pub use view::View;

use crate::draws::Fraction;
use canary_config::{FailureAccrual, Percentage};
use window::Window;

/// What the end of a request says of its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has served.
    Success,
    /// It has failed.
    Failure,
}

/// What a version may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Every request that picks it.
    Serving,
    /// None where another version can serve.
    Ejected,
    /// A share of the requests that pick it.
    OnTrial,
}

/// Why a version was ejected: the words of metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// So many failures in succession.
    ConsecutiveFailures(u32),
    /// So many failures among so many requests of the window.
    FailureRatio(u64, u64),
    /// A request of its trial failed.
    Trial,
}

/// A turn in the life of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is ejected.
    Ejected {
        /// What for.
        why: Why,
        /// For how long.
        length: Duration,
        /// Which ejection in succession this is, from 1.
        number: u32,
    },
    /// It serves again, after so many successes of its trial.
    Recovered(u32),
}

/// Counts the turns of a version's life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Generation(u32);

/// The stretch of a version's life that a request was sent in: no other learns from its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    generation: Generation,
    standing: Standing,
}

/// The state of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accrual {
    generation: Generation,
    phase: Phase,
    /// In succession.
    ejections: u32,
    /// Failures in succession.
    consecutive: u32,
    window: Window,
    /// When a result has last been counted.
    heard: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving {
        since: u64,
    },
    /// Ejected until then, on trial from then on.
    Out {
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

/// After so long without a result a version that is not ejected is forgotten, in nanoseconds.
const FORGOTTEN: u64 = 3_600_000_000_000;
/// What workers' readings of one clock may differ by, in nanoseconds: an ejection that begins later than this from now is
/// of a clock that was set back.
const SKEW: u64 = 1_000_000_000;

impl Why {
    /// The word used in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures(_) => "consecutive-failures",
            Self::FailureRatio(..) => "failure-ratio",
            Self::Trial => "trial",
        }
    }
}

impl Stretch {
    /// Whether the request is one of a trial.
    #[must_use]
    pub fn is_trial(self) -> bool {
        self.standing == Standing::OnTrial
    }
}

impl Accrual {
    /// What the version may get now.
    #[must_use]
    pub const fn standing(&self, now: u64) -> Standing {
        match self.phase {
            Phase::Serving { .. } => Standing::Serving,
            Phase::Out { from, until, .. } if now < until && now.saturating_add(SKEW) >= from => Standing::Ejected,
            Phase::Out { .. } => Standing::OnTrial,
        }
    }

    /// Counts a result, and judges. While the version is ejected nothing counts.
    fn record(&mut self, verdict: Verdict, settings: &FailureAccrual, now: u64, jitter: Fraction) -> Option<Change> {
        match (self.standing(now), verdict) {
            (Standing::Ejected, _) => return None,
            (Standing::OnTrial, Verdict::Failure) => return Some(self.eject(Why::Trial, settings, now, jitter)),
            (Standing::OnTrial, Verdict::Success) => self.pass(1),
            (Standing::Serving, verdict) => {
                self.consecutive = match verdict {
                    Verdict::Success => 0,
                    Verdict::Failure => self.consecutive.saturating_add(1),
                };
                if settings.failure_ratio.is_some() {
                    self.window.turn(bucket(settings), now);
                    self.window.add(1, u32::from(verdict == Verdict::Failure));
                }
            }
        }
        self.heard = now;
        self.judge(settings, now, jitter)
    }

    fn pass(&mut self, more: u32) {
        if let Phase::Out { successes, .. } = &mut self.phase {
            *successes = successes.saturating_add(more);
        }
    }

    /// What the counts lead to.
    fn judge(&mut self, settings: &FailureAccrual, now: u64, jitter: Fraction) -> Option<Change> {
        match self.phase {
            Phase::Out { successes, .. } if successes >= settings.trial.requests => {
                *self = Self { phase: Phase::Serving { since: now }, ..self.turned(now) };
                Some(Change::Recovered(successes))
            }
            Phase::Out { .. } => None,
            Phase::Serving { .. } => {
                let why = self.too_many(settings, now)?;
                Some(self.eject(why, settings, now, jitter))
            }
        }
    }

    fn too_many(&self, settings: &FailureAccrual, now: u64) -> Option<Why> {
        if settings.consecutive_failures > 0 && self.consecutive >= settings.consecutive_failures {
            return Some(Why::ConsecutiveFailures(self.consecutive));
        }
        let ratio = settings.failure_ratio?;
        let (requests, failures) = self.window.totals(bucket(settings), now);
        let failed = failures.saturating_mul(Percentage::ALL.millionths().into());
        let is_too_much = failed >= requests.saturating_mul(ratio.millionths().into());
        (requests >= settings.min_requests.into() && is_too_much).then_some(Why::FailureRatio(failures, requests))
    }

    fn eject(&mut self, why: Why, settings: &FailureAccrual, now: u64, jitter: Fraction) -> Change {
        let longest = nanoseconds(settings.max_ejection);
        let before = match self.phase {
            Phase::Serving { since } if now.saturating_sub(since) >= longest => 0,
            Phase::Serving { .. } | Phase::Out { .. } => self.ejections,
        };
        let doubled = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
        let length = nanoseconds(settings.ejection).saturating_mul(doubled).min(longest);
        let tenth = length.checked_div(10).unwrap_or_default();
        let length = length.saturating_add(jitter.scale(tenth.saturating_add(1)));
        let number = before.saturating_add(1);
        let phase = Phase::Out { from: now, until: now.saturating_add(length), successes: 0 };
        *self = Self { phase, ejections: number, ..self.turned(now) };
        Change::Ejected { why, length: Duration::from_nanos(length), number }
    }

    /// The next generation, with nothing counted yet.
    fn turned(&self, now: u64) -> Self {
        let generation = Generation(self.generation.0.saturating_add(1));
        Self { generation, ejections: self.ejections, heard: now, ..Self::default() }
    }

    /// Later generations are newer; of two that have begun at once, the ejection counts.
    fn rank(&self) -> (Generation, bool) {
        (self.generation, matches!(self.phase, Phase::Out { .. }))
    }

    /// Whether nothing would be lost with it.
    #[must_use]
    pub fn is_forgettable(&self, now: u64) -> bool {
        let until = match self.phase {
            Phase::Serving { .. } => 0,
            Phase::Out { until, .. } => until,
        };
        let is_idle = now.abs_diff(self.heard.max(until)) >= FORGOTTEN;
        let is_blank = self.generation == Generation(0) && self.consecutive == 0 && self.window.is_empty(now);
        is_blank || (is_idle && self.standing(now) != Standing::Ejected)
    }
}

/// The length of a part of the window, in nanoseconds.
fn bucket(settings: &FailureAccrual) -> u64 {
    nanoseconds(settings.window).checked_div(window::BUCKETS).unwrap_or_default()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
