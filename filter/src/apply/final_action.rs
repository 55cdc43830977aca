//! What the filter does with a request at last.

use canary_routing::LocalReply;

use super::ResponseChanges;
use crate::host::{Host, HostError};
use crate::report::Registry;
use crate::report::metrics::catalogue::DECISION_ERRORS;

/// What the filter does with a request at last, after any delay.
#[derive(Debug)]
pub(crate) enum FinalAction<'t> {
    /// Let it go to the next filter.
    Resume,
    /// Answer it with a local reply.
    Reply(Box<LocalReply<'t>>),
}

/// What the host does with a request after a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// The request goes to the next filter.
    Continue,
    /// The request waits until it is resumed or answered.
    Pause,
}

impl FinalAction<'_> {
    /// Adds a header to the local reply, or to the later response.
    pub(crate) fn add_header(&mut self, name: String, value: Vec<u8>, response: &mut ResponseChanges) {
        match self {
            Self::Reply(reply) => reply.headers.push((name.into(), value.into())),
            Self::Resume => response.set(name, value),
        }
    }

    /// Carries out the action for a request without a delay.
    pub(crate) fn run_now(&self, host: &impl Host, registry: &Registry) -> NextStep {
        match self {
            FinalAction::Reply(reply) if answer(host, registry, reply) => NextStep::Pause,
            FinalAction::Reply(_) | FinalAction::Resume => NextStep::Continue,
        }
    }

    /// Carries out the action for the paused request of the current stream. Afterwards the stream cannot be read or
    /// written.
    pub(crate) fn run_after_delay(&self, host: &impl Host, registry: &Registry) -> Result<(), HostError> {
        match self {
            FinalAction::Reply(reply) if answer(host, registry, reply) => Ok(()),
            FinalAction::Reply(_) | FinalAction::Resume => host.resume_request(),
        }
    }

    /// Copies what is borrowed.
    pub(crate) fn into_owned(self) -> FinalAction<'static> {
        let FinalAction::Reply(reply) = self else { return FinalAction::Resume };
        let LocalReply { status, grpc_status, details, headers, body } = *reply;
        let own = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, [u8]>)| {
            (name.into_owned().into(), value.into_owned().into())
        };
        let headers = headers.into_iter().map(own).collect();
        FinalAction::Reply(Box::new(LocalReply {
            status,
            grpc_status,
            details,
            headers,
            body: body.into_owned().into(),
        }))
    }
}

/// Sends a local reply. False if the host rejects it.
fn answer(host: &impl Host, registry: &Registry, reply: &LocalReply<'_>) -> bool {
    host.send_local_reply(reply)
        .map_err(|error| {
            log::error!("{error}: the request is left to the native routes");
            registry.count(host, &DECISION_ERRORS, &[]);
        })
        .is_ok()
}
