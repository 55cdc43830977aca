//! What every stage of picking looks at.

use crate::input::DecisionInput;
use crate::matching::View;
use crate::overrides::Permissions;
use crate::route::Route;
use crate::table::RouteTable;

/// One request under the rule that matched it.
pub(crate) struct Resolver<'t, 'r> {
    pub(crate) table: &'t RouteTable,
    pub(crate) input: &'r DecisionInput<'r>,
    /// The request as the rules see it.
    pub(crate) view: &'r View<'r>,
    pub(crate) route: &'t Route,
    /// The port that the client asked for.
    pub(crate) port: u16,
    pub(crate) permissions: Permissions,
}
