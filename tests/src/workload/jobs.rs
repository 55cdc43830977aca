//! The three jobs that are measured against their floors. A floor is a module that only makes the same host calls.

use serde_json::{Value, json};

use super::rules::{document_of, to};

/// A job of the filter.
#[derive(Debug)]
pub struct Job {
    /// The name of its case, and of what the budget records of it.
    pub name: &'static str,
    /// The name of its floor's case.
    pub floor: &'static str,
    /// The filter's configuration.
    pub document: Value,
    /// The version that [`super::request`] for someone goes to.
    pub version: &'static str,
    /// Header, value and version of other requests.
    pub others: &'static [(&'static str, &'static str, &'static str)],
}

/// The third article's job, with metrics and filter state off.
pub const THIRD_ARTICLE_ALONE: &str = "filter, the third article's job, metrics and filter state off";
/// The third article's job.
pub const THIRD_ARTICLE: &str = "filter, the third article's job";
/// Bookinfo: host, path, header, a sticky split and two control headers.
pub const BOOKINFO: &str = "filter, Bookinfo";
/// The floors of these three.
pub const FLOORS: [&str; 3] = [
    "floor, the third article's job, metrics and filter state off",
    "floor, the third article's job",
    "floor, Bookinfo",
];

/// Requests of the third article: one header names the version, and what is unknown becomes v1.
pub const BY_VERSION: &[(&str, &str, &str)] =
    &[("grpcsvc", "v2", "v2"), ("grpcsvc", "v4", "v4"), ("grpcsvc", "v44", "v1"), ("end-user", "jason", "v1")];
/// Requests of Bookinfo.
pub const OF_BOOKINFO: &[(&str, &str, &str)] = &[("end-user", "jason", "v2"), ("x-user-id", "4711", "v1")];

/// All three.
#[must_use]
pub fn all() -> [Job; 3] {
    let off = json!({"enabled": false});
    let mut alone = third_article();
    alone["metrics"] = off.clone();
    alone["filterState"] = off;
    let [floor_alone, floor, floor_bookinfo] = FLOORS;
    let job = |name, floor, document, version, others| Job { name, floor, document, version, others };
    [
        job(THIRD_ARTICLE_ALONE, floor_alone, alone, "v1", BY_VERSION),
        job(THIRD_ARTICLE, floor, third_article(), "v1", BY_VERSION),
        job(BOOKINFO, floor_bookinfo, bookinfo(), "v3", OF_BOOKINFO),
    ]
}

/// What the third article's Lua script does. Like the script it writes one header, the one that the route reads.
fn third_article() -> Value {
    let rule = |version: &str| json!({"match": [{"headers": {"grpcsvc": {"exact": version}}}], "route": to(version)});
    let http = ["v1", "v2", "v3", "v4"].map(rule).into_iter().chain([json!({"route": to("v1")})]).collect();
    let mut document = document_of(&[("reviews".to_owned(), http)]);
    document["headers"] = json!({"version": ""});
    document
}

/// By host, path and header, else by a sticky split.
#[must_use]
pub fn bookinfo() -> Value {
    let path = json!({"prefix": "/reviews"});
    let of_others =
        |name: &str| (name.to_owned(), vec![json!({"route": [{"destination": {"host": name, "subset": "v1"}}]})]);
    let split = json!([
        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 50},
        {"destination": {"host": "reviews", "subset": "v3"}, "weight": 50},
    ]);
    let reviews = vec![
        json!({"name": "jason", "match": [{"uri": path, "headers": {"end-user": {"exact": "jason"}}}], "route": to("v2")}),
        json!({"name": "split", "match": [{"uri": path}], "route": split}),
        json!({"name": "rest", "route": to("v1")}),
    ];
    let mut hosts: Vec<_> = ["productpage", "ratings", "details"].map(of_others).into();
    hosts.push(("reviews".to_owned(), reviews));
    let mut document = document_of(&hosts);
    document["policies"] = json!([{"hosts": ["reviews"], "defaultSubset": "v1", "sticky": {"keys": [{"header": "x-user-id"}], "salt": "bench"}}]);
    document
}
