//! `canaryctl render envoyfilter`: mode cluster in Istio's proxies, which takes what no other object of Istio can bring.

use std::collections::BTreeSet;

use canary_config::{Config, FaultDelayer, Mode};
use serde_json::{Value, json};

use super::{
    advice,
    failover::{self, Tries},
    manifest::Manifest,
    patches::{
        PRIORITY, Patch, ROUTER, at_ports, context, envoy_filter, http_filter, virtual_hosts, without_clients_copies,
    },
    plugin::{FailStrategy, PLUGIN, Plugin, PluginArgs, PullPolicy, RUN_ON, Workload},
};
use crate::bootstrap::{
    NativePart,
    filter::{self, Module},
    listener,
};

/// Istio's filter for the faults of its VirtualServices. Filters before it are asked first.
const FAULT: &str = "envoy.filters.http.fault";
/// What tells the tries of a rule's own `retries` from those of Istio's default.
const OWN_RETRIES: &str = "x-envoy-max-retries";

/// Prints the object to standard output.
pub(super) fn print(args: PluginArgs) -> Result<(), Vec<String>> {
    let plugin = args.plugin(Mode::Cluster)?;
    if plugin.pull_secret.is_some() {
        let why =
            "--pull-secret: an EnvoyFilter cannot name one; let the registry be read without, or use mode: version";
        return Err(vec![format!("error: {why}")]);
    }
    if plugin.pull_policy == PullPolicy::Always {
        let why = "--pull-policy: an EnvoyFilter has none; name another tag or digest, and the agents pull that";
        return Err(vec![format!("error: {why}")]);
    }
    let native = NativePart::of(&plugin.config);
    let Some(cluster) = native.headers.cluster() else {
        return Err(plugin.refuse("/headers/cluster", "the route follows this header; it cannot be turned off"));
    };
    let mut patches = filters(&plugin, &native);
    patches.extend(routes(&plugin, &native, cluster));
    let priority = plugin.priority.unwrap_or(PRIORITY);
    let own = envoy_filter(&plugin, comments(&plugin), metadata(&plugin), priority, patches);
    let consumed = rewritten_host(&plugin, &native);
    Manifest::print_all(failover::clusters(&plugin, consumed).into_iter().chain([own]))
}

fn metadata(plugin: &Plugin) -> Value {
    let mut metadata = plugin.metadata();
    let hosts: BTreeSet<String> = plugin.config.destinations().into_iter().map(|key| key.host).collect();
    if plugin.workload == Workload::Gateway
        && let Some(fields) = metadata.as_object_mut()
    {
        let hosts = hosts.into_iter().collect::<Vec<_>>().join(",");
        fields.insert("annotations".to_owned(), json!({"envoyfilter.istio.io/referenced-services": hosts}));
    }
    metadata
}

/// The filters, in the order of the chain.
fn filters(plugin: &Plugin, native: &NativePart) -> Vec<Patch> {
    let document = format!("{:#}", plugin.document);
    let mut patches = vec![
        (
            "The filter. Its rules are in `configuration`: a change of them reaches the proxies by ECDS, without a\nconnection closed.".to_owned(),
            extension(plugin, &plugin.name, PLUGIN, &document),
        ),
        (
            before_faults(plugin),
            insert_before(plugin, FAULT, &discovered(plugin, &plugin.name)),
        ),
    ];
    if native.faults == FaultDelayer::FaultFilter {
        patches.push((
            "Istio's fault filter carries out what the filter tells it by headers.".to_owned(),
            http_filter(plugin, FAULT, "MERGE", &listener::fault_filter()),
        ));
    }
    if rewritten_host(plugin, native).is_some() {
        patches.push((
            "The route has read this header by then; it is not for upstreams. No other EnvoyFilter may add upstream filters to the\nrouter of these proxies: Istio appends one list to the other, and Envoy refuses the listener, since it takes\nupstream_codec at the end only. Without a rewrite of the authority in the rules this patch is not needed, nor printed.".to_owned(),
            http_filter(plugin, ROUTER, "MERGE", &listener::router(&native.headers)),
        ));
    }
    patches.push(without_clients_copies(plugin, native.reserved_headers()));
    patches.into_iter().flat_map(|patch| at_ports(plugin, patch)).collect()
}

/// The header that carries a rewritten authority, where a rule has one.
fn rewritten_host<'n>(plugin: &Plugin, native: &'n NativePart) -> Option<&'n str> {
    native.headers.host().filter(|_| rewrites_authority(&plugin.config))
}

/// Whether a rule or a destination changes the authority, for which the filter sets the host header.
fn rewrites_authority(config: &Config) -> bool {
    config.virtual_services.iter().flat_map(|service| &service.http).any(|rule| {
        let own = rule.route.iter().map(|target| target.headers.as_deref());
        let mut changes = own.chain([rule.headers.as_deref()]).flatten();
        rule.rewrite.as_ref().is_some_and(|rewrite| rewrite.authority.is_some())
            || changes.any(|headers| headers.authority.is_some())
    })
}

fn before_faults(plugin: &Plugin) -> String {
    let mut why = "Before Istio's fault filter. RBAC stands among the types since the agent sends such a filter where the module\ncannot be had.".to_owned();
    if plugin.fail_strategy == FailStrategy::Open {
        why.push_str(" default_config, in force where a proxy starts while the document is bad, allows everything.");
    }
    why
}

