//! What a decision looks at, counted: values read from the request, which do not depend on a clock.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "test code")]

use std::cell::RefCell;

use canary_routing::{Config, Draws, Outcome, Request, RequestView, RouteTable};
use serde_json::{Value, json};

/// A request that takes down what is read of it beside the authority.
struct Counted {
    request: Request,
    reads: RefCell<Vec<String>>,
}

impl Counted {
    fn read(&self, what: &str) -> &Request {
        self.reads.borrow_mut().push(what.to_owned());
        &self.request
    }
}

impl RequestView for Counted {
    fn method(&self) -> &[u8] {
        self.read(":method").method()
    }

    fn scheme(&self) -> &[u8] {
        self.read(":scheme").scheme()
    }

    fn authority(&self) -> &[u8] {
        self.request.authority()
    }

    fn path(&self) -> &[u8] {
        self.read(":path").path()
    }

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.read(name).header(name)
    }
}

/// The route that a request takes, and what of the request was read to find it.
fn cost(table: &RouteTable, request: Request) -> (Option<String>, Vec<String>) {
    let counted = Counted { request, reads: RefCell::default() };
    let decision = table.decide(&counted, &Draws::default());
    let route = decision.route.map(|route| route.name.clone());
    assert_eq!(route.is_none(), decision.outcome == Outcome::Untouched, "the last rule takes every request");
    (route, counted.reads.into_inner())
}

/// A table of rules on one host with these entries, and a last one for every request.
fn table(entries: impl Iterator<Item = Value>) -> RouteTable {
    let route = json!([{"destination": {"host": "reviews"}}]);
    let rules = entries
        .enumerate()
        .map(|(number, entry)| json!({"name": number.to_string(), "match": [entry], "route": route}));
    let rules: Vec<Value> = rules.chain([json!({"name": "last", "route": route})]).collect();
    let document = json!({"virtualServices": [{"hosts": ["reviews"], "http": rules}],
                          "policies": [{"hosts": ["reviews"], "fallback": ["v1"], "versionHeader": {"name": "want", "versions": ["v1"]}}]});
    RouteTable::compile(&Config::read(&document).unwrap().0)
}

/// The number of rules, and so of the route that is asked for, does not matter.
#[test]
fn many_rules_read_as_little_as_few() {
    type Row = (&'static str, fn(usize) -> Value, fn(usize) -> Request);
    let get = |path: &str| Request::get(&format!("http://reviews{path}"));
    let rows: [Row; 7] = [
        (
            "exact header",
            |n| json!({"headers": {"end-user": {"exact": format!("user-{n}")}}}),
            |n| Request::get("http://reviews/").with_header("end-user", format!("user-{n}")),
        ),
        (
            "cookie",
            |n| json!({"headers": {"cookie": {"regex": format!("^(.*?;)?(user={n})(;.*)?$")}}}),
            |n| Request::get("http://reviews/").with_header("cookie", format!("a=b;user={n};c=d")),
        ),
        (
            "exact path",
            |n| json!({"uri": {"exact": format!("/{n}")}}),
            |n| Request::get(&format!("http://reviews/{n}")),
        ),
        (
            "prefix",
            |n| json!({"uri": {"prefix": format!("/{n}/")}}),
            |n| Request::get(&format!("http://reviews/{n}/a")),
        ),
        (
            "regex that begins with text",
            |n| json!({"uri": {"regex": format!("/{n}/[a-z]+")}}),
            |n| Request::get(&format!("http://reviews/{n}/a")),
        ),
        (
            "query",
            |n| json!({"queryParams": {"user": {"exact": n.to_string()}}}),
            |n| Request::get(&format!("http://reviews/?user={n}")),
        ),
        (
            "last of five headers",
            |n| {
                json!({"uri": {"prefix": "/"}, "headers": {"a": {"exact": "1"}, "b": {"exact": "1"}, "c": {"exact": "1"},
                       "d": {"exact": "1"}, "e": {"exact": n.to_string()}}})
            },
            |n| {
                let request = ["a", "b", "c", "d"]
                    .into_iter()
                    .fold(Request::get("http://reviews/"), |request, name| request.with_header(name, "1"));
                request.with_header("e", n.to_string())
            },
        ),
    ];
    for (name, entry, request) in rows {
        let read = |count: usize| {
            let table = table((0..count).map(entry));
            let (hit, miss) = (cost(&table, request(count / 2)), cost(&table, get("/").with_header("want", "v1")));
            assert_eq!(
                (hit.0, miss.0),
                (Some((count / 2).to_string()), Some("last".to_owned())),
                "{name}: {count} rules"
            );
            (hit.1, miss.1)
        };
        let few = read(10);
        for many in [100, 1000] {
            assert_eq!(read(many), few, "{name}: values read with {many} rules, and with 10");
        }
    }
}

/// Of a request for a host that the configuration does not know, nothing is read but the filter's own headers, whose wishes
/// are counted for every host.
#[test]
fn unknown_hosts_read_no_more_than_control_headers() {
    let table = table((0..100).map(|n| json!({"headers": {"end-user": {"exact": n.to_string()}}})));
    let rows = [
        ("known", "reviews", false),
        ("unknown", "ratings", true),
        ("known under another name", "reviews.default:9080", false),
        ("longer", "xreviews", true),
        ("empty", "", true),
    ];
    for (name, host, nothing) in rows {
        let (route, reads) = cost(&table, Request::get(&format!("http://{host}/a?b=c")).with_header("end-user", "1"));
        let only_own = reads.iter().all(|read| read.starts_with("x-canary-"));
        assert_eq!((route.is_none(), only_own), (nothing, nothing), "{name}: {reads:?}");
    }
}
