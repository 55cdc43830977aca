//! The input of a decision.

use crate::context::RequestContext;
use crate::draws::Chance;
use crate::head::RequestHead;
use crate::health::Health;

/// Everything that a decision depends on besides the table. Equal inputs give equal decisions.
#[derive(Clone, Copy)]
pub struct DecisionInput<'r> {
    /// The request, read by [`RouteTable::read_into`](crate::RouteTable::read_into) of the same table.
    pub head: &'r RequestHead<'r>,
    /// Properties of the request beyond its headers.
    pub context: &'r dyn RequestContext,
    /// The random numbers.
    pub chance: &'r dyn Chance,
    /// The health of clusters.
    pub health: &'r dyn Health,
}
