//! The compiled configuration.

use std::sync::Arc;

use canary_config::{FaultSettings, FilterState, Metrics, Mode, Percentage};

use crate::destination::DestinationName;
use crate::draws::{Chance, Draw};
use crate::head::RequestHead;
use crate::host_index::HostIndex;
use crate::limits::Limits;
use crate::matching::{Fields, Rules};
use crate::names::{HeaderName, Names, Slot};
use crate::overrides::Overrides;
use crate::picking::HostPolicy;
use crate::regex::RegexCaches;

/// The port of a request whose authority has none.
pub(crate) const DEFAULT_PORT: u16 = 80;

/// The rules of a configuration, resolved for one proxy.
#[derive(Debug)]
pub struct RouteTable {
    pub(crate) settings: Settings,
    pub(crate) names: Names,
    pub(crate) fields: Fields,
    pub(crate) steering: Steering,
    pub(crate) own_headers: OwnHeaders,
    pub(crate) content_type: Slot,
    pub(crate) overrides: Overrides,
    pub(crate) hosts: HostIndex,
    pub(crate) virtual_hosts: Vec<VirtualHost>,
    pub(crate) destinations: Vec<DestinationName>,
    pub(crate) candidate: Option<Box<CandidateTable>>,
    pub(crate) regexes: Arc<RegexCaches>,
}

/// Settings of the whole filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) faults: FaultSettings,
    pub(crate) failover: bool,
    pub(crate) metrics: Metrics,
    pub(crate) filter_state: FilterState,
    pub(crate) has_fallback: bool,
    pub(crate) has_accrual: bool,
}

/// The headers by which a decision steers the proxy. `None` for a control header that the configuration turns off.
#[derive(Debug)]
pub struct Steering {
    /// Names the version that serves. It is the only control header that goes upstream.
    pub version: Option<HeaderName>,
    /// Names the cluster for a route with `cluster_header`.
    pub cluster: Option<HeaderName>,
    /// Name the clusters that get a mirrored copy, by the index of the mirror.
    pub mirrors: Vec<HeaderName>,
    /// Carries a rewritten host for a route with `host_rewrite_header`.
    pub host: Option<HeaderName>,
    /// Asks for an explanation, and returns it.
    pub explain: Option<HeaderName>,
    /// `x-envoy-original-path`: the path before a rewrite.
    pub original_path: HeaderName,
    /// `x-envoy-original-host`: the authority before a rewrite.
    pub original_host: HeaderName,
    /// Asks Envoy's fault filter to answer with an HTTP status.
    pub abort_request: HeaderName,
    /// Asks Envoy's fault filter to answer with a gRPC status.
    pub abort_grpc_request: HeaderName,
    /// Asks Envoy's fault filter to wait this many milliseconds.
    pub delay_request: HeaderName,
    pub(crate) set_cookie: HeaderName,
    /// The headers by which clients limit the time of a request. Empty if no policy needs them.
    pub(crate) time_limits: Vec<HeaderName>,
}

/// The headers that no client may send. A request leaves with those that the filter sets, and no others.
#[derive(Debug)]
pub(crate) struct OwnHeaders {
    /// The control headers, the headers with clients' secrets, and Envoy's fault headers if the fault filter reads
    /// them.
    pub(crate) names: Vec<HeaderName>,
    /// The range of those that are hidden from rules.
    pub(crate) hidden: std::ops::Range<usize>,
}

impl OwnHeaders {
    /// The slots of the headers. They are the first slots of the table.
    fn slots(&self) -> std::ops::Range<usize> {
        0..self.names.len()
    }
}

/// The candidate rules, and the share of requests that they also decide.
#[derive(Debug)]
pub(crate) struct CandidateTable {
    pub(crate) percentage: Percentage,
    pub(crate) table: RouteTable,
}

/// The rules of a host. In a mesh the first object that has a rule for the port counts, as in istiod. At a gateway all
/// objects are merged into one.
#[derive(Debug, Default)]
pub(crate) struct VirtualHost {
    /// Shared with the other hosts of these objects.
    pub(crate) objects: Vec<Arc<Rules>>,
    /// The policies that have a version header, of the hosts in the rules.
    pub(crate) policies: Vec<Arc<HostPolicy>>,
}

