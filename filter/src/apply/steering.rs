//! The headers by which a decision steers the proxy.

use std::borrow::Cow;

use canary_config::{AbortStatus, FaultDelayer, Mode};
use canary_routing::{Decision, Forward, HeaderName, Outcome, RequestHead, RouteTable};

/// A request header with its only value.
pub(crate) struct SteeringValue<'d> {
    pub(crate) target: Target<'d>,
    pub(crate) value: Cow<'d, [u8]>,
}

/// A header that a decision writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'d> {
    Path,
    Authority,
    Header(&'d HeaderName),
}

impl PartialEq for Target<'_> {
    /// Headers of one table are equal if their slots are.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Path, Self::Path) | (Self::Authority, Self::Authority) => true,
            (Self::Header(name), Self::Header(other)) => name.slot() == other.slot(),
            _ => false,
        }
    }
}

impl<'d> Target<'d> {
    pub(crate) fn name(self) -> &'d str {
        match self {
            Self::Path => ":path",
            Self::Authority => ":authority",
            Self::Header(name) => name.as_str(),
        }
    }

    /// Whether the request has exactly this one value of the header.
    pub(crate) fn is_exactly(self, head: &RequestHead<'_>, value: &[u8]) -> bool {
        match self {
            Self::Path => head.path() == value,
            Self::Authority => head.authority() == value,
            Self::Header(name) => head.is_exactly(name.slot(), value),
        }
    }
}

/// Whether Envoy's fault filter applies the decision's faults. It can if the request reaches it.
pub(crate) fn leaves_faults_to_envoy(decision: &Decision<'_>, table: &RouteTable) -> bool {
    let goes_on = decision.abort.is_some() || matches!(decision.outcome, Outcome::Forward(_));
    goes_on && table.faults().delay == FaultDelayer::FaultFilter
}

/// Calls `use_value` with every header by which the decision steers the proxy. Each comes once. Allocates only for
/// faults that Envoy applies.
pub(crate) fn for_each<'d>(
    decision: &'d Decision<'_>,
    head: &RequestHead<'d>,
    table: &'d RouteTable,
    mut use_value: impl FnMut(SteeringValue<'d>),
) {
    let mut push = |name: &'d HeaderName, value: Cow<'d, [u8]>| {
        use_value(SteeringValue { target: Target::Header(name), value });
    };
    let steering = table.steering();
    if leaves_faults_to_envoy(decision, table) {
        if let Some(delay) = decision.delay {
            push(&steering.delay_request, decimal(delay.as_millis()));
        }
        match decision.abort {
            Some(AbortStatus::Http(status)) => push(&steering.abort_request, decimal(status)),
            Some(AbortStatus::Grpc(status)) => push(&steering.abort_grpc_request, decimal(status)),
            None => {}
        }
    }
    let Outcome::Forward(forward) = &decision.outcome else { return };
    if let (Some(name), Some(version)) = (&steering.version, forward.destination.subset.as_deref()) {
        push(name, bytes(version));
    }
    if table.mode() == Mode::Cluster {
        for_each_of_cluster(forward, head, table, &mut use_value);
    }
    for (name, value) in forward.limits.iter().flat_map(|limits| &limits.headers) {
        use_value(SteeringValue { target: Target::Header(name), value: Cow::Borrowed(value) });
    }
}

/// The headers that the route of cluster mode reads.
fn for_each_of_cluster<'d>(
    forward: &'d Forward<'_>,
    head: &RequestHead<'d>,
    table: &'d RouteTable,
    use_value: &mut impl FnMut(SteeringValue<'d>),
) {
    let steering = table.steering();
    let named = |name: &'d HeaderName, value| SteeringValue { target: Target::Header(name), value };
    if let Some(name) = &steering.cluster {
        let failover = forward.failover.as_ref().map(|failover| failover.cluster);
        use_value(named(name, bytes(failover.unwrap_or(&forward.cluster))));
    }
    for (name, cluster) in steering.mirrors.iter().zip(&forward.mirrors) {
        use_value(named(name, bytes(cluster)));
    }
    if let Some(path) = &forward.path {
        use_value(SteeringValue { target: Target::Path, value: Cow::Borrowed(path) });
        use_value(named(&steering.original_path, Cow::Borrowed(head.path())));
    }
    // Set even if the client's path is the same, because a native route also reports the rewrite to upstreams.
    if let Some(authority) = forward.authority {
        match &steering.host {
            Some(name) => use_value(named(name, bytes(authority))),
            // Envoy does the same for a route with `host_rewrite_header`.
            None => {
                use_value(SteeringValue { target: Target::Authority, value: bytes(authority) });
                use_value(named(&steering.original_host, Cow::Borrowed(head.authority())));
            }
        }
    }
}

fn bytes(text: &str) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

fn decimal(number: impl ToString) -> Cow<'static, [u8]> {
    Cow::Owned(number.to_string().into())
}
