//! A plugin: the configuration that is in force, or one that still serves streams.

use std::rc::Rc;

use canary_config::{Config, Proxy};
use canary_routing::RouteTable;

use crate::filter_stream::{FilterPlan, FilterStream};
use crate::filter_table::FilterTable;
use crate::host::{Host, HostError};
use crate::report::{configuration, ejections};
use crate::ticker::{FAST_MS, OFF, SLOW_MS, Ticker};
use crate::vm_state::VmState;

/// Compiles configurations, and gives each new stream the current one.
pub(crate) struct Plugin {
    state: Rc<VmState>,
    plan: Rc<FilterPlan>,
    ticker: Rc<Ticker>,
}

impl Plugin {
    /// Has no rules, so every request goes to the native routes.
    pub(crate) fn new(state: &Rc<VmState>) -> Self {
        let ticker = Rc::default();
        let plan = filter_plan(state, &ticker, &Config::default());
        Self { state: Rc::clone(state), plan, ticker }
    }

    /// Accepts or rejects a configuration as a whole. If it is rejected, the previous one stays in force. Envoy caches
    /// the result, so it must depend on the configuration alone.
    pub(crate) fn configure(&mut self, host: &impl Host, document: &[u8]) -> bool {
        let plan = self.load(host, document);
        let accepted = plan.is_some();
        configuration::count(host, &self.state.registry, document, accepted);
        if let Some(plan) = plan {
            self.plan = plan;
            // This plugin also ends the delays of older plugins, which may be removed first.
            if let Err(error) = self.ticker.set(host, self.wanted_period()) {
                log::error!("{error}: the plugin of the previous configuration ends pending delays");
            }
            // A new VM gets the shared state at once.
            self.exchange(host);
        }
        accepted
    }

    /// Starts a stream.
    pub(crate) fn stream(&self, id: u32) -> FilterStream {
        FilterStream::new(id, Rc::clone(&self.plan))
    }

    /// Ends due delays, and exchanges the health of clusters and versions.
    pub(crate) fn on_tick(&self, host: &impl Host) {
        let is_idle = self.state.delays.is_idle();
        if !is_idle {
            self.state.delays.end_due(host, &self.state.registry);
        }
        // Set before other streams are entered, because it acts on the current plugin.
        if is_idle && let Err(error) = self.ticker.set(host, self.wanted_period()) {
            log::error!("{error}: the tick period is not changed");
        }
        self.exchange(host);
    }

    /// Stops the tick. Otherwise Envoy would continue it for a plugin that is gone.
    pub(crate) fn end(&self, host: &impl Host) {
        self.ticker.stop(host);
    }

    fn exchange(&self, host: &impl Host) {
        let table = &self.plan.table.routes;
        if table.has_fallback() {
            self.state.health.exchange_clusters(host);
        }
        if table.has_accrual() {
            let events = self.state.health.judge_versions(host);
            events.iter().for_each(|event| ejections::report(host, &self.state.registry, event));
        }
    }

    fn wanted_period(&self) -> u32 {
        let table = &self.plan.table.routes;
        match self.state.delays.is_idle() {
            false => FAST_MS,
            true if table.has_fallback() || table.has_accrual() => SLOW_MS,
            true => OFF,
        }
    }

    /// Compiles a configuration. `None` if it is invalid; the errors are logged.
    fn load(&self, host: &impl Host, document: &[u8]) -> Option<Rc<FilterPlan>> {
        let (mut config, warnings) = Config::from_json(document)
            .map_err(|errors| errors.iter().for_each(|error| log::error!("configuration rejected: {error}")))
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

/// The state that all requests of one configuration share.
fn filter_plan(state: &Rc<VmState>, ticker: &Rc<Ticker>, config: &Config) -> Rc<FilterPlan> {
    Rc::new(FilterPlan {
        state: Rc::clone(state),
        table: FilterTable::new(RouteTable::compile(config)),
        ticker: Rc::clone(ticker),
    })
}

/// Completes the proxy's identity from Envoy's node metadata.
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