impl VirtualHost {
    /// The rules for a port. `None` if every object's rules are for other ports.
    pub(crate) fn rules(&self, port: u16) -> Option<&Rules> {
        self.objects.iter().find(|rules| rules.has_rule_for(port)).map(Arc::as_ref)
    }
}

impl RouteTable {
    /// Reads a request's header map in one pass, into a head without content.
    pub fn read_into<'r>(&self, head: &mut RequestHead<'r>, pairs: impl Iterator<Item = (&'r [u8], &'r [u8])>) {
        head.read(&self.names, self.own_headers.slots(), self.content_type, pairs);
    }

    /// Like [`read_into`](Self::read_into), and returns the head.
    #[must_use]
    pub fn read_head<'r>(&self, pairs: impl Iterator<Item = (&'r [u8], &'r [u8])>) -> RequestHead<'r> {
        let mut head = RequestHead::unread();
        self.read_into(&mut head, pairs);
        head
    }

    /// The candidate's rules, if there is a candidate and the draw selects this request. Their decisions are compared
    /// (see [`differences`](crate::difference::differences)) and never applied. They need a head of their own.
    #[must_use]
    pub fn candidate(&self, chance: &dyn Chance) -> Option<&Self> {
        let candidate = self.candidate.as_ref()?;
        chance.draw(Draw::Candidate).is_within(candidate.percentage).then_some(&candidate.table)
    }

    /// The headers by which decisions steer the proxy.
    #[must_use]
    pub const fn steering(&self) -> &Steering {
        &self.steering
    }

    /// Whether the client limits the time of its request or of a try, and the rule does not override that. Known only
    /// if a policy has failure accrual.
    #[must_use]
    pub fn is_limited_by_client(&self, head: &RequestHead<'_>, limits: Option<&Limits>) -> bool {
        let is_replaced = |name: &HeaderName| limits.is_some_and(|limits| limits.sets(name.slot()));
        self.steering.time_limits.iter().any(|name| head.has(name.slot()) && !is_replaced(name))
    }

    pub(crate) const fn set_cookie(&self) -> &HeaderName {
        &self.steering.set_cookie
    }

    /// The headers that no client may send. A request leaves with those that the decision sets, and no others.
    #[must_use]
    pub fn own_headers(&self) -> &[HeaderName] {
        &self.own_headers.names
    }

    /// Whether no client may send a header.
    #[must_use]
    pub fn is_own(&self, name: &HeaderName) -> bool {
        self.own_headers.slots().contains(&name.slot().index())
    }

    /// Every destination that a decision may name, indexed by [`DestinationId`](crate::DestinationId).
    #[must_use]
    pub fn destinations(&self) -> &[DestinationName] {
        &self.destinations
    }

    /// The mode: who applies the rules.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// The settings for faults.
    #[must_use]
    pub const fn faults(&self) -> &FaultSettings {
        &self.settings.faults
    }

    /// Whether the proxy has failover clusters. The filter then learns nothing from missing or empty clusters.
    #[must_use]
    pub const fn has_failover(&self) -> bool {
        self.settings.failover
    }

    /// The level of metrics.
    #[must_use]
    pub const fn metrics(&self) -> Metrics {
        self.settings.metrics
    }

    /// What the filter writes to filter state, for access logs and traces.
    #[must_use]
    pub const fn filter_state(&self) -> FilterState {
        self.settings.filter_state
    }

    /// Whether any policy has a fallback order.
    #[must_use]
    pub const fn has_fallback(&self) -> bool {
        self.settings.has_fallback
    }

    /// Whether any policy has failure accrual and another version that can replace a failed one.
    #[must_use]
    pub const fn has_accrual(&self) -> bool {
        self.settings.has_accrual
    }

    /// Bytes of the automata of all regexes, without their caches.
    #[must_use]
    pub fn regex_memory(&self) -> usize {
        self.regexes.compiled()
    }

    /// The number of virtual hosts.
    #[must_use]
    pub fn host_count(&self) -> usize {
        self.virtual_hosts.len()
    }

    /// The number of routes of all hosts.
    #[must_use]
    pub fn route_count(&self) -> usize {
        self.virtual_hosts.iter().flat_map(|host| &host.objects).map(|rules| rules.routes().len()).sum()
    }
}
