//! Carries a decision out on the request: the only place that writes its headers.
//!
//! Envoy forgets its chosen route at each write, so what is right already is not written. Of the headers that are the
//! filter's own (the control headers, those with secrets, and Envoy's fault headers where the fault filter listens to them) a request leaves with
//! those that the decision sets and no other: what a client sends under their names never gets through.

use std::borrow::Cow;

use canary_routing::config::{AbortStatus, FaultDelayer, Mode, Retries};
use canary_routing::own_headers::{ABORT_GRPC_REQUEST, ABORT_REQUEST, DELAY_REQUEST};
use canary_routing::{Decision, Forward, HeaderChange, Outcome, RequestView, RouteTable};
use litemap::LiteMap;
use sdk_shims::host::{HeaderMap, Pairs};

use crate::headers;
use crate::request::HostRequest;

/// Headers by name, each with the one line that it is to have.
type Lines<'d> = Vec<(&'d str, Cow<'d, [u8]>)>;

/// Makes the request's headers what the decision says.
pub(crate) fn apply(decision: &Decision<'_>, request: &HostRequest<'_>, table: &RouteTable) {
    let steering = steering(decision, request, table);
    let is_steered = |name: &str| steering.iter().any(|(steered, _)| *steered == name);
    operations(decision, &steering, table).for_each(|change| carry_out(change, request.lines));
    for (name, value) in &steering {
        let written = set(name, value, request.lines);
        // A client's copy, if there is one, must not stand in for what could not be written.
        if !written && table.own_headers().contains(name) {
            headers::remove(HeaderMap::Request, name);
        }
    }
    strip(request.lines, table, is_steered);
}

/// Removes the headers of the filter's own that the decision does not set. One pass over the lines: few requests have any.
fn strip(lines: &Pairs, table: &RouteTable, is_steered: impl Fn(&str) -> bool) {
    let mut removed = Vec::new();
    for (line, _) in lines {
        if let Some(own) = table.own_headers().find(line).filter(|own| !is_steered(own) && !removed.contains(own)) {
            headers::remove(HeaderMap::Request, own);
            removed.push(own);
        }
    }
}

/// Every header that a decision makes sure of, with all the lines that it is to have then.
pub(crate) fn outcome<'d>(
    decision: &'d Decision<'_>,
    request: &'d HostRequest<'_>,
    table: &'d RouteTable,
) -> LiteMap<&'d str, Vec<Cow<'d, [u8]>>> {
    let steering = steering(decision, request, table);
    let mut headers = LiteMap::new();
    for change in operations(decision, &steering, table) {
        let lines: &mut Vec<_> = headers.entry(change.name()).or_insert_with(|| lines_of(request.lines, change.name()));
        match change {
            HeaderChange::Set(_, value) => *lines = vec![value.clone()],
            HeaderChange::Add(_, value) => lines.push(value.clone()),
            HeaderChange::Remove(_) => lines.clear(),
        }
    }
    for name in table.own_headers().names() {
        headers.insert(name, Vec::new());
    }
    for (name, value) in steering {
        headers.insert(name, vec![value]);
    }
    headers
}

/// Undoes a decision that was applied, and applies another to what the client sent. `current` is what has become of the
/// request since: headers that neither of the decisions touches stay as they are.
pub(crate) fn replace(
    abandoned: &Decision<'_>,
    decision: &Decision<'_>,
    request: &HostRequest<'_>,
    current: &Pairs,
    table: &RouteTable,
) {
    let mut wanted = outcome(decision, request, table);
    for (name, _) in outcome(abandoned, request, table) {
        wanted.entry(name).or_insert_with(|| lines_of(request.lines, name));
    }
    for (name, lines) in wanted {
        if current.lines(name).eq(lines.iter().map(AsRef::as_ref)) {
            continue;
        }
        match lines.split_first() {
            Some((first, more)) => {
                headers::replace(HeaderMap::Request, name, first);
                more.iter().for_each(|line| headers::add(HeaderMap::Request, name, line));
            }
            None => headers::remove(HeaderMap::Request, name),
        }
    }
}

/// The changes that rules ask for, but for those of headers that are the filter's own.
fn operations<'d>(
    decision: &'d Decision<'_>,
    steering: &Lines<'d>,
    table: &RouteTable,
) -> impl Iterator<Item = &'d HeaderChange<'d>> {
    let changes = match &decision.outcome {
        Outcome::Forward(forward) => forward.request_headers.as_slice(),
        Outcome::LocalReply(_) | Outcome::Untouched => &[],
    };
    let is_own =
        move |name: &str| steering.iter().any(|(steered, _)| *steered == name) || table.own_headers().contains(name);
    changes.iter().filter(move |change| !is_own(change.name()))
}

fn lines_of<'a>(lines: &'a Pairs, name: &'a str) -> Vec<Cow<'a, [u8]>> {
    lines.lines(name).map(Cow::Borrowed).collect()
}

