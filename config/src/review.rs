//! What a valid document says that is hardly meant: warnings of the loader and of `canaryctl validate`.

use std::collections::HashMap;

use crate::destination::Destination;
use crate::node::Node;
use crate::virtual_service::VirtualService;
use crate::{Config, Mode};
use crate::{duration, host};

/// Adds the warnings of a whole document.
pub(super) fn review(config: &Config, node: &Node<'_>) {
    for service in &config.virtual_services {
        warn_of_delegates(config, service, node);
        warn_of_gateways(config, service, node);
        warn_of_unreachable_rules(service, node);
        warn_of_undefined_subsets(config, service, node);
        warn_of_long_delays(config, service, node);
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
                &delegate.at,
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
            &service.at,
            format!("it is for {named}, this proxy serves {own}: it does nothing here (proxy.gateways says which gateways a proxy serves)"),
        );
    }
}

/// Istio's `VirtualServiceUnreachableRule` and `VirtualServiceIneffectiveMatch`.
fn warn_of_unreachable_rules(service: &VirtualService, node: &Node<'_>) {
    let mut catch_all: Option<&str> = None;
    let mut seen = HashMap::new();
    for rule in &service.http {
        if let Some(taker) = catch_all {
            node.warn_at(&rule.at, format!("virtualService rule not used: {taker} takes every request before it"));
            continue;
        }
        for (index, entry) in rule.matches.iter().enumerate() {
            let earlier = *seen.entry(entry.content()).or_insert((&rule.at, index));
            if earlier != (&rule.at, index) {
                node.warn_at(
                    &format!("{}/match/{index}", rule.at),
                    format!("virtualService match is not used: duplicate of a match of {}", earlier.0),
                );
            }
        }
        if rule.matches.is_empty() || rule.matches.iter().any(|entry| entry.is_unconditional()) {
            catch_all = Some(&rule.at);
        }
    }
}

fn warn_of_undefined_subsets(config: &Config, service: &VirtualService, node: &Node<'_>) {
    let consequence = match config.mode {
        Mode::Cluster => "requests for it fail until its cluster exists",
        Mode::Version => "the native route for it fails until its cluster exists",
    };
    let warn = |destination: &Destination| {
        let Some(subset) = &destination.subset else { return };
        let host = host::qualify(&destination.host, &service.metadata.namespace);
        if !config.defines_subset(&host, subset) {
            node.warn_at(
                &destination.at,
                format!("no DestinationRule defines subset {subset} of {host}; {consequence}"),
            );
        }
    };
    for rule in &service.http {
        rule.route.iter().for_each(|target| warn(&target.destination));
        rule.mirrors.iter().flatten().for_each(|mirror| warn(&mirror.destination));
    }
}

fn warn_of_long_delays(config: &Config, service: &VirtualService, node: &Node<'_>) {
    for rule in &service.http {
        let delay = rule.fault.as_ref().and_then(|fault| fault.delay);
        if let Some(delay) = delay.filter(|delay| delay.fixed_delay > config.faults.max_delay) {
            let (fixed, longest) = (duration::text(delay.fixed_delay), duration::text(config.faults.max_delay));
            node.warn_at(&rule.at, format!("a delay of {fixed} is cut to {longest} (faults.maxDelay)"));
        }
    }
}

/// In a mesh the oldest object takes a host, and the others do nothing for it.
fn warn_of_taken_hosts(config: &Config, node: &Node<'_>) {
    let services = config.services_in_order();
    let mut taken = HashMap::<String, usize>::new();
    for (index, service) in services.iter().enumerate() {
        for host in service.qualified_hosts() {
            match taken.get(&host).and_then(|owner| services.get(*owner)) {
                Some(owner) => node.warn_at(
                    &service.at,
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
