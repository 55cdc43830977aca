//! Tries rules one by one. It is written from Istio's reference, and shares no code with the crate.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value};

/// A simple request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Plain {
    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// An entry of a rule's `match`, or a rule without one, with its name as a route.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) route: String,
    pub(crate) matcher: Value,
}

/// The entries in order, by host and port.
pub(crate) struct Rules(HashMap<(String, u16), Vec<Entry>>);

impl Rules {
    pub(crate) fn new(document: &Value, hosts: &[&str], ports: &[u16]) -> Self {
        let places = hosts.iter().flat_map(|host| ports.iter().map(move |port| (host.to_string(), *port)));
        let found = places.filter_map(|place| Some((place.clone(), entries(document, &place.0, place.1)?)));
        Self(found.collect())
    }

    /// The entries in order. `None` if no object has the host on the port.
    pub(crate) fn entries(&self, host: &str, port: u16) -> Option<&[Entry]> {
        self.0.get(&(host.to_owned(), port)).map(Vec::as_slice)
    }
}

fn entries(document: &Value, host: &str, port: u16) -> Option<Vec<Entry>> {
    let mut services: Vec<&Value> = list(document, "virtualServices").collect();
    services.sort_by_key(|service| service["metadata"]["name"].as_str().unwrap().to_owned());
    let taking: Vec<Vec<Entry>> = services
        .into_iter()
        .filter(|service| list(&service["spec"], "hosts").any(|name| name == host))
        .map(|service| up_to_catch_all(list(&service["spec"], "http").flat_map(entries_of)))
        .collect();
    let counts_on = |entries: &Vec<Entry>| entries.iter().any(|entry| port_fits(entry, port));
    if document["proxy"]["gateways"] == serde_json::json!(["mesh"]) {
        return taking.into_iter().find(counts_on);
    }
    let merged: Vec<Entry> = taking.into_iter().flatten().collect();
    let (last, first): (Vec<Entry>, Vec<Entry>) = merged.into_iter().partition(|entry| is_catch_all(&entry.matcher));
    Some([first, last].concat()).filter(counts_on)
}

/// Nothing after a catch-all for every port is used.
fn up_to_catch_all(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
    let mut reached = Vec::new();
    for entry in entries {
        let ends = is_catch_all(&entry.matcher) && entry.matcher["port"].is_null();
        reached.push(entry);
        if ends {
            break;
        }
    }
    reached
}

fn entries_of(rule: &Value) -> Vec<Entry> {
    let name = rule["name"].as_str().unwrap().to_owned();
    let named = |entry: &Value| format!("{name}.{}", entry["name"].as_str().unwrap());
    let all: Vec<Entry> =
        list(rule, "match").map(|entry| Entry { route: named(entry), matcher: entry.clone() }).collect();
    if all.is_empty() { vec![Entry { route: name, matcher: Value::Object(Map::new()) }] } else { all }
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// An entry for any path whose only condition is a port. At a gateway it goes to the end.
fn is_catch_all(matcher: &Value) -> bool {
    let conditions: Vec<&String> = matcher.as_object().unwrap().keys().collect();
    let beside = conditions.iter().all(|key| ["name", "uri", "port", "ignoreUriCase"].contains(&key.as_str()));
    let uri = &matcher["uri"];
    beside && (uri.is_null() || *uri == serde_json::json!({}) || uri["prefix"] == "/" || uri["regex"] == ".*")
}

pub(crate) fn port_fits(entry: &Entry, port: u16) -> bool {
    entry.matcher["port"].is_null() || entry.matcher["port"] == port
}

/// Whether a request satisfies an entry, its port included.
pub(crate) fn satisfies(entry: &Entry, request: &Plain) -> bool {
    let matcher = &entry.matcher;
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let fold = matcher["ignoreUriCase"] == true && matcher["uri"]["regex"].is_null();
    let uri = if fold {
        text_fits(&lower(&matcher["uri"]), &path.to_ascii_lowercase())
    } else {
        text_fits(&matcher["uri"], path)
    };
    port_fits(entry, request.port)
        && uri
        && pseudo_fits(&matcher["method"], &request.method)
        && pseudo_fits(&matcher["scheme"], &request.scheme)
        && pseudo_fits(&matcher["authority"], &request.authority())
        && map(matcher, "headers").all(|(name, wanted)| lines(request, name).iter().any(|line| text_fits(wanted, line)))
        && map(matcher, "queryParams")
            .all(|(name, wanted)| parameter(query, name).is_some_and(|value| text_fits(wanted, value)))
        && !map(matcher, "withoutHeaders").any(|(name, unwanted)| {
            let lines = lines(request, name);
            let presence_only = unwanted.as_object().unwrap().is_empty();
            if lines.is_empty() {
                !presence_only && text_fits(unwanted, "")
            } else {
                lines.iter().any(|line| text_fits(unwanted, line))
            }
        })
}

fn pseudo_fits(wanted: &Value, value: &str) -> bool {
    wanted.is_null() || (!value.is_empty() && text_fits(wanted, value))
}

fn map<'v>(matcher: &'v Value, key: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    matcher[key].as_object().into_iter().flatten()
}

fn lower(wanted: &Value) -> Value {
    wanted
        .as_object()
        .map(|kinds| {
            kinds
                .iter()
                .map(|(kind, text)| (kind.clone(), Value::from(text.as_str().unwrap().to_ascii_lowercase())))
                .collect()
        })
        .unwrap_or_default()
}

/// An empty pseudo-header counts as absent.
fn lines(request: &Plain, name: &str) -> Vec<String> {
    let there = |value: &str| if value.is_empty() { vec![] } else { vec![value.to_owned()] };
    match name {
        ":method" => there(&request.method),
        ":path" => there(&request.path),
        ":authority" | "host" => there(&request.authority()),
        _ => {
            let lines = request.headers.iter().filter(|(key, _)| key == name);
            lines.map(|(_, value)| value.clone()).collect()
        }
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

thread_local! {
    /// Compiled once, because there are many requests.
    static REGEXES: RefCell<HashMap<String, regex_lite::Regex>> = RefCell::default();
}

/// A missing condition holds.
fn text_fits(wanted: &Value, value: &str) -> bool {
    let kind = |name| wanted[name].as_str();
    match (kind("exact"), kind("prefix"), kind("regex")) {
        (Some(exact), _, _) => value == exact,
        (_, Some(prefix), _) => value.starts_with(prefix),
        (_, _, Some(pattern)) => {
            let compile = || regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            REGEXES.with_borrow_mut(|known| known.entry(pattern.to_owned()).or_insert_with(compile).is_match(value))
        }
        (None, None, None) => true,
    }
}
