//! The state that a VM keeps between callbacks.

use std::rc::Rc;

use crate::delays::Delays;
use crate::health::VmHealth;
use crate::report::{LogLimit, Registry, TextBuffer};

/// The state of a VM. Its plugins and streams share it. State of a single stream or plugin is elsewhere.
#[derive(Default)]
pub(crate) struct VmState {
    /// The health of clusters and versions, and the requests in flight.
    pub(crate) health: VmHealth,
    /// The pending delays.
    pub(crate) delays: Rc<Delays>,
    /// The series of metrics.
    pub(crate) registry: Registry,
    /// The times of log lines.
    pub(crate) log_limit: LogLimit,
    /// The buffer for filter state.
    pub(crate) text: TextBuffer,
}
