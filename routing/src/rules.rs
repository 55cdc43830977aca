//! Rules in order, and the first that matches.

use crate::index::Index;
use crate::request::RequestView;
use crate::route::Route;
use crate::sorted::sorted;

/// The routes of an object, or at a gateway of all objects of a host; the first that matches counts.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    routes: Vec<Route>,
    index: Option<Index>,
    /// The ports that have a rule, ascending; `None` where some rule is for every port.
    ports: Option<Vec<u16>>,
}

impl Rules {
    pub(crate) fn new(mut routes: Vec<Route>) -> Self {
        routes.shrink_to_fit();
        let ports: Option<Vec<u16>> = routes.iter().map(Route::port).collect();
        let ports = ports.map(|ports| {
            let mut ports = sorted(ports, u16::cmp);
            ports.dedup();
            ports
        });
        Self { index: Index::new(&routes), routes, ports }
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Whether any rule is for a port.
    pub(crate) fn count_on(&self, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.binary_search(&port).is_ok())
    }

    /// The first rule for the port that matches the request.
    pub(crate) fn first(&self, port: u16, request: &impl RequestView) -> Option<&Route> {
        let is_match = |route: &Route| route.applies_to(port) && route.is_match(request);
        let Some(index) = &self.index else { return self.routes.iter().find(|route| is_match(route)) };
        let route = |position: u32| usize::try_from(position).ok().and_then(|position| self.routes.get(position));
        index.first(request, |position| route(position).is_some_and(is_match)).and_then(route)
    }
}
