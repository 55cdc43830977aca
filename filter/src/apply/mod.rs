//! Applies decisions to requests and responses, and sends local replies.

mod final_action;
mod headers;
mod request;
mod response;
mod steering;

pub(crate) use final_action::{FinalAction, NextStep};
pub(crate) use request::{apply, remove_own_headers};
pub(crate) use response::ResponseChanges;
pub(crate) use steering::leaves_faults_to_envoy;
