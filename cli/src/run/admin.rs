//! Envoy's admin interface, as far as `run` asks it.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::{address::HostPort, http};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The admin interface of one Envoy.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    address: HostPort,
}

/// What Envoy made of the resources of one subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    /// The `version_info` of the resources in use; 0 before the first.
    pub(super) version: u64,
    /// How many updates were refused.
    pub(super) refused: u64,
}

#[derive(Deserialize)]
struct Stats {
    stats: Vec<Stat>,
}

/// Histograms have no name of their own.
#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Value,
}

impl Admin {
    pub(super) fn new(address: HostPort) -> Self {
        Self { address }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &HostPort {
        &self.address
    }

    /// Whether Envoy takes requests.
    pub(super) async fn is_ready(&self) -> bool {
        self.get("/ready").await.is_some()
    }

    /// Where Envoy's listener listens.
    pub(super) async fn listener(&self) -> Option<SocketAddr> {
        let body: Value = serde_json::from_slice(&self.get("/listeners?format=json").await?).ok()?;
        let address = body.pointer("/listener_statuses/0/local_address/socket_address")?;
        let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
        Some(SocketAddr::new(address.get("address")?.as_str()?.parse().ok()?, port))
    }

    /// What became of the subscription whose statistics start with `prefix`.
    pub(super) async fn subscription(&self, prefix: &str) -> Option<Subscription> {
        let path = format!(
            "/stats?format=json&filter=^{}\\.(version_text|update_rejected|update_failure)$",
            prefix.replace('.', "\\.")
        );
        let path = path.replace('\\', "%5C").replace('^', "%5E").replace('|', "%7C");
        let body: Stats = serde_json::from_slice(&self.get(&path).await?).ok()?;
        let values: HashMap<String, Value> = body.stats.into_iter().map(|stat| (stat.name, stat.value)).collect();
        let value = |name: &str| values.get(&format!("{prefix}.{name}"));
        let counter = |name: &str| value(name).and_then(Value::as_u64).unwrap_or_default();
        let version = value("version_text").and_then(Value::as_str).and_then(|version| version.parse().ok());
        Some(Subscription {
            version: version.unwrap_or_default(),
            refused: counter("update_rejected").saturating_add(counter("update_failure")),
        })
    }

    async fn get(&self, path: &str) -> Option<Bytes> {
        let address = (self.address.host(), self.address.port());
        let answer = http::get(address, &self.address.to_string(), path, TIMEOUT).await.ok()?;
        (answer.status() == StatusCode::OK).then(|| answer.into_body())
    }
}
