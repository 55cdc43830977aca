//! The headers that only the filter may set, and the headers that steer the proxy.

use canary_config::FaultDelayer;

use super::Compiler;
use crate::names::HeaderName;
use crate::table::{OwnHeaders, Steering};

const ABORT_REQUEST: &str = "x-envoy-fault-abort-request";
const ABORT_GRPC_REQUEST: &str = "x-envoy-fault-abort-grpc-request";
const DELAY_REQUEST: &str = "x-envoy-fault-delay-request";

/// The headers that Envoy's fault filter obeys in header mode, even if a client sends them.
const FAULT_HEADERS: [&str; 8] = [
    ABORT_REQUEST,
    "x-envoy-fault-abort-request-percentage",
    ABORT_GRPC_REQUEST,
    "x-envoy-fault-abort-grpc-request-percentage",
    DELAY_REQUEST,
    "x-envoy-fault-delay-request-percentage",
    "x-envoy-fault-throughput-response",
    "x-envoy-fault-throughput-response-percentage",
];

/// The headers by which a client limits the time of a request or of a try, or says what counts as a failure.
const CLIENT_LIMITS: [&str; 8] = [
    "grpc-timeout",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
];

impl Compiler<'_> {
    /// Numbers the filter's own headers before all others, with the hidden ones first.
    pub(super) fn own_headers(&mut self) -> OwnHeaders {
        let config = self.config;
        let mut names: Vec<HeaderName> = Vec::new();
        let mut add = |name: &str| {
            let header = self.headers.header(name);
            if !names.contains(&header) {
                names.push(header);
            }
            names.len()
        };
        let hidden = config.headers.names().chain(config.overrides.secret_headers()).map(&mut add).last().unwrap_or(0);
        if config.faults.delay == FaultDelayer::FaultFilter {
            FAULT_HEADERS.iter().copied().for_each(|name| {
                add(name);
            });
        }
        OwnHeaders { names, hidden: 0..hidden }
    }

    pub(super) fn steering(&mut self) -> Steering {
        let limited = self.config.policies.iter().any(|policy| policy.failure_accrual.is_some());
        let (names, headers) = (&self.config.headers, &mut self.headers);
        let mut header = |name: &str| headers.header(name);
        Steering {
            version: names.version().map(&mut header),
            cluster: names.cluster().map(&mut header),
            mirrors: names.mirrors().map(&mut header).collect(),
            host: names.host().map(&mut header),
            explain: names.explain().map(&mut header),
            original_path: header("x-envoy-original-path"),
            original_host: header("x-envoy-original-host"),
            abort_request: header(ABORT_REQUEST),
            abort_grpc_request: header(ABORT_GRPC_REQUEST),
            delay_request: header(DELAY_REQUEST),
            set_cookie: header("set-cookie"),
            time_limits: if limited { CLIENT_LIMITS.map(header).to_vec() } else { Vec::new() },
        }
    }
}
