//! Compiles a configuration into a table. Only this folder knows the structures of the configuration.
//!
//! [`virtual_host`] orders the objects and their hosts. [`route`] makes the routes of each rule. [`condition`] compiles
//! the conditions of a match, [`action`] the action of a rule, and [`policy`] the policies of each host. The
//! [`Compiler`] gives each name a number.

mod action;
mod condition;
mod own_headers;
mod policy;
mod route;
mod virtual_host;

use std::sync::Arc;

use canary_config::word_hash::WordMap;
use canary_config::{Candidate, Config, Proxy};

use crate::acting::cors::CorsNames;
use crate::destination::{DestinationId, DestinationName};
use crate::matching::Fields;
use crate::names::{HeaderName, NamesBuilder};
use crate::overrides::{Overrides, Principal, Secret, TrustedSource};
use crate::regex::RegexCaches;
use crate::table::{CandidateTable, RouteTable, Settings};

impl RouteTable {
    /// Resolves the configuration for `config.proxy` and compiles it. The table keeps nothing of the configuration.
    #[must_use]
    pub fn compile(config: &Config) -> Self {
        let mut compiler = Compiler::new(config);
        let (own_headers, steering) = (compiler.own_headers(), compiler.steering());
        let content_type = compiler.headers.header("content-type").slot();
        let overrides = compiler.overrides();
        let policies = compiler.policies();
        let (hosts, virtual_hosts) = compiler.virtual_hosts(&policies);
        Self {
            settings: Settings {
                mode: config.mode,
                faults: config.faults,
                metrics: config.metrics,
                filter_state: config.filter_state,
                failover: config.clusters.failover,
                has_fallback: config.policies.iter().any(|policy| !policy.fallback.is_empty()),
                has_accrual: config
                    .policies
                    .iter()
                    .any(|policy| policy.failure_accrual.is_some() && !policy.fallback.is_empty()),
            },
            names: compiler.headers.build(),
            fields: Fields { parameters: compiler.parameters.build(), claims: compiler.claims.into() },
            steering,
            content_type,
            own_headers,
            overrides,
            hosts,
            virtual_hosts,
            destinations: compiler.destinations,
            regexes: compiler.caches,
            candidate: config.candidate.as_ref().map(|candidate| compile_candidate(candidate, &config.proxy).into()),
        }
    }
}

/// Compiles the candidate for the proxy of the live rules, which may be known better than the configuration says.
fn compile_candidate(candidate: &Candidate, proxy: &Proxy) -> CandidateTable {
    let config = Config { proxy: proxy.clone(), ..candidate.config.clone() };
    CandidateTable { percentage: candidate.percentage, table: RouteTable::compile(&config) }
}

/// The state of a compilation.
struct Compiler<'c> {
    config: &'c Config,
    headers: NamesBuilder,
    parameters: NamesBuilder,
    claims: Vec<Vec<String>>,
    claim_numbers: WordMap<Vec<String>, u32>,
    /// Names of hosts and versions. Each is in memory once.
    texts: WordMap<Box<str>, Arc<str>>,
    destinations: Vec<DestinationName>,
    ids: WordMap<(Arc<str>, Option<Arc<str>>), DestinationId>,
    /// The ports of each host that `services` lists.
    ports: WordMap<&'c str, &'c [u16]>,
    cors: Option<CorsNames>,
    /// The caches of all regexes of the table.
    caches: Arc<RegexCaches>,
}

impl<'c> Compiler<'c> {
    fn new(config: &'c Config) -> Self {
        let mut ports = WordMap::default();
        for service in &config.services {
            ports.entry(service.host.as_str()).or_insert(&*service.ports);
        }
        Self {
            config,
            headers: NamesBuilder::default(),
            parameters: NamesBuilder::default(),
            claims: Vec::new(),
            claim_numbers: WordMap::default(),
            texts: WordMap::default(),
            destinations: Vec::new(),
            ids: WordMap::default(),
            ports,
            cors: None,
            caches: Arc::new(RegexCaches::new()),
        }
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(text.into(), Arc::clone(&shared));
        shared
    }

    /// The number of a claim.
    fn claim(&mut self, keys: &[String]) -> u32 {
        if let Some(number) = self.claim_numbers.get(keys) {
            return *number;
        }
        let number = u32::try_from(self.claims.len()).unwrap_or(u32::MAX);
        self.claims.push(keys.to_vec());
        self.claim_numbers.insert(keys.to_vec(), number);
        number
    }

    fn destination_id(&mut self, host: &Arc<str>, version: Option<&Arc<str>>) -> DestinationId {
        let name = (Arc::clone(host), version.cloned());
        let next = DestinationId(u32::try_from(self.destinations.len()).unwrap_or(u32::MAX));
        let id = *self.ids.entry(name).or_insert(next);
        if id == next {
            self.destinations.push(DestinationName { host: Arc::clone(host), version: version.cloned() });
        }
        id
    }

    fn overrides(&mut self) -> Overrides {
        let (config, headers) = (self.config, &mut self.headers);
        let mut header = |name: Option<&str>| name.map(|name| headers.header(name));
        let (version, explain) = (header(config.headers.version()), header(config.headers.explain()));
        let from = config.overrides.from.iter().map(|source| TrustedSource {
            cidr: source.cidr,
            principal: source.principal.as_ref().map(|principal| match principal {
                canary_config::Principal::Exact(uri) => Principal::Exact(uri.as_bytes().into()),
                canary_config::Principal::Prefix(prefix) => Principal::Prefix(prefix.as_bytes().into()),
            }),
            secret: source
                .secret
                .as_ref()
                .map(|secret| Secret { header: headers.header(&secret.header).slot(), sha256: secret.sha256 }),
        });
        let from = from.collect();
        Overrides { version, explain, from, trust_forwarded_for: config.overrides.trust_forwarded_for }
    }

    fn cors_names(&mut self) -> CorsNames {
        let headers = &mut self.headers;
        let mut header = |name: &str| -> HeaderName { headers.header(name) };
        self.cors
            .get_or_insert_with(|| CorsNames {
                origin: header("origin"),
                request_method: header("access-control-request-method"),
                request_headers: header("access-control-request-headers"),
                allow_origin: header("access-control-allow-origin"),
                allow_credentials: header("access-control-allow-credentials"),
                expose_headers: header("access-control-expose-headers"),
                allow_methods: header("access-control-allow-methods"),
                allow_headers: header("access-control-allow-headers"),
                max_age: header("access-control-max-age"),
            })
            .clone()
    }
}
