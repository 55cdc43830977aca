//! The root context: one for each configuration that is in force or still serves streams.

use std::rc::Rc;

use canary_routing::config::{Endpoints, Role};
use canary_routing::{Config, Proxy, RouteTable};
use sdk_shims::context::{Action, HttpContext, RootContext};
use sdk_shims::host::{self, HostError};
use sdk_shims::log;

use crate::guard::Guard;
use crate::handover::{self, Guarded};
use crate::http::Stream;
use crate::metrics;
use crate::ticker::{Ticker, Watches};

/// Compiles configurations and hands the one in force to each new stream.
pub(crate) struct Root {
    plan: Plan,
    ticker: Rc<Ticker>,
    guarded: Rc<Guarded>,
}

/// What a configuration comes to.
enum Plan {
    /// Decide by this table.
    Filter(Rc<RouteTable>),
    /// Look after what the filter before has decided.
    Guard(Option<Endpoints>),
}

impl Plan {
    fn watches(&self) -> Watches {
        match self {
            Self::Filter(table) if table.has_accrual() => Watches::Failures,
            Self::Filter(table) if table.has_fallback() => Watches::Clusters,
            Self::Filter(_) | Self::Guard(_) => Watches::Nothing,
        }
    }
}

impl Default for Root {
    /// Knows no host, so every request is left to the native routes.
    fn default() -> Self {
        let plan = Plan::Filter(Rc::new(RouteTable::compile(&Config::default())));
        Self { plan, ticker: Rc::default(), guarded: Rc::default() }
    }
}

impl RootContext for Root {
    type Http = Http;

    /// Takes a document as a whole or refuses it as a whole; then the one before stays in force. Envoy caches the verdict,
    /// so it depends on nothing but the document.
    fn on_configure(&mut self, size: usize) -> bool {
        let Some(document) = document(size) else { return false };
        let plan = load(&document);
        let accepted = plan.is_some();
        metrics::configured(&document, accepted);
        if let Some(plan) = plan {
            self.ticker.configured(plan.watches());
            if matches!(plan, Plan::Guard(_)) {
                handover::announce_guard();
            }
            self.plan = plan;
        }
        accepted
    }

    fn create_http_context(&self, context_id: u32) -> Http {
        match &self.plan {
            Plan::Filter(table) => {
                let (ticker, guarded) = (Rc::clone(&self.ticker), Rc::clone(&self.guarded));
                Http::Filter(Stream::new(context_id, Rc::clone(table), ticker, guarded))
            }
            Plan::Guard(endpoints) => Http::Guard(Guard::new(context_id, *endpoints, Rc::clone(&self.ticker))),
        }
    }

    fn on_tick(&mut self) {
        self.ticker.on_tick();
    }

    fn on_delete(&mut self) {
        // Envoy would go on ticking for a root context that is no more.
        self.ticker.stop();
    }
}

/// A request, in the role that its plugin has.
pub(crate) enum Http {
    Filter(Stream),
    Guard(Guard),
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        match self {
            Self::Filter(stream) => stream.on_request_headers(end_of_stream),
            Self::Guard(guard) => guard.on_request_headers(),
        }
    }

    fn on_http_request_body(&mut self, _size: usize, end_of_stream: bool) -> Action {
        if let Self::Filter(stream) = self {
            stream.complete_if(end_of_stream);
        }
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        if let Self::Filter(stream) = self {
            stream.complete_if(true);
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if let Self::Filter(stream) = self {
            stream.on_response_headers();
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        if let Self::Filter(stream) = self {
            stream.on_log();
        }
    }
}

/// The plugin's configuration; `None`, with the reason logged, if the host does not hand it out.
fn document(size: usize) -> Option<Vec<u8>> {
    host::plugin_configuration(size).map_err(|error| log::error!("configuration refused: {error}")).ok()
}

/// What the plugin's configuration comes to; `None`, with the reasons logged, if it is not acceptable.
fn load(document: &[u8]) -> Option<Plan> {
    let (mut config, warnings) = Config::from_json(document)
        .map_err(|errors| errors.iter().for_each(|error| log::error!("configuration refused: {error}")))
        .ok()?;
    for warning in &warnings {
        log::warn!("configuration: {warning}");
    }
    if config.role == Role::Guard {
        log::info!("configuration accepted (a guard)");
        return Some(Plan::Guard(config.guard.endpoints));
    }
    identify(&mut config.proxy);
    let table = RouteTable::compile(&config);
    log::info!("configuration accepted (hosts: {}, routes: {})", table.host_count(), table.route_count());
    Some(Plan::Filter(Rc::new(table)))
}

/// Lets Envoy's node metadata say who the proxy is where the document does not.
fn identify(proxy: &mut Proxy) {
    if proxy.namespace.is_none() {
        proxy.namespace = known("namespace", host::node_namespace()).filter(|namespace| !namespace.is_empty());
    }
    if proxy.labels.is_none() {
        proxy.labels = known("labels", host::node_labels());
    }
}

fn known<T>(what: &str, metadata: Result<Option<T>, HostError>) -> Option<T> {
    metadata.unwrap_or_else(|error| {
        log::warn!("configuration: the node metadata does not say the proxy's {what} ({error}); set /proxy/{what}");
        None
    })
}
