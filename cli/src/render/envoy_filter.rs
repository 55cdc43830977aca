//! `canaryctl render envoyfilter`: mode cluster in Istio's proxies, which takes what no other object of Istio can bring.

use std::collections::BTreeSet;

use canary_config::{Config, FaultDelayer, Mode};
use serde_json::{Value, json};

use super::{
    advice,
    manifest::{CommentedList, Manifest, command_line},
    plugin::{FailStrategy, PLUGIN, Plugin, PluginArgs, PullPolicy, RUN_ON, Workload},
};
use crate::bootstrap::{
    NativePart,
    filter::{self, Module},
    has_fallback, listener,
};

/// Applied after EnvoyFilters that say nothing of their order, so that what these insert is there.
pub(super) const PRIORITY: i32 = 10;
const CONNECTION_MANAGER: &str = "envoy.filters.network.http_connection_manager";
/// Istio's filter for the faults of its VirtualServices. Filters before it are asked first.
const FAULT: &str = "envoy.filters.http.fault";
const ROUTER: &str = "envoy.filters.http.router";
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
    envoy_filter(&plugin, comments(&plugin), metadata(&plugin), priority, patches).print()
}

/// An EnvoyFilter for the plugin's proxies.
pub(super) fn envoy_filter(
    plugin: &Plugin,
    comments: Vec<String>,
    metadata: Value,
    priority: i32,
    patches: Vec<Patch>,
) -> Manifest {
    let mut spec = plugin.target("workloadSelector", "labels");
    if let Some(fields) = spec.as_object_mut() {
        fields.insert("priority".to_owned(), json!(priority));
    }
    let object = json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": metadata,
        "spec": spec,
    });
    Manifest { comments, object, list: Some(CommentedList { field: "configPatches", elements: patches }) }
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

/// A patch, and what it is for.
pub(super) type Patch = (String, Value);

/// The filters, in the order of the chain.
fn filters(plugin: &Plugin, native: &NativePart) -> Vec<Patch> {
    let document = format!("{:#}", plugin.document);
    let guard = filter::guard_document(plugin.config.guard.endpoints.unwrap_or_default());
    let guard_name = format!("{}-guard", plugin.name);
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
    if has_fallback(&plugin.config) {
        patches.push((
            "The guard: right before the router, behind filters for whose sake Envoy has chosen the route anew (fault, cors),\nit moves requests from clusters that are missing or empty. It runs in the VM of the filter.".to_owned(),
            extension(plugin, &guard_name, filter::GUARD, &guard),
        ));
        patches.push((String::new(), insert_before(plugin, ROUTER, &discovered(plugin, &guard_name))));
    }
    if native.headers.host().is_some() && rewrites_authority(&plugin.config) {
        patches.push((
            "The route has read this header by then; it is not for upstreams. No other EnvoyFilter may add upstream filters to the\nrouter of these proxies: Istio appends one list to the other, and Envoy refuses the listener, since it takes\nupstream_codec at the end only. Without a rewrite of the authority in the rules this patch is not needed, nor printed.".to_owned(),
            http_filter(plugin, ROUTER, "MERGE", &listener::router(&native.headers)),
        ));
    }
    patches.push(without_clients_copies(plugin, native.reserved_headers()));
    patches.into_iter().flat_map(|patch| at_ports(plugin, patch)).collect()
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

/// The headers of these names are removed before any filter.
pub(super) fn without_clients_copies<'n>(plugin: &Plugin, names: impl Iterator<Item = &'n str>) -> Patch {
    let strip = json!({
        "name": CONNECTION_MANAGER,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "early_header_mutation_extensions": [listener::strip(names)],
        },
    });
    (
        "What steers the proxy is not for clients to say. The filter removes their copies itself; this holds where it is\nnot there (FAIL_OPEN).".to_owned(),
        json!({
            "applyTo": "NETWORK_FILTER",
            "match": {"context": context(plugin), "listener": {"filterChain": {"filter": {"name": CONNECTION_MANAGER}}}},
            "patch": {"operation": "MERGE", "value": strip},
        }),
    )
}

