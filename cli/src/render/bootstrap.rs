//! `canaryctl render bootstrap`: what `canaryctl run` would start Envoy with.

use std::{fmt::Write as _, path::Path};

use serde_json::Value;

use super::format::Format;
use crate::{
    address::HostPort,
    bootstrap::{self, Failover, NATIVE_CLUSTER, Plan, Ports, Serving, Source, Upstream},
    console,
    flags::EnvoyFlags,
    run::Surroundings,
};

#[derive(Debug, clap::Args)]
pub(super) struct BootstrapArgs {
    #[command(flatten)]
    flags: EnvoyFlags,
    /// The format to print; the commands go to standard error with json
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

impl BootstrapArgs {
    /// Prints the file to standard output.
    pub(super) fn print(&self) -> Result<(), Vec<String>> {
        let one = |error: String| vec![format!("error: {error}")];
        let ports = self.flags.ports().map_err(one)?;
        let failover = self.flags.failover.unwrap_or(Failover::Aggregate);
        let plan = Plan::load(&self.flags.config, failover)?;
        bootstrap::check_upstreams(&plan.versions, &self.flags.upstream).map_err(one)?;
        // A path that is given may be one of another machine.
        let wasm = self.flags.wasm.clone().map_or_else(|| Surroundings::of_process().wasm(None), Ok).map_err(one)?;
        let rendering = Rendering::of(&plan, ports, &wasm, &self.flags.upstream).map_err(one)?;
        plan.notes.iter().for_each(console::complain);
        let mut commands: Vec<String> = rendering.echo_servers.iter().map(EchoServer::command).collect();
        let envoy = self.flags.envoy.as_deref().unwrap_or(Path::new("envoy"));
        commands.push(format!("{} --concurrency {} -c FILE", envoy.display(), self.flags.concurrency));
        match self.output {
            Format::Yaml => {
                let text = yaml(&commands, &rendering.bootstrap).map_err(|error| one(error.to_string()))?;
                console::say(text.trim_end());
            }
            Format::Json => {
                commands.iter().for_each(console::complain);
                console::say(format_args!("{:#}", rendering.bootstrap));
            }
        }
        Ok(())
    }
}

fn yaml(commands: &[String], bootstrap: &Value) -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::new();
    for command in commands {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# {command}");
    }
    text.push_str(&serde_saphyr::to_string(bootstrap)?);
    Ok(text)
}

/// A bootstrap, and the echo servers that it expects.
#[derive(Debug)]
struct Rendering {
    bootstrap: Value,
    echo_servers: Vec<EchoServer>,
}

/// An echo server that somebody has to start.
#[derive(Debug, PartialEq, Eq)]
struct EchoServer {
    address: HostPort,
    service: String,
    version: String,
}

impl EchoServer {
    fn command(&self) -> String {
        format!("canaryctl echo --listen {} --service {} --version {}", self.address, self.service, self.version)
    }
}

