//! The native part: the routes that follow the filter, in either mode.

use canary_config::{Config, ControlHeaders, FaultDelayer, Mode};
use serde_json::{Map, Value, json};

use super::{
    failover::Failover,
    names::{ANY_HOST, NATIVE_CLUSTER, ROUTES},
    version_routes,
    versions::Version,
};

/// The mark that a mirrored copy carries, and nothing else does.
pub(super) const SHADOW_HEADER: &str = "x-canary-shadow";
/// Version, reason and route of a request, for spans and upstreams.
pub(super) const FILTER_STATE: &str = "%FILTER_STATE(wasm.canary:PLAIN)%";
/// The request header that holds [`FILTER_STATE`].
pub(super) const DECISION_HEADER: &str = "x-canary-decision";
/// How the filter tells Envoy's fault filter what to do.
const FAULT_REQUESTS: [&str; 3] =
    ["x-envoy-fault-delay-request", "x-envoy-fault-abort-request", "x-envoy-fault-abort-grpc-request"];
/// What else that filter honours.
const FAULT_LIMITS: [&str; 5] = [
    "x-envoy-fault-delay-request-percentage",
    "x-envoy-fault-abort-request-percentage",
    "x-envoy-fault-abort-grpc-request-percentage",
    "x-envoy-fault-throughput-response",
    "x-envoy-fault-throughput-response-percentage",
];

/// What of a configuration is part of the bootstrap, so that a running Envoy cannot change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NativePart {
    pub(crate) mode: Mode,
    pub(crate) headers: ControlHeaders,
    pub(crate) faults: FaultDelayer,
}

impl NativePart {
    pub(crate) fn of(config: &Config) -> Self {
        Self { mode: config.mode, headers: config.headers.clone(), faults: config.faults.delay }
    }

