//! `canaryctl render virtualservice`: the native objects that carry out the rules where the filter only picks the version.

use std::collections::BTreeSet;

use canary_config::{Config, Headers, HttpRoute, HttpRouteDestination, Mode, VirtualService};
use serde_json::{Map, Value, json};

use super::{
    manifest::Manifest,
    plugin::RUN_ON,
    version_rules::{by_version, hidden},
};
use crate::{
    bootstrap::Remark,
    console,
    documents::{Document, Severity},
};

#[derive(Debug, clap::Args)]
pub(super) struct VirtualServiceArgs {
    /// Configuration document or manifests, YAML or JSON; `-` is standard input
    #[arg(long, value_name = "FILE")]
    config: String,
}

impl VirtualServiceArgs {
    /// Prints the objects to standard output, as YAML documents.
    pub(super) fn print(&self) -> Result<(), Vec<String>> {
        let document = Document::load(&self.config).map_err(|problem| vec![problem])?;
        let (config, _) = document.read()?;
        let told = |remarks: Vec<Remark>| -> Vec<String> {
            remarks.iter().map(|remark| document.line(Severity::Error, "render", &remark.at, &*remark.text)).collect()
        };
        let objects = objects(&document.value, &config).map_err(told)?;
        if objects.is_empty() {
            return Err(vec![format!("{}: there is no VirtualService in it", self.config)]);
        }
        if config.mode == Mode::Cluster {
            console::complain(format_args!(
                "{}: note: mode is cluster, in which the filter carries out the rules itself; these objects go with mode: version",
                self.config
            ));
        }
        told([reordered(&config), hidden(&config)].concat()).iter().for_each(console::complain);
        let header = config.headers.version().unwrap_or_default();
        let mut comments = comments(header);
        let manifest = |object| Manifest { comments: std::mem::take(&mut comments), object, list: None };
        Manifest::print_all(objects.into_iter().map(manifest))
    }
}

fn comments(header: &str) -> Vec<String> {
    vec![
        format!("The routes of mode version: each rule once for each of its versions, with a match of {header}, then as it is,"),
        "for requests without that header: those of before the plugin, and where its module cannot be had. So apply this before".to_owned(),
        "the plugin, and take it away after it. Until both are new the share of a version may be that of before; nothing fails.".to_owned(),
        RUN_ON.to_owned(),
    ]
}

/// The objects of a document that `config` was read from, or everything that keeps it from being expressed.
pub(super) fn objects(document: &Value, config: &Config) -> Result<Vec<Value>, Vec<Remark>> {
    let Some(header) = config.headers.version() else {
        let why = "the native routes match this header; it cannot be turned off";
        return Err(vec![Remark::new("/headers/version", why)]);
    };
    let mut refusals = Vec::new();
    let mut objects: Vec<Value> = Vec::new();
    for service in &config.virtual_services {
        let mut spec = document.pointer(&service.at).cloned().unwrap_or_default();
        if let Some(http) = spec.get_mut("http").filter(|http| http.is_array()) {
            let rules = service.http.iter().flat_map(|rule| {
                let written = document.pointer(&rule.at.to_string()).cloned().unwrap_or_default();
                match check(rule, service, config, header) {
                    Ok(()) => by_version(rule, service, config, written, header),
                    Err(found) => {
                        refusals.extend(found);
                        Vec::new()
                    }
                }
            });
            *http = rules.collect();
        }
        let metadata = metadata(document, service, &objects);
        objects.push(json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": metadata,
            "spec": spec,
        }));
    }
    if refusals.is_empty() { Ok(objects) } else { Err(refusals) }
}

/// What of an object's metadata somebody applies: the API server has written the rest.
fn to_apply(metadata: &Value) -> Value {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let mut kept = Map::new();
    for name in ["name", "namespace", "labels", "annotations"] {
        if let Some(value) = metadata.get(name) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(annotations) = kept.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            kept.remove("annotations");
        }
    }
    Value::Object(kept)
}

/// The object's own metadata; a bare spec gets a name after its first host.
fn metadata(document: &Value, service: &VirtualService, before: &[Value]) -> Value {
    let object = service.at.strip_suffix("/spec").unwrap_or_default();
    if let Some(metadata) = document.pointer(&format!("{object}/metadata")).filter(|_| !object.is_empty()) {
        return to_apply(metadata);
    }
    let host = service.hosts.first().map_or("", String::as_str);
    let label = host.trim_start_matches("*.").split('.').next().unwrap_or_default();
    let base = if label.is_empty() || label == "*" { "virtual-service" } else { label };
    let is_taken = |name: &str| before.iter().any(|object| object.pointer("/metadata/name") == Some(&json!(name)));
    let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
    let name = std::iter::once(base.to_owned()).chain(numbered).find(|name| !is_taken(name));
    json!({"name": name, "namespace": service.metadata.namespace})
}

