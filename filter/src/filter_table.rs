//! A compiled table with the series of its destinations.

use canary_routing::RouteTable;

use crate::report::metrics::DestinationSeries;

/// What a filter decides by.
#[derive(Debug)]
pub(crate) struct FilterTable {
    pub(crate) routes: RouteTable,
    pub(crate) series: DestinationSeries,
}

impl FilterTable {
    pub(crate) fn new(routes: RouteTable) -> Self {
        let series = DestinationSeries::new(&routes);
        Self { routes, series }
    }
}
