//! The time of a decision: the index at different sizes against rules tried one by one, adversarial rules, and the
//! standard cases. Each answer is asserted before it is timed.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "benchmark code")]

#[path = "../tests/oracle/scan.rs"]
mod scan;

use std::hint::black_box;

use canary_config::Config;
use canary_routing::{AllHealthy, DecisionInput, Draws, Request, RouteTable};
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use scan::{Plain, Rules};
use serde_json::{Value, json};

/// A configuration, a request, and its route.
struct Case {
    name: String,
    document: Value,
    request: Plain,
    route: String,
}

impl Case {
    /// Rules on one host with these entries, and a last one for every request.
    fn new(name: String, entries: Vec<Value>, request: Plain, route: String) -> Self {
        let destination =
            |number: usize| json!([{"destination": {"host": "a.io", "subset": format!("v{}", number % 3)}}]);
        let rule = |(number, mut entry): (usize, Value)| {
            entry["name"] = "m".into();
            json!({"name": format!("r{number}"), "match": [entry], "route": destination(number)})
        };
        let last = json!({"name": "last", "route": destination(0)});
        let rules: Vec<Value> = entries.into_iter().enumerate().map(rule).chain([last]).collect();
        let service = json!({"metadata": {"name": "s"}, "spec": {"hosts": ["a.io"], "http": rules}});
        let document = json!({"virtualServices": [service], "proxy": {"gateways": ["mesh"]}});
        Self { name, document, request, route }
    }

    /// Times the crate's decision.
    fn decide(&self, group: &mut BenchmarkGroup<'_, WallTime>) {
        let (config, _) = Config::read(&self.document).unwrap_or_else(|errors| panic!("{}: {errors}", self.name));
        let table = RouteTable::compile(&config);
        let mut request = Request::get(&format!("http://{}:{}", self.request.host, self.request.port));
        request.path = self.request.path.clone().into();
        request.headers =
            self.request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let draws = Draws::default();
        let route = || {
            let head = table.read_head(black_box(&request).pairs());
            let (chance, health) = (&draws, &AllHealthy);
            let input = DecisionInput { head: &head, context: &request, chance, health };
            table.decide(&input).route.map(|route| &*route.name)
        };
        assert_eq!(route().unwrap_or_default(), self.route, "{}", self.name);
        group.bench_function(&self.name, |bencher| bencher.iter(route));
    }

    /// Times the rules tried one by one.
    fn scan(&self, group: &mut BenchmarkGroup<'_, WallTime>) {
        let rules = Rules::new(&self.document, &["a.io"], &[80]);
        let find = || {
            let entries = rules.entries(&self.request.host, self.request.port).unwrap_or_default();
            entries.iter().find(|entry| scan::satisfies(entry, black_box(&self.request)))
        };
        assert_eq!(find().map_or("", |entry| &entry.route), self.route, "{}", self.name);
        group.bench_function(format!("{}, one by one", self.name), |bencher| bencher.iter(find));
    }
}

fn get(path: &str, headers: &[(&str, &str)]) -> Plain {
    let usual = [("accept", "*/*"), ("user-agent", "curl/8"), ("x-request-id", "d1a5a5d0"), ("cookie", "a=b; c=d")];
    let headers = usual.iter().chain(headers).map(|(name, value)| (name.to_string(), value.to_string()));
    Plain {
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        host: "a.io".to_owned(),
        port: 80,
        path: path.to_owned(),
        headers: headers.collect(),
    }
}

/// Exact users, mixed headers and prefixes in turn. The request matches the second-last rule and no other.
fn mixed(count: usize) -> Case {
    let entry = |number: usize| match number % 3 {
        0 => json!({"headers": {"end-user": {"exact": format!("user-{number}")}}}),
        1 => {
            json!({"uri": {"prefix": format!("/api/{number}/")}, "headers": {format!("x-group-{}", number % 5): {"exact": "beta"}}})
        }
        _ => json!({"uri": {"prefix": format!("/tenant/{number}/")}}),
    };
    let last = (0..count).rev().find(|number| number % 3 == 0).unwrap_or(0);
    let request = get("/api/0/1", &[("end-user", &format!("user-{last}")), ("x-group-1", "beta")]);
    Case::new(format!("{count} rules"), (0..count).map(entry).collect(), request, format!("r{last}.m"))
}

fn sizes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixed");
    for count in [10, 1000, 10_000] {
        let case = mixed(count);
        case.decide(&mut group);
        case.scan(&mut group);
    }
    let users = (0..100_000).map(|number| json!({"headers": {"end-user": {"exact": format!("user-{number}")}}}));
    let request = get("/", &[("end-user", "user-99999")]);
    Case::new("100000 users".to_owned(), users.collect(), request, "r99999.m".to_owned()).decide(&mut group);
}

