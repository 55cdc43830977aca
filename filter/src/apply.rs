//! Carries a decision out: the only place that writes headers.
//!
//! Envoy forgets its chosen route at each write, so what is right already is not written. Of the control headers a request
//! leaves with those that the decision sets and no other: what a client sends under their names never gets through. A call
//! that the host refuses is logged and the request goes on.

use canary_routing::config::ControlHeaders;
use canary_routing::{Forward, LocalReply, Outcome};
use sdk_shims::host::{self, Pairs};
use sdk_shims::log;
use sdk_shims::types::Action;

/// Makes the control headers of the request what the decision says, and answers it if that is the decision.
pub(crate) fn apply(outcome: &Outcome<'_>, lines: &Pairs, names: &ControlHeaders) -> Action {
    let (forward, reply) = match outcome {
        Outcome::Forward(forward) => (Some(forward), None),
        Outcome::LocalReply(reply) => (None, Some(reply)),
        Outcome::Untouched => (None, None),
    };
    for name in names.names() {
        match forward.and_then(|forward| value_of(name, forward, names)) {
            Some(value) => set(name, value.as_bytes(), lines),
            None if lines.lines(name).next().is_some() => remove(name),
            None => {}
        }
    }
    reply.map_or(Action::Continue, answer)
}

/// Removes every control header without knowing which are there.
pub(crate) fn strip_unseen(names: &ControlHeaders) {
    names.names().for_each(remove);
}

/// What a forwarded request carries in a control header.
fn value_of<'a>(name: &str, forward: &'a Forward<'_>, names: &ControlHeaders) -> Option<&'a str> {
    if names.version() == Some(name) {
        forward.destination.subset.as_deref()
    } else if names.cluster() == Some(name) {
        Some(&forward.cluster)
    } else {
        None
    }
}

fn set(name: &str, value: &[u8], lines: &Pairs) {
    if lines.lines(name).eq([value]) {
        return;
    }
    if let Err(error) = host::replace_request_header(name, value) {
        log::error!("{error}: {name} is not set");
        // The client's copy, if there is one, must not stand in for it.
        remove(name);
    }
}

fn remove(name: &str) {
    if let Err(error) = host::remove_request_header(name) {
        log::error!("{error}: {name} is not removed");
    }
}

fn answer(reply: &LocalReply) -> Action {
    match host::send_local_response(reply.status, reply.details, &[], reply.body) {
        Ok(()) => Action::Pause,
        Err(error) => {
            log::error!("{error}: the request is left to the native routes");
            Action::Continue
        }
    }
}
