//! The document and its sections.

use super::object::{Object, object};

#[cfg(feature = "reference")]
use super::{
    kubernetes::{ANY_SERVICE, DESTINATION_RULE_ENTRY, VIRTUAL_SERVICE_ENTRY},
    object::reference::{Kind, Reference, Source, field},
    policy::POLICY,
    scalars::{DURATION, FAULT_DELAYER, GATEWAYS, HEADER_NAME, HEADER_NAME_OR_NONE, LABELS, MODE},
};
#[cfg(feature = "reference")]
use Kind::{Boolean, Entry, Integer, List, Map, Named, Nested, Number, Pattern, Text};
#[cfg(feature = "reference")]
use Source::Own;

object!(CONFIGURATION, "Configuration", Own, "The configuration of canary-filter: one document, as JSON in Envoy's `configuration` and Istio's `pluginConfig`.", [
    "mode" => field(Named(&MODE), "Who carries out the rules.").default(r#""cluster""#).see("../concepts.md#who-does-what");
    "virtualServices" => field(List(&Entry(&VIRTUAL_SERVICE_ENTRY)), "Hosts and their rules: whole VirtualServices, or bare specs. An object without a namespace is in `default`.");
    "destinationRules" => field(List(&Entry(&DESTINATION_RULE_ENTRY)), "The versions of hosts: whole DestinationRules, or bare specs.");
    "services" => field(List(&Entry(&ANY_SERVICE)), "The ports of hosts. A destination without a port takes its service's only port, else the port that the client asked for (the authority's, else 80).");
    "clusters" => field(Nested(&CLUSTERS), "How a destination becomes the name of an Envoy cluster.");
    "headers" => field(Nested(&CONTROL_HEADERS), "Names of the headers by which the filter steers the proxy.").see("../concepts.md#how-it-steers-the-proxy");
    "proxy" => field(Nested(&PROXY), "The proxy that runs the filter. Rules are resolved against it when the configuration is loaded.");
    "faults" => field(Nested(&FAULT_SETTINGS), "How faults are carried out.");
    "policies" => field(List(&Nested(&POLICY)), "What the VirtualService API cannot say.");
    "overrides" => field(Nested(&OVERRIDES), "The clients that may force a version or ask for an explanation. By default no client can.").see("../tasks/force-a-version.md");
    "candidate" => field(Nested(&CANDIDATE), "Rules on trial: each section replaces the live section of that name; what is left out stays as it is. Decisions are compared and never carried out.").see("../tasks/rules-on-trial.md");
    "metrics" => field(Nested(&METRICS), "What is counted.").see("metrics.md#metrics");
    "filterState" => field(Nested(&FILTER_STATE), "Filter state, for access logs and traces.").see("metrics.md#access-logs-and-traces");
]);

object!(CLUSTERS, "Clusters", Own, "How a destination becomes the name of an Envoy cluster.", [
    "template" => field(Pattern(r"^(\{(port|subset|host|service)\}|[!-z|~}])+$", ""), "The name, with `{port}`, `{subset}`, `{host}` (the full name) and `{service}` (its first label).").default(r#""outbound|{port}|{subset}|{host}""#);
    "names" => field(Map(&Text), "Exact names, which win over the template. The key is `host/subset`, or the host alone; the value is the cluster.");
    "failover" => field(Boolean, "Whether the proxy has the failover clusters of the policies: `failover|` and the name of a version's own cluster. `canaryctl` and the Helm chart set it where they write these clusters.").default("false").see("failures.md#when-a-version-cannot-serve");
]);

object!(CONTROL_HEADERS, "ControlHeaders", Own, "Names of the control headers. `\"\"` turns a header off.", [
    "version" => field(Named(&HEADER_NAME_OR_NONE), "Names the version that serves. It is the only control header that goes upstream.").default(r#""x-canary-version""#);
    "cluster" => field(Named(&HEADER_NAME_OR_NONE), "Names the cluster, for a route with `cluster_header`.").default(r#""x-canary-cluster""#);
    "mirror" => field(Named(&HEADER_NAME_OR_NONE), "Names the cluster that gets a copy. Further copies use the same name with `-2` and `-3`.").default(r#""x-canary-mirror""#);
    "host" => field(Named(&HEADER_NAME_OR_NONE), "Carries a rewritten authority, for a route with `host_rewrite_header`. Where it is off, the filter sets `:authority`.").default(r#""x-canary-host""#);
    "explain" => field(Named(&HEADER_NAME_OR_NONE), "Asks for an explanation of the decision.").default(r#""x-canary-explain""#).see("../tasks/force-a-version.md");
]);

object!(PROXY, "Proxy", Own, "The proxy that runs the filter.", [
    "namespace" => field(Text, "The workload's namespace. By default `NAMESPACE` of Envoy's node metadata.");
    "labels" => field(Named(&LABELS), "The workload's labels. By default `LABELS` of Envoy's node metadata.");
    "gateways" => field(Named(&GATEWAYS), "`mesh` for a sidecar; for a gateway its name, `name` or `namespace/name`.").default(r#"["mesh"]"#);
]);

object!(FAULT_SETTINGS, "FaultSettings", Own, "How faults are carried out.", [
    "delay" => field(Named(&FAULT_DELAYER), "What delays and aborts requests.").default(r#""timer""#);
    "maxActive" => field(Integer(0, 1_000_000), "Delays at a time in one worker, at most. Further requests are not delayed; `canary_delays_skipped_total` counts them.").default("100");
    "maxDelay" => field(Named(&DURATION), "Longer delays are cut to it.").default(r#""30s""#);
]);

object!(OVERRIDES, "Overrides", Own, "The clients that may force a version or ask for an explanation.", [
    "from" => field(List(&Nested(&TRUSTED_SOURCE)), "A client is trusted if it satisfies one entry.").see("../tasks/force-a-version.md");
    "trustForwardedFor" => field(Boolean, "Whether a `cidr` also matches addresses that Envoy took from `X-Forwarded-For`.").default("false");
]);

object!(TRUSTED_SOURCE, "TrustedSource", Own, "A trusted client: it satisfies every condition of the entry.", [
    "cidr" => field(Text, "A block of addresses that contains the client's address, such as `10.20.0.0/16`.");
    "principal" => field(Text, "The first URI of the client's certificate, whole or up to a final `*`.");
    "secret" => field(Nested(&SECRET), "The client sends a secret.");
]);

object!(SECRET, "Secret", Own, "A header whose value is a secret.", [
    "header" => field(Named(&HEADER_NAME), "The header. The filter removes it from every request.").required();
    "sha256" => field(Pattern(r"^[0-9A-Fa-f]{64}$", "sha256 is 64 hexadecimal digits"), "The secret's SHA-256: `printf %s \"$SECRET\" | sha256sum`.").required();
]);

object!(CANDIDATE, "Candidate", Own, "Rules on trial.", [
    "percentage" => field(Number(0.0, 100.0), "The share of requests that both configurations decide, by the same draws, in per cent.").default("100");
    "virtualServices" => field(List(&Entry(&VIRTUAL_SERVICE_ENTRY)), "Hosts and their rules.");
    "destinationRules" => field(List(&Entry(&DESTINATION_RULE_ENTRY)), "The versions of hosts.");
    "services" => field(List(&Entry(&ANY_SERVICE)), "The ports of hosts.");
    "clusters" => field(Nested(&CLUSTERS), "How a destination becomes the name of an Envoy cluster.");
    "faults" => field(Nested(&FAULT_SETTINGS), "How faults are carried out.");
    "policies" => field(List(&Nested(&POLICY)), "What the VirtualService API cannot say.");
]);

object!(METRICS, "Metrics", Own, "What is counted.", [
    "enabled" => field(Boolean, "Whether requests, faults and mirrors are counted, and responses as `responses` says.").default("true");
    "responses" => field(Boolean, "Whether the classes and durations of responses are counted. They are the larger part of what metrics cost.").default("true");
]);

object!(FILTER_STATE, "FilterState", Own, "Filter state, for access logs and traces.", [
    "enabled" => field(Boolean, "Whether the filter state `wasm.canary` is written: version, reason and route, such as `version=v2 reason=sticky route=jason`.").default("true");
    "separate" => field(Boolean, "Whether `wasm.canary_version`, `wasm.canary_reason` and `wasm.canary_route` are written, too, one value each. It needs `enabled`.").default("false");
]);
