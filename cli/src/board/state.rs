//! What the page shows: the last minutes in steps, and sums over them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    history::{History, Last, Sample},
    stats::{self, Bucket, Histogram},
};

/// Steps of a plot.
const STEPS: u64 = 60;
/// Seconds that can be looked at.
pub(super) const WINDOWS: [u64; 3] = [60, 300, 900];
const MILLISECONDS: u64 = 1_000;
const REQUESTS: &str = "canary_requests_total";
const RESPONSES: &str = "canary_responses_total";
const DURATION: &str = "canary_request_duration_milliseconds";
/// Shares of the requests whose latency is told.
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// Everything about a window of time. Times are in milliseconds since 1970.
#[derive(Debug, Serialize)]
pub(super) struct State {
    now: u64,
    /// Seconds in all, and of each step.
    window: u64,
    step: u64,
    steps: Vec<Step>,
    /// When another document came into force.
    changes: Vec<u64>,
    configurations: Vec<Configuration>,
    restarts: u64,
    /// Whether some series are left out, since there are too many.
    truncated: bool,
    services: Vec<Service>,
    /// What else happens, by metric: `fallbacks`, `ejections` and so on.
    events: BTreeMap<&'static str, Vec<Event>>,
}

/// A part of the window.
#[derive(Debug, Serialize)]
struct Step {
    /// When it begins.
    at: u64,
    /// Milliseconds of it that are known; 0 where Envoy did not answer.
    known: u64,
}

/// A filter's configuration.
#[derive(Debug, Serialize)]
struct Configuration {
    plugin: String,
    /// As `canary_config_version` has it.
    version: u64,
    accepted: u64,
    refused: u64,
}

/// The versions of a host.
#[derive(Debug, Serialize)]
struct Service {
    host: String,
    /// In the window.
    requests: u64,
    versions: Vec<Version>,
    /// Why versions were picked, with the requests of each reason.
    reasons: BTreeMap<String, u64>,
}

/// One version in the window.
#[derive(Debug, Default, Serialize)]
struct Version {
    version: String,
    requests: u64,
    /// Of the service's requests, 0 to 1; absent without any.
    share: Option<f64>,
    /// Requests a second.
    rate: f64,
    /// Answers by class of status.
    classes: BTreeMap<String, u64>,
    /// The share of answers that are `5xx`, 0 to 1; absent where none is counted.
    errors: Option<f64>,
    /// Milliseconds that 50, 95 and 99 % of the requests did not exceed; absent where none is measured.
    latency: Option<[f64; 3]>,
    reasons: BTreeMap<String, u64>,
    /// Requests of each step, and those answered with `5xx`.
    plot: Vec<u64>,
    failed: Vec<u64>,
    /// As Envoy has counted since its start.
    total: Total,
}

#[derive(Debug, Default, Serialize)]
struct Total {
    requests: u64,
    classes: BTreeMap<String, u64>,
}

/// Something that is counted.
#[derive(Debug, Serialize)]
struct Event {
    labels: BTreeMap<String, String>,
    /// In the window, and since Envoy's start.
    count: u64,
    total: u64,
    /// When it was seen last; absent where that was before the board began.
    last: Option<u64>,
}

/// The metrics that are shown as events.
const EVENTS: [(&str, &str); 6] = [
    ("canary_fallbacks_total", "fallbacks"),
    ("canary_ejections_total", "ejections"),
    ("canary_recoveries_total", "recoveries"),
    ("canary_faults_total", "faults"),
    ("canary_mirrors_total", "mirrors"),
    ("canary_overrides_total", "overrides"),
];

/// The last `window` seconds at `now` (milliseconds since the first look, which was at `began` since 1970).
pub(super) fn state(history: &History, window: u64, now: u64, began: u64) -> State {
    let view = View::of(history, window, now);
    let clock = |at: u64| began.saturating_add(at);
    let steps = (view.first..view.first.saturating_add(STEPS)).zip(&view.known);
    State {
        now: clock(now),
        window,
        step: view.step.checked_div(MILLISECONDS).unwrap_or_default(),
        steps: steps.map(|(step, known)| Step { at: view.begin(step, began), known: *known }).collect(),
        changes: view.changes.iter().copied().map(clock).collect(),
        configurations: configurations(history),
        restarts: history.restarts(),
        truncated: history.is_full(),
        services: view.services(history),
        events: EVENTS.iter().map(|(metric, name)| (*name, view.events(history, metric, began))).collect(),
    }
}

