//! `HTTPRoute`: one rule of a VirtualService.

use super::http_match::HttpMatch;
use super::node::Node;
use super::syntax;

/// A rule: when one of its matches holds, its destinations serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRoute {
    /// JSON pointer of the rule in the document.
    pub at: String,
    /// The rule's name.
    pub name: Option<String>,
    /// Alternatives; none means that the rule takes every request.
    pub matches: Vec<HttpMatch>,
    /// Destinations with their weights; never empty, and some weight is positive when there are several.
    pub route: Vec<HttpRouteDestination>,
}

/// A weighted destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRouteDestination {
    /// JSON pointer of the destination in the document.
    pub at: String,
    /// The host as written; short names belong to the VirtualService's namespace.
    pub host: String,
    /// The DestinationRule's subset.
    pub subset: Option<String>,
    /// The port, 1–65535.
    pub port: Option<u16>,
    /// Its share is this over the sum of the rule's weights; of no meaning for a lone destination.
    pub weight: u32,
}

impl HttpRoute {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        let name = fields.get("name").and_then(|name| name.string().map(str::to_owned));
        let matches =
            fields.get("match").map(|list| list.elements().filter_map(|entry| HttpMatch::read(&entry)).collect());
        let route = fields.get("route");
        let destinations = route.map(|list| {
            let destinations: Vec<_> = list.elements().filter_map(|entry| HttpRouteDestination::read(&entry)).collect();
            if destinations.len() > 1 && destinations.iter().all(|destination| destination.weight == 0) {
                list.invalid("total destination weight = 0");
            }
            destinations
        });
        const LATER: [&str; 13] = [
            "redirect",
            "directResponse",
            "delegate",
            "rewrite",
            "timeout",
            "retries",
            "fault",
            "mirror",
            "mirrors",
            "mirrorPercent",
            "mirrorPercentage",
            "corsPolicy",
            "headers",
        ];
        let answered_otherwise =
            ["redirect", "directResponse", "delegate"].iter().any(|name| fields.get(name).is_some());
        fields.not_supported_yet(&LATER);
        fields.finish();
        let destinations = destinations.unwrap_or_default();
        if destinations.is_empty()
            && route.is_none_or(|list| list.value().as_array().is_some_and(Vec::is_empty))
            && !answered_otherwise
        {
            node.invalid("HTTP route, redirect or direct_response is required");
        }
        Some(Self { at: node.pointer(), name, matches: matches.unwrap_or_default(), route: destinations })
    }
}

impl HttpRouteDestination {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object()?;
        let weight =
            fields.get("weight").map_or(Some(0), |weight| weight.integer("weight", 0..=i32::MAX.unsigned_abs()));
        let destination = fields.require("destination");
        fields.not_supported_yet(&["headers"]);
        fields.finish();
        let destination = destination?;
        let fields = destination.object()?;
        let host = fields.require("host").and_then(|host| {
            let name = host.string()?;
            host.check(if name == "*" {
                Err("invalid destination host *".to_owned())
            } else {
                syntax::check_wildcard_domain(name)
            });
            Some(name.to_ascii_lowercase())
        });
        let subset = fields.get("subset").and_then(|subset| {
            let name = subset.string().filter(|name| !name.is_empty())?;
            subset.check(syntax::check_subset(name));
            Some(name.to_owned())
        });
        let port = fields.get("port").and_then(|port| {
            let fields = port.object()?;
            let number = fields.require("number").and_then(|number| super::port(&number));
            fields.finish();
            number
        });
        fields.finish();
        Some(Self { at: node.pointer(), host: host?, subset, port, weight: weight? })
    }
}
