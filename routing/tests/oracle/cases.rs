//! Rules that overlap, and requests near their boundaries.

use std::fmt;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use crate::scan::{Entry, Plain, Rules};

pub(crate) const HOSTS: [&str; 3] = ["a.io", "b.io", "c.io"];
const PORTS: [u16; 3] = [80, 8080, 9090];
const HEADERS: [&str; 5] = ["end-user", "x-group", "cookie", "host", ":method"];
const PARAMETERS: [&str; 2] = ["user", "User"];

/// The number of requests of each case.
pub(crate) const REQUESTS: usize = 256;

/// A configuration, its rules for the scan, and requests.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) document: Value,
    pub(crate) rules: Rc<Rules>,
    pub(crate) requests: Vec<Plain>,
}

/// A regex with a value that it matches.
const REGEXES: [(&str, &str); 9] = [
    ("^(.*?;)?(user=jason)(;.*)?$", "a=b;user=jason;c=d"),
    ("^(.*?;)?(user=eve)(;.*)?$", "user=eve"),
    ("(.*;)?jason(;.*)?", "x;jason"),
    ("jas(on|mine)", "jasmine"),
    ("jaso*n?", "jas"),
    ("^/a/.*", "/a/x"),
    ("/api/v[12]/?x{0,1}", "/api/v1/"),
    (".*", "anything"),
    ("[a-z]+", "eve"),
];

fn text() -> impl Strategy<Value = &'static str> + Clone {
    select(&["", "jason", "Jason", "jas", "jason;", "user=jason", "eve", "GET", "a.io", "beta", "j"][..])
}

fn path() -> impl Strategy<Value = &'static str> + Clone {
    select(&["/", "/a", "/a/", "/a/b", "/A/b", "/api", "/api/v1", "/api/v1/x", "/api/v10", "", "a"][..])
}

/// A `StringMatch` over some texts; Envoy's prefixes outside `uri` are not empty.
fn string_match(text: impl Strategy<Value = &'static str> + Clone + 'static) -> BoxedStrategy<Value> {
    // Replaces rejected texts by one text, because filtering would reject too many cases.
    let not_empty = text.clone().prop_map(|text| if text.is_empty() { "j" } else { text });
    prop_oneof![
        4 => text.prop_map(|text| json!({"exact": text})),
        3 => not_empty.prop_map(|text| json!({"prefix": text})),
        2 => select(&REGEXES[..]).prop_map(|(pattern, _)| json!({"regex": pattern})),
        1 => Just(json!({})),
    ]
    .boxed()
}

fn map(names: &'static [&'static str], most: usize) -> impl Strategy<Value = Map<String, Value>> {
    let pair = (select(names), string_match(text())).prop_map(|(name, wanted)| (name.to_owned(), wanted));
    prop::collection::vec(pair, 1..=most).prop_map(|pairs| pairs.into_iter().collect())
}

/// One condition.
fn condition() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        6 => map(&HEADERS, 3).prop_map(|headers| ("headers", headers.into())),
        4 => string_match(path()).prop_map(|uri| ("uri", uri)),
        2 => map(&PARAMETERS, 2).prop_map(|parameters| ("queryParams", parameters.into())),
        1 => select(&["GET", "POST", "PUT", "get"][..]).prop_map(|method| ("method", json!({"exact": method}))),
        1 => select(&["https", "HTTP", "ftp"][..]).prop_map(|scheme| ("scheme", json!({"exact": scheme}))),
        1 => select(&["a.io:80", "b.io:8080", "c.io:90"][..]).prop_map(|name| ("authority", json!({"exact": name}))),
        1 => select(&["a.io:8", "b.io:9", "c"][..]).prop_map(|name| ("authority", json!({"prefix": name}))),
    ]
}

/// A selector or flag that changes the conditions. Usually none.
fn modifier() -> impl Strategy<Value = Option<(&'static str, Value)>> {
    prop_oneof![
        8 => Just(None),
        1 => select(&PORTS[..]).prop_map(|port| Some(("port", port.into()))),
        1 => Just(Some(("ignoreUriCase", true.into()))),
        2 => map(&HEADERS, 2).prop_map(|headers| Some(("withoutHeaders", headers.into()))),
    ]
}

