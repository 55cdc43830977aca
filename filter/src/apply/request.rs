//! Applies a decision to the request. No other file writes the request's headers.
//!
//! Each write clears Envoy's route cache, so a header that is already right is not written. Some headers are the
//! filter's own: the control headers, those with secrets, and Envoy's fault headers if the fault filter reads them. A
//! request leaves with those that the decision sets and no others, so a client cannot pass them through.

use canary_routing::{Decision, HeaderChange, HeaderName, Operation, Outcome, RequestHead, RouteTable};
use smallvec::SmallVec;

use super::headers;
use super::steering::{self, SteeringValue, Target};
use crate::host::{HeadersOf, Host};

const REQUEST: HeadersOf = HeadersOf::Request;

type SteeringValues<'d> = SmallVec<[SteeringValue<'d>; 8]>;

/// Gives the request the headers of the decision. Costs one host call for each header that is not right yet.
pub(crate) fn apply<'d>(host: &impl Host, decision: &'d Decision<'_>, head: &RequestHead<'d>, table: &'d RouteTable) {
    // Passed by reference, because a list of eight values is expensive to move.
    let mut steering = SteeringValues::new();
    steering::for_each(decision, head, table, |value| steering.push(value));
    let is_steered = |name: &HeaderName| steering.iter().any(|value| value.target == Target::Header(name));
    for change in changes(decision).iter().filter(|change| !is_steered(&change.name) && !table.is_own(&change.name)) {
        apply_change(host, change, head);
    }
    if let Some((name, version)) = version_value(decision)
        && !is_steered(name)
        && !table.is_own(name)
    {
        set(host, Target::Header(name), version, head);
    }
    for SteeringValue { target, value } in &steering {
        let written = set(host, *target, value, head);
        // If the write failed, remove the client's value, which must not take its place.
        if !written && matches!(target, Target::Header(name) if table.is_own(name)) {
            headers::remove(host, REQUEST, target.name());
        }
    }
    if head.has_own() {
        for name in table.own_headers().iter().filter(|name| head.has(name.slot()) && !is_steered(name)) {
            headers::remove(host, REQUEST, name.as_str());
        }
    }
}

/// Removes every header of the filter's own, even if it is not known which exist.
pub(crate) fn remove_own_headers(host: &impl Host, table: &RouteTable) {
    table.own_headers().iter().for_each(|name| headers::remove(host, REQUEST, name.as_str()));
}

/// The header changes of the rule.
fn changes<'d>(decision: &'d Decision<'_>) -> &'d [HeaderChange] {
    match &decision.outcome {
        Outcome::Forward(forward) => &forward.request_headers,
        Outcome::LocalReply(_) | Outcome::Untouched => &[],
    }
}

/// The policy's version header, with the version that serves.
fn version_value<'d>(decision: &'d Decision<'_>) -> Option<(&'d HeaderName, &'d [u8])> {
    let Outcome::Forward(forward) = &decision.outcome else { return None };
    forward.version_value.map(|value| (value.name, value.version.as_bytes()))
}

fn apply_change(host: &impl Host, change: &HeaderChange, head: &RequestHead<'_>) {
    match change.operation {
        Operation::Set => {
            set(host, Target::Header(&change.name), &change.value, head);
        }
        Operation::Add => headers::add(host, REQUEST, change.name.as_str(), &change.value),
        Operation::Remove if head.has(change.name.slot()) => headers::remove(host, REQUEST, change.name.as_str()),
        Operation::Remove => {}
    }
}

/// Sets a header unless it is right. False if the write failed.
fn set(host: &impl Host, target: Target<'_>, value: &[u8], head: &RequestHead<'_>) -> bool {
    target.is_exactly(head, value) || headers::set(host, REQUEST, target.name(), value)
}