/// Removes every header of the filter's own without knowing which are there.
pub(crate) fn strip_unseen(table: &RouteTable) {
    table.own_headers().names().for_each(|name| headers::remove(HeaderMap::Request, name));
}

/// Whether Envoy's fault filter carries out the decision's faults: it can where the request goes on to it.
pub(crate) fn leaves_faults_to_envoy(decision: &Decision<'_>, table: &RouteTable) -> bool {
    let goes_on = decision.abort.is_some() || matches!(decision.outcome, Outcome::Forward(_));
    goes_on && table.faults().delay == FaultDelayer::FaultFilter
}

/// Everything by which the decision steers the proxy.
fn steering<'d>(decision: &'d Decision<'_>, request: &'d HostRequest<'_>, table: &'d RouteTable) -> Lines<'d> {
    let mut lines = Lines::new();
    if let Outcome::Forward(forward) = &decision.outcome {
        push(&mut lines, table.headers().version(), forward.destination.subset.as_deref());
        if table.mode() == Mode::Cluster {
            steer_cluster(&mut lines, forward, request, table);
        }
    }
    if leaves_faults_to_envoy(decision, table) {
        if let Some(delay) = decision.delay {
            lines.push((DELAY_REQUEST, decimal(delay.as_millis())));
        }
        match decision.abort {
            Some(AbortStatus::Http(status)) => lines.push((ABORT_REQUEST, decimal(status))),
            Some(AbortStatus::Grpc(status)) => lines.push((ABORT_GRPC_REQUEST, decimal(status))),
            None => {}
        }
    }
    lines
}

/// What the route of cluster mode, and Envoy's router, read.
fn steer_cluster<'d>(
    lines: &mut Lines<'d>,
    forward: &'d Forward<'_>,
    request: &'d HostRequest<'_>,
    table: &'d RouteTable,
) {
    let names = table.headers();
    push(lines, names.cluster(), Some(&forward.cluster));
    lines.extend(names.mirrors().zip(&forward.mirrors).map(|(name, cluster)| (name, bytes(cluster))));
    if let Some(path) = &forward.path {
        lines.push((":path", Cow::Borrowed(path)));
        lines.push(("x-envoy-original-path", Cow::Borrowed(request.path())));
    }
    // Also where it is the client's already: a native route tells upstreams of the rewrite then, too.
    if let Some(authority) = forward.authority {
        match names.host() {
            Some(name) => lines.push((name, bytes(authority))),
            // What Envoy does itself for a route with `host_rewrite_header`.
            None => {
                lines.push((":authority", bytes(authority)));
                lines.push(("x-envoy-original-host", Cow::Borrowed(request.authority())));
            }
        }
    }
    if let Some(timeout) = forward.timeout {
        lines.push(("x-envoy-upstream-rq-timeout-ms", decimal(timeout.as_millis())));
    }
    if let Some(retries) = forward.retries {
        steer_retries(lines, retries);
    }
}

fn steer_retries(lines: &mut Lines<'_>, retries: &Retries) {
    lines.push(("x-envoy-max-retries", decimal(retries.attempts)));
    if let Some(timeout) = retries.per_try_timeout {
        lines.push(("x-envoy-upstream-rq-per-try-timeout-ms", decimal(timeout.as_millis())));
    }
    let codes = retries.status_codes.iter().map(u16::to_string);
    for (name, list) in [
        ("x-envoy-retry-on", join(retries.http_conditions())),
        ("x-envoy-retry-grpc-on", join(retries.grpc_conditions())),
        ("x-envoy-retriable-status-codes", join(codes)),
    ] {
        if !list.is_empty() {
            lines.push((name, Cow::Owned(list.into())));
        }
    }
}

fn push<'d>(lines: &mut Lines<'d>, name: Option<&'d str>, value: Option<&'d str>) {
    lines.extend(name.zip(value).map(|(name, value)| (name, bytes(value))));
}

fn bytes(text: &str) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

fn decimal(number: impl ToString) -> Cow<'static, [u8]> {
    Cow::Owned(number.to_string().into())
}

fn join(list: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut joined = String::new();
    for element in list {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(element.as_ref());
    }
    joined
}

fn carry_out(change: &HeaderChange<'_>, lines: &Pairs) {
    match change {
        HeaderChange::Set(name, value) => {
            set(name, value, lines);
        }
        HeaderChange::Add(name, value) => headers::add(HeaderMap::Request, name, value),
        HeaderChange::Remove(name) => remove(name, lines),
    }
}

/// False if the header is not right now.
fn set(name: &str, value: &[u8], lines: &Pairs) -> bool {
    lines.lines(name).eq([value]) || headers::replace(HeaderMap::Request, name, value)
}

fn remove(name: &str, lines: &Pairs) {
    if lines.lines(name).next().is_some() {
        headers::remove(HeaderMap::Request, name);
    }
}
