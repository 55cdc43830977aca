//! `HTTPFaultInjection`: delays and aborts for a share of the requests.

use std::time::Duration;

use crate::error::WarningCode;
use crate::json::Number;
use crate::node::Node;
use crate::values::{Percentage, read_duration, read_percent, read_status};
use crate::vocabulary;

/// What a rule injects; delay and abort draw independently, the delay comes first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// Wait before anything else happens.
    pub delay: Option<FaultDelay>,
    /// Answer instead of forwarding.
    pub abort: Option<FaultAbort>,
}

/// A delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultDelay {
    /// How long.
    pub fixed_delay: Duration,
    /// The share of requests. Absent in the document means none.
    pub percentage: Percentage,
}

/// An abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultAbort {
    /// The answer.
    pub status: AbortStatus,
    /// The share of requests. Absent in the document means none.
    pub percentage: Percentage,
}

/// The kind of an abort's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortStatus {
    /// An HTTP status, 200–599. Envoy maps it for a gRPC client.
    Http(u16),
    /// A gRPC status; who is no gRPC client gets 200 with the text alone.
    Grpc(u8),
}

/// gRPC's status names; the index is the code.
const GRPC_STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Fault {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::FAULT)?;
        let delay = fields.get("delay");
        let abort = fields.get("abort");
        fields.finish();
        if delay.is_none() && abort.is_none() {
            node.invalid("HTTP fault injection must have an abort and/or a delay");
        }
        Some(Self {
            delay: delay.and_then(|delay| FaultDelay::read(&delay)),
            abort: abort.and_then(|abort| FaultAbort::read(&abort)),
        })
    }
}

impl FaultDelay {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::FAULT_DELAY)?;
        let percentage = fields.get("percentage").map(|percentage| read_percent(&percentage, check_percentage));
        let percent = fields.get("percent").map(|percent| {
            percent.warn(WarningCode::Deprecated, "using deprecated setting \"percent\", use \"percentage\" instead");
            percent.integer("percent", 0..=100).map(|percent| Percentage::from_percent(percent.into()))
        });
        let fixed_delay = fields.get("fixedDelay");
        if let Some(exponential) = fields.get("exponentialDelay") {
            exponential.invalid("exponentialDelay not supported yet");
        } else if fixed_delay.is_none() {
            node.warn(WarningCode::NoEffect, "delay configured, but fixedDelay not set: nothing is delayed");
        }
        fields.finish();
        let percentage = percentage.or(percent).unwrap_or_default().unwrap_or_default();
        Some(Self { fixed_delay: read_duration(&fixed_delay?)?, percentage })
    }
}

impl FaultAbort {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::FAULT_ABORT)?;
        let percentage = fields.get("percentage").map(|percentage| read_percent(&percentage, check_percentage));
        let http = fields.get("httpStatus");
        let grpc = fields.get("grpcStatus");
        if let Some(http2) = fields.get("http2Error") {
            http2.invalid("HTTP/2 abort fault injection not supported yet");
        } else if http.is_none() && grpc.is_none() {
            node.warn(WarningCode::NoEffect, "abort configured, but error type not set: nothing is aborted");
        }
        fields.finish();
        if http.is_some() && grpc.is_some() {
            node.invalid("only one of httpStatus and grpcStatus may be set");
        }
        let status = match (http, grpc) {
            (Some(http), _) => AbortStatus::Http(read_status(&http)?),
            (None, Some(grpc)) => AbortStatus::Grpc(read_grpc_status(&grpc)?),
            (None, None) => return None,
        };
        Some(Self { status, percentage: percentage.unwrap_or_default().unwrap_or_default() })
    }
}

fn read_grpc_status(node: &Node<'_>) -> Option<u8> {
    let name = node.string()?;
    let code = grpc_status_code(name);
    if code.is_none() {
        node.invalid(format!("gRPC status {name:?} is not supported; names are those of gRPC, for example NOT_FOUND"));
    }
    code
}

/// The number of a gRPC status by gRPC's name.
pub(super) fn grpc_status_code(name: &str) -> Option<u8> {
    GRPC_STATUS.iter().position(|known| *known == name).and_then(|code| u8::try_from(code).ok())
}

fn check_percentage(percent: Number) -> Result<(), String> {
    if percent.value() == 0.0 || (0.0001..=100.0).contains(&percent.value()) {
        return Ok(());
    }
    Err(format!("percentage {percent} is neither 0.0, nor in range [0.0001, 100.0]"))
}
