//! Every case, with what else has to be true of it before it is measured.

use std::{fs, path::Path};

use e2e::{
    binaries::{self, workspace},
    bootstrap::{inline_filter, inline_module, native_route, steered_route},
    canary::cluster_name,
    client::{self, Protocol, Request},
    costs::case::{self, CALLS, ENTRIES, SIZES},
    rounds::{Case, Field},
};
use serde_json::{Value, json};

use crate::{
    Effort,
    rules::{self, document_of, to},
};

/// The upstreams that cases ask for; nobody who is sent to the last one is where he should be.
pub(crate) const UPSTREAMS: [&str; 5] = ["v1", "v2", "v3", "v4", "native"];
const FOLDER: &str = "tests/benches/costs";
/// Of the user whom the sticky split of [`bookinfo`] sends to v3.
const USER_OF_V3: &str = "4713";

/// A case, and requests that it has to answer otherwise.
pub(crate) struct Checked {
    pub(crate) case: Case,
    /// The case that it costs more than.
    pub(crate) base: &'static str,
    /// Header, value, and who answers.
    others: Vec<(&'static str, &'static str, &'static str)>,
}

/// What a browser sends through a service or two; no case's rules look at all of it.
pub(crate) fn request(user: &str) -> Request {
    Request::new("reviews", "/reviews/1?verbose=1")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
        .header("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br")
        .header("end-user", user)
        .header("x-user-id", USER_OF_V3)
        .header("grpcsvc", "v9")
}

fn everyone() -> Request {
    request("someone")
}

/// The filter with a document that sends everyone to v1.
pub(crate) fn everyone_to_v1(name: &str, document: &Value) -> Case {
    Checked::filter(name, document, "v1").case
}

pub(crate) fn all(folder: &Path, effort: &Effort) -> Vec<Checked> {
    let mut cases = plain();
    cases.extend(jobs(folder));
    cases.extend(sizes(effort));
    cases.extend(adversarial());
    cases.extend(modules(folder));
    cases
}

impl Checked {
    fn new(name: &str, filters: Vec<Value>, routes: Vec<Value>, served_by: &'static str) -> Self {
        let case = Case { name: name.to_owned(), filters, routes, request: everyone(), served_by };
        Self { case, base: case::NO_FILTER, others: Vec::new() }
    }

    fn filter(name: &str, document: &Value, served_by: &'static str) -> Self {
        Self::new(name, vec![inline_filter(&binaries::wasm(), document)], steered(), served_by)
    }

    fn request(mut self, request: Request) -> Self {
        self.case.request = request;
        self
    }

    fn base(self, base: &'static str) -> Self {
        Self { base, ..self }
    }

    fn others(self, others: &[(&'static str, &'static str, &'static str)]) -> Self {
        Self { others: others.to_vec(), ..self }
    }

    /// Asks what the case does not ask over and over.
    pub(crate) async fn check(&self, field: &Field) {
        for (name, value, served_by) in &self.others {
            let get = Request::new("reviews", "/reviews/1").header(name, value);
            let answer = client::send(field.address(&self.case.name), Protocol::Http1, &get).await;
            let found = (answer.status, answer.served_by.as_str());
            assert_eq!(found, (200, *served_by), "{}: {name}: {value}", self.case.name);
        }
    }
}

/// To one cluster.
fn direct() -> Vec<Value> {
    vec![json!({"match": {"prefix": "/"}, "route": {"cluster": cluster_name("v1"), "timeout": "0s"}})]
}

/// As little as cluster mode needs.
fn steered() -> Vec<Value> {
    let steered = json!({
        "match": {"prefix": "/", "headers": [{"name": "x-canary-cluster", "present_match": true}]},
        "route": {"cluster_header": "x-canary-cluster", "timeout": "0s"},
        "request_headers_to_remove": ["x-canary-cluster"],
    });
    vec![steered, native_route()]
}

/// By the header that the Lua script puts right.
fn by_version() -> Vec<Value> {
    let route = |version: &str| {
        json!({
            "match": {"prefix": "/", "headers": [{"name": "grpcsvc", "string_match": {"exact": version}}]},
            "route": {"cluster": cluster_name(version), "timeout": "0s"},
        })
    };
    ["v1", "v2", "v3", "v4"].map(route).into_iter().chain([native_route()]).collect()
}

fn plain() -> Vec<Checked> {
    let named = everyone().header("x-canary-cluster", cluster_name("v1"));
    vec![
        Checked::new(case::NO_FILTER, Vec::new(), direct(), "v1"),
        Checked::new(case::CONTROL, Vec::new(), direct(), "v1"),
        Checked::new(case::CLUSTER_HEADER, Vec::new(), steered(), "v1").request(named),
    ]
}

/// One header names the version, what is unknown becomes v1; and the whole decision of Bookinfo.
fn jobs(folder: &Path) -> Vec<Checked> {
    const ASKED: [(&str, &str, &str); 3] =
        [("grpcsvc", "v2", "v2"), ("grpcsvc", "v44", "v1"), ("end-user", "jason", "v1")];
    let lua = json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"filename": workspace().join(FOLDER).join("version.lua")},
        },
    });
    let version = [("grpcsvc", "v2", "v2"), ("grpcsvc", "v4", "v4")];
    let hand = |module: &str, name: &str| Checked::new(name, vec![module_filter(folder, module, "")], steered(), "v1");
    let job = |name: &str, tell: Value| {
        let mut document = version_by_header();
        document.as_object_mut().expect("fields").extend(tell.as_object().expect("fields").clone());
        Checked::filter(name, &document, "v1").others(&ASKED)
    };
    let (quiet, off) = (json!({"enabled": false}), json!({"enabled": false}));
    let elsewhere = document_of(&[("elsewhere".to_owned(), vec![json!({"route": to("v2")})])]);
    let mut mirrored = Checked::filter(case::BOOKINFO_MIRRORS, &bookinfo(), "v3").others(&BOOKINFO_ASKED);
    mirrored.case.routes = vec![steered_route(), native_route()];
    vec![
        Checked::new(case::LUA, vec![lua], by_version(), "v1").others(&[ASKED[0], ASKED[1], ASKED[2], version[1]]),
        hand("floor", case::FLOOR),
        hand("version", case::BY_HAND).others(&[ASKED[0], ASKED[1], ASKED[2], version[1]]),
        job(case::BARE, json!({"metrics": quiet, "filterState": off})),
        job(case::WITH_STATE, json!({"metrics": quiet})),
        job(case::SHIPPED, json!({})),
        Checked::filter(case::UNKNOWN_HOST, &elsewhere, "native"),
        Checked::filter(case::BOOKINFO, &bookinfo(), "v3").others(&BOOKINFO_ASKED),
        mirrored,
    ]
}

