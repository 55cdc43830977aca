//! Shared parts of the lifecycle tests: a VM with the filter, and configurations.

use std::collections::BTreeMap;

use sdk_shims::test_host::{Header, Stream, Vm};
use serde_json::{Value, json};

/// The default names of all control headers.
pub(crate) const CONTROL_HEADERS: [&str; 7] = [
    "x-canary-version",
    "x-canary-cluster",
    "x-canary-host",
    "x-canary-explain",
    "x-canary-mirror",
    "x-canary-mirror-2",
    "x-canary-mirror-3",
];

/// `reviews`: v2 for jason, otherwise v1. `ratings`: one rule without a subset, for some paths.
pub(crate) const BOOKINFO: &str = r#"{
  "virtualServices": [
    {"metadata": {"name": "reviews", "namespace": "default"}, "spec": {"hosts": ["reviews"], "http": [
      {"match": [{"headers": {"end-user": {"exact": "jason"}}}],
       "route": [{"destination": {"host": "reviews", "subset": "v2"}}]},
      {"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]}},
    {"metadata": {"name": "ratings", "namespace": "default"}, "spec": {"hosts": ["ratings"], "http": [
      {"match": [{"uri": {"prefix": "/ratings/"}}], "route": [{"destination": {"host": "ratings"}}]}]}}],
  "destinationRules": [{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v2"}]}],
  "services": [{"host": "reviews", "ports": [9080]}, {"host": "ratings", "ports": [9080]}]}"#;

/// The cluster of a version of `reviews`.
pub(crate) fn reviews(subset: &str) -> String {
    format!("outbound|9080|{subset}|reviews.default.svc.cluster.local")
}

/// A VM that has loaded the filter.
pub(crate) fn start() -> Vm {
    Vm::start(canary_filter::register)
}

/// The headers of a GET as Envoy passes them, with more headers after the pseudo-headers.
pub(crate) fn get<'a>(
    authority: &'a (impl AsRef<[u8]> + ?Sized),
    path: &'a str,
    more: &[(&'a str, &'a [u8])],
) -> Vec<(&'a str, &'a [u8])> {
    let pseudo =
        [(":authority", authority.as_ref()), (":path", path.as_bytes()), (":method", b"GET"), (":scheme", b"http")];
    pseudo.into_iter().chain(more.iter().copied()).collect()
}

/// A configuration with one rule for `reviews`, which forwards to v1 by default, and more top-level fields.
pub(crate) fn document(mut rule: Value, more: Value) -> String {
    let fields = rule.as_object_mut().unwrap();
    let answers = ["route", "redirect", "directResponse"].iter().any(|action| fields.contains_key(*action));
    if !answers {
        fields.insert("route".to_owned(), json!([{"destination": {"host": "reviews", "subset": "v1"}}]));
    }
    let mut document = json!({
        "virtualServices": [{"metadata": {"name": "reviews", "namespace": "default"},
                             "spec": {"hosts": ["reviews"], "http": [rule]}}],
        "destinationRules": [{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v2"}, {"name": "v3"}]}],
        "services": [{"host": "reviews", "ports": [9080]}]});
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document.to_string()
}

/// The values of each changed header. `None` for a removed one.
pub(crate) fn changed(before: &[(&str, &[u8])], after: &[Header]) -> BTreeMap<String, Option<Vec<String>>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (mut old, mut new) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
    before.iter().for_each(|(name, value)| old.entry(name.to_lowercase()).or_default().push(text(value)));
    after.iter().for_each(|(name, value)| new.entry(text(name)).or_default().push(text(value)));
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.clone(), None)).collect::<Vec<_>>();
    let differ = new.into_iter().filter(|(name, lines)| old.get(name) != Some(lines));
    differ.map(|(name, lines)| (name, Some(lines))).chain(gone).collect()
}

/// An expected result of [`changed`]. ` & ` separates values, and `-` is a removed header.
pub(crate) fn changes(expected: &[(&str, &str)]) -> BTreeMap<String, Option<Vec<String>>> {
    let lines = |value: &str| (value != "-").then(|| value.split(" & ").map(str::to_owned).collect());
    expected.iter().map(|(name, value)| ((*name).to_owned(), lines(value))).collect()
}

/// The values of one response header.
pub(crate) fn response_values(stream: &Stream<'_>, name: &str) -> Vec<String> {
    let lines = stream.response().into_iter().filter(|(key, _)| key == name.as_bytes());
    lines.map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

/// A CORS preflight from `http://a.io`.
pub(crate) fn preflight() -> Vec<(&'static str, &'static [u8])> {
    let mut request = get("reviews", "/", &[("origin", b"http://a.io"), ("access-control-request-method", b"PUT")]);
    request.retain(|(name, _)| *name != ":method");
    request.push((":method", b"OPTIONS"));
    request
}
