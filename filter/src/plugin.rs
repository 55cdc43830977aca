//! A plugin: a configuration that is in force, or still serves streams.

use std::rc::Rc;

use canary_config::{Config, Proxy, Role};
use canary_routing::RouteTable;

use crate::filter_stream::{FilterPlan, FilterStream};
use crate::filter_table::FilterTable;
use crate::guard::Guarded;
use crate::guard_stream::{GuardPlan, GuardStream};
use crate::host::{Host, HostError};
use crate::report::{configuration, ejections};
use crate::ticker::{FAST, OFF, SLOW, Ticker};
use crate::vm_state::VmState;

/// Compiles configurations and hands the one in force to each new stream.
pub(crate) struct Plugin {
    state: Rc<VmState>,
    plan: Plan,
    ticker: Rc<Ticker>,
    guarded: Rc<Guarded>,
}

/// What a configuration comes to.
enum Plan {
    /// Decide by this table.
    Filter(Rc<FilterPlan>),
    /// Look after what the filter before has decided.
    Guard(Rc<GuardPlan>),
}

/// A request, in the role that its plugin has.
pub(crate) enum Stream {
    Filter(FilterStream),
    Guard(GuardStream),
}

/// What a configuration has to know of clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    Nothing,
    /// Whether they can serve.
    Clusters,
    /// Whether they can, and how often they fail.
    Failures,
}

impl Plugin {
    /// Knows no host, so every request is left to the native routes.
    pub(crate) fn new(state: &Rc<VmState>) -> Self {
        let (ticker, guarded) = (Rc::default(), Rc::default());
        let plan = filter_plan(state, &ticker, &guarded, &Config::default());
        Self { state: Rc::clone(state), plan, ticker, guarded }
    }

    /// Takes a document as a whole or rejects it as a whole; then the one before stays in force. Envoy caches the verdict, so
    /// it depends on nothing but the document.
    pub(crate) fn configure(&mut self, host: &impl Host, document: &[u8]) -> bool {
        let plan = self.load(host, document);
        let accepted = plan.is_some();
        configuration::count(host, &self.state.registry, document, accepted);
        if let Some(plan) = plan {
            match &plan {
                Plan::Guard(_) => self.state.guards.presence.announce(),
                Plan::Filter(_) if plan.watched() > Watched::Nothing => self.state.guards.presence.announce_filter(),
                Plan::Filter(_) => {}
            }
            self.plan = plan;
            // The delays that older plugins have begun are ended, too: theirs may end before them.
            if let Err(error) = self.ticker.set(host, self.wanted_period()) {
                log::error!("{error}: pending delays are left to the configuration before");
            }
            // A VM that starts knows at once what the others know.
            self.keep_up(host);
        }
        accepted
    }

    /// A stream begins.
    pub(crate) fn stream(&self, id: u32) -> Stream {
        match &self.plan {
            Plan::Filter(plan) => Stream::Filter(FilterStream::new(id, Rc::clone(plan))),
            Plan::Guard(plan) => Stream::Guard(GuardStream::new(id, Rc::clone(plan))),
        }
    }

    /// Ends delays, and keeps what is known of clusters up to date.
    pub(crate) fn on_tick(&self, host: &impl Host) {
        let is_idle = self.state.delays.is_idle();
        if !is_idle {
            self.state.delays.end_due(host, &self.state.registry);
        }
        self.keep_up(host);
        if is_idle && let Err(error) = self.ticker.set(host, self.wanted_period()) {
            log::error!("{error}: the tick goes on as it was");
        }
    }

    /// Envoy would go on ticking for a plugin that is no more.
    pub(crate) fn end(&self, host: &impl Host) {
        self.ticker.stop(host);
    }

    fn keep_up(&self, host: &impl Host) {
        let watched = self.plan.watched();
        if watched >= Watched::Clusters {
            self.state.health.exchange_clusters(host);
        }
        if watched >= Watched::Failures {
            let transitions = self.state.health.judge_versions(host);
            transitions.iter().for_each(|transition| ejections::report(host, &self.state.registry, transition));
        }
    }

    fn wanted_period(&self) -> u32 {
        match (self.state.delays.is_idle(), self.plan.watched()) {
            (false, _) => FAST,
            (true, Watched::Clusters | Watched::Failures) => SLOW,
            (true, Watched::Nothing) => OFF,
        }
    }

    /// What a document comes to; `None`, with the reasons logged, if it is not acceptable.
    fn load(&self, host: &impl Host, document: &[u8]) -> Option<Plan> {
        let (mut config, warnings) = Config::from_json(document)
            .map_err(|errors| errors.iter().for_each(|error| log::error!("configuration refused: {error}")))
            .ok()?;
        for warning in &warnings {
            log::warn!("configuration: {warning}");
        }
        if config.role == Role::Guard {
            log::info!("configuration accepted (a guard)");
            let (state, ticker) = (Rc::clone(&self.state), Rc::clone(&self.ticker));
            return Some(Plan::Guard(Rc::new(GuardPlan { state, endpoints: config.guard.endpoints, ticker })));
        }
        identify(host, &mut config.proxy);
        let plan = filter_plan(&self.state, &self.ticker, &self.guarded, &config);
        if let Plan::Filter(plan) = &plan {
            let table = &plan.table.routes;
            let regexes = match table.regex_memory() {
                0 => String::new(),
                bytes => format!(", regexes: {} KiB", bytes.div_ceil(1024)),
            };
            let (hosts, routes) = (table.host_count(), table.route_count());
            log::info!("configuration accepted (hosts: {hosts}, routes: {routes}{regexes})");
        }
        Some(plan)
    }
}

impl Plan {
    fn watched(&self) -> Watched {
        match self {
            Self::Filter(plan) if plan.table.routes.has_accrual() => Watched::Failures,
            Self::Filter(plan) if plan.table.routes.has_fallback() => Watched::Clusters,
            Self::Filter(_) | Self::Guard(_) => Watched::Nothing,
        }
    }
}

fn filter_plan(state: &Rc<VmState>, ticker: &Rc<Ticker>, guarded: &Rc<Guarded>, config: &Config) -> Plan {
    Plan::Filter(Rc::new(FilterPlan {
        state: Rc::clone(state),
        table: Rc::new(FilterTable::new(RouteTable::compile(config))),
        ticker: Rc::clone(ticker),
        guarded: Rc::clone(guarded),
    }))
}

/// Lets Envoy's node metadata say who the proxy is where the document does not.
fn identify(host: &impl Host, proxy: &mut Proxy) {
    if proxy.namespace.is_none() {
        proxy.namespace = known("namespace", host.node_namespace()).filter(|namespace| !namespace.is_empty());
    }
    if proxy.labels.is_none() {
        proxy.labels = known("labels", host.node_labels());
    }
}

fn known<T>(what: &str, metadata: Result<Option<T>, HostError>) -> Option<T> {
    metadata.unwrap_or_else(|error| {
        log::warn!("configuration: the node metadata does not say the proxy's {what} ({error}); set /proxy/{what}");
        None
    })
}
