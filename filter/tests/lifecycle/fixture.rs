//! What the lifecycle tests share: a VM with the filter, and a document.

use sdk_shims::test_host::Vm;

/// Every control header's default name.
pub(crate) const CONTROL_HEADERS: [&str; 7] = [
    "x-canary-version",
    "x-canary-cluster",
    "x-canary-host",
    "x-canary-explain",
    "x-canary-mirror",
    "x-canary-mirror-2",
    "x-canary-mirror-3",
];

/// `reviews`: jason to v2, else v1. `ratings`: one rule, without a subset, that takes not every path.
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

/// The lines of a GET as Envoy shows them, with more header lines after the pseudo-headers.
pub(crate) fn get<'a>(
    authority: &'a (impl AsRef<[u8]> + ?Sized),
    path: &'a str,
    more: &[(&'a str, &'a [u8])],
) -> Vec<(&'a str, &'a [u8])> {
    let pseudo =
        [(":authority", authority.as_ref()), (":path", path.as_bytes()), (":method", b"GET"), (":scheme", b"http")];
    pseudo.into_iter().chain(more.iter().copied()).collect()
}
