//! A control plane of Istio without a cluster: etcd, kube-apiserver and istiod on loopback, proxies that Istio's agent runs as it does in
//! a Pod, and a registry from which the agent pulls the filter.
//!
//! - [`tools`]: the programs, which `scripts/get-istio` builds
//! - [`server`]: one of them that runs
//! - [`api_server`], [`istiod`]: what there is one of
//! - [`mesh`]: these together
//! - [`proxy`]: a gateway or sidecar
//! - [`service`]: upstreams as services of the mesh
//! - [`manifests`]: objects for `kubectl apply`
//! - [`world`]: a namespace with a service and a proxy
//!
//! Needs Linux, and root or user namespaces that everybody may make: the agent keeps modules in `/var/lib/istio/data`, and each gets one
//! of its own.

pub mod api_server;
pub mod istiod;
pub mod manifests;
pub mod mesh;
pub mod proxy;
pub mod server;
pub mod service;
pub mod tools;
pub mod world;
