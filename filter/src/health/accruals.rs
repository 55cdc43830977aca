//! The failure accrual of all versions, by cluster.
//!
//! Pure: time and jitter are arguments. The time is that of the last tick, so a request costs no host call.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use canary_config::FailureAccrual;
use canary_routing::accrual::{Accrual, Period, Transition, Verdict, VersionState, WorkerView};
use canary_routing::{Destination, FallbackReason, Fraction};
use litemap::LiteMap;

use crate::health::exchange::SharedState;
use crate::host::{OwnedPairs, Pairs};

/// The most clusters with failure accrual. Failures of further clusters do not count.
const MAX_CLUSTERS: usize = 1_024;

/// A request that was sent to a version.
#[derive(Debug)]
pub(crate) struct Sent {
    cluster: Rc<str>,
    period: Period,
    /// When it took one of the places of a trial. `None` if it has none.
    place: Option<u64>,
    settings: Arc<FailureAccrual>,
}

/// A change of a version's state, for metrics and logs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VersionEvent {
    pub(crate) host: Arc<str>,
    /// The version. `-` for the service as a whole.
    pub(crate) subset: Arc<str>,
    pub(crate) event: Event,
}

/// The kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Changed(Transition),
    /// The ejection is over, and the trial begins.
    OnTrial,
}

/// The failure accrual of every version that this VM knows.
#[derive(Debug, Default)]
pub(crate) struct Accruals {
    versions: LiteMap<Rc<str>, Version>,
    /// The versions that are ejected or on trial. The value is whether one more request may try the version.
    ejected: LiteMap<Rc<str>, bool>,
    events: Vec<VersionEvent>,
    /// The time of the last tick.
    now: u64,
}

/// One version in this VM.
#[derive(Debug, Default)]
struct Version {
    view: WorkerView,
    /// The name and the settings. `None` if only other VMs have sent requests to the version.
    identity: Option<Identity>,
    /// Requests in flight. The version is kept while there are any.
    requests: u32,
    /// Trial requests without an answer, by the time when they were sent.
    trials: LiteMap<u64, u32>,
    /// Whether this VM has ejected the version, and so reports the start of the trial.
    reports_trial: bool,
}

#[derive(Debug)]
struct Identity {
    host: Arc<str>,
    subset: Arc<str>,
    settings: Arc<FailureAccrual>,
}

impl Sent {
    pub(crate) const fn settings(&self) -> &Arc<FailureAccrual> {
        &self.settings
    }

    /// Whether it is a trial request.
    pub(crate) fn is_trial(&self) -> bool {
        self.period.is_trial()
    }
}

impl Accruals {
    /// Why a version cannot serve.
    pub(crate) fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.ejected.contains_key(cluster).then_some(FallbackReason::Ejected)
    }

    /// Whether one more request may try the version.
    pub(crate) fn may_try(&self, cluster: &str) -> bool {
        self.ejected.get(cluster).copied().unwrap_or_default()
    }

    /// Records that a request goes to a version. `None` if there are too many versions.
    pub(crate) fn send(
        &mut self,
        cluster: &str,
        destination: &Destination,
        settings: &Arc<FailureAccrual>,
    ) -> Option<Sent> {
        let known = self.versions.find_index(cluster).ok().and_then(|place| self.versions.get_indexed(place));
        let cluster = match known {
            Some((cluster, _)) => Rc::clone(cluster),
            None if self.versions.len() >= MAX_CLUSTERS => return None,
            None => Rc::from(cluster),
        };
        let version = self.versions.entry(Rc::clone(&cluster)).or_default();
        version.set_identity(destination, settings);
        version.requests = version.requests.saturating_add(1);
        let period = version.view.period(self.now);
        let place = period.is_trial().then_some(self.now);
        if let Some(sent) = place {
            let trials = version.trials.entry(sent).or_insert(0);
            *trials = trials.saturating_add(1);
        }
        self.refresh(&cluster);
        Some(Sent { cluster, period, place, settings: Arc::clone(settings) })
    }

    /// The request needs no place of the trial any more.
    pub(crate) fn release(&mut self, sent: &mut Sent) {
        let Some(place) = sent.place.take() else { return };
        let version = self.versions.get_mut(&sent.cluster);
        if let Some(trials) = version.and_then(|version| version.trials.get_mut(&place)) {
            *trials = trials.saturating_sub(1);
        }
        self.refresh(&Rc::clone(&sent.cluster));
    }

    /// The request has ended.
    pub(crate) fn end(&mut self, sent: &Sent) {
        if let Some(version) = self.versions.get_mut(&sent.cluster) {
            version.requests = version.requests.saturating_sub(1);
        }
    }

    /// Whether a verdict would change the state.
    pub(crate) fn would_change(&self, sent: &Sent, verdict: Verdict) -> bool {
        let version = self.versions.get(&sent.cluster);
        version.is_some_and(|version| version.view.would_change(sent.period, verdict, &sent.settings, self.now))
    }

    /// Counts the result of a request.
    pub(crate) fn record(&mut self, sent: &Sent, verdict: Verdict, jitter: Fraction) {
        if let Some(version) = self.versions.get_mut(&sent.cluster) {
            version.view.record(sent.period, verdict, &sent.settings, self.now, jitter);
            self.refresh(&sent.cluster);
        }
    }

    /// Takes the events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<VersionEvent> {
        std::mem::take(&mut self.events)
    }

    fn refresh(&mut self, cluster: &Rc<str>) {
        let now = self.now;
        let state = self.versions.get(cluster).and_then(|version| version.ejected(now));
        if self.ejected.get(cluster).copied() != state {
            match state {
                Some(may_try) => self.ejected.insert(Rc::clone(cluster), may_try),
                None => self.ejected.remove(cluster),
            };
        }
    }

    /// Updates all versions to the present time.
    fn advance(&mut self, now: u64) {
        self.now = now;
        self.versions.retain(|_, version| version.requests > 0 || !version.view.state().is_forgettable(now));
        for (_, version) in &mut self.versions {
            version.clear_places(now);
            if version.reports_trial && version.view.version_state(now) != VersionState::Ejected {
                version.reports_trial = false;
                if version.view.version_state(now) == VersionState::OnTrial {
                    self.events.extend(version.event_of(Event::OnTrial));
                }
            }
        }
        self.ejected.clear();
        for (cluster, version) in &self.versions {
            if let Some(may_try) = version.ejected(now) {
                self.ejected.insert(Rc::clone(cluster), may_try);
            }
        }
    }

    fn encode(&self) -> OwnedPairs {
        let states = self.versions.iter().map(|(cluster, version)| (cluster, version.view.state()));
        let worthwhile = states.filter(|(_, state)| !state.is_forgettable(self.now));
        OwnedPairs(worthwhile.map(|(cluster, state)| (cluster.as_bytes().into(), state.encode().into())).collect())
    }
}