fn configurations(history: &History) -> Vec<Configuration> {
    let reloads = |plugin: &str, result: &str| {
        let is_it = |last: &Last<'_>| {
            last.series.metric == "canary_config_reloads_total"
                && last.series.label("plugin") == plugin
                && last.series.label("result") == result
        };
        history.series().filter(is_it).fold(0, |sum: u64, last| sum.saturating_add(last.value))
    };
    let versions = history.versions().iter();
    let configuration = |(plugin, version): (&String, &u64)| Configuration {
        plugin: plugin.clone(),
        version: *version,
        accepted: reloads(plugin, "accepted"),
        refused: reloads(plugin, "refused"),
    };
    versions.map(configuration).collect()
}

/// The series of each version, by the length of its name first: v10 comes after v2.
type ByVersion<'h> = BTreeMap<(usize, &'h str), Vec<Last<'h>>>;

/// The samples of a window, summed up by step.
struct View {
    /// Milliseconds of a step.
    step: u64,
    /// The number of the first step. Steps are counted from a window before the first look on, so that none is negative.
    first: u64,
    /// Milliseconds of each step that are known.
    known: Vec<u64>,
    /// When another document came into force, since the first look.
    changes: Vec<u64>,
    /// By how much series have grown in each step.
    grown: BTreeMap<usize, Vec<u64>>,
    /// Durations, by the lower end of the bucket: bits of numbers that are not negative are ordered as the numbers are.
    durations: BTreeMap<usize, BTreeMap<u64, (Bucket, u64)>>,
}

impl View {
    fn of(history: &History, window: u64, now: u64) -> Self {
        let step = window.saturating_mul(MILLISECONDS).checked_div(STEPS).unwrap_or_default().max(1);
        let first = now.checked_div(step).unwrap_or_default().saturating_add(1);
        let (known, changes, grown, durations) = (plot(), Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut view = Self { step, first, known, changes, grown, durations };
        history.samples().for_each(|sample| view.add(sample));
        view
    }

    /// When a step begins, where the first look was at `began`.
    fn begin(&self, step: u64, began: u64) -> u64 {
        let window = STEPS.saturating_mul(self.step);
        began.saturating_add(step.saturating_mul(self.step)).saturating_sub(window)
    }

    /// Takes in a sample, unless it is older than the window.
    fn add(&mut self, sample: &Sample) {
        let step = sample.at.checked_div(self.step).unwrap_or_default().saturating_add(STEPS);
        let Some(step) = step.checked_sub(self.first).and_then(|step| usize::try_from(step).ok()) else { return };
        add(&mut self.known, step, sample.covers);
        self.changes.extend(sample.is_change.then_some(sample.at));
        for (number, count) in &sample.counts {
            add(self.grown.entry(*number).or_insert_with(plot), step, *count);
        }
        for (number, histogram) in &sample.durations {
            let sums = self.durations.entry(*number).or_default();
            for (bucket, count) in histogram {
                let sum = sums.entry(bucket.lower.to_bits()).or_insert((*bucket, 0));
                sum.1 = sum.1.saturating_add(*count);
            }
        }
    }

    /// By how much a series has grown.
    fn growth(&self, number: usize) -> u64 {
        self.grown.get(&number).map_or(0, |plot| sum(plot))
    }

    /// By how much these series have grown in each step.
    fn plot_of<'h>(&self, series: impl Iterator<Item = &'h Last<'h>>) -> Vec<u64> {
        let mut all = plot();
        for own in series.filter_map(|last| self.grown.get(&last.number)) {
            own.iter().enumerate().for_each(|(step, count)| add(&mut all, step, *count));
        }
        all
    }

    fn latency(&self, number: usize) -> Option<[f64; 3]> {
        let histogram: Histogram = self.durations.get(&number)?.values().copied().collect();
        Some(QUANTILES.map(|share| stats::quantile(&histogram, share).unwrap_or_default()))
    }

    /// Hosts by name; what a rule answers by itself, which has none, comes last.
    fn services(&self, history: &History) -> Vec<Service> {
        let mut hosts: BTreeMap<(bool, &str), ByVersion<'_>> = BTreeMap::new();
        for last in history.series() {
            let (host, version) = (last.series.label("host"), last.series.label("version"));
            if [REQUESTS, RESPONSES, DURATION].contains(&last.series.metric.as_str()) {
                hosts.entry((host == "-", host)).or_default().entry((version.len(), version)).or_default().push(last);
            }
        }
        hosts.into_iter().map(|((_, host), versions)| self.service(host, versions)).collect()
    }

