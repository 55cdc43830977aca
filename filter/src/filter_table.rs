//! A compiled table, and what is reported of its destinations.

use canary_routing::RouteTable;

use crate::report::filter_state::VersionTexts;
use crate::report::metrics::DestinationSeries;

/// A table with the metrics and log texts of its destinations.
#[derive(Debug)]
pub(crate) struct FilterTable {
    pub(crate) routes: RouteTable,
    pub(crate) series: DestinationSeries,
    pub(crate) versions: VersionTexts,
}

impl FilterTable {
    pub(crate) fn new(routes: RouteTable) -> Self {
        let (series, versions) = (DestinationSeries::new(&routes), VersionTexts::new(&routes));
        Self { routes, series, versions }
    }
}
