//! The table of cases.

use std::{fs, path::Path};

use canary_config::failover_name;
use e2e::{
    bench::{Bench, Case},
    binaries::{self, workspace},
    bootstrap::{inline_filter, inline_module, native_route, steered_route},
    canary::cluster_name,
    client::Request,
    costs::{
        budget::{Budget, Large},
        case::{self, REPEATS, SIZES},
    },
    failover::Failover,
    host_calls::Module,
    workload::{
        self,
        jobs::{self, BY_VERSION, OF_BOOKINFO},
        large,
        rules::{self, document_of, to},
    },
};
use serde_json::{Value, json};

use crate::effort::Effort;

/// The upstreams of all cases; a request that goes to the last one has not been steered.
pub(crate) const UPSTREAMS: [&str; 5] = ["v1", "v2", "v3", "v4", "native"];
const ALIKE: usize = 200;
const REGEXES: usize = 50;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) case: Case,
    /// The case that it is compared with.
    pub(crate) base: &'static str,
    /// Header, value and version of other requests.
    others: Vec<(&'static str, &'static str, &'static str)>,
}

/// Every case.
pub(crate) fn all(folder: &Path, effort: &Effort, failover: Failover) -> Vec<Row> {
    let budget = Budget::read();
    let [few, some, many] = SIZES;
    let mixed = |count| rules::mixed(effort.many(count));
    let size = |count| {
        let others = [("end-user", "user-3", "v3"), ("end-user", "nobody", "v1")];
        let rules = mixed(count);
        let native = row(&case::native(count), [], rules::native(&rules), "v2").ask(user("jason")).others(&others);
        [native, filter(&case::filter(count), &rules::document(&rules), "v2").ask(user("jason")).others(&others)]
    };
    let [_, third_article, bookinfo] = jobs::all();
    let elsewhere = document_of(&[("elsewhere".to_owned(), vec![json!({"route": to("v2")})])]);
    let (own, values) = (rules::own_headers(effort.many(many)), rules::users(effort.many(100_000)));
    let own_last = rules::own_header(effort.many(many) - 1);
    let hosts = rules::document_of_hosts(&rules::mixed(10), effort.many(1_000));
    let (alike, regexes) = (rules::alike(ALIKE), rules::regexes(REGEXES));
    let of_team = || user(&format!("people-team-{REGEXES}"));

    let mut rows = vec![
        row(case::NO_FILTER, [], direct(), "v1"),
        row(case::CONTROL, [], direct(), "v1"),
        row(case::STEERED, [], steered().into(), "v1").ask(anyone().header("x-canary-cluster", cluster_name("v1"))),
        row(case::STEERED_RETRIES, [], with_retries(failover), "v1")
            .ask(anyone().header("x-canary-cluster", cluster_name("v1")))
            .over(case::STEERED),
        row(case::STEERED_FAILOVER, [], with_retries(failover), "v1")
            .ask(anyone().header("x-canary-cluster", failover_name(&cluster_name("v1"))))
            .over(case::STEERED),
        row(case::STEERED_AGGREGATE, [], with_retries(Failover::Aggregate), "v1")
            .ask(anyone().header("x-canary-cluster", aggregate_name(&failover_name(&cluster_name("v1")))))
            .over(case::STEERED),
        row(case::LUA, [lua()], by_version(), "v1").others(BY_VERSION),
    ];
    rows.extend(jobs::all().iter().map(|job| floor(job, &budget, folder)));
    rows.extend(jobs::all().iter().map(|job| filter(job.name, &job.document, job.version).others(job.others)));
    rows.extend([
        filter(case::BOOKINFO_SHIPPED_ROUTE, &bookinfo.document, bookinfo.version)
            .routed(vec![steered_route(), native_route()])
            .others(OF_BOOKINFO),
        filter(case::UNKNOWN_HOST, &elsewhere, "native"),
        filter(case::FAILOVER, &failing_over(), third_article.version)
            .routed(with_retries(failover))
            .others(BY_VERSION),
    ]);
    rows.extend([few, some, many].into_iter().flat_map(size));
    rows.extend([
        filter(case::HOSTS, &hosts, "v2").ask(user("jason")),
        filter(case::VALUES, &rules::document_of_one(&values), "v2")
            .ask(user("jason"))
            .others(&[("end-user", "user-3", "v3"), ("end-user", "nobody", "v1")]),
        filter(case::OWN_HEADERS, &rules::document(&own), "v2")
            .ask(anyone().header(&own_last, "yes"))
            .others(&[("x-rule-0", "yes", "v3"), ("x-rule-0", "no", "v1")]),
        row(case::NO_FILTER_FIVE, [], direct(), "v1").ask(five()),
        row(case::NATIVE_ALIKE, [], rules::native(&alike), "v2").ask(five()).over(case::NO_FILTER_FIVE),
        filter(case::ALIKE, &rules::document(&alike), "v2").ask(five()).over(case::NO_FILTER_FIVE),
        row(case::NATIVE_REGEXES, [], rules::native(&regexes), "v2").ask(of_team()),
        filter(case::REGEXES, &rules::document(&regexes), "v2").ask(of_team()),
    ]);
    rows.extend(large_requests(&budget.large.shipped, (case::LARGE_HARMLESS, case::LARGE_WORST)));
    rows.extend(large_requests(&budget.large.copied, (case::COPIED_HARMLESS, case::COPIED_WORST)));
    rows.extend(case::ENTRIES.iter().map(|(name, callbacks, _)| {
        row(name, [module(&Module { callbacks: callbacks.to_vec(), calls: Vec::new() }, name, folder)], direct(), "v1")
    }));
    rows.extend(case::calls().into_iter().map(|(name, call, _)| {
        let name = case::repeated(name);
        row(&name, [module(&Module::repeated(&call, REPEATS), &name, folder)], direct(), "v1").over(case::ENTRY)
    }));
    rows
}

