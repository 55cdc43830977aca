//! What a valid document says that is hardly meant: warnings of the loader and of `canaryctl validate`.

use std::collections::hash_map::Entry;

use crate::destination::Destination;
use crate::http_match::Content;
use crate::node::Node;
use crate::pointer::Pointer;
use crate::virtual_service::VirtualService;
use crate::word_hash::WordMap;
use crate::{Config, DestinationRules, Mode};
use crate::{duration, host};

/// Adds the warnings of a whole document.
pub(super) fn review(config: &Config, rules: &DestinationRules<'_>, node: &Node<'_>) {
    for service in &config.virtual_services {
        warn_of_delegates(config, service, node);
        warn_of_gateways(config, service, node);
        warn_of_unreachable_rules(service, node);
        warn_of_undefined_subsets(config.mode, rules, service, node);
        warn_of_long_delays(config, service, node);
        warn_of_several_ports(config, service, node);
    }
    if config.proxy.in_mesh() {
        warn_of_taken_hosts(config, node);
    }
}

fn warn_of_delegates(config: &Config, service: &VirtualService, node: &Node<'_>) {
    for delegate in service.http.iter().filter_map(|rule| rule.delegate.as_ref()) {
        if config.delegate(delegate, service).is_none() {
            let namespace = delegate.namespace.as_ref().unwrap_or(&service.metadata.namespace);
            node.warn_at(
                delegate.at.clone(),
                format!(
                    "no delegate {} in namespace {namespace} is visible here; the rule does nothing",
                    delegate.name
                ),
            );
        }
    }
}

fn warn_of_gateways(config: &Config, service: &VirtualService, node: &Node<'_>) {
    let is_delegate = service.hosts.is_empty();
    if !is_delegate && !config.proxy.serves_any(&service.gateways, &service.metadata.namespace) {
        let named = if service.gateways.is_empty() { "mesh".to_owned() } else { service.gateways.join(", ") };
        let own = config.proxy.gateways.join(", ");
        node.warn_at(
            service.at.clone(),
            format!("it is for {named}, this proxy serves {own}: it does nothing here (proxy.gateways says which gateways a proxy serves)"),
        );
    }
}

/// Istio's `VirtualServiceUnreachableRule` and `VirtualServiceIneffectiveMatch`.
fn warn_of_unreachable_rules(service: &VirtualService, node: &Node<'_>) {
    let mut catch_all: Option<&Pointer> = None;
    let entries = service.http.iter().map(|rule| rule.matches.len()).sum();
    let mut seen = WordMap::with_capacity_and_hasher(entries, Default::default());
    for rule in &service.http {
        if let Some(taker) = catch_all {
            node.warn_at(
                rule.at.to_string(),
                format!("virtualService rule not used: {taker} takes every request before it"),
            );
            continue;
        }
        for (index, entry) in rule.matches.iter().enumerate() {
            match seen.entry(Content(entry)) {
                Entry::Vacant(place) => {
                    place.insert(&rule.at);
                }
                Entry::Occupied(earlier) => node.warn_at(
                    format!("{}/match/{index}", rule.at),
                    format!("virtualService match is not used: duplicate of a match of {}", earlier.get()),
                ),
            }
        }
        if rule.matches.is_empty() || rule.matches.iter().any(|entry| entry.is_unconditional()) {
            catch_all = Some(&rule.at);
        }
    }
}

fn warn_of_undefined_subsets<'c>(
    mode: Mode,
    rules: &DestinationRules<'c>,
    service: &'c VirtualService,
    node: &Node<'_>,
) {
    let consequence = match mode {
        Mode::Cluster => "requests for it fail until its cluster exists",
        Mode::Version => "the native route for it fails until its cluster exists",
    };
    let namespace = &service.metadata.namespace;
    let mut defined = WordMap::default();
    let mut warn = |at: &dyn Fn() -> String, destination: &'c Destination| {
        let Some(subset) = &destination.subset else { return };
        let host = || host::qualify(&destination.host, namespace);
        let subsets = defined.entry(&*destination.host).or_insert_with(|| rules.subsets_of(&host()));
        if !subsets.contains(&&**subset) {
            node.warn_at(at(), format!("no DestinationRule defines subset {subset} of {}; {consequence}", host()));
        }
    };
    for rule in &service.http {
        for (index, target) in rule.route.iter().enumerate() {
            warn(&|| format!("{}/route/{index}/destination", rule.at), &target.destination);
        }
        rule.mirrors.iter().flatten().for_each(|mirror| warn(&|| mirror.at.clone(), &mirror.destination));
    }
}

