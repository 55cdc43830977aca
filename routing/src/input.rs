//! What a decision is made of.

use crate::context::RequestContext;
use crate::draws::Chance;
use crate::head::RequestHead;
use crate::health::Health;

/// Everything that a decision depends on beside the table: equal inputs give equal decisions.
#[derive(Clone, Copy)]
pub struct DecisionInput<'r> {
    /// The request, read by [`RouteTable::read_into`](crate::RouteTable::read_into) of the table that decides.
    pub head: &'r RequestHead<'r>,
    /// What the host knows beside the head.
    pub context: &'r dyn RequestContext,
    /// Chance.
    pub chance: &'r dyn Chance,
    /// What is known of clusters.
    pub health: &'r dyn Health,
}