    /// The first place where the documents of two native parts differ, as a JSON pointer.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let places = [
            ("/mode", self.mode != other.mode),
            ("/headers", self.headers != other.headers),
            ("/faults/delay", self.faults != other.faults),
        ];
        places.into_iter().find_map(|(place, differs)| differs.then_some(place))
    }

    /// The control header without which this mode steers nothing.
    pub(super) fn steering_header(&self) -> (&'static str, Option<&str>) {
        match self.mode {
            Mode::Cluster => ("/headers/cluster", self.headers.cluster()),
            Mode::Version => ("/headers/version", self.headers.version()),
        }
    }

    /// What no client may say, whoever it is: control headers, the decision, and where Envoy's fault filter is in the chain, those
    /// that it honours. Whose wish for a version or an explanation counts is for the filter to judge.
    pub(crate) fn reserved_headers(&self) -> impl Iterator<Item = &str> {
        let wishes = [self.headers.version(), self.headers.explain()];
        let faults = [self.of_fault_filter(&FAULT_REQUESTS), self.of_fault_filter(&FAULT_LIMITS)];
        let names = self.headers.names().filter(move |name| !wishes.contains(&Some(name)));
        names.chain([DECISION_HEADER]).chain(faults.into_iter().flatten().copied())
    }

    /// The names, if Envoy's fault filter is in the chain.
    fn of_fault_filter<'n>(&self, names: &'n [&'n str]) -> &'n [&'n str] {
        match self.faults {
            FaultDelayer::FaultFilter => names,
            FaultDelayer::Timer => &[],
        }
    }

    /// The route configuration for the versions of a document.
    pub(crate) fn routes(&self, config: &Config, versions: &[Version], failover: Failover) -> Value {
        let retries = failover.retry_policy(config);
        let virtual_hosts = match self.mode {
            Mode::Cluster => {
                let steered = self.headers.cluster().map(|cluster| self.steered(cluster, retries.as_ref()));
                let routes: Vec<Value> = steered.into_iter().flatten().chain([native()]).collect();
                vec![json!({"name": "all", "domains": [ANY_HOST], "routes": routes})]
            }
            Mode::Version => {
                let mut hosts = version_routes::hosts(config, versions);
                if hosts.iter().all(|host| !host.takes_all()) {
                    hosts.push(version_routes::Host::rest());
                }
                let header = self.headers.version().unwrap_or_default();
                hosts.into_iter().map(|host| host.into_virtual_host(header, retries.as_ref())).collect()
            }
        };
        json!({
            "name": ROUTES,
            // `--upstream SERVICE/SUBSET=none` leaves clusters out.
            "validate_clusters": false,
            // As Istio: a host is the same host on every port.
            "ignore_port_in_host_matching": true,
            // Before Envoy 1.37 a span's tags cannot be of filter state. Requests that match no VirtualService have none.
            "request_headers_to_add": [{
                "header": {"key": DECISION_HEADER, "value": FILTER_STATE},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }],
            "virtual_hosts": virtual_hosts,
        })
    }

    /// Cluster mode: the cluster, the authority and the mirrors that the headers name, timeouts and retries by Envoy's own
    /// headers. None of the control headers goes upstream, except the version's, and the mirrors' where there are any. The
    /// first route is for gRPC, whose clients' own deadline holds as in Istio; that of any other client would be no deadline.
    pub(crate) fn steered(&self, cluster: &str, retries: Option<&Value>) -> [Value; 2] {
        let mirrors: Vec<Value> = self.headers.mirrors().map(|header| self.mirror(header)).collect();
        let consumed = [Some(cluster), self.headers.explain(), Some(SHADOW_HEADER)].into_iter().flatten();
        let consumed: Vec<&str> = consumed.chain(self.of_fault_filter(&FAULT_REQUESTS).iter().copied()).collect();
        [("steered-grpc", true), ("steered", false)].map(|(name, is_grpc)| {
            let mut matched = Map::new();
            let mut route = Map::new();
            matched.insert("prefix".to_owned(), json!("/"));
            matched.insert("headers".to_owned(), json!([{"name": cluster, "present_match": true}]));
            route.insert("cluster_header".to_owned(), json!(cluster));
            // Envoy's default of 15 s would cut requests for which the rule sets no timeout.
            route.insert("timeout".to_owned(), json!("0s"));
            route.insert("request_mirror_policies".to_owned(), json!(mirrors));
            if is_grpc {
                matched.insert("grpc".to_owned(), json!({}));
                route.insert("max_stream_duration".to_owned(), json!({"grpc_timeout_header_max": "0s"}));
            }
            if let Some(host) = self.headers.host() {
                route.insert("host_rewrite_header".to_owned(), json!(host));
            }
            if let Some(retries) = retries {
                route.insert("retry_policy".to_owned(), retries.clone());
            }
            json!({"name": name, "match": matched, "route": route, "request_headers_to_remove": consumed})
        })
    }

    /// A copy goes to the cluster that `header` names, if it is there; it carries one mark and no control header.
    fn mirror(&self, header: &str) -> Value {
        let mark = json!({"append": {
            "header": {"key": SHADOW_HEADER, "value": "true"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }});
        let mutations: Vec<Value> =
            removals(self.headers.names().chain([DECISION_HEADER])).into_iter().chain([mark]).collect();
        json!({
            "cluster_header": header,
            // The copy keeps the authority, without Envoy's `-shadow`, as in Istio.
            "disable_shadow_host_suffix_append": true,
            "trace_sampled": false,
            "request_headers_mutations": mutations,
        })
    }
}

/// Mutations that remove headers.
pub(crate) fn removals<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<Value> {
    names.into_iter().map(|name| json!({"remove": name})).collect()
}

/// Stands in for the proxy's own routes: what the filter leaves untouched ends here.
fn native() -> Value {
    json!({"name": "native", "match": {"prefix": "/"}, "route": {"cluster": NATIVE_CLUSTER, "timeout": "0s"}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(document: Value) -> Value {
        let config = Config::read(&document).unwrap().0;
        NativePart::of(&config).routes(&config, &[], Failover::Composite)
    }

    #[test]
    fn the_route_of_cluster_mode_follows_the_headers() {
        let default = || json!({});
        let renamed =
            || json!({"headers": {"cluster": "x-c", "mirror": "x-m", "host": "x-h", "explain": "", "version": ""}});
        let fault_filter = || json!({"faults": {"delay": "faultFilter"}});
        let mutations = |names: &[&str]| {
            let mark = json!({"append": {"header": {"key": "x-canary-shadow", "value": "true"},
                                         "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}});
            json!(removals(names.iter().copied()).into_iter().chain([mark]).collect::<Vec<_>>())
        };
        let mirrors = |rest: &str| format!("route/request_mirror_policies/{rest}");
        for (name, document, pointer, expected) in [
            (
                "its match",
                default(),
                "match/headers".to_owned(),
                json!([{"name": "x-canary-cluster", "present_match": true}]),
            ),
            ("cluster", default(), "route/cluster_header".to_owned(), json!("x-canary-cluster")),
            ("no timeout", default(), "route/timeout".to_owned(), json!("0s")),
            ("its match of gRPC", default(), "match/grpc".to_owned(), json!({})),
            ("deadline", default(), "route/max_stream_duration".to_owned(), json!({"grpc_timeout_header_max": "0s"})),
            ("no retries", default(), "route/retry_policy".to_owned(), Value::Null),
            (
                "what repeats nothing, as often as an order is long",
                json!({"policies": [{"hosts": ["a"], "fallback": ["v2", "v1"]}, {"hosts": ["b"], "defaultSubset": "v1"}]}),
                "route/retry_policy".to_owned(),
                json!({"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 2}),
            ),
            ("host", default(), "route/host_rewrite_header".to_owned(), json!("x-canary-host")),
            ("no host", json!({"headers": {"host": ""}}), "route/host_rewrite_header".to_owned(), Value::Null),
            ("first mirror", default(), mirrors("0/cluster_header"), json!("x-canary-mirror")),
            ("third mirror", default(), mirrors("2/cluster_header"), json!("x-canary-mirror-3")),
            ("no fourth", default(), mirrors("3"), Value::Null),
            ("no mirrors", json!({"headers": {"mirror": ""}}), "route/request_mirror_policies".to_owned(), json!([])),
            ("the copy's authority", default(), mirrors("1/disable_shadow_host_suffix_append"), json!(true)),
            ("the copy's trace", default(), mirrors("1/trace_sampled"), json!(false)),
            (
                "the copy's headers",
                default(),
                mirrors("1/request_headers_mutations"),
                mutations(&[
                    "x-canary-version",
                    "x-canary-cluster",
                    "x-canary-host",
                    "x-canary-explain",
                    "x-canary-mirror",
                    "x-canary-mirror-2",
                    "x-canary-mirror-3",
                    "x-canary-decision",
                ]),
            ),
            (
                "the copy's headers, renamed",
                renamed(),
                mirrors("2/request_headers_mutations"),
                mutations(&["x-c", "x-h", "x-m", "x-m-2", "x-m-3", "x-canary-decision"]),
            ),
            ("renamed mirror", renamed(), mirrors("1/cluster_header"), json!("x-m-2")),
            (
                "removed from the request",
                default(),
                "request_headers_to_remove".to_owned(),
                json!(["x-canary-cluster", "x-canary-explain", "x-canary-shadow"]),
            ),
            (
                "removed with the fault filter",
                fault_filter(),
                "request_headers_to_remove/5".to_owned(),
                json!("x-envoy-fault-abort-grpc-request"),
            ),
        ] {
            let route = routes(document).pointer("/virtual_hosts/0/routes/0").cloned().unwrap();
            assert_eq!(route.pointer(&format!("/{pointer}")).cloned().unwrap_or_default(), expected, "{name}");
        }
    }

    #[test]
    fn only_a_grpc_clients_deadline_holds() {
        let routes = routes(json!({}));
        let pointer = "/virtual_hosts/0/routes/1";
        let other = routes.pointer(pointer).cloned().unwrap();
        for place in ["/match/grpc", "/route/max_stream_duration"] {
            assert_eq!(other.pointer(place), None, "{place}");
        }
        assert_eq!(other.pointer("/route/cluster_header"), Some(&json!("x-canary-cluster")));
    }

    #[test]
    fn a_bootstrap_serves_documents_of_one_native_part() {
        let native = |document: Value| NativePart::of(&Config::read(&document).unwrap().0);
        let rules = json!([{"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}}]}]}]);
        for (name, other, place) in [
            ("rules", json!({"virtualServices": rules}), None),
            ("a fallback order", json!({"policies": [{"hosts": ["a"], "fallback": ["v1"]}]}), None),
            ("limits of faults", json!({"faults": {"maxActive": 7}}), None),
            ("mode", json!({"mode": "version"}), Some("/mode")),
            ("a header", json!({"headers": {"host": "x-host"}}), Some("/headers")),
            ("the fault filter", json!({"faults": {"delay": "faultFilter"}}), Some("/faults/delay")),
        ] {
            assert_eq!(native(json!({})).difference(&native(other)), place, "{name}");
        }
    }
}