fn warn_of_long_delays(config: &Config, service: &VirtualService, node: &Node<'_>) {
    for rule in &service.http {
        let delay = rule.fault.as_ref().and_then(|fault| fault.delay);
        if let Some(delay) = delay.filter(|delay| delay.fixed_delay > config.faults.max_delay) {
            let (fixed, longest) = (duration::text(delay.fixed_delay), duration::text(config.faults.max_delay));
            node.warn_at(rule.at.to_string(), format!("a delay of {fixed} is cut to {longest} (faults.maxDelay)"));
        }
    }
}

/// The other members of a failover cluster have the port of the version that was picked.
fn warn_of_several_ports(config: &Config, service: &VirtualService, node: &Node<'_>) {
    for rule in &service.http {
        let mut ports = WordMap::<String, Option<u16>>::default();
        for (index, target) in rule.route.iter().enumerate() {
            let Destination { host, port, .. } = &target.destination;
            let host = host::qualify(host, &service.metadata.namespace);
            if *ports.entry(host.clone()).or_insert(*port) != *port
                && config.policy_of(&host).is_some_and(|policy| !policy.fallback.is_empty())
            {
                node.warn_at(
                    format!("{}/route/{index}/destination/port", rule.at),
                    format!(
                        "versions of {host} have different ports here; when one cannot serve, its port is asked of the versions that \
                         its policy's fallback order names: give each port a rule of its own, or another host"
                    ),
                );
            }
        }
    }
}

/// In a mesh the oldest object takes a host, and the others do nothing for it.
fn warn_of_taken_hosts(config: &Config, node: &Node<'_>) {
    let services = config.services_in_order();
    let mut taken = WordMap::<String, usize>::default();
    for (index, service) in services.iter().enumerate() {
        for host in service.qualified_hosts() {
            match taken.get(&host).and_then(|owner| services.get(*owner)) {
                Some(owner) => node.warn_at(
                    service.at.clone(),
                    format!(
                        "host {host} is taken by an older VirtualService ({}); in a mesh they do not merge",
                        owner.at
                    ),
                ),
                None => {
                    taken.insert(host, index);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn versions_on_different_ports_fall_back_to_one() {
        let to = |host: &str, subset: &str, port: Value| json!({"weight": 1, "destination": {"host": host, "subset": subset, "port": port}});
        let on = |port: u16| json!({"number": port});
        let order = || json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]);
        for (row, route, policies, warned) in [
            ("one port", [to("reviews", "v1", on(80)), to("reviews", "v2", on(80))], order(), false),
            ("two", [to("reviews", "v1", on(80)), to("reviews", "v2", on(81))], order(), true),
            ("one, and the request's", [to("reviews", "v1", on(80)), to("reviews", "v2", Value::Null)], order(), true),
            ("two services", [to("reviews", "v1", on(80)), to("ratings", "v2", on(81))], order(), false),
            ("no order", [to("reviews", "v1", on(80)), to("reviews", "v2", on(81))], json!([]), false),
        ] {
            let subsets = json!([{"name": "v1"}, {"name": "v2"}]);
            let rules = ["reviews", "ratings"].map(|host| json!({"host": host, "subsets": subsets}));
            let document = json!({
                "virtualServices": [{"hosts": ["reviews"], "http": [{"route": route}]}],
                "destinationRules": rules,
                "policies": policies,
            });
            let (_, warnings) = Config::read(&document).expect(row);
            let found: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            let expected = "/virtualServices/0/http/0/route/1/destination/port: versions of reviews.default.svc.cluster.local have different";
            assert_eq!(found.len(), usize::from(warned), "{row}: {found:?}");
            assert!(found.iter().all(|warning| warning.starts_with(expected)), "{row}: {found:?}");
        }
    }
}
