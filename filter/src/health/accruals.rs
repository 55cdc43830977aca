//! The failure accrual of all versions, by their clusters.
//!
//! Pure: time and jitter are arguments. Time is that of the last tick, so that a request costs no host call.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use canary_config::FailureAccrual;
use canary_routing::accrual::{Accrual, Change, Standing, Stretch, Verdict, View};
use canary_routing::{Destination, FallbackReason, Fraction};
use litemap::LiteMap;

use crate::health::exchange::Exchanged;
use crate::host::{OwnedPairs, Pairs};

/// Most clusters that are looked after; the failures of further ones count for nothing.
const MAX_CLUSTERS: usize = 1_024;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Sent {
    cluster: Rc<str>,
    stretch: Stretch,
    /// When it took one of the places of a trial.
    place: Option<u64>,
    settings: Arc<FailureAccrual>,
}

/// A change of a version that is counted and logged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) host: Arc<str>,
    /// The version; `-` for none.
    pub(crate) subset: Arc<str>,
    pub(crate) event: Event,
}

/// What has happened to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Changed(Change),
    /// Its ejection is over.
    OnTrial,
}

/// What a VM knows of versions.
#[derive(Debug, Default)]
pub(crate) struct Accruals {
    versions: LiteMap<Rc<str>, Version>,
    /// The versions that are ejected or on trial; those on trial with whether one more request may try them.
    ejected: LiteMap<Rc<str>, bool>,
    transitions: Vec<Transition>,
    /// When the tick last came.
    now: u64,
}

/// One version in this VM.
#[derive(Debug, Default)]
struct Version {
    view: View,
    /// Who it is, and what its policy says; unknown where only other VMs have sent it requests.
    known_as: Option<KnownAs>,
    /// Requests on their way: as long as there are any it is remembered.
    requests: u32,
    /// Requests of its trial that wait for an answer, by when they were sent.
    trials: LiteMap<u64, u32>,
    /// This VM has ejected it, and tells when the trial begins.
    reports_trial: bool,
}

#[derive(Debug)]
struct KnownAs {
    host: Arc<str>,
    subset: Arc<str>,
    settings: Arc<FailureAccrual>,
}

impl Sent {
    pub(crate) const fn settings(&self) -> &Arc<FailureAccrual> {
        &self.settings
    }

    /// Whether it is one of a trial.
    pub(crate) fn is_trial(&self) -> bool {
        self.stretch.is_trial()
    }
}

impl Accruals {
    /// Why a version cannot serve.
    pub(crate) fn unavailable(&self, cluster: &str) -> Option<FallbackReason> {
        self.ejected.contains_key(cluster).then_some(FallbackReason::Ejected)
    }

    /// Whether one more request may try an ejected version.
    pub(crate) fn may_try(&self, cluster: &str) -> bool {
        self.ejected.get(cluster).copied().unwrap_or_default()
    }

    /// A request goes to a version. `None` where too many are looked after already.
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
        version.meet(destination, settings);
        version.requests = version.requests.saturating_add(1);
        let stretch = version.view.stretch(self.now);
        let place = stretch.is_trial().then_some(self.now);
        if let Some(sent) = place {
            let trials = version.trials.entry(sent).or_insert(0);
            *trials = trials.saturating_add(1);
        }
        self.refresh(&cluster);
        Some(Sent { cluster, stretch, place, settings: Arc::clone(settings) })
    }

    /// The request waits for no answer any more.
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

    /// Whether a verdict would change anything.
    pub(crate) fn wants(&self, sent: &Sent, verdict: Verdict) -> bool {
        let version = self.versions.get(&sent.cluster);
        version.is_some_and(|version| version.view.wants(sent.stretch, verdict, &sent.settings, self.now))
    }

    /// Counts the result of a request.
    pub(crate) fn record(&mut self, sent: &Sent, verdict: Verdict, jitter: Fraction) {
        if let Some(version) = self.versions.get_mut(&sent.cluster) {
            version.view.record(sent.stretch, verdict, &sent.settings, self.now, jitter);
            self.refresh(&sent.cluster);
        }
    }

    /// The changes since this was last asked.
    pub(crate) fn take_transitions(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.transitions)
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

    /// Puts everything in order after time has passed.
    fn advance(&mut self, now: u64) {
        self.now = now;
        self.versions.retain(|_, version| version.requests > 0 || !version.view.state().is_forgettable(now));
        for (_, version) in &mut self.versions {
            version.clear_places(now);
            if version.reports_trial && version.view.standing(now) != Standing::Ejected {
                version.reports_trial = false;
                if version.view.standing(now) == Standing::OnTrial {
                    self.transitions.extend(version.transition(Event::OnTrial));
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

impl Exchanged for Accruals {
    const KEY: &'static str = "canary_accruals";

    fn now(&self) -> u64 {
        self.now
    }

    fn merge(&mut self, shared: &impl Pairs, now: u64, jitter: Fraction) -> Option<OwnedPairs> {
        let mut states = decode(shared);
        for (cluster, version) in &mut self.versions {
            let state = states.remove(&**cluster).unwrap_or_default();
            let settings = version.known_as.as_ref().map(|known| &*known.settings);
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

    fn exchanged(&mut self) {
        for (_, version) in &mut self.versions {
            for change in version.view.told() {
                version.reports_trial = matches!(change, Change::Ejected { .. });
                self.transitions.extend(version.transition(Event::Changed(change)));
            }
        }
    }

    fn expire(&mut self, now: u64) {
        self.exchanged();
        self.advance(now);
    }
}

impl Version {
    /// Notes who it is, where a new configuration says so.
    fn meet(&mut self, destination: &Destination, settings: &Arc<FailureAccrual>) {
        match &mut self.known_as {
            Some(known) if Arc::ptr_eq(&known.settings, settings) => {}
            known_as => {
                let (host, subset) = (Arc::clone(&destination.host), destination.subset.clone());
                let subset = subset.unwrap_or_else(|| "-".into());
                *known_as = Some(KnownAs { host, subset, settings: Arc::clone(settings) });
            }
        }
    }

    /// A request that is not answered within the first ejection gives its place to another: what hangs must not keep a
    /// version that has healed from being tried.
    fn clear_places(&mut self, now: u64) {
        let longest = self.known_as.as_ref().map_or(Duration::ZERO, |known| known.settings.ejection).as_nanos();
        self.trials.retain(|sent, waiting| *waiting > 0 && u128::from(now.abs_diff(*sent)) < longest);
    }

    /// `None` where it serves; else whether it may be tried by one more request.
    fn ejected(&self, now: u64) -> Option<bool> {
        match self.view.standing(now) {
            Standing::Serving => None,
            Standing::Ejected => Some(false),
            Standing::OnTrial => {
                let most = self.known_as.as_ref().map_or(1, |known| known.settings.trial.requests);
                let waiting = self.trials.values().fold(0_u32, |sum, waiting| sum.saturating_add(*waiting));
                Some(waiting < most)
            }
        }
    }

    fn transition(&self, event: Event) -> Option<Transition> {
        let known = self.known_as.as_ref()?;
        Some(Transition { host: known.host.clone(), subset: known.subset.clone(), event })
    }
}

/// What is malformed is left out: the next one to write it puts it right.
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
