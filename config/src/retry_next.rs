//! `retryNext`: which requests may be repeated on the next version, and after what.

use std::time::Duration;

use crate::error::WarningCode;
use crate::node::{Fields, Node};
use crate::retries::{GRPC_CONDITIONS, RETRIABLE_STATUS_CODES};
use crate::syntax;
use crate::values::read_duration;
use crate::vocabulary;

/// When a request that may be repeated is tried again on the next version, beside what repeats nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryNext {
    /// Envoy's conditions, HTTP's and gRPC's, in order; `retriable-status-codes` included where there are codes.
    pub on: Vec<String>,
    /// Statuses of upstreams that are retried.
    pub status_codes: Vec<u16>,
    /// The methods of requests that may be repeated, in upper case.
    pub methods: Vec<String>,
    /// Tries after the first, 1 to the length of the fallback order.
    pub attempts: u32,
    /// Limit of each try.
    pub per_try_timeout: Option<Duration>,
}

/// The conditions of HTTP that need nothing else said. Those that repeat nothing are always retried.
const CONDITIONS: [&str; 9] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "envoy-ratelimited",
    RETRIABLE_STATUS_CODES,
];

/// The methods that change nothing (RFC 9110, 9.2.1), without TRACE.
const SAFE_METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// What every gRPC call is.
const POST: &str = "POST";

impl RetryNext {
    /// Reads it for a policy whose fallback order has so many versions.
    pub(super) fn read(node: &Node<'_>, order: usize) -> Option<Self> {
        let fields = node.object(&vocabulary::RETRY_NEXT)?;
        let conditions = fields.get("on");
        let status_codes = fields.get("statuses").map(|list| read_statuses(&list)).unwrap_or_default();
        let methods = fields.get("methods").map(|list| read_methods(&list));
        let methods = methods.unwrap_or_else(|| SAFE_METHODS.map(str::to_owned).to_vec());
        let mut on = conditions.map(|list| read_conditions(&list, &methods)).unwrap_or_default();
        check_statuses(&fields, &mut on, &status_codes);
        if order == 0 {
            node.invalid("retryNext needs fallback or defaultSubset: the version that is tried next");
        }
        let attempts = fields.get("attempts").and_then(|attempts| read_attempts(&attempts, order));
        let per_try_timeout = fields.get("perTryTimeout").and_then(|timeout| read_duration(&timeout));
        fields.finish();
        let longest = u32::try_from(order).unwrap_or(u32::MAX);
        Some(Self { on, status_codes, methods, attempts: attempts.unwrap_or(longest), per_try_timeout })
    }

    /// Whether requests of a method may be repeated.
    #[must_use]
    pub fn repeats(&self, method: &[u8]) -> bool {
        self.methods.iter().any(|known| known.as_bytes() == method)
    }
}

fn read_methods(list: &Node<'_>) -> Vec<String> {
    if list.is_empty_list() {
        list.invalid("methods names no method; without the field they are GET, HEAD and OPTIONS");
    }
    list.read_each(|element| {
        let method = element.string()?;
        if !syntax::is_header_name(method) || method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            element.invalid(format!("a method is written in upper case, such as GET, not {method:?}"));
        }
        Some(method.to_owned())
    })
}

fn read_statuses(list: &Node<'_>) -> Vec<u16> {
    list.read_each(|element| element.integer("HTTP status", 400..=599).and_then(|status| u16::try_from(status).ok()))
}

fn read_conditions(list: &Node<'_>, methods: &[String]) -> Vec<String> {
    list.read_each(|element| {
        let condition = element.string()?;
        let is_grpc = GRPC_CONDITIONS.contains(&condition);
        if !is_grpc && !CONDITIONS.contains(&condition) {
            let known = CONDITIONS.iter().chain(&GRPC_CONDITIONS).copied().collect::<Vec<_>>().join(", ");
            element.invalid(format!("unknown condition {condition:?}; known: {known}"));
        } else if is_grpc && !methods.iter().any(|method| method == POST) {
            element.invalid(format!(
                "{condition} is for gRPC, whose calls are POST: add POST to methods if calls may be repeated"
            ));
        }
        Some(condition.to_owned())
    })
}

fn check_statuses(fields: &Fields<'_>, on: &mut Vec<String>, status_codes: &[u16]) {
    let names_codes = on.iter().any(|condition| condition == RETRIABLE_STATUS_CODES);
    match (on.is_empty(), status_codes.is_empty()) {
        (true, true) => fields.node().invalid("retryNext says nothing: give conditions in on, or statuses"),
        (false, true) if names_codes => {
            fields.node().invalid(format!("{RETRIABLE_STATUS_CODES} needs statuses: the codes that are retried"));
        }
        (_, false) if !names_codes => on.push(RETRIABLE_STATUS_CODES.to_owned()),
        _ => {}
    }
}

/// Envoy has one count for a request: with fewer attempts than the order is long it may end before the order does.
fn read_attempts(node: &Node<'_>, order: usize) -> Option<u32> {
    let attempts = node.integer("attempts", 1..=1_000_000)?;
    let given = usize::try_from(attempts).unwrap_or(usize::MAX);
    let versions = if order == 1 { "version" } else { "versions" };
    if given > order && order > 0 {
        node.invalid(format!("attempts {attempts} is beyond the fallback order, which has {order} {versions}"));
    } else if given < order {
        node.warn(WarningCode::Reduced, format!(
            "attempts {attempts} is less than the fallback order, which has {order} {versions}: Envoy counts all tries of a request together, so one that {attempts} versions in succession refuse is not tried on the others; leave attempts out to try all"
        ));
    }
    Some(attempts)
}
