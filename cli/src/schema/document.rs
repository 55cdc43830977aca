//! The document and its sections.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::objects::{AnyService, DestinationRuleEntry, VirtualServiceEntry};
use super::policy::Policy;
use super::values::{Duration, Gateways, HeaderName, Labels};

/// The configuration of canary-filter: one document, as JSON in Envoy's `configuration` and Istio's `pluginConfig`.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Configuration {
    /// Who carries out the rules.
    #[schemars(extend("default" = "cluster"))]
    pub mode: Option<Mode>,
    /// Hosts and their rules: whole VirtualServices, or bare specs.
    pub virtual_services: Option<Vec<VirtualServiceEntry>>,
    /// The versions of hosts: whole DestinationRules, or bare specs.
    pub destination_rules: Option<Vec<DestinationRuleEntry>>,
    /// The ports of hosts: a destination without a port takes its service's only port, else the port that the client asked for.
    pub services: Option<Vec<AnyService>>,
    /// How a destination becomes the name of an Envoy cluster.
    pub clusters: Option<Clusters>,
    /// Names of the headers by which the filter steers the proxy.
    pub headers: Option<ControlHeaders>,
    /// Who the filter runs in; rules are resolved against it when the document is loaded.
    pub proxy: Option<Proxy>,
    /// How faults are carried out.
    pub faults: Option<FaultSettings>,
    /// What the VirtualService API has no words for.
    pub policies: Option<Vec<Policy>>,
    /// Who may force a version or ask for an explanation; nobody by default.
    pub overrides: Option<Overrides>,
    /// Rules on trial: each section stands in place of the live one of that name. They are compared and never carried out.
    pub candidate: Option<Candidate>,
    /// What is counted.
    pub metrics: Option<Metrics>,
    /// Filter state, for access logs and traces.
    pub filter_state: Option<FilterState>,
}

/// Who carries out the rules.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub enum Mode {
    /// The filter carries out the rules and names the cluster.
    Cluster,
    /// The filter picks the version and nothing else; native routes that match the version header do the rest.
    Version,
}

/// How a destination becomes the name of an Envoy cluster.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Clusters {
    /// The name with `{port}`, `{subset}`, `{host}` (the full name) and `{service}` (its first label).
    #[schemars(
        regex(pattern = r"^(\{(port|subset|host|service)\}|[!-z|~}])+$"),
        extend("default" = "outbound|{port}|{subset}|{host}")
    )]
    pub template: Option<String>,
    /// Exact names, which win: `host/subset`, or the host alone, to the cluster.
    pub names: Option<BTreeMap<String, String>>,
    /// Whether the proxy has the failover clusters of the document's policies, `failover|` before the name of a version's own
    /// cluster. `canaryctl` sets it where it writes them.
    #[schemars(extend("default" = false))]
    pub failover: Option<bool>,
}

/// Names of the control headers; `""` turns one off.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ControlHeaders {
    /// Names the version that serves; the only one that goes upstream.
    #[schemars(extend("default" = "x-canary-version"))]
    pub version: Option<HeaderNameOrNone>,
    /// Names the cluster, for a route with `cluster_header`.
    #[schemars(extend("default" = "x-canary-cluster"))]
    pub cluster: Option<HeaderNameOrNone>,
    /// Names the cluster that gets a copy; further copies by the same name with `-2` and `-3`.
    #[schemars(extend("default" = "x-canary-mirror"))]
    pub mirror: Option<HeaderNameOrNone>,
    /// Carries a rewritten authority, for a route with `host_rewrite_header`; where it is off, the filter sets `:authority`.
    #[schemars(extend("default" = "x-canary-host"))]
    pub host: Option<HeaderNameOrNone>,
    /// Asks for an explanation of the decision.
    #[schemars(extend("default" = "x-canary-explain"))]
    pub explain: Option<HeaderNameOrNone>,
}