/// A patch of a filter chain, in each of the ports alone that the filter is for. What clients may not say is taken from them at every
/// port: Istio does not look at the port of a route where a Gateway says `bind`.
fn at_ports(plugin: &Plugin, (why, patch): Patch) -> Vec<Patch> {
    if plugin.ports.is_empty() || patch.get("applyTo") != Some(&json!("HTTP_FILTER")) {
        return vec![(why, patch)];
    }
    let at_port = |port: &u16| {
        let mut patch = patch.clone();
        if let Some(listener) = patch.pointer_mut("/match/listener").and_then(Value::as_object_mut) {
            listener.insert("portNumber".to_owned(), json!(port));
        }
        (why.clone(), patch)
    };
    plugin.ports.iter().map(at_port).collect()
}

fn context(plugin: &Plugin) -> &'static str {
    match plugin.workload {
        Workload::Gateway => "GATEWAY",
        Workload::Sidecar => "SIDECAR_OUTBOUND",
    }
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

pub(super) fn http_filter(plugin: &Plugin, filter: &str, operation: &str, value: &Value) -> Value {
    json!({
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": context(plugin),
            "listener": {"filterChain": {"filter": {"name": CONNECTION_MANAGER, "subFilter": {"name": filter}}}},
        },
        "patch": {"operation": operation, "value": value},
    })
}

/// The steered route, for each virtual host of the rules; the last of these patches is the first in force.
fn routes(plugin: &Plugin, native: &NativePart, cluster: &str) -> Vec<Patch> {
    let retries =
        plugin.config.virtual_services.iter().flat_map(|service| &service.http).any(|rule| rule.retries.is_some());
    let mut values =
        vec![("Where the filter has named a cluster, with Istio's default retries.", steered(native, cluster, None))];
    if retries {
        let why = "The same for rules with retries of their own, of which the filter tells Envoy by headers.";
        values.push((why, steered(native, cluster, Some(OWN_RETRIES))));
    }
    let hosts = virtual_hosts(plugin);
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

fn steered(native: &NativePart, cluster: &str, present: Option<&str>) -> Value {
    let mut route = native.steered(cluster);
    let mut retries = json!({
        "retry_host_predicate": [{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            },
        }],
        "host_selection_retry_max_attempts": 5,
    });
    match (present, retries.as_object_mut()) {
        (Some(header), _) => {
            if let Some(headers) = route.pointer_mut("/match/headers").and_then(Value::as_array_mut) {
                headers.push(json!({"name": header, "present_match": true}));
            }
        }
        (None, Some(fields)) => {
            let conditions = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
            fields.insert("num_retries".to_owned(), json!(2));
            fields.insert("retry_on".to_owned(), json!(conditions));
        }
        (None, None) => {}
    }
    if let Some(fields) = route.pointer_mut("/route").and_then(Value::as_object_mut) {
        fields.insert("retry_policy".to_owned(), retries);
    }
    route
}

/// A match of each virtual host that the rules are for. Sidecars name one by host and port, whose domains may be `*`;
/// gateways make one of several hosts with the same routes, whose name is that of any of them.
fn virtual_hosts(plugin: &Plugin) -> Vec<Value> {
    let services = plugin.config.services_in_order();
    let hosts: BTreeSet<String> = services.iter().flat_map(|service| service.qualified_hosts()).collect();
    let matches = hosts.iter().flat_map(|host| match plugin.workload {
        Workload::Gateway if plugin.ports.is_empty() => vec![json!({"vhost": {"domainName": host}})],
        Workload::Gateway => {
            let at = |port: &u16| json!({"portNumber": port, "vhost": {"domainName": host}});
            plugin.ports.iter().map(at).collect()
        }
        Workload::Sidecar => match ports(plugin, host) {
            ports if ports.is_empty() => vec![json!({"vhost": {"domainName": host}})],
            ports => ports.iter().map(|port| json!({"vhost": {"name": format!("{host}:{port}")}})).collect(),
        },
    });
    matches.collect()
}

fn ports(plugin: &Plugin, host: &str) -> BTreeSet<u16> {
    if !plugin.ports.is_empty() {
        return plugin.ports.iter().copied().collect();
    }
    plugin
        .config
        .services
        .iter()
        .filter(|service| service.host == host)
        .flat_map(|service| service.ports.clone())
        .collect()
}

fn comments(plugin: &Plugin) -> Vec<String> {
    let mut lines = vec![
        command_line(),
        String::new(),
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
            "egress, or an exportTo that hides it, leaves its clusters out, too: then the guard takes them for missing.",
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
