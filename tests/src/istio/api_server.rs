//! A Kubernetes API server with Istio's resources and nothing else of a cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::json;

use crate::{
    child,
    istio::{
        server::{Server, command},
        tools::Tools,
    },
    ports,
};

const TOKEN: &str = "for-tests";

/// etcd and kube-apiserver.
#[derive(Debug)]
pub struct ApiServer {
    tools: Tools,
    kubeconfig: PathBuf,
    _server: Server,
    _etcd: Server,
}

impl ApiServer {
    /// Starts it in `folder`, with the definitions of Istio's resources and of the Gateway API.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(tools: &Tools, folder: &Path) -> Self {
        let [clients, peers, address] = ports::free();
        let (clients, peers) = (format!("http://{clients}"), format!("http://{peers}"));
        let etcd = Server::start(
            "etcd",
            folder,
            command(tools.program("etcd"))
                .args(["--data-dir", "etcd", "--unsafe-no-fsync", "--log-level", "warn"])
                .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
                .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
                .args(["--initial-cluster", &format!("default={peers}")]),
        );
        write_credentials(folder);
        let server = Server::start(
            "kube-apiserver",
            folder,
            command(tools.program("kube-apiserver"))
                .args(["--etcd-servers", &clients, "--cert-dir", "certificates"])
                .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
                .args(["--secure-port", &address.port().to_string(), "--service-cluster-ip-range=10.96.0.0/16"])
                .args(["--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=key.pem"])
                .args(["--service-account-signing-key-file=key.pem", "--token-auth-file=tokens.csv"])
                .args(["--authorization-mode=AlwaysAllow", "--disable-admission-plugins=ServiceAccount"])
                .arg("--enable-priority-and-fairness=false"),
        );
        let kubeconfig = folder.join("kubeconfig.json");
        fs::write(&kubeconfig, kubeconfig_of(&format!("https://{address}"))).expect("write a kubeconfig");
        let api = Self { tools: tools.clone(), kubeconfig, _server: server, _etcd: etcd };
        api._server
            .until("is ready", async || {
                let output = api.kubectl(&["get", "--raw", "/readyz"], "");
                output.status.success().then_some(())
            })
            .await;
        let definitions = tools.definitions().display().to_string();
        api.must(&["apply", "--server-side", "--filename", &definitions], "");
        api.must(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"], "");
        api
    }

    /// Where clients find how to reach it.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `kubectl` with these arguments and this standard input.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut kubectl = Command::new(self.tools.program("kubectl"));
        child::run(kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments), input)
    }

    /// The same, which must succeed: what it prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn must(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl(arguments, input);
        assert!(output.status.success(), "kubectl {arguments:?}: {}\n{input}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn write_credentials(folder: &Path) {
    let key = Command::new("openssl").args(["genrsa", "-out", "key.pem", "2048"]).current_dir(folder).output();
    assert!(key.is_ok_and(|output| output.status.success()), "openssl cannot make a key: is it installed?");
    fs::write(folder.join("tokens.csv"), format!("{TOKEN},admin,admin,\"system:masters\"\n"))
        .expect("write the tokens");
}

fn kubeconfig_of(server: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "insecure-skip-tls-verify": true}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    })
    .to_string()
}
