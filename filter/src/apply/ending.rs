//! How the filter lets go of a request.

use canary_routing::LocalReply;

use super::ResponseChanges;
use crate::host::{Host, HostError};
use crate::report::Registry;
use crate::report::metrics::catalogue::DECISION_ERRORS;

/// How a request goes on, after its delay if it has one.
#[derive(Debug)]
pub(crate) enum Ending<'t> {
    /// To the next filter.
    Resume,
    /// Answered here.
    Reply(Box<LocalReply<'t>>),
}

/// What becomes of a request after a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// It goes to the next filter.
    Continue,
    /// It waits until it is resumed or answered.
    Pause,
}

impl Ending<'_> {
    /// Gives the client one more header: in the reply, or in the response that the request will have.
    pub(crate) fn add_header(&mut self, name: String, value: Vec<u8>, response: &mut ResponseChanges) {
        match self {
            Self::Reply(reply) => reply.headers.push((name.into(), value.into())),
            Self::Resume => response.set(name, value),
        }
    }

    /// Ends a request that is not delayed.
    pub(crate) fn at_once(&self, host: &impl Host, registry: &Registry) -> NextStep {
        match self {
            Ending::Reply(reply) if answer(host, registry, reply) => NextStep::Pause,
            Ending::Reply(_) | Ending::Resume => NextStep::Continue,
        }
    }

    /// Ends the paused request of the stream in force. After this nothing of the stream can be read or written.
    pub(crate) fn after_delay(&self, host: &impl Host, registry: &Registry) -> Result<(), HostError> {
        match self {
            Ending::Reply(reply) if answer(host, registry, reply) => Ok(()),
            Ending::Reply(_) | Ending::Resume => host.resume_request(),
        }
    }

    /// The same without what it borrows.
    pub(crate) fn into_owned(self) -> Ending<'static> {
        let Ending::Reply(reply) = self else { return Ending::Resume };
        let LocalReply { status, grpc_status, details, headers, body } = *reply;
        let own = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, [u8]>)| {
            (name.into_owned().into(), value.into_owned().into())
        };
        let headers = headers.into_iter().map(own).collect();
        Ending::Reply(Box::new(LocalReply { status, grpc_status, details, headers, body: body.into_owned().into() }))
    }
}

/// Sends a local reply; false if the host refuses.
fn answer(host: &impl Host, registry: &Registry, reply: &LocalReply<'_>) -> bool {
    host.send_local_reply(reply)
        .map_err(|error| {
            log::error!("{error}: the request is left to the native routes");
            registry.count(host, &DECISION_ERRORS, &[]);
        })
        .is_ok()
}
