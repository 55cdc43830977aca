//! End-to-end tests: a stock Envoy as a child process, the shipped .wasm in it, and what its clients and upstreams see.
//!
//! This crate is the harness; the claims are in `tests/`. Everything listens on 127.0.0.1, on ports that the kernel
//! picks, and ends with the test that started it. The harness panics with a reason if the environment is not as a test
//! needs it.
//!
//! - [`binaries`]: the Envoys, the .wasm and the canaryctl under test; [`child`]: running programs
//! - [`envoy`]: a running Envoy, its admin interface and its log
//! - [`bootstrap`], [`canary`]: the Envoy with the filter, its configuration and upstreams that most tests use
//! - [`example`]: the examples of `envoy-configs/examples`
//! - [`canaryctl`]: the command-line tool; [`browser`]: a browser for its page
//! - [`pushed`]: configuration files that a running Envoy watches
//! - [`upstream`] (obeying [`directives`]), [`client`], [`load`]: the two ends of a request, and many requests
//! - [`grpc`]: the two ends of a gRPC call
//! - [`istio`]: a control plane of Istio without a cluster, and proxies that its agent runs
//! - [`pages`]: the parts of the documentation, and running its commands
//! - [`registry`]: a registry of images
//! - [`scale`]: the size of tests; [`ports`]: free addresses
//! - [`proportion`]: tests a share after a number of requests
//! - [`mod@bench`]: a proxy under load, to compare costs per request; [`statistics`]: their statistics
//! - [`workload`]: the configurations and requests that are measured; [`host_calls`]: the filter's host calls
//! - [`costs`]: what `make bench` and the budget have measured, as tables and a chart

pub mod bench;
pub mod binaries;
pub mod bootstrap;
pub mod browser;
pub mod canary;
pub mod canaryctl;
pub mod child;
pub mod client;
pub mod costs;
pub mod directives;
pub mod envoy;
pub mod example;
pub mod failover;
pub mod grpc;
pub mod host_calls;
pub mod istio;
pub mod load;
pub mod pages;
pub mod ports;
pub mod prometheus;
pub mod proportion;
pub mod pushed;
pub mod registry;
pub mod scale;
pub mod statistics;
pub mod upstream;
pub mod wait;
pub mod workload;
