//! Istio's control plane.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::json;

use crate::{
    istio::{
        api_server::ApiServer,
        server::{Server, command},
        tools::Tools,
    },
    ports,
};

/// Istio's root namespace. Its objects apply to all namespaces.
pub const ROOT_NAMESPACE: &str = "istio-system";

/// Without certificates, injection and ambient; otherwise as it comes. It believes proxies on loopback who they say they are, since
/// secrets are for those alone whom it knows, and waits less than by default before it pushes a change.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("POD_NAMESPACE", ROOT_NAMESPACE),
    ("PILOT_ENABLE_AMBIENT", "false"),
    ("ENABLE_CA_SERVER", "false"),
    ("PILOT_CERT_PROVIDER", "none"),
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("INJECT_ENABLED", "false"),
    ("PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER", "false"),
    ("VALIDATION_WEBHOOK_CONFIG_NAME", ""),
    ("XDS_AUTH_PLAINTEXT", "true"),
    ("TRUSTED_GATEWAY_CIDR", "127.0.0.0/8"),
    ("PILOT_DEBOUNCE_AFTER", "10ms"),
    ("PILOT_DEBOUNCE_MAX", "100ms"),
];

/// A running istiod.
#[derive(Debug)]
pub struct Istiod {
    server: Server,
    discovery: SocketAddr,
    debug: SocketAddr,
}

impl Istiod {
    /// Starts it in `folder`, with these variables, too, and waits until proxies can ask it.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(tools: &Tools, api: &ApiServer, folder: &Path, variables: &[(&str, &str)]) -> Self {
        let [discovery, debug, monitoring] = ports::free();
        let mesh = json!({
            "enableAutoMtls": false,
            "defaultProviders": {},
            "enableTracing": false,
            "ingressControllerMode": "OFF",
            "rootNamespace": ROOT_NAMESPACE,
        });
        fs::write(folder.join("mesh.json"), mesh.to_string()).expect("write the mesh's configuration");
        let server = Server::start(
            "istiod",
            folder,
            command(tools.program("pilot-discovery"))
                .args(["discovery", "--registries=Kubernetes", "--meshConfig=mesh.json", "--networksConfig=/dev/null"])
                .arg("--kubeconfig")
                .arg(api.kubeconfig())
                .args([
                    format!("--grpcAddr={discovery}"),
                    format!("--httpAddr={debug}"),
                    format!("--monitoringAddr={monitoring}"),
                ])
                .args(["--secureGRPCAddr=", "--httpsAddr=", "--ctrlz_port=0", "--shutdownDuration=0s"])
                .envs(ENVIRONMENT)
                .envs(variables.iter().copied()),
        );
        server.listens(discovery).await;
        Self { server, discovery, debug }
    }

    /// Where proxies ask.
    #[must_use]
    pub fn discovery(&self) -> SocketAddr {
        self.discovery
    }

    /// Where `/debug/...` is.
    #[must_use]
    pub fn debug(&self) -> SocketAddr {
        self.debug
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.log()
    }
}
