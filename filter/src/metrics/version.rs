//! The series of the versions, found for each request by one look-up of its host, and from then on by number.

use std::cell::RefCell;
use std::collections::HashMap;

use canary_routing::config::Metrics;
use canary_routing::{Decision, Outcome};
use sdk_shims::clock;
use sdk_shims::host::{self, HostError};
use sdk_shims::log;

use super::registry::{self, MOST, OVERFLOW};
use super::{DURATION, FAULTS, MIRRORS, Metric, REQUESTS, RESPONSES};
use crate::observe;

/// Stands for no host and no version: where a rule answers by itself.
const NONE: &str = "-";
/// Why a request has no version: its rule answers, or no rule takes it.
const ANSWERED: &str = "rule";
const NO_RULE: &str = "no-rule";
/// The response that a client has gone without.
const NO_RESPONSE: &str = "none";
/// In a millisecond.
const NANOSECONDS: u64 = 1_000_000;

/// A version of a host, in this VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(usize);

/// The series that a version has so far.
struct Known {
    host: Box<str>,
    version: Box<str>,
    /// By metric and word.
    series: Vec<(&'static str, &'static str, host::Metric)>,
}

#[derive(Default)]
struct Versions {
    /// The versions of each host.
    hosts: HashMap<Box<str>, Vec<Version>>,
    all: Vec<Known>,
}

thread_local! {
    /// A VM is one thread.
    static VERSIONS: RefCell<Versions> = RefCell::default();
}

pub(super) fn init() {
    VERSIONS.take();
}

/// A request that is counted when it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// The version that was picked for it first.
    pub(crate) version: Version,
    reason: &'static str,
    /// By the steady clock, in nanoseconds, if its response is measured.
    began: Option<u64>,
}

impl Measured {
    /// Counts what a decision asks for, and begins to measure its request; `None` where the filter leaves it alone, or
    /// requests are not counted.
    pub(crate) fn begin(settings: Metrics, decision: &Decision<'_>) -> Option<Self> {
        if !settings.enabled {
            return None;
        }
        let (version, reason) = match (decision.version(), &decision.outcome) {
            (Some((destination, reason)), _) => {
                (Version::of(&destination.host, destination.subset.as_deref()), reason.as_str())
            }
            (None, Outcome::Untouched) => return None,
            (None, _) => (Version::of(NONE, None), decision.route.map_or(NO_RULE, |_| ANSWERED)),
        };
        if let Outcome::Forward(forward) = &decision.outcome {
            for cluster in &forward.mirrors {
                registry::count(&MIRRORS, &[&forward.destination.host, cluster]);
            }
        }
        version.count_abort(decision);
        let now = settings.responses.then(clock::steady_nanoseconds).transpose();
        let began = now.unwrap_or_else(|error| {
            log::error!("{error}: the response of a request is not counted");
            None
        });
        Some(Self { version, reason, began })
    }

    /// Counts the request, whose stream is about to end, for the version that has served it.
    pub(crate) fn end(self, version: Version) {
        version.count(&REQUESTS, self.reason);
        if let Some(began) = self.began {
            registry::logged(&RESPONSES, version.end(began));
        }
    }
}

impl Version {
    /// The version of a host: one look-up that allocates nothing, once it is known. As many versions have numbers of their
    /// own as there can be series.
    pub(crate) fn of(host: &str, subset: Option<&str>) -> Self {
        VERSIONS.with_borrow_mut(|versions| versions.find_or_add(host, subset.unwrap_or(NONE)))
    }

    /// Counts an injected delay.
    pub(crate) fn count_delay(self) {
        self.count(&FAULTS, "delay");
    }

    /// Counts an injected abort if the decision is one.
    pub(crate) fn count_abort(self, decision: &Decision<'_>) {
        if decision.abort.is_some() {
            self.count(&FAULTS, "abort");
        }
    }

    fn count(self, metric: &Metric, word: &'static str) {
        registry::logged(metric, self.series(metric, word).and_then(host::Metric::increment));
    }

    fn end(self, began: u64) -> Result<(), HostError> {
        let class = observe::status()?.map_or(NO_RESPONSE, class);
        let elapsed = clock::steady_nanoseconds()?.saturating_sub(began);
        self.series(&RESPONSES, class)?.increment()?;
        self.series(&DURATION, "")?.record(elapsed.checked_div(NANOSECONDS).unwrap_or_default())
    }

    /// The version's series of a metric that has one word beside the version, or (`""`) none.
    fn series(self, metric: &Metric, word: &'static str) -> Result<host::Metric, HostError> {
        VERSIONS.with_borrow_mut(|versions| match versions.all.get_mut(self.0) {
            Some(known) => known.series(metric, word),
            None => registry::series(metric, &[NONE, NONE, word]),
        })
    }
}

impl Versions {
    fn find_or_add(&mut self, host: &str, version: &str) -> Version {
        if let Some(found) = self.find(host, version) {
            return found;
        }
        let (host, version) = if self.all.len() < MOST { (host, version) } else { (OVERFLOW, OVERFLOW) };
        self.find(host, version).unwrap_or_else(|| {
            let added = Version(self.all.len());
            self.all.push(Known { host: host.into(), version: version.into(), series: Vec::new() });
            self.hosts.entry(host.into()).or_default().push(added);
            added
        })
    }

    fn find(&self, host: &str, version: &str) -> Option<Version> {
        let is_it = |number: usize| self.all.get(number).is_some_and(|known| *known.version == *version);
        self.hosts.get(host)?.iter().copied().find(|Version(number)| is_it(*number))
    }
}

impl Known {
    fn series(&mut self, metric: &Metric, word: &'static str) -> Result<host::Metric, HostError> {
        let known = self.series.iter().find(|(name, of, _)| *name == metric.name && *of == word);
        if let Some((_, _, series)) = known {
            return Ok(*series);
        }
        let values = [&*self.host, &*self.version, word];
        let series = registry::series(metric, values.get(..metric.labels.len()).unwrap_or(&values))?;
        self.series.push((metric.name, word, series));
        Ok(series)
    }
}

/// The class of a status; what is none was never sent.
const fn class(status: u64) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => NO_RESPONSE,
    }
}