/// The Lua script's job as rules. Like the others of its kind it writes one header, the one that the route reads.
fn version_by_header() -> Value {
    let rule = |version: &str| json!({"match": [{"headers": {"grpcsvc": {"exact": version}}}], "route": to(version)});
    let http = ["v1", "v2", "v3", "v4"].map(rule).into_iter().chain([json!({"route": to("v1")})]).collect();
    let mut document = document_of(&[("reviews".to_owned(), http)]);
    document["headers"] = json!({"version": ""});
    document
}

const BOOKINFO_ASKED: [(&str, &str, &str); 2] = [("end-user", "jason", "v2"), ("x-user-id", "4711", "v1")];

/// By host, path and header, else by a sticky split.
pub(crate) fn bookinfo() -> Value {
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

/// Few and many rules, in the filter and as native routes.
fn sizes(effort: &Effort) -> Vec<Checked> {
    let jason = || request("jason");
    let mut cases = Vec::new();
    for size in SIZES {
        let rules = rules::mixed(effort.many(size));
        let (native, document) = (rules::native(&rules), rules::document(&rules));
        let others = [("end-user", "user-3", "v3"), ("end-user", "jason", "v2")];
        cases.push(Checked::new(&case::native(size), Vec::new(), native.clone(), "v1").others(&others));
        cases.push(Checked::filter(&case::filter(size), &document, "v1").others(&others));
        cases.push(Checked::new(&case::native_listed(size), Vec::new(), native, "v2").request(jason()));
        cases.push(Checked::filter(&case::filter_listed(size), &document, "v2").request(jason()));
    }
    let hosts = rules::document_of_hosts(&rules::mixed(10), effort.many(1_000));
    cases.push(Checked::filter(case::HOSTS, &hosts, "v1").others(&[("end-user", "jason", "v2")]));
    let values = rules::document_of_one(&rules::users(effort.many(100_000)));
    cases.push(
        Checked::filter(case::VALUES, &values, "v1")
            .others(&[("end-user", "user-999", "v3"), ("end-user", "jason", "v2")]),
    );
    cases
}

/// What no index helps against.
fn adversarial() -> Vec<Checked> {
    const ALIKE: usize = 200;
    const REGEXES: usize = 50;
    let five = || {
        let same = rules::ALIKE.iter().fold(everyone(), |get, (name, value)| get.header(name, value));
        same.header(rules::LAST, ALIKE.to_string())
    };
    let (alike, regexes) = (rules::alike(ALIKE), rules::regexes(REGEXES));
    let of_team = || request(&format!("people-team-{REGEXES}"));
    vec![
        Checked::new(case::NO_FILTER_FIVE, Vec::new(), direct(), "v1").request(five()),
        Checked::new(case::NATIVE_ALIKE, Vec::new(), rules::native(&alike), "v2")
            .request(five())
            .base(case::NO_FILTER_FIVE),
        Checked::filter(case::ALIKE, &rules::document(&alike), "v2").request(five()).base(case::NO_FILTER_FIVE),
        Checked::new(case::NATIVE_REGEXES, Vec::new(), rules::native(&regexes), "v2").request(of_team()),
        Checked::filter(case::REGEXES, &rules::document(&regexes), "v2").request(of_team()),
    ]
}

/// Modules that do one thing each, beside a route that nothing they do changes.
fn modules(folder: &Path) -> Vec<Checked> {
    let module = |name: &str, module: &str, configuration: &str| {
        Checked::new(name, vec![module_filter(folder, module, configuration)], direct(), "v1")
    };
    let mut cases: Vec<_> = ENTRIES.iter().map(|(name, file, _)| module(name, file, "")).collect();
    for (name, file, _) in CALLS {
        // As many calls as bytes.
        cases.push(module(&case::once(name), file, "x"));
        cases.push(module(&case::eleven_times(name), file, &"x".repeat(11)));
    }
    cases
}

/// A filter of a module whose text is in `modules/`.
fn module_filter(folder: &Path, module: &str, configuration: &str) -> Value {
    let text = workspace().join(FOLDER).join("modules").join(module).with_extension("wat");
    let compiled = folder.join(module).with_extension("wasm");
    fs::write(&compiled, wat::parse_file(&text).unwrap_or_else(|error| panic!("{error}"))).expect("write a module");
    inline_module(&compiled, configuration)
}