    fn service(&self, host: &str, versions: ByVersion<'_>) -> Service {
        let mut versions: Vec<_> =
            versions.into_iter().map(|((_, version), series)| self.version(version, &series)).collect();
        let requests = versions.iter().fold(0_u64, |sum, version| sum.saturating_add(version.requests));
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for version in &mut versions {
            version.share = (requests > 0).then(|| version.requests as f64 / requests as f64);
            for (reason, count) in &version.reasons {
                let sum = reasons.entry(reason.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        Service { host: host.to_owned(), requests, versions, reasons }
    }

    fn version(&self, version: &str, series: &[Last<'_>]) -> Version {
        let of = |metric: &'static str| series.iter().filter(move |last| last.series.metric == metric);
        let by = |metric, label: &str| -> BTreeMap<String, u64> {
            let grown = |last: &Last<'_>| (last.series.label(label).to_owned(), self.growth(last.number));
            of(metric).map(grown).filter(|(_, count)| *count > 0).collect()
        };
        let failed = self.plot_of(of(RESPONSES).filter(|last| last.series.label("class") == "5xx"));
        let plot = self.plot_of(of(REQUESTS));
        let requests = sum(&plot);
        let classes = by(RESPONSES, "class");
        let answers = classes.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let seconds = sum(&self.known) as f64 / MILLISECONDS as f64;
        Version {
            version: version.to_owned(),
            requests,
            share: None,
            rate: if seconds > 0.0 { requests as f64 / seconds } else { 0.0 },
            errors: (answers > 0).then(|| sum(&failed) as f64 / answers as f64),
            classes,
            latency: of(DURATION).find_map(|last| self.latency(last.number)),
            reasons: by(REQUESTS, "reason"),
            failed,
            plot,
            total: total(series),
        }
    }

    fn events(&self, history: &History, metric: &str, began: u64) -> Vec<Event> {
        let event = |last: Last<'_>| Event {
            labels: last.series.labels.clone(),
            count: self.growth(last.number),
            total: last.value,
            last: last.grown.map(|at| began.saturating_add(at)),
        };
        history.series().filter(|last| last.series.metric == metric).map(event).collect()
    }
}

/// Nothing in each step.
fn plot() -> Vec<u64> {
    vec![0; usize::try_from(STEPS).unwrap_or_default()]
}

fn add(plot: &mut [u64], step: usize, count: u64) {
    if let Some(sum) = plot.get_mut(step) {
        *sum = sum.saturating_add(count);
    }
}

fn sum(plot: &[u64]) -> u64 {
    plot.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

fn total(series: &[Last<'_>]) -> Total {
    let mut total = Total::default();
    for last in series {
        if last.series.metric == REQUESTS {
            total.requests = total.requests.saturating_add(last.value);
        }
        if last.series.metric == RESPONSES {
            total.classes.insert(last.series.label("class").to_owned(), last.value);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::stats::Reading, *};

    const BEGAN: u64 = 1_000_000;

    /// What Envoy shows after `uptime` seconds, with counters by name.
    fn reading(uptime: u64, counters: &[(&str, u64)]) -> Reading {
        let stat = |(name, value): &(&str, u64)| json!({"name": format!("wasmcustom.{name}"), "value": value});
        let mut stats: Vec<Value> = counters.iter().map(stat).collect();
        stats.push(json!({"name": "server.uptime", "value": uptime}));
        Reading::parse(json!({"stats": stats}).to_string().as_bytes()).unwrap()
    }

    fn requests(version: &str) -> String {
        format!("host=.=reviews;.;version=.={version};.;reason=.=weight;.;canary_requests_total")
    }

    fn responses(version: &str, class: &str) -> String {
        format!("host=.=reviews;.;version=.={version};.;class=.={class};.;canary_responses_total")
    }

    /// The state of a minute, after a reading in each second.
    fn seen(readings: &[Option<Reading>]) -> Value {
        let mut history = History::default();
        let last = readings.len().saturating_sub(1) as u64;
        for (now, reading) in (0..).step_by(1_000).zip(readings) {
            match reading {
                Some(reading) => history.record(now, reading),
                None => history.silence(now),
            }
        }
        serde_json::to_value(state(&history, 60, last.saturating_mul(MILLISECONDS), BEGAN)).unwrap()
    }

    #[test]
    fn versions_have_their_shares() {
        let state = seen(&[
            Some(reading(1, &[(&requests("v1"), 1_000)])),
            Some(reading(2, &[(&requests("v1"), 1_060), (&requests("v10"), 10), (&requests("v2"), 30)])),
            Some(reading(
                3,
                &[
                    (&requests("v1"), 1_060),
                    (&requests("v10"), 10),
                    (&requests("v2"), 30),
                    (&responses("v2", "2xx"), 24),
                    (&responses("v2", "5xx"), 6),
                ],
            )),
        ]);
        let versions = state.pointer("/services/0/versions").and_then(Value::as_array).unwrap();
        let of = |field: &str| versions.iter().map(|version| version[field].clone()).collect::<Vec<_>>();
        assert_eq!(of("version"), ["v1", "v2", "v10"]);
        assert_eq!(of("requests"), [60, 30, 10]);
        assert_eq!(of("share"), [0.6, 0.3, 0.1]);
        assert_eq!(of("rate"), [30.0, 15.0, 5.0], "over the two seconds that are known");
        assert_eq!(of("errors"), [Value::Null, json!(0.2), Value::Null]);
        assert_eq!(of("latency"), [Value::Null, Value::Null, Value::Null]);
        assert_eq!(versions[0]["total"]["requests"], 1_060);
        assert_eq!(versions[1]["total"]["classes"], json!({"2xx": 24, "5xx": 6}));
        assert_eq!(state["services"][0]["reasons"], json!({"weight": 100}));
        assert_eq!(versions[1]["plot"].as_array().unwrap().len(), 60);
        assert_eq!(versions[1]["plot"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>(), 30);
    }

    #[test]
    fn steps_are_known_where_envoy_answers() {
        let at = |uptime| Some(reading(uptime, &[("plugin=.=canary;.;canary_config_version", 7)]));
        for (row, readings, expected) in [
            ("the first look knows of no time before", vec![at(1)], vec![0]),
            ("each second", vec![at(1), at(2), at(3)], vec![0, 1_000, 1_000]),
            ("silence", vec![at(1), at(2), None, at(4)], vec![0, 1_000, 0, 2_000]),
        ] {
            let state = seen(&readings);
            let steps = state["steps"].as_array().unwrap().iter();
            let known: Vec<_> = steps.filter(|step| step["at"].as_u64() >= Some(BEGAN)).collect();
            let known: Vec<_> = known.iter().take(expected.len()).map(|step| step["known"].as_u64().unwrap()).collect();
            assert_eq!(known, expected, "{row}");
        }
    }

    #[test]
    fn the_last_step_is_now() {
        let state = seen(&[Some(reading(1, &[])), Some(reading(2, &[(&requests("v1"), 5)]))]);
        assert_eq!(state.pointer("/steps/59/at"), Some(&json!(1_001_000)));
        assert_eq!(state.pointer("/services/0/versions/0/plot/59"), Some(&json!(5)));
        assert_eq!(state.pointer("/steps/0/at"), Some(&json!(942_000)));
    }

    #[test]
    fn what_is_older_than_the_window_is_left_out() {
        let mut history = History::default();
        for second in 0..200 {
            history.record(second * MILLISECONDS, &reading(second, &[(&requests("v1"), second)]));
        }
        for (window, expected) in [(60, 60), (300, 199), (900, 199)] {
            let state = serde_json::to_value(state(&history, window, 199 * MILLISECONDS, BEGAN)).unwrap();
            assert_eq!(state["services"][0]["requests"], expected, "{window} s");
        }
    }

    #[test]
    fn names_that_make_no_sense_are_shown_as_they_are() {
        let state = seen(&[
            Some(reading(1, &[])),
            Some(reading(
                2,
                &[
                    ("canary_requests_total", 1),
                    ("host=.=-;.;version=.=-;.;reason=.=no-rule;.;canary_requests_total", 2),
                ],
            )),
        ]);
        let hosts = state["services"].as_array().unwrap().iter().map(|service| service["host"].clone());
        assert_eq!(hosts.collect::<Vec<_>>(), ["", "-"]);
    }
}