impl Rendering {
    fn of(plan: &Plan, ports: Ports, wasm: &Path, upstreams: &[Upstream]) -> Result<Self, String> {
        let mut free = (ports.listener.max(1024)..=u16::MAX).skip(1).filter(|port| *port != ports.admin);
        let mut echo_servers = Vec::new();
        let mut echo_server = |service: &str, version: &str| {
            let port = free.next().ok_or("no ports left after --port; choose a lower one")?;
            let address = HostPort::loopback(port);
            echo_servers.push(EchoServer {
                address: address.clone(),
                service: service.to_owned(),
                version: version.to_owned(),
            });
            Ok::<_, String>(address)
        };
        let mut clusters = Vec::new();
        for version in &plan.versions {
            let address = match bootstrap::serving(version, upstreams) {
                Serving::Nobody => continue,
                Serving::Address(address) => address,
                Serving::Echo => echo_server(version.service(), version.name())?,
            };
            let cluster = |name: &String| bootstrap::cluster(name, &address, &version.policy, Some(version.metadata()));
            clusters.extend(version.clusters.iter().map(cluster));
        }
        clusters.extend(plan.failover_clusters().into_values());
        let native = echo_server(NATIVE_CLUSTER, "default")?;
        let document = format!("{:#}", plan.document);
        let source = Source::Inline { clusters, document: &document };
        Ok(Self { bootstrap: bootstrap::bootstrap(ports, plan, wasm, &native, source), echo_servers })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::json;

    use super::*;
    use crate::documents::Document;

    fn ports_of(listener: u16, admin: u16) -> Ports {
        Ports { address: Ipv4Addr::LOCALHOST, listener, admin_address: Ipv4Addr::LOCALHOST, admin }
    }

    fn plan(directory: &Path) -> Plan {
        let document = json!({
            "virtualServices": [{"hosts": ["reviews"], "http": [{"route": [
                {"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
                {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10},
                {"destination": {"host": "reviews", "subset": "v3"}, "weight": 0},
            ]}]}],
            "services": [{"host": "reviews", "ports": [9080]}],
            "headers": {"cluster": "x-steer", "version": ""},
        });
        let file = directory.join("canary.json");
        std::fs::write(&file, document.to_string()).unwrap();
        Plan::load(&file, Failover::Aggregate).unwrap()
    }

    #[test]
    fn a_bootstrap_stands_for_itself() {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path());
        let upstreams = ["reviews/v2=127.0.0.1:7000".parse().unwrap(), "reviews/v3=none".parse().unwrap()];
        let ports = ports_of(10000, 10001);
        let rendering = Rendering::of(&plan, ports, Path::new("/etc/canary.wasm"), &upstreams).unwrap();
        let commands: Vec<_> = rendering.echo_servers.iter().map(EchoServer::command).collect();
        assert_eq!(
            commands,
            [
                "canaryctl echo --listen 127.0.0.1:10002 --service reviews --version v1",
                "canaryctl echo --listen 127.0.0.1:10003 --service native --version default",
            ]
        );
        let endpoint = "load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        let routes = format!("{manager}/route_config/virtual_hosts/0/routes");
        let filter = format!("{manager}/http_filters/0/typed_config/config");
        for (pointer, expected) in [
            (
                "/static_resources/clusters/0/name".to_owned(),
                json!("outbound|9080|v1|reviews.default.svc.cluster.local"),
            ),
            (format!("/static_resources/clusters/0/{endpoint}/port_value"), json!(10002)),
            (
                "/static_resources/clusters/1/name".to_owned(),
                json!("outbound|9080|v2|reviews.default.svc.cluster.local"),
            ),
            (format!("/static_resources/clusters/1/{endpoint}/port_value"), json!(7000)),
            ("/static_resources/clusters/2/name".to_owned(), json!("native")),
            ("/static_resources/clusters/3".to_owned(), Value::Null),
            ("/static_resources/listeners/0/address/socket_address/port_value".to_owned(), json!(10000)),
            ("/admin/address/socket_address/port_value".to_owned(), json!(10001)),
            (format!("{manager}/normalize_path"), json!(true)),
            (format!("{manager}/merge_slashes"), json!(false)),
            (format!("{manager}/path_with_escaped_slashes_action"), json!("KEEP_UNCHANGED")),
            (format!("{manager}/upgrade_configs"), json!([{"upgrade_type": "websocket"}])),
            (format!("{routes}/0/match/headers"), json!([{"name": "x-steer", "present_match": true}])),
            (format!("{routes}/0/route/cluster_header"), json!("x-steer")),
            (format!("{routes}/2/route/cluster"), json!("native")),
            (
                format!("{manager}/access_log/0/typed_config/log_format/json_format/canary"),
                json!("%FILTER_STATE(wasm.canary:PLAIN)%"),
            ),
            (format!("{manager}/tracing/custom_tags/0/tag"), json!("canary.decision")),
            ("/stats_config/stats_tags/0/tag_name".to_owned(), json!("host")),
            (format!("{filter}/failure_policy"), json!("FAIL_RELOAD")),
            (format!("{filter}/vm_config/runtime"), json!("envoy.wasm.runtime.v8")),
            (format!("{filter}/vm_config/code/local/filename"), json!("/etc/canary.wasm")),
        ] {
            assert_eq!(rendering.bootstrap.pointer(&pointer).cloned().unwrap_or_default(), expected, "{pointer}");
        }
        let document = rendering.bootstrap.pointer(&format!("{filter}/configuration/value")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(document.as_str().unwrap()).unwrap(), plan.document);
    }

    #[test]
    fn yaml_says_the_same_as_json() {
        let directory = tempfile::tempdir().unwrap();
        let plan = plan(directory.path());
        let ports = ports_of(10000, 9901);
        let rendering = Rendering::of(&plan, ports, Path::new("/etc/canary.wasm"), &[]).unwrap();
        let text = yaml(&["canaryctl echo".to_owned(), "envoy -c FILE".to_owned()], &rendering.bootstrap).unwrap();
        assert!(text.starts_with("# canaryctl echo\n# envoy -c FILE\n"), "{text}");
        let file = directory.path().join("bootstrap.yaml");
        std::fs::write(&file, text).unwrap();
        assert_eq!(Document::load(&file.display().to_string()).unwrap().value, rendering.bootstrap);
    }

    #[test]
    fn ports_run_out_with_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let ports = ports_of(u16::MAX, 9901);
        let outcome = Rendering::of(&plan(directory.path()), ports, Path::new("x"), &[]);
        assert!(outcome.unwrap_err().contains("no ports left"));
    }
}