/// Whether the version header alone tells the destinations of a rule apart.
fn check(rule: &HttpRoute, service: &VirtualService, config: &Config, header: &str) -> Result<(), Vec<Remark>> {
    let mut refusals = Vec::new();
    let mut refuse = |at: String, why: String| refusals.push(Remark::new(at, why));
    for (index, target) in rule.route.iter().enumerate() {
        let Some(subset) = &target.destination.subset else { continue };
        let same = rule.route.iter().take(index).find(|other| other.destination.subset.as_ref() == Some(subset));
        if same.is_some_and(|other| !goes_alike(target, other, service, config)) {
            let why = format!(
                "subset {subset} stands for another destination of this rule already: {header} names the subset alone and cannot tell them apart; give one of them another name"
            );
            refuse(format!("{}/route/{index}/destination", rule.at), why);
        }
    }
    let weighs = |has_subset: bool| {
        rule.route.iter().position(|target| target.weight > 0 && target.destination.subset.is_some() == has_subset)
    };
    if let (Some(whole), Some(_), true) = (weighs(false), weighs(true), rule.route.len() > 1) {
        let why = format!(
            "a destination without a subset beside others with one: the filter sends no {header} for it, and the native rule would pick once more; give it a subset"
        );
        refuse(format!("{}/route/{whole}/destination", rule.at), why);
    }
    let named = |(name, _): &(String, _)| name == header;
    for (index, entry) in rule.matches.iter().enumerate().filter(|_| rule.route.iter().any(has_subset)) {
        if entry.headers.iter().any(named) || entry.without_headers.iter().any(named) {
            let why = format!("{header} is the filter's own word to the native routes; a rule cannot match it itself");
            refuse(format!("{}/match/{index}", rule.at), why);
        }
    }
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

fn has_subset(target: &HttpRouteDestination) -> bool {
    target.destination.subset.is_some()
}

/// Where an order of header operations changes: a split's destinations change headers before their rule does, a destination
/// that stands alone after it.
fn reordered(config: &Config) -> Vec<Remark> {
    let rules = config.virtual_services.iter().flat_map(|service| &service.http).filter(|rule| rule.route.len() > 1);
    let remarks = rules.flat_map(|rule| {
        let of_rule = changed(rule.headers.as_deref());
        let own: BTreeSet<_> = rule.route.iter().flat_map(|target| changed(target.headers.as_deref())).collect();
        own.intersection(&of_rule)
            .map(|(side, name)| {
                let text = format!(
                    "note: the {side} header {name} is changed by the rule and by a destination: in the split the rule's operation comes last, here the destination's"
                );
                Remark::new(rule.at.to_string(), text)
            })
            .collect::<Vec<_>>()
    });
    remarks.collect()
}

/// The headers that operations change: (request or response, name).
fn changed(headers: Option<&Headers>) -> BTreeSet<(&'static str, &str)> {
    let sides =
        headers.into_iter().flat_map(|headers| [("request", &headers.request), ("response", &headers.response)]);
    let names = sides.flat_map(|(side, operations)| {
        let values = operations.set.iter().chain(&operations.add).map(|(name, _)| name);
        values.chain(&operations.remove).map(move |name| (side, name.as_str()))
    });
    names.collect()
}

/// Whether it makes no difference which of two destinations a request goes to.
fn goes_alike(
    left: &HttpRouteDestination,
    right: &HttpRouteDestination,
    service: &VirtualService,
    config: &Config,
) -> bool {
    let key = |target: &HttpRouteDestination| config.destination_key(&target.destination, &service.metadata.namespace);
    key(left) == key(right) && left.headers == right.headers
}

#[cfg(test)]
mod tests {
    use canary_routing::{AllHealthy, Decision, Draws, Fraction, Outcome, Request, RouteTable};

    use super::*;

    fn destination(host: &str, subset: Option<&str>, weight: u32) -> Value {
        json!({"destination": {"host": host, "subset": subset}, "weight": weight})
    }

    fn document(rule: Value) -> Value {
        json!({"mode": "version", "virtualServices": [{"metadata": {"name": "reviews"}, "spec": {"hosts": ["reviews"], "http": [rule]}}]})
    }

    #[test]
    fn what_the_version_header_cannot_say_is_refused() {
        let rule = "/virtualServices/0/spec/http/0";
        let route = |destinations: Value| document(json!({"route": destinations}));
        let matching = |entry: Value| {
            document(
                json!({"match": [{"uri": {"exact": "/"}}, entry], "route": [destination("reviews", Some("v1"), 1)]}),
            )
        };
        for (name, document, expected) in [
            (
                "one subset name on two hosts",
                route(json!([destination("reviews", Some("v1"), 1), destination("ratings", Some("v1"), 1)])),
                Some(format!("{rule}/route/1/destination: subset v1 stands for another destination")),
            ),
            (
                "one subset on two ports",
                route(json!([
                    {"destination": {"host": "reviews", "subset": "v1", "port": {"number": 80}}, "weight": 1},
                    {"destination": {"host": "reviews", "subset": "v1", "port": {"number": 81}}, "weight": 1},
                ])),
                Some(format!("{rule}/route/1/destination: subset v1 stands for")),
            ),
            (
                "one destination twice, with other headers",
                route(json!([
                    {"destination": {"host": "reviews", "subset": "v1"}, "weight": 1},
                    {"destination": {"host": "reviews", "subset": "v1"}, "weight": 1, "headers": {"request": {"set": {"a": "b"}}}},
                ])),
                Some(format!("{rule}/route/1/destination: subset v1 stands for")),
            ),
            (
                "one destination twice, by both of its names",
                route(json!([
                    destination("reviews", Some("v1"), 1),
                    destination("reviews.default.svc.cluster.local", Some("v1"), 2),
                ])),
                None,
            ),
            (
                "a share for no subset",
                route(json!([destination("reviews", None, 1), destination("reviews", Some("v2"), 1)])),
                Some(format!("{rule}/route/0/destination: a destination without a subset beside others")),
            ),
            (
                "no share for no subset",
                route(json!([destination("reviews", None, 0), destination("reviews", Some("v2"), 1)])),
                None,
            ),
            ("all without subsets", route(json!([destination("a", None, 1), destination("b", None, 1)])), None),
            (
                "a match of the version header",
                matching(json!({"headers": {"X-Canary-Version": {"exact": "v1"}}})),
                Some(format!("{rule}/match/1: x-canary-version is the filter's own word")),
            ),
            (
                "a match of its absence",
                matching(json!({"withoutHeaders": {"x-canary-version": {}}})),
                Some(format!("{rule}/match/1: x-canary-version is")),
            ),
            ("another header", matching(json!({"headers": {"x-version": {"exact": "v1"}}})), None),
            (
                "no version header",
                json!({"headers": {"version": ""}}),
                Some("/headers/version: the native routes match".to_owned()),
            ),
        ] {
            let config = Config::read(&document).unwrap().0;
            match (objects(&document, &config), expected) {
                (Ok(_), None) => {}
                (Err(remarks), Some(expected)) => {
                    let told: Vec<_> = remarks.iter().map(|remark| format!("{}: {}", remark.at, remark.text)).collect();
                    assert_eq!(told.len(), 1, "{name}: {told:?}");
                    assert!(told.iter().all(|line| line.starts_with(&expected)), "{name}: {told:?}");
                }
                (found, expected) => panic!("{name}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn an_order_of_operations_that_changes_is_told() {
        let operations = |side: &str, name: &str| json!({side: {"set": {name: "1"}}});
        let rule = |of_rule: Value, own: Value, weights: &[u32]| {
            let route = weights.iter().enumerate().map(|(index, weight)| {
                json!({"destination": {"host": "reviews", "subset": format!("v{index}")}, "weight": weight, "headers": own})
            });
            document(json!({"headers": of_rule, "route": route.collect::<Vec<_>>()}))
        };
        for (name, document, told) in [
            ("both", rule(operations("request", "x-a"), operations("request", "X-A"), &[1, 1]), 1),
            ("two sides", rule(operations("request", "x-a"), operations("response", "x-a"), &[1, 1]), 0),
            ("two names", rule(operations("request", "x-a"), operations("request", "x-b"), &[1, 1]), 0),
            ("no split", rule(operations("request", "x-a"), operations("request", "x-a"), &[1]), 0),
        ] {
            assert_eq!(reordered(&Config::read(&document).unwrap().0).len(), told, "{name}");
        }
    }

    /// By the name of a version's rule the failover of its route is found, so no other rule may have it.
    #[test]
    fn rules_of_versions_have_names_of_their_own() {
        for (row, names, expected) in [
            ("one name each", &["a", "b"][..], &["a@v2", "b@v2"][..]),
            ("no names", &["", ""], &["rule#0@v2", "rule#1@v2"]),
            ("one name twice", &["b", "b", "c"], &["b#0@v2", "b#1@v2", "c@v2"]),
            ("a name like a number", &["b", "b", "b-0"], &["b#0@v2", "b#1@v2", "b-0@v2"]),
            ("a name like a numbered one", &["b", "b", "b#1"], &["b#0@v2", "b#1@v2", "b#1#2@v2"]),
            ("a name like a version's", &["a", "a@v2"], &["a#0@v2", "a@v2@v2"]),
            ("names like all of these", &["b", "b", "b#0@v2"], &["b##0@v2", "b#1@v2", "b#0@v2#2@v2"]),
        ] {
            let http: Vec<_> = names
                .iter()
                .map(|name| json!({"name": name, "route": [destination("reviews", Some("v2"), 1)]}))
                .collect();
            let document = json!({
                "mode": "version",
                "virtualServices": [{"metadata": {"name": "reviews"}, "spec": {"hosts": ["reviews"], "http": http}}],
                "policies": [{"hosts": ["reviews"], "defaultSubset": "v1"}],
            });
            let found = objects(&document, &Config::read(&document).unwrap().0).unwrap();
            let rules = found[0]["spec"]["http"].as_array().unwrap();
            let named = rules.iter().filter_map(|rule| rule["name"].as_str());
            let found: Vec<_> = named.filter(|name| name.ends_with("@v2") && !names.contains(name)).collect();
            assert_eq!(found, expected, "{row}");
        }
    }

    /// The versions that have a native rule of their own, and their hosts, besides the rule itself.
    #[test]
    fn what_the_filter_can_pick_has_a_native_rule() {
        let subsets =
            |host: &str| json!({"spec": {"host": host, "subsets": [{"name": "v1"}, {"name": "v2"}, {"name": "v3"}]}});
        let policy = |host: &str, more: Value| {
            let mut policy = json!({"hosts": [host], "defaultSubset": "v1"});
            policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"policies": [policy]})
        };
        let trusted = || json!({"overrides": {"from": [{"cidr": "10.0.0.0/8"}]}});
        let two = || json!([destination("reviews", Some("v2"), 1), destination("ratings", Some("v1"), 1)]);
        for (name, route, more, expected, notes) in [
            ("no policy", json!([destination("reviews", Some("v2"), 1)]), json!({}), vec!["reviews v2"], 0),
            (
                "every subset, for a policy without a list",
                json!([destination("reviews", Some("v2"), 1)]),
                policy("reviews", json!({})),
                vec!["reviews v2", "reviews v1", "reviews v3"],
                0,
            ),
            (
                "a version header's list, the fallback order, the default",
                json!([destination("reviews", Some("v2"), 1)]),
                policy(
                    "reviews",
                    json!({"versionHeader": {"name": "v", "versions": ["v3"]}, "fallback": ["v2", "v1"]}),
                ),
                vec!["reviews v2", "reviews v3", "reviews v1"],
                0,
            ),
            (
                "a rule without subsets",
                json!([destination("reviews", None, 1)]),
                policy("reviews", json!({})),
                vec!["reviews v1", "reviews v2", "reviews v3"],
                0,
            ),
            (
                "a policy of another host",
                json!([destination("reviews", Some("v2"), 1)]),
                policy("ratings", json!({})),
                vec!["reviews v2"],
                0,
            ),
            (
                "a version that is another host's here",
                two(),
                policy(
                    "reviews",
                    json!({"fallback": ["v2", "v1"], "versionHeader": {"name": "v", "versions": ["v2"]}}),
                ),
                vec!["reviews v2", "ratings v1"],
                1,
            ),
            (
                "no policy, but clients that may force every subset",
                json!([destination("reviews", Some("v2"), 1)]),
                trusted(),
                vec!["reviews v2", "reviews v1", "reviews v3"],
                0,
            ),
            (
                "of two hosts, one whose version an override picks, and the other's has the name: reviews v1",
                two(),
                trusted(),
                vec!["reviews v2", "ratings v1", "reviews v3"],
                1,
            ),
        ] {
            let mut document = document(json!({"route": route}));
            let fields = document.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            fields.insert("destinationRules".to_owned(), json!([subsets("reviews"), subsets("ratings")]));
            let config = Config::read(&document).unwrap().0;
            let objects = objects(&document, &config).unwrap();
            let rules = objects[0].pointer("/spec/http").and_then(Value::as_array).unwrap();
            let (last, of_versions) = rules.split_last().unwrap();
            assert_eq!(last, document.pointer("/virtualServices/0/spec/http/0").unwrap(), "{name}");
            let found: Vec<String> = of_versions
                .iter()
                .map(|rule| {
                    let destination = rule.pointer("/route/0/destination").unwrap();
                    assert_eq!(
                        rule.pointer("/match/0/headers/x-canary-version/exact"),
                        destination.get("subset"),
                        "{name}"
                    );
                    let text = |field: &str| destination[field].as_str().unwrap();
                    format!("{} {}", text("host"), text("subset"))
                })
                .collect();
            assert_eq!(found, expected, "{name}");
            assert_eq!(hidden(&config).len(), notes, "{name}");
        }
    }

    /// What version mode sends natively is what cluster mode sends, whichever way chance goes.
    #[test]
    fn the_native_rules_do_what_the_rule_does() {
        let all = json!({
            "hosts": ["reviews"],
            "http": [
                {"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}}, {"uri": {"prefix": "/jason"}}],
                 "rewrite": {"uri": "/new"}, "timeout": "1s", "retries": {"attempts": 2},
                 "fault": {"abort": {"httpStatus": 500, "percentage": {"value": 50}}},
                 "headers": {"response": {"add": {"x-rule": "jason"}}},
                 "mirror": {"host": "audit", "subset": "v1"},
                 "route": [destination("reviews", Some("v1"), 3), destination("reviews", Some("v2"), 1)]},
                {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/new"}},
                {"match": [{"uri": {"prefix": "/whole"}}], "route": [destination("reviews", None, 0)]},
                {"route": [destination("reviews", Some("v3"), 1), destination("reviews", Some("v1"), 0)]},
            ],
        });
        let rules = |document: &Value| Config::read(document).unwrap().0;
        let cluster_mode = rules(&json!({"virtualServices": [all]}));
        let version_mode = rules(&json!({"virtualServices": [all], "mode": "version"}));
        let rendered = objects(&json!({"virtualServices": [all]}), &cluster_mode).unwrap();
        // Native routes read the header that the filter keeps from its own rules.
        let native = rules(&json!({"virtualServices": rendered, "headers": {"version": ""}}));
        let [cluster_mode, version_mode, native] =
            [cluster_mode, version_mode, native].map(|config| RouteTable::compile(&config));
        let draw = |number: &str| Fraction::parse(number).unwrap();
        for (name, path, user) in [
            ("header", "/", "jason"),
            ("path", "/jason?x=1", "-"),
            ("redirect", "/old", "-"),
            ("no subset", "/whole", "-"),
            ("catch-all", "/", "-"),
        ] {
            for (split, abort) in [("0", "0"), ("0.74", "0.5"), ("0.75", "0.49"), ("0.9", "0.9")] {
                let request = Request::get(&format!("http://reviews:9080{path}")).with_header("end-user", user);
                let draws = Draws { split: draw(split), abort: draw(abort), ..Draws::default() };
                let wanted = request.decide(&cluster_mode, &draws, &AllHealthy);
                let sent = match request.decide(&version_mode, &draws, &AllHealthy).outcome {
                    Outcome::Forward(forward) => match forward.destination.subset.as_deref() {
                        Some(subset) => request.clone().with_header("x-canary-version", subset),
                        None => request.clone(),
                    },
                    _ => request.clone(),
                };
                // The native draws are its own: here those of another request.
                let found = sent.decide(&native, &Draws { split: draw("0.99"), ..draws }, &AllHealthy);
                let say = |decision: &Decision<'_>| match &decision.outcome {
                    Outcome::Forward(forward) => {
                        let changes = forward.response_headers.iter();
                        let changes = changes.map(|change| (change.name.as_str(), change.operation, &change.value));
                        format!(
                            "{} {:?} {:?} {:?} {:?} {:?}",
                            forward.cluster,
                            forward.path,
                            forward.timeout(),
                            forward.retries(),
                            changes.collect::<Vec<_>>(),
                            forward.mirrors
                        )
                    }
                    other => format!("{other:?}"),
                };
                assert_eq!(say(&found), say(&wanted), "{name}, split {split}, abort {abort}");
                assert_eq!(found.abort, wanted.abort, "{name}, split {split}, abort {abort}");
            }
        }
    }
}