fn entry() -> impl Strategy<Value = Map<String, Value>> {
    let few = prop_oneof![100 => 1_usize..2, 50 => 2_usize..3, 20 => 3_usize..5, 1 => 0_usize..1];
    let conditions = few.prop_flat_map(|count| prop::collection::vec(condition(), count));
    (conditions, modifier()).prop_map(|(conditions, modifier)| {
        conditions.into_iter().chain(modifier).map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let entries = prop_oneof![100 => 1_usize..2, 40 => 2_usize..4, 1 => 0_usize..1];
    entries.prop_flat_map(|count| prop::collection::vec(entry(), count)).prop_map(|entries| {
        let named = entries.into_iter().enumerate().map(|(number, mut entry)| {
            entry.insert("name".to_owned(), format!("m{number}").into());
            Value::Object(entry)
        });
        json!({"match": named.collect::<Vec<_>>(), "route": [{"destination": {"host": "a.io"}}]})
    })
}

fn service() -> impl Strategy<Value = (Vec<&'static str>, Vec<Value>)> {
    let count = prop_oneof![1 => 1_usize..10, 2 => 10_usize..40];
    (prop::sample::subsequence(&HOSTS[..2], 1..=2), count.prop_flat_map(|count| prop::collection::vec(rule(), count)))
}

fn document() -> impl Strategy<Value = Value> {
    (prop::collection::vec(service(), 1..4), select(&["mesh", "default/edge"][..])).prop_map(|(services, gateway)| {
        let services = services.into_iter().enumerate().map(|(number, (hosts, mut rules))| {
            for (position, rule) in rules.iter_mut().enumerate() {
                rule["name"] = format!("s{number}-r{position}").into();
            }
            json!({"metadata": {"name": format!("s{number}")},
                   "spec": {"hosts": hosts, "gateways": [gateway], "http": rules}})
        });
        json!({"virtualServices": services.collect::<Vec<_>>(), "proxy": {"gateways": [gateway]}})
    })
}

/// How a request is derived from an entry.
#[derive(Debug, Clone)]
struct Recipe {
    entry: Index,
    donor: Index,
    host: &'static str,
    port: u16,
    mutations: Vec<(u8, Index)>,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let host = prop_oneof![12 => Just(HOSTS[0]), 8 => Just(HOSTS[1]), 1 => Just(HOSTS[2])];
    let mutations = prop::collection::vec((0_u8..12, any::<Index>()), 0..4);
    (any::<Index>(), any::<Index>(), host, select(&PORTS[..]), mutations)
        .prop_map(|(entry, donor, host, port, mutations)| Recipe { entry, donor, host, port, mutations })
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (document(), prop::collection::vec(recipe(), REQUESTS)).prop_map(|(document, recipes)| {
        let rules = Rc::new(Rules::new(&document, &HOSTS, &PORTS));
        let requests = recipes.iter().map(|recipe| recipe.request(&rules)).collect();
        Case { document, rules, requests }
    })
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.document)
    }
}

impl Recipe {
    /// A request that nearly satisfies an entry, with parts of another one, and with small changes.
    fn request(&self, rules: &Rules) -> Plain {
        let entries = rules.entries(self.host, self.port).unwrap_or_default();
        let mut request = Plain {
            method: "GET".to_owned(),
            scheme: "http".to_owned(),
            host: self.host.to_owned(),
            port: self.port,
            path: "/".to_owned(),
            headers: Vec::new(),
        };
        if !entries.is_empty() {
            satisfy(&mut request, self.donor.get(entries));
            satisfy(&mut request, self.entry.get(entries));
        }
        for (kind, place) in &self.mutations {
            mutate(&mut request, *kind, *place);
        }
        request
    }
}

/// A value that satisfies one of the matches above.
fn sample(wanted: &Value) -> String {
    let kind = |name| wanted[name].as_str();
    let of_regex = |pattern| REGEXES.iter().find(|(known, _)| *known == pattern).map(|(_, value)| *value);
    kind("exact").or(kind("prefix")).or(kind("regex").and_then(of_regex)).unwrap_or("x").to_owned()
}

fn satisfy(request: &mut Plain, entry: &Entry) {
    let matcher = &entry.matcher;
    let texts = |key: &str| matcher[key].as_object().cloned().unwrap_or_default();
    for (key, place) in [("method", &mut request.method), ("scheme", &mut request.scheme), ("uri", &mut request.path)] {
        if !matcher[key].is_null() {
            *place = sample(&matcher[key]);
        }
    }
    for (name, wanted) in texts("headers") {
        match name.as_str() {
            ":method" => request.method = sample(&wanted),
            "host" => {}
            _ => request.headers.push((name, sample(&wanted))),
        }
    }
    for (number, (name, wanted)) in texts("queryParams").into_iter().enumerate() {
        let separator = if number == 0 && !request.path.contains('?') { '?' } else { '&' };
        request.path.push_str(&format!("{separator}{name}={}", sample(&wanted)));
    }
    if let Some(port) = matcher["port"].as_u64() {
        request.port = port as u16;
    }
}

fn mutate(request: &mut Plain, kind: u8, place: Index) {
    let lines = request.headers.len();
    match kind {
        0 => drop(request.path.pop()),
        1 => request.path.push('x'),
        2 => request.path = request.path.to_ascii_uppercase(),
        3 => request.path.push_str("?user=jason"),
        4 => request.method = "POST".to_owned(),
        5 => request.scheme = "https".to_owned(),
        6 => request.port = *place.get(&PORTS),
        7 => request.headers.push(("end-user".to_owned(), sample(&json!({"exact": "eve"})))),
        _ if lines == 0 => request.headers.push(("cookie".to_owned(), "a=b;user=jason".to_owned())),
        8 => drop(request.headers.remove(place.index(lines))),
        9 => request.headers[place.index(lines)].1.push('x'),
        10 => drop(request.headers[place.index(lines)].1.pop()),
        _ => {
            let line = &mut request.headers[place.index(lines)].1;
            *line = format!(" {line}\t");
        }
    }
}
