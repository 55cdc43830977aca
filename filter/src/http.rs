//! One request: read, decide, apply.

use std::rc::Rc;

use canary_routing::{Draws, Fraction, RequestView, RouteTable};
use sdk_shims::entropy;
use sdk_shims::host::{self, Pairs};
use sdk_shims::log;
use sdk_shims::traits::{Context, HttpContext};
use sdk_shims::types::Action;

use crate::apply;

/// A request under the table that was in force when it began.
pub(crate) struct Stream {
    table: Rc<RouteTable>,
}

impl Stream {
    pub(crate) const fn new(table: Rc<RouteTable>) -> Self {
        Self { table }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let names = self.table.headers();
        let lines = match host::request_headers() {
            Ok(lines) => lines,
            Err(error) => {
                log::error!("{error}: the request is left to the native routes");
                apply::strip_unseen(names);
                return Action::Continue;
            }
        };
        let draws = Draws { split: Fraction::from_bits(entropy::draw()) };
        let decision = self.table.decide(&HostRequest::new(&lines), &draws);
        apply::apply(&decision.outcome, &lines, names)
    }
}

/// The host's header map as the decision sees it. A missing pseudo-header is empty.
struct HostRequest<'a> {
    lines: &'a Pairs,
    method: &'a [u8],
    scheme: &'a [u8],
    authority: &'a [u8],
    path: &'a [u8],
}

impl<'a> HostRequest<'a> {
    fn new(lines: &'a Pairs) -> Self {
        let mut request = Self { lines, method: b"", scheme: b"", authority: b"", path: b"" };
        for (name, value) in lines {
            match name {
                b":method" => request.method = value,
                b":scheme" => request.scheme = value,
                b":authority" => request.authority = value,
                b":path" => request.path = value,
                _ => {}
            }
        }
        request
    }
}

impl RequestView for HostRequest<'_> {
    fn method(&self) -> &[u8] {
        self.method
    }

    fn scheme(&self) -> &[u8] {
        self.scheme
    }

    fn authority(&self) -> &[u8] {
        self.authority
    }

    fn path(&self) -> &[u8] {
        self.path
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines.lines(name)
    }
}
