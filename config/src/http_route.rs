//! `HTTPRoute`: one rule of a VirtualService.

use std::sync::Arc;
use std::time::Duration;

use crate::cors::CorsPolicy;
use crate::destination::Destination;
use crate::fault::Fault;
use crate::headers::Headers;
use crate::http_match::HttpMatch;
use crate::mirror::{self, Mirror};
use crate::node::{Fields, Node};
use crate::pointer::Pointer;
use crate::redirect::{DirectResponse, Redirect};
use crate::retries::Retries;
use crate::rewrite::Rewrite;
use crate::syntax;
use crate::values::read_duration;
use crate::vocabulary;

/// A rule: when one of its matches holds, it acts. Exactly one of `route`, `redirect`, `direct_response` and `delegate` is
/// there; what is `None` was not said, so that a delegate can tell its own from its root's. Most rules say little, and there may
/// be many: what is rare is boxed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpRoute {
    /// JSON pointer of the rule in the document.
    pub at: Pointer,
    /// The rule's name; empty where it has none.
    pub name: String,
    /// Alternatives; none means that the rule takes every request.
    pub matches: Vec<Arc<HttpMatch>>,
    /// Destinations with their weights; some weight is positive when there are several.
    pub route: Vec<HttpRouteDestination>,
    /// Answer with a redirect.
    pub redirect: Option<Box<Redirect>>,
    /// Answer with a body.
    pub direct_response: Option<Box<DirectResponse>>,
    /// Another object goes on.
    pub delegate: Option<Box<Delegate>>,
    /// The path and authority that the upstream sees.
    pub rewrite: Option<Box<Rewrite>>,
    /// Limit of the whole exchange, tries included.
    pub timeout: Option<Duration>,
    /// When to try again.
    pub retries: Option<Box<Retries>>,
    /// Delays and aborts.
    pub fault: Option<Box<Fault>>,
    /// Targets of copies.
    pub mirrors: Option<Vec<Mirror>>,
    /// Calls across origins.
    pub cors_policy: Option<Box<CorsPolicy>>,
    /// Header operations for all destinations.
    pub headers: Option<Box<Headers>>,
}

/// A weighted destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRouteDestination {
    /// Where it is.
    pub destination: Destination,
    /// Its share is this over the sum of the rule's weights; of no meaning for a lone destination.
    pub weight: u32,
    /// Header operations for this destination alone.
    pub headers: Option<Box<Headers>>,
}

/// The object that a rule hands over to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegate {
    /// JSON pointer of the field.
    pub at: String,
    /// Its name.
    pub name: String,
    /// Its namespace; `None` is the root's.
    pub namespace: Option<String>,
}

impl HttpRoute {
    /// Reads a rule, which is `at` its place. `in_delegate`: its VirtualService has no hosts; `claims_allowed`: it is for
    /// gateways only.
    pub(super) fn read(node: &Node<'_>, at: Pointer, in_delegate: bool, claims_allowed: bool) -> Option<Self> {
        let fields = node.object(&vocabulary::HTTP_ROUTE)?;
        let matches: Vec<_> = fields
            .get("match")
            .map(|list| list.read_each(|entry| HttpMatch::read(entry, claims_allowed).map(Arc::new)))
            .unwrap_or_default();
        check_shape(&fields, in_delegate);
        let rule = Self {
            at,
            name: fields.get("name").and_then(|name| name.string()).unwrap_or_default().to_owned(),
            route: fields.get("route").map(|route| read_route(&route)).unwrap_or_default(),
            redirect: fields.get("redirect").and_then(|redirect| Redirect::read(&redirect, &matches)).map(Box::new),
            direct_response: fields
                .get("directResponse")
                .and_then(|response| DirectResponse::read(&response))
                .map(Box::new),
            delegate: fields.get("delegate").and_then(|delegate| Delegate::read(&delegate)).map(Box::new),
            rewrite: fields.get("rewrite").and_then(|rewrite| Rewrite::read(&rewrite)).map(Box::new),
            timeout: fields.get("timeout").and_then(|timeout| read_duration(&timeout)),
            retries: fields.get("retries").and_then(|retries| Retries::read(&retries)).map(Box::new),
            fault: fields.get("fault").and_then(|fault| Fault::read(&fault)).map(Box::new),
            mirrors: mirror::read(&fields),
            cors_policy: fields.get("corsPolicy").and_then(|policy| CorsPolicy::read(&policy)).map(Box::new),
            headers: fields.get("headers").and_then(|headers| Headers::read(&headers)).map(Box::new),
            matches,
        };
        rule.check_authority(node);
        fields.finish();
        Some(rule)
    }

    /// The authority may be set in one place only.
    fn check_authority(&self, node: &Node<'_>) {
        let set = self.headers.as_ref().and_then(|headers| headers.authority.as_ref());
        let rewritten = self.rewrite.as_ref().is_some_and(|rewrite| rewrite.authority.is_some());
        if let Some(set) = set.filter(|set| rewritten || set.entries > 1) {
            node.invalid(format!("authority header cannot be set multiple times: attempting to set {:?}", set.value));
        }
    }
}

/// Which of the rule's actions exclude one another (istio's `validateHTTPRouteConflict`).
fn check_shape(fields: &Fields<'_>, in_delegate: bool) {
    let has = |name| fields.get(name).is_some();
    let node = fields.node();
    let has_route = fields.get("route").is_some_and(|route| !route.is_empty_list());
    if has("delegate") {
        for other in ["redirect", "route"] {
            if has(other) {
                node.invalid(format!("root HTTP route must not specify {other}: the delegate answers"));
            }
        }
        if in_delegate {
            node.invalid("delegate HTTP route cannot contain delegate");
        }
        return;
    }
    let answers = ["redirect", "directResponse"];
    let Some(answer) = answers.into_iter().find(|name| has(name)) else {
        if !has_route {
            node.invalid("HTTP route, redirect or direct_response is required");
        }
        return;
    };
    for (other, there) in [("route", has_route), ("fault", has("fault")), ("rewrite", has("rewrite"))] {
        if there {
            node.invalid(format!("HTTP route cannot contain both {other} and {answer}"));
        }
    }
    if answers.into_iter().all(has) {
        node.invalid("HTTP route rule cannot contain both direct_response and redirect");
    }
}

fn read_route(list: &Node<'_>) -> Vec<HttpRouteDestination> {
    let destinations = list.read_each(HttpRouteDestination::read);
    if destinations.len() > 1 && destinations.iter().all(|destination| destination.weight == 0) {
        list.invalid("total destination weight = 0");
    }
    destinations
}

impl HttpRouteDestination {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::HTTP_ROUTE_DESTINATION)?;
        let weight =
            fields.get("weight").map_or(Some(0), |weight| weight.integer("weight", 0..=i32::MAX.unsigned_abs()));
        let destination = fields.require("destination").and_then(|destination| Destination::read(&destination));
        let headers = fields.get("headers").and_then(|headers| Headers::read(&headers)).map(Box::new);
        fields.finish();
        Some(Self { destination: destination?, weight: weight?, headers })
    }
}

impl Delegate {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::DELEGATE)?;
        let name = fields.require("name").and_then(|name| name.string().map(str::to_owned));
        let namespace = fields.get("namespace").and_then(|namespace| {
            let text = namespace.string().filter(|text| !text.is_empty())?;
            if !syntax::is_dns_label(text) {
                namespace.invalid(format!("invalid value for namespace: {text:?}"));
            }
            Some(text.to_owned())
        });
        fields.finish();
        Some(Self { at: node.pointer(), name: name?, namespace })
    }
}
