//! Carries decisions out: on the request, on its response, and by replies.

mod ending;
mod headers;
mod request;
mod response;
mod steering;

pub(crate) use ending::{Ending, NextStep};
pub(crate) use request::{apply, strip_unseen};
pub(crate) use response::ResponseChanges;
pub(crate) use steering::leaves_faults_to_envoy;
