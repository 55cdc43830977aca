//! `canaryctl render wasmplugin` and `canaryctl render trafficextension`: the filter where Istio places it by itself.

use canary_config::{FaultDelayer, Mode};
use serde_json::{Value, json};

use super::{
    advice,
    fail_open::fallback_filter,
    failover,
    kind::Kind,
    manifest::Manifest,
    plugin::{FailStrategy, PLUGIN, Plugin, PluginArgs, RUN_ON, Workload},
};

/// Prints the object to standard output, and where it fails open its fallback filter.
pub(super) fn print(kind: Kind, args: PluginArgs) -> Result<(), Vec<String>> {
    let plugin = args.plugin(Mode::Version)?;
    if plugin.config.faults.delay == FaultDelayer::FaultFilter {
        let why =
            "Istio's fault filter listens to no headers, and only an EnvoyFilter can tell it to: leave it at timer";
        return Err(plugin.refuse("/faults/delay", why));
    }
    if plugin.config.headers.version().is_none() {
        let why = "the routes of the VirtualService match this header; it cannot be turned off";
        return Err(plugin.refuse("/headers/version", why));
    }
    let own = Manifest { comments: comments(kind, &plugin), object: object(kind, &plugin), list: None };
    let net = match plugin.fail_strategy {
        FailStrategy::Open => Some(fallback_filter(kind, &plugin)),
        FailStrategy::Close | FailStrategy::Reload => None,
    };
    let before = failover::clusters(&plugin, None).into_iter().chain(failover::version_routes(&plugin)?);
    Manifest::print_all(before.chain([own]).chain(net))
}

fn object(kind: Kind, plugin: &Plugin) -> Value {
    let mut spec = plugin.target("selector", "matchLabels");
    let mut module = json!({
        "url": plugin.url.to_string(),
        "pluginName": PLUGIN,
        "imagePullPolicy": plugin.pull_policy.name(),
        "failStrategy": plugin.fail_strategy.of_plugin(),
        "pluginConfig": plugin.document,
    });
    put(&mut module, "sha256", plugin.sha256.as_ref().map(|digest| json!(digest.0)));
    put(&mut module, "imagePullSecret", plugin.pull_secret.as_ref().map(|secret| json!(secret)));
    put(&mut spec, "priority", plugin.priority.map(|priority| json!(priority)));
    put(&mut spec, "match", traffic(plugin));
    let name = match kind {
        Kind::TrafficExtension => {
            put(&mut spec, "wasm", Some(module));
            "TrafficExtension"
        }
        Kind::WasmPlugin => {
            if let (Some(fields), Value::Object(module)) = (spec.as_object_mut(), module) {
                fields.extend(module);
            }
            "WasmPlugin"
        }
    };
    json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": name, "metadata": plugin.metadata(), "spec": spec})
}

fn put(object: &mut Value, field: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (object.as_object_mut(), value) {
        fields.insert(field.to_owned(), value);
    }
}

/// `match`: which way requests go, and by which ports.
fn traffic(plugin: &Plugin) -> Option<Value> {
    let ports: Vec<Value> = plugin.ports.iter().map(|port| json!({"number": port})).collect();
    match (plugin.workload, ports.is_empty()) {
        (Workload::Gateway, true) => None,
        (_, true) => Some(json!([{"mode": "CLIENT"}])),
        (_, false) => Some(json!([{"mode": "CLIENT", "ports": ports}])),
    }
}

fn comments(kind: Kind, plugin: &Plugin) -> Vec<String> {
    let header = plugin.config.headers.version().unwrap_or_default();
    let since = match kind {
        Kind::WasmPlugin => "WasmPlugin is known to every Istio; from 1.30 on TrafficExtension is its successor.",
        Kind::TrafficExtension => "TrafficExtension is known to Istio from 1.30 on; before, use WasmPlugin.",
    };
    let mut lines = vec![
        format!("canary-filter for {}, mode version: it picks the version and names it in {header}.", plugin.proxies()),
        "Apply what `canaryctl render virtualservice` prints of the same rules first: its routes read that header, and"
            .to_owned(),
        "without them nothing does. DestinationRules stay as they are.".to_owned(),
        RUN_ON.to_owned(),
        since.to_owned(),
        String::new(),
    ];
    lines.extend(advice::whose_place(plugin));
    lines.extend(advice::module(plugin));
    lines.extend(where_it_runs(plugin).into_iter().map(str::to_owned));
    lines.extend(advice::who_may(plugin));
    lines
}

fn where_it_runs(plugin: &Plugin) -> Vec<&'static str> {
    let mut lines = match plugin.workload {
        Workload::Gateway => {
            vec![
                "No `match`: a gateway knows one direction only. Never point this at a waypoint: there it has not been run.",
            ]
        }
        Workload::Sidecar => vec![
            "match: CLIENT is what leaves the workload. Without it the filter would run on what comes in, too, and decide twice.",
            "The sidecars of the callers decide, not those of the service: select the workloads that call it.",
        ],
    };
    if plugin.is_for_all() {
        lines.extend([
            "Without --selector every proxy of the namespace has the filter, a gateway, too, which then must have no other one",
            "of these plugins beside it.",
        ]);
    }
    lines
}
