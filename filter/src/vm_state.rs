//! Everything that a VM keeps from one callback to the next.

use std::rc::Rc;

use crate::delays::Delays;
use crate::health::KnownHealth;
use crate::report::{LogLimit, Registry, TextBuffer};

/// The state of a VM. Its plugins and streams share it; what is only one stream's or one plugin's is theirs.
#[derive(Default)]
pub(crate) struct VmState {
    /// What is known of clusters and versions, and the requests on their way to versions that policies watch.
    pub(crate) health: KnownHealth,
    /// Requests that are being delayed.
    pub(crate) delays: Rc<Delays>,
    /// The series of metrics.
    pub(crate) registry: Registry,
    /// What has been logged.
    pub(crate) log_limit: LogLimit,
    /// The memory for filter state.
    pub(crate) text: TextBuffer,
}