/// The name of a header, or `""` for none.
#[derive(Debug, JsonSchema)]
#[schemars(extend("patternErrorMessage" = "this cannot be the name of a header"))]
pub struct HeaderNameOrNone(#[schemars(regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]*$"))] pub String);

/// Who the filter runs in.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Proxy {
    /// The workload's namespace; by default that of Envoy's node metadata.
    pub namespace: Option<String>,
    /// The workload's labels; by default those of Envoy's node metadata.
    pub labels: Option<Labels>,
    /// `mesh` for a sidecar; a gateway says its name, `name` or `namespace/name`.
    #[schemars(extend("default" = ["mesh"]))]
    pub gateways: Option<Gateways>,
}

/// How faults are carried out.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultSettings {
    /// Who delays and aborts.
    #[schemars(extend("default" = "timer"))]
    pub delay: Option<FaultDelayer>,
    /// Most delays at a time in one worker; requests beyond pass undelayed.
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 100))]
    pub max_active: Option<u32>,
    /// Longer delays are cut to it.
    #[schemars(extend("default" = "30s"))]
    pub max_delay: Option<Duration>,
}

/// Who carries out faults.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub enum FaultDelayer {
    /// The filter itself: it pauses the request and answers aborts.
    Timer,
    /// Envoy's native fault filter, told by `x-envoy-fault-*` headers; it follows this filter in the chain, in header mode.
    FaultFilter,
}

/// Who may force a version or ask for an explanation.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Overrides {
    /// Alternatives.
    pub from: Option<Vec<TrustedSource>>,
    /// Whether a `cidr` also holds for addresses that Envoy took from `X-Forwarded-For`.
    #[schemars(extend("default" = false))]
    pub trust_forwarded_for: Option<bool>,
}

/// A client that is trusted: everything that is set has to hold.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TrustedSource {
    /// A block of addresses that the client's is in, such as `10.20.0.0/16`.
    pub cidr: Option<String>,
    /// The first URI of the client's certificate, whole or up to a final `*`.
    pub principal: Option<String>,
    /// The client knows a secret.
    pub secret: Option<Secret>,
}

/// A header whose value is a secret.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Secret {
    /// The header; it is removed from every request.
    pub header: HeaderName,
    /// The secret's SHA-256: `printf %s "$SECRET" | sha256sum`.
    #[schemars(regex(pattern = r"^[0-9A-Fa-f]{64}$"), extend("patternErrorMessage" = "sha256 is 64 hexadecimal digits"))]
    pub sha256: String,
}

/// Rules on trial.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct Candidate {
    /// The share of the requests that both documents decide, in per cent.
    #[schemars(range(min = 0.0, max = 100.0), extend("default" = 100))]
    pub percentage: Option<f64>,
    /// Hosts and their rules.
    pub virtual_services: Option<Vec<VirtualServiceEntry>>,
    /// The versions of hosts.
    pub destination_rules: Option<Vec<DestinationRuleEntry>>,
    /// The ports of hosts.
    pub services: Option<Vec<AnyService>>,
    /// How a destination becomes the name of an Envoy cluster.
    pub clusters: Option<Clusters>,
    /// How faults are carried out.
    pub faults: Option<FaultSettings>,
    /// What the VirtualService API has no words for.
    pub policies: Option<Vec<Policy>>,
}

/// What is counted.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Metrics {
    /// Whether requests, faults and mirrors are counted, and responses as `responses` says.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Whether the classes and durations of responses are counted: the larger part of what metrics cost.
    #[schemars(extend("default" = true))]
    pub responses: Option<bool>,
}

/// Filter state, for access logs and traces.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FilterState {
    /// Writes the filter state `wasm.canary`, such as `version=v2 reason=sticky route=jason`.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Also writes `wasm.canary_version`, `wasm.canary_reason` and `wasm.canary_route`, one value each. Needs `enabled`.
    #[schemars(extend("default" = false))]
    pub separate: Option<bool>,
}
