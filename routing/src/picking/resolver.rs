//! The input of every stage of picking.

use crate::input::DecisionInput;
use crate::matching::RequestView;
use crate::overrides::Permissions;
use crate::route::Route;
use crate::table::RouteTable;

/// One request with the rule that matched it.
pub(crate) struct Resolver<'t, 'r> {
    pub(crate) table: &'t RouteTable,
    pub(crate) input: &'r DecisionInput<'r>,
    /// The request as the rules see it.
    pub(crate) view: &'r RequestView<'r>,
    pub(crate) route: &'t Route,
    /// The port that the client asked for.
    pub(crate) port: u16,
    pub(crate) permissions: Permissions,
}