/// A filter's configuration, as the agent and then Envoy get it.
fn extension(plugin: &Plugin, name: &str, role: &str, document: &str) -> Value {
    let code = match plugin.url.file() {
        Some(path) => json!({"local": {"filename": path}}),
        None => {
            let mut remote = json!({"http_uri": {"uri": plugin.url.to_string(), "cluster": "_", "timeout": "30s"}});
            if let (Some(digest), Some(fields)) = (&plugin.sha256, remote.as_object_mut()) {
                fields.insert("sha256".to_owned(), json!(digest.0));
            }
            json!({"remote": remote})
        }
    };
    let module = Module { code, failure_policy: plugin.fail_strategy.of_envoy() };
    json!({
        "applyTo": "EXTENSION_CONFIG",
        "patch": {"operation": "ADD", "value": {"name": name, "typed_config": module.typed_config(role, document)}},
    })
}

fn discovered(plugin: &Plugin, name: &str) -> Value {
    let default = (plugin.fail_strategy == FailStrategy::Open).then(|| json!({"@type": filter::RBAC}));
    discovered_or(name, &[filter::WASM, filter::RBAC], default)
}

/// The filter of this name from istiod, of one of these types; until the first that is taken, `default`.
pub(super) fn discovered_or(name: &str, types: &[&str], default: Option<Value>) -> Value {
    let mut discovery = json!({
        "config_source": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
        "type_urls": types,
    });
    if let (Some(default), Some(fields)) = (default, discovery.as_object_mut()) {
        fields.insert("default_config".to_owned(), default);
    }
    json!({"name": name, "config_discovery": discovery})
}

fn insert_before(plugin: &Plugin, filter: &str, value: &Value) -> Value {
    http_filter(plugin, filter, "INSERT_BEFORE", value)
}

/// The steered route, for each virtual host of the rules; the last of these patches is the first in force.
fn routes(plugin: &Plugin, native: &NativePart, cluster: &str) -> Vec<Patch> {
    let of_rules = plugin.config.virtual_services.iter().flat_map(|service| &service.http);
    let of_policies = plugin.config.policies.iter().any(|policy| policy.retry_next.is_some());
    let [grpc, http] = steered(plugin, native, cluster, None);
    let why =
        "Where the filter has named a cluster, with Istio's default retries; gRPC calls with their clients' deadlines.";
    let mut values = vec![(why, http), ("", grpc)];
    if of_policies || of_rules.clone().any(|rule| rule.retries.is_some()) {
        let [grpc, http] = steered(plugin, native, cluster, Some(OWN_RETRIES));
        let why =
            "The same where a rule or a policy has retries of its own, of which the filter tells Envoy by headers.";
        values.extend([(why, http), ("", grpc)]);
    }
    let hosts = all_virtual_hosts(plugin);
    let patches = values.iter().flat_map(|(why, value)| {
        hosts.iter().map(move |host| {
            let patch = json!({
                "applyTo": "HTTP_ROUTE",
                "match": {"context": context(plugin), "routeConfiguration": host},
                "patch": {"operation": "INSERT_FIRST", "value": value},
            });
            ((*why).to_owned(), patch)
        })
    });
    patches.collect()
}

/// The steered routes, for requests with a header or without.
fn steered(plugin: &Plugin, native: &NativePart, cluster: &str, present: Option<&str>) -> [Value; 2] {
    let tries = if present.is_some() { Tries::BY_HEADERS } else { Tries::of_rule(None) };
    let mut retries = failover::retry_policy(plugin, &tries);
    if let Some(fields) = retries.as_object_mut() {
        fields.insert(
            "retry_host_predicate".to_owned(),
            json!([{
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                },
            }]),
        );
        fields.insert("host_selection_retry_max_attempts".to_owned(), json!(5));
    }
    let mut routes = native.steered(cluster, Some(&retries));
    let headers = routes.iter_mut().filter_map(|route| route.pointer_mut("/match/headers")?.as_array_mut());
    headers.for_each(|headers| headers.extend(present.map(|name| json!({"name": name, "present_match": true}))));
    routes
}

/// A match of each virtual host that the rules are for.
fn all_virtual_hosts(plugin: &Plugin) -> Vec<Value> {
    let services = plugin.config.services_in_order();
    let hosts: BTreeSet<String> = services.iter().flat_map(|service| service.qualified_hosts()).collect();
    hosts.iter().flat_map(|host| virtual_hosts(plugin, host, None)).collect()
}

fn comments(plugin: &Plugin) -> Vec<String> {
    let mut lines = vec![
        format!("canary-filter for {}, mode cluster: it carries out the whole rule, and a route follows it to the", plugin.proxies()),
        "cluster that it names. What it leaves alone, and everything where it is not there, is served by the native routes.".to_owned(),
        RUN_ON.to_owned(),
        "Proxies of other versions may have other filters: look at `istioctl proxy-config listeners` and `routes` after an upgrade."
            .to_owned(),
        String::new(),
    ];
    lines.extend(match plugin.workload {
        Workload::Gateway => [
            "Apply your VirtualServices and DestinationRules as ever: a gateway has virtual hosts and clusters for those only.",
            "The annotation names the rules' services for an istiod with PILOT_FILTER_GATEWAY_CLUSTER_CONFIG.",
        ],
        Workload::Sidecar => [
            "Apply your DestinationRules as ever, and the VirtualServices as a net. A Sidecar object that leaves a service out of its",
            "egress, or an exportTo that hides it, leaves its clusters out, too: then other versions serve in its place.",
        ],
    }.map(str::to_owned));
    lines.push(
        "A DestinationRule's consistentHash has no effect on the steered route, which has no hash policy.".to_owned(),
    );
    lines.extend(advice::whose_place(plugin));
    lines.extend(advice::module(plugin));
    lines.extend(advice::who_may(plugin));
    lines
}
