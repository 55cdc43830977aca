//! Every metric of the filter.

use super::registry::{Label, Metric};
use crate::host::MetricKind;

const HOST: Label = Label::Open("host");
const VERSION: Label = Label::Open("version");
const PLUGIN: Label = Label::Open("plugin");
const REASON: Label = Label::Words("reason");

/// Requests, by the reason why their version was picked.
pub(crate) const REQUESTS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_requests_total", labels: &[HOST, VERSION, REASON] };
/// Responses by class, such as `2xx`. `none` if the client got no status.
pub(crate) const RESPONSES: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_responses_total",
    labels: &[HOST, VERSION, Label::Words("class")],
};
/// The time from the request's headers to the end of the stream, in milliseconds.
pub(crate) const DURATION: Metric =
    Metric { kind: MetricKind::Histogram, name: "canary_request_duration_milliseconds", labels: &[HOST, VERSION] };
/// Injected faults.
pub(crate) const FAULTS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_faults_total", labels: &[HOST, VERSION, Label::Words("type")] };
/// Mirrored copies, by cluster.
pub(crate) const MIRRORS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_mirrors_total", labels: &[HOST, Label::Open("cluster")] };
/// Requests whose version was replaced by a fallback.
pub(crate) const FALLBACKS: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_fallbacks_total",
    labels: &[HOST, Label::Open("from"), Label::Open("to"), REASON],
};
/// Ejections of versions, by reason.
pub(crate) const EJECTIONS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_ejections_total", labels: &[HOST, VERSION, REASON] };
/// Versions that serve again after an ejection and a trial.
pub(crate) const RECOVERIES: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_recoveries_total", labels: &[HOST, VERSION] };
/// Control headers by the permission of the client.
pub(crate) const OVERRIDES: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_overrides_total",
    labels: &[Label::Words("type"), Label::Words("result")],
};
/// Requests that the candidate has decided, too.
pub(crate) const CANDIDATE_COMPARED: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_candidate_compared_total", labels: &[] };
/// Requests that the candidate has decided differently.
pub(crate) const CANDIDATE_DIFFERING: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_candidate_differing_total", labels: &[] };
/// Kinds of differences. A request may have several.
pub(crate) const CANDIDATE_DIFFERENCES: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_candidate_differences_total", labels: &[Label::Words("type")] };
/// Requests that were not delayed, because `faults.maxActive` delays were pending.
pub(crate) const DELAYS_SKIPPED: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_delays_skipped_total", labels: &[] };
/// Requests that went to the native routes because a host call failed.
pub(crate) const DECISION_ERRORS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_decision_errors_total", labels: &[] };
/// The configuration in force: its [`fingerprint`](canary_routing::fingerprint).
pub(crate) const CONFIG_VERSION: Metric =
    Metric { kind: MetricKind::Gauge, name: "canary_config_version", labels: &[PLUGIN] };
/// Configurations, by whether a VM accepted them.
pub(crate) const CONFIG_RELOADS: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_config_reloads_total",
    labels: &[PLUGIN, Label::Words("result")],
};
