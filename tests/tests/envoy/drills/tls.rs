//! An upstream behind TLS, which another Envoy terminates.

use std::{fs, net::SocketAddr};

use e2e::{bootstrap::cluster, envoy::Envoy, upstream::Upstream};
use serde_json::json;
use tempfile::TempDir;

use crate::Subject;

/// It ends when it is dropped.
pub(super) struct Terminator {
    pub(super) address: SocketAddr,
    _envoy: Envoy,
    _upstream: Upstream,
    _folder: TempDir,
}

impl Terminator {
    /// An upstream with this name behind a self-signed certificate.
    pub(super) async fn start(subject: &Subject, name: &str) -> Self {
        let upstream = Upstream::start(name).await;
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut behind = cluster("behind", upstream.address());
        behind.as_object_mut().expect("a cluster").remove("@type");
        let tls = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["h2"],
                    "tls_certificates": [{
                        "certificate_chain": {"inline_string": signed.cert.pem()},
                        "private_key": {"inline_string": signed.signing_key.serialize_pem()},
                    }],
                },
            },
        });
        let manager = json!({
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "tls",
                "http_filters": [{
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                }],
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                    {"match": {"prefix": "/"}, "route": {"cluster": "behind"}},
                ]}]},
            },
        });
        let loopback = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        let bootstrap = json!({
            "admin": {"address": loopback},
            "static_resources": {
                "clusters": [behind],
                "listeners": [{
                    "name": "tls",
                    "address": loopback,
                    "filter_chains": [{"transport_socket": tls, "filters": [manager]}],
                }],
            },
        });
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap.to_string()).expect("write the bootstrap");
        let envoy = Envoy::start(&subject.binary, folder.path(), &file).await;
        let address = envoy.listener("tls").await;
        Self { address, _envoy: envoy, _upstream: upstream, _folder: folder }
    }
}