impl SharedState for Accruals {
    const KEY: &'static str = "canary_accruals";

    fn now(&self) -> u64 {
        self.now
    }

    fn merge(&mut self, shared: &impl Pairs, now: u64, jitter: Fraction) -> Option<OwnedPairs> {
        let mut states = decode(shared);
        for (cluster, version) in &mut self.versions {
            let state = states.remove(&**cluster).unwrap_or_default();
            let settings = version.identity.as_ref().map(|known| &*known.settings);
            version.view.merge(state, settings, now, jitter);
        }
        for (cluster, state) in states {
            if self.versions.len() >= MAX_CLUSTERS {
                break;
            }
            let mut version = Version::default();
            version.view.merge(state, None, now, jitter);
            self.versions.insert(Rc::from(cluster), version);
        }
        self.advance(now);
        let next = self.encode();
        (!next.pairs().eq(shared.pairs())).then_some(next)
    }

    fn mark_shared(&mut self) {
        for (_, version) in &mut self.versions {
            for change in version.view.mark_published() {
                version.reports_trial = matches!(change, Transition::Ejected { .. });
                self.events.extend(version.event_of(Event::Changed(change)));
            }
        }
    }

    fn expire(&mut self, now: u64) {
        self.mark_shared();
        self.advance(now);
    }
}

impl Version {
    /// Updates the name and the settings after a new configuration.
    fn set_identity(&mut self, destination: &Destination, settings: &Arc<FailureAccrual>) {
        match &mut self.identity {
            Some(known) if Arc::ptr_eq(&known.settings, settings) => {}
            identity => {
                let (host, subset) = (Arc::clone(&destination.host), destination.subset.clone());
                let subset = subset.unwrap_or_else(|| "-".into());
                *identity = Some(Identity { host, subset, settings: Arc::clone(settings) });
            }
        }
    }

    /// Frees the place of each trial request without an answer within the first ejection. Otherwise requests that hang
    /// would block the trial of a version that has recovered.
    fn clear_places(&mut self, now: u64) {
        let longest = self.identity.as_ref().map_or(Duration::ZERO, |known| known.settings.ejection).as_nanos();
        self.trials.retain(|sent, waiting| *waiting > 0 && u128::from(now.abs_diff(*sent)) < longest);
    }

    /// `None` if the version serves. Otherwise whether one more request may try it.
    fn ejected(&self, now: u64) -> Option<bool> {
        match self.view.version_state(now) {
            VersionState::Serving => None,
            VersionState::Ejected => Some(false),
            VersionState::OnTrial => {
                let most = self.identity.as_ref().map_or(1, |known| known.settings.trial.requests);
                let waiting = self.trials.values().fold(0_u32, |sum, waiting| sum.saturating_add(*waiting));
                Some(waiting < most)
            }
        }
    }

    fn event_of(&self, event: Event) -> Option<VersionEvent> {
        let known = self.identity.as_ref()?;
        Some(VersionEvent { host: known.host.clone(), subset: known.subset.clone(), event })
    }
}

/// Decodes the shared states. Malformed ones are left out, and the next write replaces them.
fn decode(shared: &impl Pairs) -> LiteMap<String, Accrual> {
    let states = shared
        .pairs()
        .filter_map(|(cluster, state)| Some((str::from_utf8(cluster).ok()?.to_owned(), Accrual::decode(state)?)));
    let mut known = LiteMap::new();
    for (cluster, state) in states.take(MAX_CLUSTERS) {
        known.insert(cluster, state);
    }
    known
}
