//! What Envoy's `/stats` says of the filter.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What to ask Envoy for: the filter's metrics, with every bucket of its histograms, and how long Envoy has been up.
pub(super) const PATH: &str = "/stats?format=json&histogram_buckets=detailed&filter=%5E(wasmcustom%5C..*canary_%5Ba-z_%5D%2B%7Cserver%5C.uptime)%24";

const UPTIME: &str = "server.uptime";
/// What Envoy puts before the names of a module's statistics.
const PREFIX: &str = "wasmcustom.";
/// Between the labels and the metric in a statistic's name, as Istio writes them.
const LABEL_ENDS: &str = ";.;";
/// Between a label and its value.
const VALUE_BEGINS: &str = "=.=";

/// A metric with its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series {
    pub(super) metric: String,
    pub(super) labels: BTreeMap<String, String>,
}

impl Series {
    /// The value of a label; empty where it is absent.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// Whatever the bootstrap makes labels of, the statistic's own name holds them all.
    fn read(name: &str) -> Option<Self> {
        let mut labels = BTreeMap::new();
        let mut rest = name.strip_prefix(PREFIX)?;
        while let Some((label, after)) = rest.split_once(LABEL_ENDS) {
            let (label, value) = label.split_once(VALUE_BEGINS)?;
            labels.insert(label.to_owned(), value.to_owned());
            rest = after;
        }
        rest.starts_with("canary_").then(|| Self { metric: rest.to_owned(), labels })
    }
}

/// A range of durations in milliseconds, as Envoy's histograms have them: from `lower` on, `width` wide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) lower: f64,
    pub(super) width: f64,
}

/// How often a value fell into each bucket, in ascending order.
pub(super) type Histogram = Vec<(Bucket, u64)>;

/// Everything that was there at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// How long Envoy has been up, in seconds.
    pub(super) uptime: Option<u64>,
    /// Counters and gauges.
    pub(super) values: BTreeMap<Series, u64>,
    pub(super) histograms: BTreeMap<Series, Histogram>,
}

#[derive(Deserialize)]
struct Stats {
    stats: Vec<Stat>,
}

/// One statistic, or all histograms.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stat {
    Value {
        name: String,
        value: u64,
    },
    Histograms {
        histograms: Histograms,
    },
    /// A text, or something that Envoy has not shown yet.
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Histograms {
    #[serde(default)]
    details: Vec<Details>,
}

#[derive(Deserialize)]
struct Details {
    name: String,
    #[serde(default)]
    totals: Vec<Total>,
}

#[derive(Deserialize)]
struct Total {
    lower_bound: f64,
    width: f64,
    count: u64,
}

impl Reading {
    /// Reads Envoy's answer; statistics that are not the filter's, or make no sense, are left out.
    ///
    /// # Errors
    /// When it is no answer of `/stats?format=json`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        // Names come from documents and from whatever else Envoy serves: they need not be UTF-8.
        let body = String::from_utf8_lossy(body);
        let stats: Stats = serde_json::from_str(&body).map_err(|error| format!("no statistics: {error}"))?;
        let mut reading = Self::default();
        for stat in stats.stats {
            match stat {
                Stat::Value { name, value } if name == UPTIME => reading.uptime = Some(value),
                Stat::Value { name, value } => {
                    reading.values.extend(Series::read(&name).map(|series| (series, value)));
                }
                Stat::Histograms { histograms } => {
                    let read = |details: Details| Some((Series::read(&details.name)?, histogram(details.totals)));
                    reading.histograms.extend(histograms.details.into_iter().filter_map(read));
                }
                Stat::Other(_) => {}
            }
        }
        Ok(reading)
    }

    /// Whether the filter has shown itself.
    pub(super) fn has_filter(&self) -> bool {
        !self.values.is_empty()
    }
}

fn histogram(totals: Vec<Total>) -> Histogram {
    let is_sane = |total: &Total| total.lower_bound >= 0.0 && total.width >= 0.0;
    let mut buckets: Histogram = totals
        .into_iter()
        .filter(is_sane)
        .map(|total| (Bucket { lower: total.lower_bound, width: total.width }, total.count))
        .collect();
    buckets.sort_by(|(one, _), (other, _)| one.lower.total_cmp(&other.lower));
    buckets
}

