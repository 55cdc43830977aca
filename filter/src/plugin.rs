//! A plugin: a configuration that is in force, or still serves streams.

use std::rc::Rc;

use canary_config::{Config, Proxy};
use canary_routing::RouteTable;

use crate::filter_stream::{FilterPlan, FilterStream};
use crate::filter_table::FilterTable;
use crate::host::{Host, HostError};
use crate::report::{configuration, ejections};
use crate::ticker::{FAST, OFF, SLOW, Ticker};
use crate::vm_state::VmState;

/// Compiles configurations and hands the one in force to each new stream.
pub(crate) struct Plugin {
    state: Rc<VmState>,
    plan: Rc<FilterPlan>,
    ticker: Rc<Ticker>,
}

impl Plugin {
    /// Knows no host, so every request is left to the native routes.
    pub(crate) fn new(state: &Rc<VmState>) -> Self {
        let ticker = Rc::default();
        let plan = filter_plan(state, &ticker, &Config::default());
        Self { state: Rc::clone(state), plan, ticker }
    }

    /// Takes a document as a whole or rejects it as a whole; then the one before stays in force. Envoy caches the verdict, so
    /// it depends on nothing but the document.
    pub(crate) fn configure(&mut self, host: &impl Host, document: &[u8]) -> bool {
        let plan = self.load(host, document);
        let accepted = plan.is_some();
        configuration::count(host, &self.state.registry, document, accepted);
        if let Some(plan) = plan {
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
    pub(crate) fn stream(&self, id: u32) -> FilterStream {
        FilterStream::new(id, Rc::clone(&self.plan))
    }

    /// Ends delays, and keeps what is known of clusters up to date.
    pub(crate) fn on_tick(&self, host: &impl Host) {
        let is_idle = self.state.delays.is_idle();
        if !is_idle {
            self.state.delays.end_due(host, &self.state.registry);
        }
        // Before streams are entered: the period is that of the plugin in force.
        if is_idle && let Err(error) = self.ticker.set(host, self.wanted_period()) {
            log::error!("{error}: the tick goes on as it was");
        }
        self.keep_up(host);
    }

    /// Envoy would go on ticking for a plugin that is no more.
    pub(crate) fn end(&self, host: &impl Host) {
        self.ticker.stop(host);
    }

    fn keep_up(&self, host: &impl Host) {
        let table = &self.plan.table.routes;
        if table.has_fallback() {
            self.state.health.exchange_clusters(host);
        }
        if table.has_accrual() {
            let transitions = self.state.health.judge_versions(host);
            transitions.iter().for_each(|transition| ejections::report(host, &self.state.registry, transition));
        }
    }

    fn wanted_period(&self) -> u32 {
        let table = &self.plan.table.routes;
        match self.state.delays.is_idle() {
            false => FAST,
            true if table.has_fallback() || table.has_accrual() => SLOW,
            true => OFF,
        }
    }

    /// What a document comes to; `None`, with the reasons logged, if it is not acceptable.
    fn load(&self, host: &impl Host, document: &[u8]) -> Option<Rc<FilterPlan>> {
        let (mut config, warnings) = Config::from_json(document)
            .map_err(|errors| errors.iter().for_each(|error| log::error!("configuration refused: {error}")))
            .ok()?;
        for warning in &warnings {
            log::warn!("configuration: {warning}");
        }
        identify(host, &mut config.proxy);
        let plan = filter_plan(&self.state, &self.ticker, &config);
        let table = &plan.table.routes;
        let regexes = match table.regex_memory() {
            0 => String::new(),
            bytes => format!(", regexes: {} KiB", bytes.div_ceil(1024)),
        };
        let (hosts, routes) = (table.host_count(), table.route_count());
        log::info!("configuration accepted (hosts: {hosts}, routes: {routes}{regexes})");
        Some(plan)
    }
}

/// What the requests under a configuration share.
fn filter_plan(state: &Rc<VmState>, ticker: &Rc<Ticker>, config: &Config) -> Rc<FilterPlan> {
    Rc::new(FilterPlan {
        state: Rc::clone(state),
        table: FilterTable::new(RouteTable::compile(config)),
        ticker: Rc::clone(ticker),
    })
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
