//! Failover in Istio's proxies: the clusters that go from one version to others, and what leads requests to them.

use std::collections::{BTreeMap, BTreeSet};

use canary_config::{
    Config, DEFAULT_RETRY_ON, DestinationRules, FailoverCluster, HttpRoute, REPEATS_NOTHING, ResolvedRule,
    VirtualService, host,
};
use serde_json::{Map, Value, json};

use super::{
    manifest::Manifest,
    patches::{PRIORITY, Patch, context, envoy_filter, virtual_hosts},
    plugin::Plugin,
    version_rules::is_of_version,
    virtual_services,
};
use crate::{
    bootstrap::{Failover, Reading, Remark, ServedVersion, served_filters, tries},
    documents::set,
};

/// What istiod says of an endpoint: `WORKLOAD;NAMESPACE;CANONICAL-NAME;CANONICAL-REVISION;CLUSTER`.
const WORKLOAD: &str = "xds.upstream_host_metadata.filter_metadata['istio']['workload']";
/// What istiod gives a route without retries of its own (Istio 1.31).
const ISTIO_RETRIES: u32 = 2;
const ISTIO_TRIES: usize = ISTIO_RETRIES as usize + 1;

/// The object with the clusters; `None` where no policy has a version to go on to.
///
/// What tells upstreams which version they are stands in the clusters: the router has one list of such filters, and Envoy refuses the
/// one that another EnvoyFilter's is appended to. `consumed` is a header that is not for upstreams.
pub(super) fn clusters(plugin: &Plugin, consumed: Option<&str>) -> Option<Manifest> {
    let (config, rules) = (&plugin.config, DestinationRules::of(&plugin.config));
    let mut written = config.virtual_services.iter().flat_map(|service| &service.http);
    let has_istios = written.any(|rule| rule.retries.is_none());
    let tries = tries(config).max(if has_istios { ISTIO_TRIES } else { 0 });
    let all = config.failover_clusters();
    let patch = |cluster: &FailoverCluster| {
        let served = served_version(config, &rules, cluster);
        let filters = served_filters(config.version_headers(&cluster.host), served.as_ref(), consumed);
        let policy = Reading::of_version(config, &plugin.document, &cluster.host, cluster.subset.as_deref()).policy;
        let mut value = plugin.failover.cluster(cluster, tries, &policy, filters.as_ref());
        if let Some(fields) = value.as_object_mut() {
            fields.insert("metadata".to_owned(), telemetry(&cluster.host));
        }
        let patch = json!({
            "applyTo": "CLUSTER",
            "match": {"context": context(plugin)},
            "patch": {"operation": "ADD", "value": value},
        });
        (String::new(), patch)
    };
    let patches: Vec<Patch> = all.iter().map(patch).collect();
    let metadata = metadata(plugin, "failover");
    (!patches.is_empty()).then(|| envoy_filter(plugin, comments(plugin), metadata, PRIORITY, patches))
}

fn metadata(plugin: &Plugin, part: &str) -> Value {
    let mut metadata = plugin.metadata();
    set(&mut metadata, "/name", json!(format!("{}-{part}", plugin.name)));
    metadata
}

/// What istiod writes into its own clusters for the labels of Istio's metrics.
fn telemetry(host: &str) -> Value {
    let name = host.split('.').next().unwrap_or(host);
    let service = json!({"host": host, "name": name, "namespace": host::namespace(host).unwrap_or_default()});
    json!({"filter_metadata": {"istio": {"services": [service]}}})
}

fn comments(plugin: &Plugin) -> Vec<String> {
    let mut lines = vec![
        "Failover clusters: the version that was picked, then those of its policy's fallback order. Their members are istiod's own",
        "clusters, with what DestinationRules say of them. Apply this before what names the clusters, and delete it after that.",
    ];
    lines.extend(match plugin.failover {
        Failover::Aggregate => [
            "Aggregate clusters, which every proxy has. They send a share of the requests on once fewer than 72 % of a version's",
            "endpoints are healthy; composite ones (--failover composite, from Envoy 1.40 on) do not look at that.",
        ],
        Failover::Composite => [
            "Composite clusters: from Envoy 1.40 on. An older proxy has such clusters, but answers 503 for a version without endpoints:",
            "render them with --failover aggregate for it.",
        ],
    });
    lines.into_iter().map(str::to_owned).collect()
}

/// How often, and after what, a route is tried again.
pub(super) struct Tries {
    attempts: u32,
    conditions: String,
}

impl Tries {
    /// What only the headers of a request say.
    pub(super) const BY_HEADERS: Self = Self { attempts: 0, conditions: String::new() };

    /// What istiod gives a route of a rule.
    pub(super) fn of_rule(rule: Option<&HttpRoute>) -> Self {
        match rule.and_then(|rule| rule.retries.as_deref()) {
            Some(retries) if retries.attempts == 0 => Self::BY_HEADERS,
            Some(retries) => Self { attempts: retries.attempts, conditions: retries.retry_on.join(",") },
            None => Self { attempts: ISTIO_RETRIES, conditions: DEFAULT_RETRY_ON.join(",") },
        }
    }
}

