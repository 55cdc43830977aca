//! The rules of a document tried one by one, written anew from Istio's description of them: it shares no code with the crate.

use serde_json::{Map, Value};

/// A request, as plain as can be.
#[derive(Debug, Clone)]
pub struct Plain {
    pub method: String,
    pub scheme: String,
    pub host: String,
    pub port: u16,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl Plain {
    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// An entry of a rule's `match`, or a rule without one, with the name of the rule.
#[derive(Debug, Clone)]
pub struct Entry {
    pub rule: String,
    pub matcher: Value,
}

/// The entries that a host's requests on a port are tried against, in order; `None` where nothing takes them.
pub fn entries(document: &Value, host: &str, port: u16) -> Option<Vec<Entry>> {
    let mut services: Vec<&Value> = list(document, "virtualServices").collect();
    services.sort_by_key(|service| service["metadata"]["name"].as_str().unwrap().to_owned());
    let taking: Vec<Vec<Entry>> = services
        .into_iter()
        .filter(|service| list(&service["spec"], "hosts").any(|name| name == host))
        .map(|service| list(&service["spec"], "http").flat_map(entries_of).collect())
        .collect();
    let counts_on = |entries: &Vec<Entry>| entries.iter().any(|entry| port_fits(entry, port));
    if document["proxy"]["gateways"] == serde_json::json!(["mesh"]) {
        return taking.into_iter().find(counts_on);
    }
    let merged: Vec<Entry> = taking.into_iter().flatten().collect();
    let (last, first): (Vec<Entry>, Vec<Entry>) = merged.into_iter().partition(|entry| takes_everything(&entry.matcher));
    Some([first, last].concat()).filter(counts_on)
}

fn entries_of(rule: &Value) -> Vec<Entry> {
    let name = rule["name"].as_str().unwrap().to_owned();
    let all: Vec<Entry> = list(rule, "match").map(|entry| Entry { rule: name.clone(), matcher: entry.clone() }).collect();
    if all.is_empty() { vec![Entry { rule: name, matcher: Value::Object(Map::new()) }] } else { all }
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// Catch-all entries go to the end at a gateway: those on any path, without any condition but a port.
fn takes_everything(matcher: &Value) -> bool {
    let conditions: Vec<&String> = matcher.as_object().unwrap().keys().collect();
    let beside = conditions.iter().all(|key| ["uri", "port", "ignoreUriCase"].contains(&key.as_str()));
    let uri = &matcher["uri"];
    beside && (uri.is_null() || uri["prefix"] == "/" || uri["regex"] == ".*")
}

pub fn port_fits(entry: &Entry, port: u16) -> bool {
    entry.matcher["port"].is_null() || entry.matcher["port"] == port
}

/// Whether a request satisfies an entry, its port included.
pub fn satisfies(entry: &Entry, request: &Plain) -> bool {
    let matcher = &entry.matcher;
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let fold = matcher["ignoreUriCase"] == true && matcher["uri"]["regex"].is_null();
    let uri = if fold { text_fits(&lower(&matcher["uri"]), &path.to_ascii_lowercase()) } else { text_fits(&matcher["uri"], path) };
    port_fits(entry, request.port)
        && uri
        && text_fits(&matcher["method"], &request.method)
        && text_fits(&matcher["scheme"], &request.scheme)
        && text_fits(&matcher["authority"], &request.authority())
        && map(matcher, "headers").all(|(name, wanted)| lines(request, name).iter().any(|line| text_fits(wanted, line)))
        && map(matcher, "queryParams").all(|(name, wanted)| parameter(query, name).is_some_and(|value| text_fits(wanted, value)))
        && !map(matcher, "withoutHeaders").any(|(name, unwanted)| {
            let lines = lines(request, name);
            let presence_only = unwanted.as_object().unwrap().is_empty();
            if lines.is_empty() { !presence_only && text_fits(unwanted, "") } else { lines.iter().any(|line| text_fits(unwanted, line)) }
        })
}

fn map<'v>(matcher: &'v Value, key: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    matcher[key].as_object().into_iter().flatten()
}

fn lower(wanted: &Value) -> Value {
    wanted.as_object().map(|kinds| kinds.iter().map(|(kind, text)| (kind.clone(), text.as_str().unwrap().to_ascii_lowercase().into())).collect()).unwrap_or_default()
}

fn lines(request: &Plain, name: &str) -> Vec<String> {
    match name {
        ":method" => vec![request.method.clone()],
        ":path" => vec![request.path.clone()],
        ":authority" | "host" => vec![request.authority()],
        _ => request.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.trim_matches([' ', '\t']).to_owned()).collect(),
    }
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// A condition that is not there holds.
fn text_fits(wanted: &Value, value: &str) -> bool {
    let kind = |name| wanted[name].as_str();
    match (kind("exact"), kind("prefix"), kind("regex")) {
        (Some(exact), _, _) => value == exact,
        (_, Some(prefix), _) => value.starts_with(prefix),
        (_, _, Some(pattern)) => {
            let pattern = regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap();
            pattern.is_match(value)
        }
        (None, None, None) => true,
    }
}
