//! Every metric of the filter.

use super::registry::{Label, Metric};
use crate::host::MetricKind;

const HOST: Label = Label::Open("host");
const VERSION: Label = Label::Open("version");
const PLUGIN: Label = Label::Open("plugin");
const REASON: Label = Label::Words("reason");

/// Requests by why their version was picked.
pub(crate) const REQUESTS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_requests_total", labels: &[HOST, VERSION, REASON] };
/// Responses by class: `2xx`; `none` where the client has not got a status.
pub(crate) const RESPONSES: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_responses_total",
    labels: &[HOST, VERSION, Label::Words("class")],
};
/// From the request's headers to the end of the stream, in milliseconds.
pub(crate) const DURATION: Metric =
    Metric { kind: MetricKind::Histogram, name: "canary_request_duration_milliseconds", labels: &[HOST, VERSION] };
/// Injected faults that were carried out.
pub(crate) const FAULTS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_faults_total", labels: &[HOST, VERSION, Label::Words("type")] };
/// Copies that were asked for, by the cluster that gets them.
pub(crate) const MIRRORS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_mirrors_total", labels: &[HOST, Label::Open("cluster")] };
/// Requests whose version gave way to another.
pub(crate) const FALLBACKS: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_fallbacks_total",
    labels: &[HOST, Label::Open("from"), Label::Open("to"), REASON],
};
/// Versions that failures have ejected, by why.
pub(crate) const EJECTIONS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_ejections_total", labels: &[HOST, VERSION, REASON] };
/// Ejected versions that their trials have brought back.
pub(crate) const RECOVERIES: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_recoveries_total", labels: &[HOST, VERSION] };
/// What became of clients' wishes in control headers.
pub(crate) const OVERRIDES: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_overrides_total",
    labels: &[Label::Words("type"), Label::Words("result")],
};
/// Requests that the candidate document has decided, too.
pub(crate) const CANDIDATE_COMPARED: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_candidate_compared_total", labels: &[] };
/// Those that it has decided otherwise.
pub(crate) const CANDIDATE_DIFFERING: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_candidate_differing_total", labels: &[] };
/// In what respects; a request may differ in several.
pub(crate) const CANDIDATE_DIFFERENCES: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_candidate_differences_total", labels: &[Label::Words("type")] };
/// Requests that passed undelayed because `faults.maxActive` others were being delayed.
pub(crate) const DELAYS_SKIPPED: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_delays_skipped_total", labels: &[] };
/// Requests that the host's failures have left to the native routes.
pub(crate) const DECISION_ERRORS: Metric =
    Metric { kind: MetricKind::Counter, name: "canary_decision_errors_total", labels: &[] };
/// Which document is in force: [`fingerprint`](canary_routing::fingerprint).
pub(crate) const CONFIG_VERSION: Metric =
    Metric { kind: MetricKind::Gauge, name: "canary_config_version", labels: &[PLUGIN] };
/// Documents that came, by whether a VM took them.
pub(crate) const CONFIG_RELOADS: Metric = Metric {
    kind: MetricKind::Counter,
    name: "canary_config_reloads_total",
    labels: &[PLUGIN, Label::Words("result")],
};
