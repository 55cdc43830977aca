//! Upstreams as the versions of a service of the mesh.

use serde_json::{Value, json};

use crate::{
    istio::manifests::{self, PORT},
    upstream::Upstream,
};

/// A service whose versions are upstreams, named as their subsets. They end when this is dropped.
#[derive(Debug)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// What the name of its port begins with: `http` or `grpc`.
    pub protocol: &'static str,
    /// The label by which subsets choose.
    pub label: &'static str,
    versions: Vec<Upstream>,
}

impl Service {
    /// Starts an upstream for each of these versions.
    ///
    /// # Panics
    /// If one does not start.
    pub async fn start(namespace: &str, name: &str, versions: &[&str]) -> Self {
        let mut upstreams = Vec::new();
        for version in versions {
            upstreams.push(Upstream::start(version).await);
        }
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            port: PORT,
            protocol: "http",
            label: "version",
            versions: upstreams,
        }
    }

    /// Its full name.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }

    /// Its versions.
    #[must_use]
    pub fn versions(&self) -> &[Upstream] {
        &self.versions
    }

    /// The upstream of a version.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn version(&self, version: &str) -> &Upstream {
        let found = self.versions.iter().find(|upstream| upstream.name() == version);
        found.unwrap_or_else(|| panic!("{} has no version {version}", self.name))
    }

    /// Its ServiceEntry and DestinationRule.
    #[must_use]
    pub fn manifests(&self) -> Vec<Value> {
        let all: Vec<_> = self.versions.iter().map(Upstream::name).collect();
        vec![self.entry(&all), self.destination_rule(&all)]
    }

    /// A ServiceEntry that has endpoints of these versions only.
    #[must_use]
    pub fn entry(&self, versions: &[&str]) -> Value {
        let endpoint = |version: &&str| {
            json!({
                "address": "127.0.0.1",
                "ports": {self.protocol: self.version(version).address().port()},
                "labels": {self.label: version},
            })
        };
        manifests::object(
            "networking.istio.io/v1",
            "ServiceEntry",
            &self.namespace,
            &self.name,
            json!({
                "hosts": [self.host()],
                "ports": [{"number": self.port, "name": self.protocol, "protocol": self.protocol.to_uppercase()}],
                "location": "MESH_INTERNAL",
                "resolution": "STATIC",
                "endpoints": versions.iter().map(endpoint).collect::<Vec<_>>(),
            }),
        )
    }

    /// A DestinationRule with these subsets only.
    #[must_use]
    pub fn destination_rule(&self, versions: &[&str]) -> Value {
        let subset = |version: &&str| json!({"name": version, "labels": {self.label: version}});
        manifests::object(
            "networking.istio.io/v1",
            "DestinationRule",
            &self.namespace,
            &self.name,
            json!({
                "host": self.host(),
                "subsets": versions.iter().map(subset).collect::<Vec<_>>(),
            }),
        )
    }
}
