//! `failureAccrual`: what counts as a failure of a version, and what failures do to it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::duration;
use crate::error::WarningCode;
use crate::fault::grpc_status_code;
use crate::json::Number;
use crate::node::{Fields, Node};
use crate::retries::{GRPC_CONDITIONS, RETRIABLE_STATUS_CODES};
use crate::values::{Percentage, read_duration, read_percent};
use crate::vocabulary;

/// When a version that fails is ejected, and how it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureAccrual {
    /// So many failures in succession eject; 0 never does.
    pub consecutive_failures: u32,
    /// This share of failures within the window ejects; `None` never does.
    pub failure_ratio: Option<Percentage>,
    /// How far back the ratio looks.
    pub window: Duration,
    /// With fewer requests in the window the ratio says nothing.
    pub min_requests: u32,
    /// Answers of the version that are failures.
    pub statuses: Statuses,
    /// gRPC statuses of the version that are failures.
    pub grpc_statuses: GrpcStatuses,
    /// A request that is not answered within this time is a failure; `None` waits for ever.
    pub slow_after: Option<Duration>,
    /// How long the first ejection lasts; each further one in succession twice as long.
    pub ejection: Duration,
    /// The longest ejection, and how long a version has to serve for its ejections to be forgotten.
    pub max_ejection: Duration,
    /// How the version is tried after an ejection.
    pub trial: Trial,
}

/// Requests that show whether an ejected version can serve again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Share of the requests for the version that it gets.
    pub percentage: Percentage,
    /// So many successes in succession bring it back; no more than so many wait for an answer in one worker.
    pub requests: u32,
}

/// A set of HTTP statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

/// A set of gRPC statuses, as bits by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcStatuses(u32);

/// UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS: what a server answers that is broken. The others say
/// something of the request, or are deliberate.
const GRPC_FAILURES: [u8; 5] = [2, 4, 13, 14, 15];
/// The longest ejection that can be asked for.
pub const LONGEST_EJECTION: Duration = Duration::from_secs(24 * 60 * 60);
const WINDOWS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
const DEFAULT_MAX_EJECTION: Duration = Duration::from_secs(300);

impl Default for FailureAccrual {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_ratio: None,
            window: Duration::from_secs(10),
            min_requests: 20,
            statuses: Statuses(vec![500..=599]),
            grpc_statuses: GRPC_FAILURES.into_iter().collect(),
            slow_after: None,
            ejection: Duration::from_secs(30),
            max_ejection: DEFAULT_MAX_EJECTION,
            trial: Trial::default(),
        }
    }
}

impl Default for Trial {
    fn default() -> Self {
        Self { percentage: Percentage::from_percent(10.0), requests: 3 }
    }
}

impl Statuses {
    /// Whether a status is one of them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl GrpcStatuses {
    /// Whether a status is one of them.
    #[must_use]
    pub const fn contains(self, status: u8) -> bool {
        status < 32 && self.0 & bit(status) != 0
    }
}

impl FromIterator<u8> for GrpcStatuses {
    fn from_iter<I: IntoIterator<Item = u8>>(statuses: I) -> Self {
        Self(statuses.into_iter().fold(0, |bits, status| bits | bit(status)))
    }
}

const fn bit(status: u8) -> u32 {
    1_u32.wrapping_shl(status as u32)
}

impl FailureAccrual {
    /// Whether everything that one of Envoy's retry conditions covers is a failure of the version, in requests that are gRPC calls or
    /// not. `status_codes` are those of `retriable-status-codes`.
    #[must_use]
    pub fn covers(&self, condition: &str, status_codes: &[u16], is_grpc: bool) -> bool {
        let mut statuses = match condition {
            "connect-failure" | "refused-stream" | "reset-before-request" | "reset" => return true,
            "5xx" => 500..=599,
            "gateway-error" => 502..=504,
            "retriable-4xx" => 409..=409,
            RETRIABLE_STATUS_CODES => return status_codes.iter().all(|code| self.statuses.contains(*code)),
            _ if GRPC_CONDITIONS.contains(&condition) => {
                return !is_grpc || status_named(condition).is_some_and(|status| self.grpc_statuses.contains(status));
            }
            _ => return false,
        };
        statuses.all(|status| self.statuses.contains(status))
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::FAILURE_ACCRUAL)?;
        let default = Self::default();
        let ejection = read_ejection(&fields, "ejection").unwrap_or(default.ejection);
        let max_ejection = read_ejection(&fields, "maxEjection");
        let accrual = Self {
            consecutive_failures: read_count(&fields, "consecutiveFailures", 0).unwrap_or(default.consecutive_failures),
            failure_ratio: fields.get("failureRatio").and_then(|ratio| read_ratio(&ratio)),
            window: fields.get("window").and_then(|window| read_window(&window)).unwrap_or(default.window),
            min_requests: read_count(&fields, "minRequests", 1).unwrap_or(default.min_requests),
            statuses: fields.get("statuses").map_or(default.statuses, |list| read_statuses(&list)),
            grpc_statuses: fields.get("grpcStatuses").map_or(default.grpc_statuses, |list| read_grpc_statuses(&list)),
            slow_after: fields.get("slowAfter").and_then(|after| read_duration(&after)),
            ejection,
            max_ejection: max_ejection.unwrap_or(DEFAULT_MAX_EJECTION.max(ejection)),
            trial: fields.get("trial").and_then(|trial| Trial::read(&trial)).unwrap_or_default(),
        };
        if let (Some(node), Some(longest)) = (fields.get("maxEjection"), max_ejection)
            && longest < ejection
        {
            let default = if fields.get("ejection").is_some() { "" } else { " by default" };
            let (longest, ejection) = (duration::text(longest), duration::text(ejection));
            node.invalid(format!("maxEjection, {longest}, is shorter than ejection, {ejection}{default}"));
        }
        fields.finish();
        if accrual.consecutive_failures == 0 && accrual.failure_ratio.is_none() {
            node.warn(WarningCode::NoEffect, "neither consecutiveFailures nor failureRatio is set: nothing is ejected");
        }
        Some(accrual)
    }
}

