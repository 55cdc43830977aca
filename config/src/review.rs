//! What a valid document says that is hardly meant: warnings of the loader and of `canaryctl validate`.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;

use crate::destination::Destination;
use crate::error::WarningCode;
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
        warn_of_undefined_subsets(config, rules, service, node);
        warn_of_long_delays(config, service, node);
    }
    warn_of_ports_of_others(config, node);
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
                WarningCode::UnknownDelegate,
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
            service.at.clone(), WarningCode::OtherGateway,
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
                WarningCode::UnusedRule,
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
                    WarningCode::UnusedRule,
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
    config: &Config,
    rules: &DestinationRules<'c>,
    service: &'c VirtualService,
    node: &Node<'_>,
) {
    let consequence = |host: &str, subset: &str| {
        let has_other = config.policy_of(host).is_some_and(|policy| policy.after(Some(subset)).next().is_some());
        match config.mode {
            _ if has_other => "until its cluster exists its policy's fallback order serves requests for it",
            Mode::Cluster => "requests for it fail until its cluster exists",
            Mode::Version => "the native route for it fails until its cluster exists",
        }
    };
    let namespace = &service.metadata.namespace;
    let mut defined = WordMap::default();
    let mut warn = |at: &dyn Fn() -> String, destination: &'c Destination| {
        let Some(subset) = &destination.subset else { return };
        let host = || host::qualify(&destination.host, namespace);
        let subsets = defined.entry(&*destination.host).or_insert_with(|| rules.subsets_of(&host()));
        if !subsets.contains(&&**subset) {
            let (host, subset) = (host(), &**subset);
            let consequence = consequence(&host, subset);
            node.warn_at(
                at(),
                WarningCode::UnknownSubset,
                format!("no DestinationRule defines subset {subset} of {host}; {consequence}"),
            );
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
            node.warn_at(
                rule.at.to_string(),
                WarningCode::Reduced,
                format!("a delay of {fixed} is cut to {longest} (faults.maxDelay)"),
            );
        }
    }
}

/// The members of a failover cluster have the port of the version that was picked: another version may not listen on it.
fn warn_of_ports_of_others(config: &Config, node: &Node<'_>) {
    if config.policies.iter().all(|policy| policy.fallback.is_empty()) {
        return;
    }
    let mut named = Vec::new();
    for resolved in config.virtual_services.iter().flat_map(|service| config.rules_of(service)) {
        for (index, target) in resolved.rule.route.iter().enumerate() {
            let key = config.destination_key(&target.destination, resolved.namespace);
            let has_order = config.policy_of(&key.host).is_some_and(|policy| !policy.fallback.is_empty());
            named.extend(has_order.then(|| (resolved.rule.at.clone(), index, key)));
        }
    }
    let mut ports = WordMap::<_, BTreeSet<u16>>::default();
    for (_, _, key) in &named {
        ports.entry((&*key.host, key.subset.as_deref())).or_default().extend(key.port);
    }
    for (at, index, key) in &named {
        let (Some(port), Some(policy)) = (key.port, config.policy_of(&key.host)) else { continue };
        for other in policy.after(key.subset.as_deref()) {
            let others = ports.get(&(&*key.host, Some(other)));
            if others.is_some_and(|others| !others.is_empty() && !others.contains(&port)) {
                let host = &key.host;
                node.warn_at(
                    format!("{at}/route/{index}/destination/port"), WarningCode::FailoverPort,
                    format!(
                        "failover asks for version {other} of {host} on this port, {port}, on which no rule sends to it: use \
                         one port for all versions, or different hosts"
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
                    WarningCode::HostTaken,
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
    fn failover_keeps_the_port_of_the_picked_version() {
        let to = |host: &str, subset: &str, port: Option<u16>| {
            let port = port.map(|port| json!({"number": port}));
            json!({"destination": {"host": host, "subset": subset, "port": port}})
        };
        let reviews = |subset: &str, port: u16| to("reviews", subset, Some(port));
        let order = || json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]);
        let port = |rule: usize| format!("/virtualServices/0/http/{rule}/route/0/destination/port");
        for (row, routes, policies, warned) in [
            ("one port", vec![reviews("v1", 80), reviews("v2", 80)], order(), vec![]),
            ("two", vec![reviews("v1", 80), reviews("v2", 81)], order(), vec![port(0), port(1)]),
            ("the request's, or the service's", vec![reviews("v1", 80), to("reviews", "v2", None)], order(), vec![]),
            ("a version that no rule names", vec![reviews("v1", 80)], order(), vec![]),
            (
                "two, on which both listen",
                vec![reviews("v1", 80), reviews("v2", 81), reviews("v1", 81), reviews("v2", 80)],
                order(),
                vec![],
            ),
            ("two services", vec![reviews("v1", 80), to("ratings", "v2", Some(81))], order(), vec![]),
            ("no order", vec![reviews("v1", 80), reviews("v2", 81)], json!([]), vec![]),
        ] {
            let subsets = json!([{"name": "v1"}, {"name": "v2"}]);
            let rules = ["reviews", "ratings"].map(|host| json!({"host": host, "subsets": subsets}));
            let rule = |(number, route): (usize, Value)| json!({"match": [{"uri": {"exact": format!("/{number}")}}], "route": [route]});
            let http: Vec<_> = routes.into_iter().enumerate().map(rule).collect();
            let document = json!({
                "virtualServices": [{"hosts": ["reviews"], "http": http}],
                "destinationRules": rules,
                "policies": policies,
            });
            let (_, warnings) = Config::read(&document).expect(row);
            let found: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            let places: Vec<_> =
                found.iter().filter_map(|warning| warning.split_once(": failover asks for version ")).collect();
            assert_eq!(places.len(), found.len(), "{row}: {found:?}");
            assert_eq!(places.iter().map(|(place, _)| *place).collect::<Vec<_>>(), warned, "{row}");
        }
    }

    #[test]
    fn an_undefined_subset_fails_or_falls_back() {
        for (row, mode, policies, expected) in [
            ("no order", "cluster", json!([]), "requests for it fail"),
            ("no order, mode version", "version", json!([]), "the native route for it fails"),
            (
                "an order",
                "cluster",
                json!([{"hosts": ["reviews"], "fallback": ["v2", "v1"]}]),
                "its policy's fallback order",
            ),
            (
                "an order, mode version",
                "version",
                json!([{"hosts": ["reviews"], "fallback": ["v1"]}]),
                "its policy's fallback order",
            ),
            (
                "an order of itself",
                "cluster",
                json!([{"hosts": ["reviews"], "fallback": ["v2"]}]),
                "requests for it fail",
            ),
        ] {
            let document = json!({
                "mode": mode,
                "virtualServices": [{"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews", "subset": "v2"}}]}]}],
                "policies": policies,
            });
            let (_, warnings) = Config::read(&document).expect(row);
            let found: Vec<_> = warnings.iter().map(ToString::to_string).collect();
            assert!(found.iter().any(|warning| warning.contains(expected)), "{row}: {found:?}");
        }
    }
}