/// Rules that an index cannot look up.
fn adversarial(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("adversarial");
    let shared = ["a", "b", "c", "d"];
    let entry = |number: usize| {
        let mut headers: serde_json::Map<_, _> =
            shared.map(|name| (name.to_owned(), json!({"exact": "1"}))).into_iter().collect();
        headers.insert("e".to_owned(), json!({"exact": number.to_string()}));
        json!({"uri": {"prefix": "/api/"}, "headers": headers})
    };
    let headers: Vec<_> = shared.map(|name| (name, "1")).into_iter().chain([("e", "199")]).collect();
    let request = get("/api/x", &headers);
    let last =
        Case::new("last of five headers".to_owned(), (0..200).map(entry).collect(), request, "r199.m".to_owned());
    for case in [last].into_iter().chain(regexes()) {
        case.decide(&mut group);
        case.scan(&mut group);
    }
}

/// Fifty rules with a regex each. The last one or none matches.
fn regexes() -> impl Iterator<Item = Case> {
    type Row = (&'static str, fn(usize) -> String, &'static str, &'static str);
    const LONG: &str = "a ----------------------------------49---------------------------------- more";
    let rows: [Row; 7] = [
        ("", |number| format!(".*/item{number}/[0-9]+"), "/shop/item49/7", "/shop/basket"),
        (" that begin with text", |number| format!("/shop/item{number}/[0-9]+"), "/shop/item49/7", "/shop/basket"),
        (" of teams", |number| format!("[a-z]+-(group|team)-{number}(-[a-z]+)?"), "people-team-49", "people-lead-49"),
        (" without case", |number| format!("(?i).*(mobile|phone){number};.*"), "My-iPhone49;1", "My-Computer"),
        (" with a word boundary", |number| format!(r".*\bitem{number}\b.*"), "an item49 more", "a thing"),
        (" of 70 characters", |number| format!(".*{number:-^70}.*"), LONG, "a thing"),
        (" on a value outside ASCII", |number| format!(".* {number}"), "über 49", "über"),
    ];
    rows.into_iter().flat_map(|(name, pattern, hit, miss)| {
        [("", hit, "r49.m"), (" that miss", miss, "last")].map(|(kind, value, route)| {
            let entries = (0..50).map(|number| json!({"headers": {"x": {"regex": pattern(number)}}})).collect();
            Case::new(format!("50 regexes{name}{kind}"), entries, get("/", &[("x", value)]), route.to_owned())
        })
    })
}

/// The time of an ordinary request.
fn standard(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("standard");
    let split = json!([{"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
                       {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10}]);
    let bookinfo = json!([{"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}, "uri": {"prefix": "/reviews/"}}],
                           "route": [{"destination": {"host": "reviews", "subset": "v2"}}]},
                          {"name": "rest", "route": split}]);
    let service = |host: String| json!({"hosts": [host], "http": bookinfo});
    let policy = json!({"hosts": ["reviews"], "fallback": ["v2", "v1"], "sticky": {"keys": [{"header": "end-user"}], "salt": "s"}});
    let document = |hosts: Vec<String>, policies: Vec<Value>| json!({"virtualServices": hosts.into_iter().map(service).collect::<Vec<_>>(), "policies": policies});
    let one = || vec!["a.io".to_owned()];
    let many = (0..1000).map(|number| format!("{number}.io")).chain(one()).collect();
    let rows = [
        ("Bookinfo", document(one(), vec![]), "jason", "jason"),
        ("sticky split", document(one(), vec![policy]), "eve", "rest"),
        ("1001 hosts", document(many, vec![]), "jason", "jason"),
        ("unknown host", document(vec!["b.io".to_owned()], vec![]), "jason", ""),
    ];
    for (name, document, user, route) in rows {
        let request = get("/reviews/1", &[("end-user", user)]);
        Case { name: name.to_owned(), document, request, route: route.to_owned() }.decide(&mut group);
    }
}

/// The time from a text to a table.
fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for count in [10, 1000, 10_000] {
        let text = mixed(count).document.to_string();
        let read = || RouteTable::compile(&Config::from_json(text.as_bytes()).unwrap().0);
        assert_eq!(read().route_count().checked_sub(1), Some(count), "{count} rules");
        group.bench_function(format!("{count} rules"), |bencher| bencher.iter(read));
    }
}

criterion_group!(route, sizes, adversarial, standard, compile);
criterion_main!(route);