/// The retry policy of a route: these tries, and where a policy has a fallback order, what repeats nothing.
pub(super) fn retry_policy(plugin: &Plugin, tries: &Tries) -> Value {
    let longest = u32::try_from(plugin.config.longest_fallback()).unwrap_or(u32::MAX);
    let fails_over = longest > 0;
    let mut fields = if fails_over { plugin.failover.retry_fields() } else { Map::new() };
    let conditions = union(&tries.conditions, if fails_over { &REPEATS_NOTHING } else { &[] });
    if !conditions.is_empty() {
        fields.insert("num_retries".to_owned(), json!(tries.attempts.max(longest)));
        fields.insert("retry_on".to_owned(), json!(conditions));
    }
    Value::Object(fields)
}

/// The conditions of two lists, each once.
fn union(one: &str, others: &[&str]) -> String {
    let mut all: Vec<&str> = Vec::new();
    for condition in one.split(',').chain(others.iter().copied()).filter(|condition| !condition.is_empty()) {
        if !all.contains(&condition) {
            all.push(condition);
        }
    }
    all.join(",")
}

/// The version of the endpoint of a try, by the revision that istiod writes into its metadata. `None` where that tells none.
fn served_version(config: &Config, rules: &DestinationRules<'_>, cluster: &FailoverCluster) -> Option<ServedVersion> {
    let others = config.policy_of(&cluster.host)?.after(cluster.subset.as_deref());
    let versions: BTreeSet<&str> = others.chain(cluster.subset.as_deref()).collect();
    let choices = versions.into_iter().filter_map(|version| {
        let revision = rules.revision_of(&cluster.host, version)?.replace('.', "[.]");
        Some(format!("{WORKLOAD}.matches('^[^;]*;[^;]*;[^;]*;{revision};') ? '{version}' : "))
    });
    let choices: String = choices.collect();
    (!choices.is_empty()).then(|| {
        let expression = format!("{choices}''");
        ServedVersion { format: format!("%CEL({expression})%"), expression }
    })
}

/// The routes of the VirtualServices that `canaryctl render virtualservice` prints, each led on from its version to others. `None`
/// where there is nothing to go on to.
pub(super) fn version_routes(plugin: &Plugin) -> Result<Option<Manifest>, Vec<String>> {
    if plugin.config.failover_clusters().is_empty() {
        return Ok(None);
    }
    let told =
        |remarks: Vec<Remark>| remarks.iter().flat_map(|remark| plugin.refuse(&remark.at, &remark.text)).collect();
    let mut document = plugin.document.clone();
    let objects =
        virtual_services::objects(&document, &plugin.config).map_err(|remarks| -> Vec<String> { told(remarks) })?;
    set(&mut document, "/virtualServices", json!(objects));
    let (native, _) = Config::read(&document).map_err(|errors| -> Vec<String> {
        errors.iter().flat_map(|error| plugin.refuse(&error.at, &error.kind.to_string())).collect()
    })?;
    let mut merged: BTreeMap<String, Value> = BTreeMap::new();
    for service in native.services_in_order() {
        for resolved in native.rules_of(service) {
            for (place, value) in routes_of(plugin, &native, service, &resolved) {
                merged.insert(
                    place.to_string(),
                    json!({
                        "applyTo": "HTTP_ROUTE",
                        "match": {"context": context(plugin), "routeConfiguration": place},
                        "patch": {"operation": "MERGE", "value": {"route": value}},
                    }),
                );
            }
        }
    }
    let patches: Vec<Patch> = merged.into_values().map(|patch| (String::new(), patch)).collect();
    let metadata = metadata(plugin, "failover-routes");
    let comments = [
        "The routes of a version, by their names in the VirtualServices that `canaryctl render virtualservice` prints: each goes to the",
        "version's failover cluster, and is tried again on what repeats nothing, beside its own retries.",
    ];
    Ok(Some(envoy_filter(plugin, comments.map(str::to_owned).to_vec(), metadata, PRIORITY, patches)))
}

/// Where the routes of a rule for a single version are, and what they become. Another object's rules may have the same names, so
/// that their virtual hosts count.
fn routes_of(
    plugin: &Plugin,
    native: &Config,
    service: &VirtualService,
    resolved: &ResolvedRule<'_>,
) -> Vec<(Value, Value)> {
    let rule = &*resolved.rule;
    let [target] = rule.route.as_slice() else { return Vec::new() };
    let key = native.destination_key(&target.destination, resolved.namespace);
    let version = key.subset.as_deref().filter(|version| is_of_version(&rule.name, version));
    let (Some(version), Some(policy)) = (version, native.policy_of(&key.host)) else { return Vec::new() };
    let clusters = native.failover_clusters_of(&key, policy, Some(version));
    let is_only = clusters.len() == 1;
    let names: BTreeSet<String> =
        rule.matches.iter().map(|entry| route_name(&rule.name, entry.name.as_deref())).collect();
    let mut found = Vec::new();
    for cluster in &clusters {
        let value = json!({"cluster": cluster.name, "retry_policy": retry_policy(plugin, &Tries::of_rule(Some(rule)))});
        // A destination without a port of its own has that of the virtual host.
        let port = (!is_only).then_some(cluster.port);
        for mut place in service.qualified_hosts().flat_map(|host| virtual_hosts(plugin, &host, port)) {
            for name in &names {
                set(&mut place, "/vhost/route", json!({"name": name}));
                found.push((place.clone(), value.clone()));
            }
        }
    }
    found
}

/// As Istio names a route.
fn route_name(rule: &str, entry: Option<&str>) -> String {
    match entry.filter(|entry| !entry.is_empty()) {
        Some(entry) => format!("{rule}.{entry}"),
        None => rule.to_owned(),
    }
}
