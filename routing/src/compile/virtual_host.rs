//! Orders the hosts of a configuration and the objects of each.

use std::sync::Arc;

use canary_config::word_hash::WordMap;
use canary_config::{VirtualService, host};

use super::Compiler;
use super::policy::Policies;
use super::route::Draft;
use crate::host_index::HostIndex;
use crate::table::VirtualHost;

/// The hosts, and for each the indices of the objects that name it.
#[derive(Default)]
struct Hosts {
    index: HostIndex,
    objects: Vec<Vec<usize>>,
}

impl Compiler<'_> {
    /// The index of hosts, and the rules of each.
    pub(super) fn virtual_hosts(&mut self, policies: &Policies) -> (HostIndex, Vec<VirtualHost>) {
        let config = self.config;
        let in_mesh = config.proxy.in_mesh();
        let (mut hosts, mut objects) = (Hosts::default(), Vec::new());
        for service in config.services_in_order() {
            let mut drafts = self.drafts(service, policies);
            if !in_mesh {
                drafts = catch_all_last(drafts);
            }
            if !drafts.is_empty() {
                self.add(service, objects.len(), &mut hosts);
                objects.push(drafts);
            }
        }
        let virtual_hosts =
            if in_mesh { self.mesh_hosts(&hosts, &objects) } else { self.gateway_hosts(&hosts, &objects) };
        (hosts.index, virtual_hosts)
    }

    fn add(&self, service: &VirtualService, object: usize, hosts: &mut Hosts) {
        let proxy = &self.config.proxy;
        for fqdn in service.qualified_hosts() {
            let known = hosts.index.find_exactly(&fqdn);
            let place = known.unwrap_or_else(|| {
                let place = hosts.objects.len();
                hosts.objects.push(Vec::new());
                let names = if proxy.in_mesh() {
                    let is_near = host::namespace(&fqdn).is_none_or(|namespace| proxy.in_namespace(namespace));
                    host::mesh_names(&fqdn, is_near)
                } else {
                    vec![fqdn]
                };
                names.into_iter().for_each(|name| hosts.index.insert(name, place));
                place
            });
            if let Some(objects) = hosts.objects.get_mut(place) {
                objects.push(object);
            }
        }
    }

    /// In a mesh each host has its objects in order. Hosts share their objects.
    fn mesh_hosts(&mut self, hosts: &Hosts, objects: &[Vec<Draft>]) -> Vec<VirtualHost> {
        let rules: Vec<_> = objects.iter().map(|drafts| Arc::new(self.rules(drafts))).collect();
        let of_host = |places: &Vec<usize>| {
            let objects = places.iter().filter_map(|place| rules.get(*place).cloned()).collect();
            VirtualHost::new(objects)
        };
        hosts.objects.iter().map(of_host).collect()
    }

    /// At a gateway each host has one list: the rules of all its objects in order, with catch-all entries last (the
    /// older first). Hosts with the same objects share the list.
    fn gateway_hosts(&mut self, hosts: &Hosts, objects: &[Vec<Draft>]) -> Vec<VirtualHost> {
        let mut known = WordMap::default();
        let mut merge = |places: &Vec<usize>| {
            let rules = known.entry(places.clone()).or_insert_with(|| {
                let drafts = places.iter().filter_map(|place| objects.get(*place)).flatten().cloned().collect();
                Arc::new(self.rules(&catch_all_last(drafts)))
            });
            VirtualHost::new(vec![Arc::clone(rules)])
        };
        hosts.objects.iter().map(&mut merge).collect()
    }
}

impl VirtualHost {
    fn new(objects: Vec<Arc<crate::matching::Rules>>) -> Self {
        let mut policies: Vec<Arc<crate::picking::HostPolicy>> = Vec::new();
        let routes = objects.iter().flat_map(|rules| rules.routes());
        let mut last = std::ptr::null();
        for action in routes.map(|route| &route.action) {
            // Adjacent routes often share their action.
            if std::mem::replace(&mut last, Arc::as_ptr(action)) == Arc::as_ptr(action) {
                continue;
            }
            for policy in action.policies().filter(|policy| policy.header.is_some()) {
                if !policies.iter().any(|known| Arc::ptr_eq(known, policy)) {
                    policies.push(Arc::clone(policy));
                }
            }
        }
        Self { objects, policies }
    }
}

fn catch_all_last(drafts: Vec<Draft>) -> Vec<Draft> {
    let (mut last, mut drafts): (Vec<_>, Vec<_>) = drafts.into_iter().partition(Draft::is_catch_all);
    drafts.append(&mut last);
    drafts
}