impl Trial {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::TRIAL)?;
        let default = Self::default();
        let percentage = fields.get("percentage").and_then(|percentage| read_percent(&percentage, check_trial));
        let requests = read_count(&fields, "requests", 1);
        fields.finish();
        Some(Self {
            percentage: percentage.unwrap_or(default.percentage),
            requests: requests.unwrap_or(default.requests),
        })
    }
}

fn check_trial(percent: Number) -> Result<(), String> {
    if (0.0001..=100.0).contains(&percent.value()) {
        return Ok(());
    }
    Err(format!("percentage {percent} is not in range [0.0001, 100.0]; without trials no version comes back"))
}

fn read_count(fields: &Fields<'_>, name: &'static str, least: u32) -> Option<u32> {
    fields.get(name)?.integer(name, least..=1_000_000)
}

fn read_ejection(fields: &Fields<'_>, name: &'static str) -> Option<Duration> {
    let node = fields.get(name)?;
    let duration = read_duration(&node)?;
    if duration > LONGEST_EJECTION {
        node.invalid(format!("{name} must not be longer than 24h"));
    }
    Some(duration)
}

fn read_window(node: &Node<'_>) -> Option<Duration> {
    let window = read_duration(node)?;
    if !WINDOWS.contains(&window) {
        node.invalid("window must be in the range 1s..1h");
    }
    Some(window)
}

fn read_ratio(node: &Node<'_>) -> Option<Percentage> {
    let ratio = node.number()?;
    let share = Percentage::nearest(ratio.value());
    if !(0.0..=1.0).contains(&ratio.value()) || share == Percentage::default() {
        node.invalid(format!("failureRatio {ratio} is not in range [0.000001, 1.0]"));
    }
    Some(share)
}

fn read_statuses(node: &Node<'_>) -> Statuses {
    let statuses = node.read_each(|element| {
        let Some(text) = element.text() else {
            return element.integer("status", 100..=599).and_then(|status| u16::try_from(status).ok()).map(single);
        };
        let range = parse_statuses(text);
        if range.is_none() {
            element.invalid(format!("{text:?} is no status: 100 to 599, or a class such as 5xx"));
        }
        range
    });
    Statuses(statuses)
}

/// `503`, or `5xx` for all from 500 to 599.
fn parse_statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let Some(class) = text.strip_suffix("xx") else {
        return text.parse().ok().filter(|status| (100..=599).contains(status)).map(single);
    };
    let first = class.parse::<u16>().ok().filter(|class| (1..=5).contains(class))?.saturating_mul(100);
    Some(first..=first.saturating_add(99))
}

const fn single(status: u16) -> RangeInclusive<u16> {
    status..=status
}

/// A gRPC status by its name in either spelling: `DATA_LOSS` and `data-loss`.
fn status_named(name: &str) -> Option<u8> {
    grpc_status_code(&name.to_ascii_uppercase().replace('-', "_"))
}

/// Numbers, gRPC's names, or Istio's spelling of them as conditions.
fn read_grpc_statuses(node: &Node<'_>) -> GrpcStatuses {
    let statuses = node.read_each(|element| {
        let Some(text) = element.text() else {
            return element.integer("gRPC status", 1..=16).and_then(|code| u8::try_from(code).ok());
        };
        let code = status_named(text);
        if code.is_none_or(|code| code == 0) {
            element.invalid(format!(
                "{text:?} is no gRPC status that can be a failure: a name such as UNAVAILABLE or unavailable, or a number from 1 to 16"
            ));
        }
        code
    });
    statuses.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_retry_condition_stands_for_is_a_failure_or_not() {
        let default = FailureAccrual::default();
        let only_500 = FailureAccrual { statuses: Statuses(vec![500..=500]), ..FailureAccrual::default() };
        let all_4xx = FailureAccrual { statuses: Statuses(vec![400..=499]), ..FailureAccrual::default() };
        let cancelled = FailureAccrual { grpc_statuses: [1].into_iter().collect(), ..FailureAccrual::default() };
        for (condition, codes, is_grpc, accrual, expected) in [
            ("connect-failure", &[][..], false, &only_500, true),
            ("reset", &[], true, &only_500, true),
            ("5xx", &[], false, &default, true),
            ("5xx", &[], false, &only_500, false),
            ("gateway-error", &[], false, &default, true),
            ("gateway-error", &[], false, &all_4xx, false),
            ("retriable-4xx", &[], false, &default, false),
            ("retriable-4xx", &[], false, &all_4xx, true),
            ("retriable-status-codes", &[], false, &default, true),
            ("retriable-status-codes", &[503, 429], false, &default, false),
            ("retriable-status-codes", &[503, 500], false, &default, true),
            ("unavailable", &[], true, &default, true),
            ("unavailable", &[], true, &cancelled, false),
            ("cancelled", &[], true, &default, false),
            ("cancelled", &[], true, &cancelled, true),
            ("cancelled", &[], false, &default, true),
            ("envoy-ratelimited", &[], false, &default, false),
            ("retriable-headers", &[], false, &default, false),
        ] {
            assert_eq!(accrual.covers(condition, codes, is_grpc), expected, "{condition} {codes:?} {is_grpc}");
        }
    }
}
