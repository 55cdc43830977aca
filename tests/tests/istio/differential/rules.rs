//! The random parts of a configuration's rules, and their upstreams.

use std::{collections::BTreeSet, time::Duration};

use canary_config::{AbortStatus, Config, DestinationKey, HttpRoute, Percentage, VirtualService};
use e2e::example::upstream;
use serde_json::Value;

use super::case::{TAG, text};

/// An upstream as an endpoint of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    /// The service's full name.
    pub(crate) host: String,
    /// The subset that it is in; `None` where a service has none.
    pub(crate) subset: Option<String>,
    /// The labels of that.
    pub(crate) labels: Vec<(String, String)>,
}

impl Endpoint {
    pub(crate) fn name(&self) -> String {
        upstream(&self.host, self.subset.as_deref())
    }
}

/// An endpoint for every subset of every service that rules name, else one for the service.
pub(crate) fn endpoints(config: &Config) -> Vec<Endpoint> {
    let hosts: BTreeSet<String> = config.destinations().into_iter().map(|key| key.host).collect();
    let mut endpoints: Vec<_> = hosts.iter().flat_map(|host| of_host(config, host)).collect();
    endpoints.sort();
    endpoints.dedup_by(|left, right| left.name() == right.name());
    endpoints
}

fn of_host(config: &Config, host: &str) -> Vec<Endpoint> {
    let rules = config.destination_rules.iter().filter(|rule| rule.host == *host);
    let endpoint = |subset, labels| Endpoint { host: host.to_owned(), subset, labels };
    let subsets: Vec<_> = rules
        .flat_map(|rule| &rule.subsets)
        .map(|subset| endpoint(Some(subset.name.clone()), subset.labels.clone()))
        .collect();
    if subsets.is_empty() { vec![endpoint(None, Vec::new())] } else { subsets }
}

/// The parts of a rule that depend on chance or time.
#[derive(Debug)]
pub(crate) struct Rule {
    /// As it names itself.
    pub(crate) tag: String,
    /// The upstreams of each destination that takes something, and its share.
    pub(crate) split: Vec<(BTreeSet<String>, f64)>,
    /// The status of an abort, and its share.
    pub(crate) abort: Option<(u16, f64)>,
    /// What every request waits for at least.
    pub(crate) delay: Duration,
}

impl Rule {
    /// The rules that requests can meet in this document.
    pub(crate) fn all(document: &Value, config: &Config) -> Vec<Self> {
        let all =
            config.virtual_services.iter().flat_map(|service| service.http.iter().map(move |rule| (service, rule)));
        all.map(|(service, rule)| Self::read(document, config, service, rule)).collect()
    }

    fn read(document: &Value, config: &Config, service: &VirtualService, rule: &HttpRoute) -> Self {
        let tag = text(document, &format!("{}/headers/response/add/{TAG}", rule.at)).expect("a rule names itself");
        let whole = rule.mirrors.iter().flatten().all(|mirror| mirror.percentage == Percentage::ALL);
        assert!(whole, "{tag}: copies of a share of the requests: teach the comparison about it, or list the example");
        let endpoints = endpoints(config);
        let weights: u32 = rule.route.iter().map(|target| target.weight).sum();
        let targets = rule.route.iter().filter(|target| target.weight > 0 || rule.route.len() == 1);
        let split = targets.map(|target| {
            let key = config.destination_key(&target.destination, &service.metadata.namespace);
            let share = if rule.route.len() == 1 { 1.0 } else { f64::from(target.weight) / f64::from(weights) };
            (serving(&endpoints, &key), share)
        });
        let fault = rule.fault.as_deref();
        let abort = fault.and_then(|fault| fault.abort).map(|abort| match abort.status {
            AbortStatus::Http(status) => (status, share(abort.percentage)),
            AbortStatus::Grpc(_) => (200, share(abort.percentage)),
        });
        let delay = fault.and_then(|fault| fault.delay).filter(|delay| delay.percentage == Percentage::ALL);
        Self {
            tag: tag.to_owned(),
            split: split.collect(),
            abort,
            delay: delay.map_or(Duration::ZERO, |delay| delay.fixed_delay),
        }
    }

    /// The upstreams that may serve a request.
    pub(crate) fn servers(&self) -> BTreeSet<&str> {
        self.split.iter().flat_map(|(upstreams, _)| upstreams).map(String::as_str).collect()
    }

    /// The status of an abort that only some requests meet.
    pub(crate) fn may_abort(&self) -> Option<u16> {
        self.abort.filter(|(_, share)| *share > 0.0 && *share < 1.0).map(|(status, _)| status)
    }

    /// Whether equal requests may have different results.
    pub(crate) fn is_open(&self) -> bool {
        self.split.len() > 1 || self.may_abort().is_some()
    }
}

fn serving(endpoints: &[Endpoint], key: &DestinationKey) -> BTreeSet<String> {
    let of_host = endpoints.iter().filter(|endpoint| endpoint.host == key.host);
    of_host.filter(|endpoint| key.subset.is_none() || endpoint.subset == key.subset).map(Endpoint::name).collect()
}

fn share(percentage: Percentage) -> f64 {
    f64::from(percentage.millionths()) / 1e6
}