/// The value that a share of all (`quantile`, 0 to 1) do not exceed, taken as evenly spread within a bucket; `None` where
/// there are none.
pub(super) fn quantile(histogram: &[(Bucket, u64)], quantile: f64) -> Option<f64> {
    let all = histogram.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    let mut rank = all as f64 * quantile;
    let mut found = None;
    for (bucket, count) in histogram.iter().filter(|(_, count)| *count > 0) {
        let within = (rank / *count as f64).clamp(0.0, 1.0);
        found = Some(bucket.lower + bucket.width * within);
        rank -= *count as f64;
        if rank <= 0.0 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (row, name, expected) in [
            ("no labels", "wasmcustom.canary_decision_errors_total", Some(("canary_decision_errors_total", vec![]))),
            (
                "labels",
                "wasmcustom.host=.=a.b;.;version=.=v1;.;canary_requests_total",
                Some(("canary_requests_total", vec![("host", "a.b"), ("version", "v1")])),
            ),
            (
                "an empty value, and one with the sign of a value",
                "wasmcustom.host=.=;.;version=.=a=.=b;.;canary_requests_total",
                Some(("canary_requests_total", vec![("host", ""), ("version", "a=.=b")])),
            ),
            (
                "no UTF-8",
                "wasmcustom.host=.=\u{fffd};.;canary_requests_total",
                Some(("canary_requests_total", vec![("host", "\u{fffd}")])),
            ),
            ("no value", "wasmcustom.host;.;canary_requests_total", None),
            ("another module's", "wasmcustom.host=.=a;.;istio_requests_total", None),
            ("another statistic", "cluster.canary_requests_total", None),
            ("nothing", "", None),
        ] {
            let expected = expected.map(|(metric, labels): (&str, Vec<(&str, &str)>)| Series {
                metric: metric.to_owned(),
                labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            });
            assert_eq!(Series::read(name), expected, "{row}");
        }
    }

    #[test]
    fn answers_are_read_as_far_as_they_make_sense() {
        for (row, body, expected) in [
            ("nothing there", r#"{"stats":[]}"#, Some((None, 0, 0))),
            ("Envoy alone", r#"{"stats":[{"name":"server.uptime","value":7}]}"#, Some((Some(7), 0, 0))),
            (
                "a counter",
                r#"{"stats":[{"name":"wasmcustom.canary_x_total","value":3},{"name":"server.uptime","value":7}]}"#,
                Some((Some(7), 1, 0)),
            ),
            (
                "numbers that are none",
                r#"{"stats":[{"name":"wasmcustom.canary_x_total","value":"3"},{"name":"wasmcustom.canary_y_total","value":-1},{}]}"#,
                Some((None, 0, 0)),
            ),
            (
                "a histogram",
                r#"{"stats":[{"histograms":{"supported_percentiles":[],"details":[{"name":"wasmcustom.canary_d","totals":[{"lower_bound":1,"width":0.1,"count":2}]}]}}]}"#,
                Some((None, 0, 1)),
            ),
            ("histograms of another form", r#"{"stats":[{"histograms":[{"name":"x"}]}]}"#, Some((None, 0, 0))),
            ("a page", "<html>", None),
            ("another document", "[1]", None),
            ("nothing at all", "", None),
        ] {
            let read = Reading::parse(body.as_bytes()).ok();
            let found = read.map(|reading| (reading.uptime, reading.values.len(), reading.histograms.len()));
            assert_eq!(found, expected, "{row}");
        }
        let odd = b"{\"stats\":[{\"name\":\"wasmcustom.host=.=\xff;.;canary_x_total\",\"value\":1}]}";
        let read = Reading::parse(odd).unwrap();
        assert_eq!(read.values.keys().next().unwrap().label("host"), "\u{fffd}");
    }

    #[test]
    fn quantiles_are_found_within_buckets() {
        let bucket = |lower, width, count| (Bucket { lower, width }, count);
        for (row, histogram, share, expected) in [
            ("nothing", vec![], 0.5, None),
            ("only empty buckets", vec![bucket(1.0, 0.1, 0)], 0.5, None),
            ("under a millisecond", vec![bucket(0.0, 0.0, 4)], 0.99, Some(0.0)),
            ("the middle of a bucket", vec![bucket(100.0, 10.0, 10)], 0.5, Some(105.0)),
            ("the end of the first", vec![bucket(10.0, 1.0, 5), bucket(20.0, 1.0, 5)], 0.5, Some(11.0)),
            ("in the second", vec![bucket(10.0, 1.0, 5), bucket(20.0, 2.0, 5)], 0.75, Some(21.0)),
            ("the last", vec![bucket(10.0, 1.0, 5), bucket(20.0, 2.0, 5)], 1.0, Some(22.0)),
            ("past an empty one", vec![bucket(10.0, 1.0, 0), bucket(20.0, 0.0, 1)], 0.0, Some(20.0)),
        ] {
            assert_eq!(quantile(&histogram, share), expected, "{row}");
        }
    }
}
