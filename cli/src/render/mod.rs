//! `canaryctl render`: files for other tools.

mod advice;
mod annotations;
mod bootstrap;
mod ecds;
mod envoy_filter;
mod fail_open;
mod failover;
mod format;
mod kind;
mod manifest;
mod patches;
mod plugin;
mod version_rules;
mod virtual_services;
mod wasm;

use std::process::ExitCode;

use clap::Subcommand;

use self::{
    bootstrap::BootstrapArgs, ecds::EcdsArgs, kind::Kind, plugin::PluginArgs, virtual_services::VirtualServiceArgs,
};
use crate::console;

/// The flags of `canaryctl render`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The bootstrap that `canaryctl run` would use, for `envoy -c FILE`
    ///
    /// The bootstrap itself holds clusters and the filter configuration. A version without --upstream is expected on a
    /// port after --port; the comments on top are the commands that start echo servers there, and Envoy.
    Bootstrap(BootstrapArgs),
    /// The filter with a configuration, as an Envoy with ECDS reads it from a file
    ///
    /// Write it beside the file that Envoy reads, and rename it: Envoy does not notice files that are written in place.
    Ecds(EcdsArgs),
    /// The VirtualServices that carry out a configuration's rules in mode version, for `kubectl apply`
    ///
    /// Before each rule with destinations stands one for each of its subsets: the rule's own match and the version header
    /// that the filter sets, to that destination alone, all else unchanged. The rule itself stays as the net for requests
    /// without the header. DestinationRules stay as they are and are not printed.
    #[command(name = "virtualservice")]
    VirtualService(VirtualServiceArgs),
    /// The WasmPlugin that brings the filter into Istio's proxies, in mode version, for `kubectl apply`
    ///
    /// The document goes into its pluginConfig, with proxy.gateways as the proxies need it. A document that says nothing of
    /// its mode is one of mode version. Comments say what to know before it is applied. With FAIL_OPEN an EnvoyFilter follows,
    /// so that a proxy that starts while the document is bad serves by the native routes. Where a policy has a fallback order two come
    /// before it: the failover clusters, and the routes to them.
    #[command(name = "wasmplugin")]
    WasmPlugin(Box<PluginArgs>),
    /// The same as a TrafficExtension, for Istio 1.30 and later
    #[command(name = "trafficextension")]
    TrafficExtension(Box<PluginArgs>),
    /// The EnvoyFilter that brings the filter and its route into Istio's proxies, in mode cluster
    ///
    /// Where a policy has a fallback order another one comes before it, with the failover clusters. Comments say what each part is
    /// for.
    #[command(name = "envoyfilter")]
    EnvoyFilter(Box<PluginArgs>),
    /// The annotation of Pods for the filter's metrics, for `kubectl patch deployment NAME --patch-file FILE`
    Annotations,
}

impl Args {
    /// Prints the file to standard output.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let printed = match self.what {
            What::Bootstrap(bootstrap) => bootstrap.print(),
            What::Ecds(ecds) => ecds.print(),
            What::VirtualService(virtual_services) => virtual_services.print(),
            What::WasmPlugin(plugin) => wasm::print(Kind::WasmPlugin, *plugin),
            What::EnvoyFilter(plugin) => envoy_filter::print(*plugin),
            What::Annotations => annotations::print(),
            What::TrafficExtension(plugin) => wasm::print(Kind::TrafficExtension, *plugin),
        };
        match printed {
            Ok(()) => ExitCode::SUCCESS,
            Err(errors) => {
                errors.iter().for_each(console::complain);
                ExitCode::FAILURE
            }
        }
    }
}