/// The filter with a configuration, and nothing else.
pub(crate) fn filter(name: &str, document: &Value, served_by: &'static str) -> Row {
    row(name, [inline_filter(&binaries::wasm(), document)], steered().into(), served_by)
}

fn row<const N: usize>(name: &str, filters: [Value; N], routes: Vec<Value>, served_by: &'static str) -> Row {
    let case = Case { name: name.to_owned(), filters: filters.into(), routes, request: anyone(), served_by };
    Row { case, base: case::NO_FILTER, others: Vec::new() }
}

impl Row {
    fn ask(mut self, request: Request) -> Self {
        self.case.request = request;
        self
    }

    fn routed(mut self, routes: Vec<Value>) -> Self {
        self.case.routes = routes;
        self
    }

    fn over(self, base: &'static str) -> Self {
        Self { base, ..self }
    }

    fn others(self, others: &[(&'static str, &'static str, &'static str)]) -> Self {
        Self { others: others.to_vec(), ..self }
    }

    /// Adds requests that are sent once, in addition to the measured one.
    pub(crate) fn check(&self, bench: &mut Bench) {
        for (name, value, served_by) in &self.others {
            let get = Request::new("reviews", "/reviews/1").header(name, value);
            let answer = bench.ask(bench.case(&self.case.name), &get);
            let found = (answer.status, answer.served_by.as_str());
            assert_eq!(found, (200, *served_by), "{}: {name}: {value}", self.case.name);
        }
    }
}

fn user(name: &str) -> Request {
    workload::request(name)
}

fn anyone() -> Request {
    user("someone")
}

/// A request with the five headers of the rules that are alike, for the last of them.
fn five() -> Request {
    let same = rules::ALIKE.iter().fold(anyone(), |get, (name, value)| get.header(name, value));
    same.header(rules::LAST, ALIKE.to_string())
}

/// A module that makes the host calls of a job.
fn floor(job: &jobs::Job, budget: &Budget, folder: &Path) -> Row {
    let calls = budget.jobs.get(job.name).unwrap_or_else(|| panic!("budget.json has no host calls of {}", job.name));
    row(job.floor, [module(&Module::floor(calls), job.floor, folder)], steered().into(), job.version)
}

/// The request that takes the most instructions, and a harmless one of its size, under the same document.
fn large_requests(worst: &Large, (harmless_name, worst_name): (&'static str, &'static str)) -> [Row; 2] {
    let subject = large::subjects().into_iter().find(|subject| subject.name == worst.subject).expect("its document");
    let ask = |header, kind| large::request(&worst.authority, &worst.path, header, kind);
    let case = |name, request| filter(name, &subject.document, "v1").routed(direct()).ask(request);
    [
        case(harmless_name, ask(large::UNKNOWN, large::HARMLESS)),
        case(worst_name, ask(&worst.header, &worst.kind)).over(harmless_name),
    ]
}

/// To one cluster.
fn direct() -> Vec<Value> {
    vec![json!({"match": {"prefix": "/"}, "route": {"cluster": cluster_name("v1"), "timeout": "0s"}})]
}

/// As little as cluster mode needs.
fn steered() -> [Value; 2] {
    let steered = json!({
        "match": {"prefix": "/", "headers": [{"name": "x-canary-cluster", "present_match": true}]},
        "route": {"cluster_header": "x-canary-cluster", "timeout": "0s"},
        "request_headers_to_remove": ["x-canary-cluster"],
    });
    [steered, native_route()]
}

/// The third article's job, whose versions follow one another.
fn failing_over() -> Value {
    let [_, third_article, _] = jobs::all();
    let mut document = third_article.document;
    document["policies"] = json!([{"hosts": ["reviews"], "defaultSubset": "v1", "fallback": ["v2", "v1"]}]);
    document["clusters"]["failover"] = json!(true);
    document
}

/// The clusters by which they do, of this kind, and once more of the kind that every Envoy has.
pub(crate) fn failover_clusters(failover: Failover) -> Vec<Value> {
    let clusters = |failover: Failover| failover.clusters(&failing_over()).expect("a right document");
    let mut aggregate = clusters(Failover::Aggregate);
    for cluster in &mut aggregate {
        cluster["name"] = json!(aggregate_name(cluster["name"].as_str().expect("a name")));
    }
    [clusters(failover), aggregate].concat()
}

fn aggregate_name(name: &str) -> String {
    format!("aggregate|{name}")
}

/// The steered route with the retries by which requests go on, and the native one.
fn with_retries(failover: Failover) -> Vec<Value> {
    let [mut route, native] = steered();
    route["route"]["retry_policy"] = failover.retry_policy(2);
    vec![route, native]
}

/// By the header that the Lua script corrects.
fn by_version() -> Vec<Value> {
    let route = |version: &str| {
        json!({
            "match": {"prefix": "/", "headers": [{"name": "grpcsvc", "string_match": {"exact": version}}]},
            "route": {"cluster": cluster_name(version), "timeout": "0s"},
        })
    };
    ["v1", "v2", "v3", "v4"].map(route).into_iter().chain([native_route()]).collect()
}

/// The third article's script.
fn lua() -> Value {
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"filename": workspace().join("tests/benches/costs/version.lua")},
        },
    })
}

/// A filter of a module that is written into a folder.
fn module(module: &Module, name: &str, folder: &Path) -> Value {
    let file = folder.join(format!("{name}.wasm"));
    let text = module.text();
    fs::write(&file, wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))).expect("write a module");
    inline_module(&file, "")
}
