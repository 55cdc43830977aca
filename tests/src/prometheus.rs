//! What Envoy shows on /stats/prometheus.

use std::collections::BTreeMap;

use crate::{envoy::Envoy, wait};

/// One line of the text format.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric; of a histogram with `_bucket`, `_sum` or `_count`.
    pub name: String,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// Every sample that is there at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Asks Envoy.
    pub async fn of(envoy: &Envoy) -> Self {
        Self::parse(&envoy.admin("/stats/prometheus").await)
    }

    /// Asks Envoy until the samples of a metric with these labels add up to at least `sum`.
    pub async fn with(envoy: &Envoy, name: &str, labels: &[(&str, &str)], sum: u64) -> Self {
        wait::until(&format!("{name}{labels:?} ≥ {sum}"), async || {
            let samples = Self::of(envoy).await;
            (samples.sum(name, labels) >= sum).then_some(samples)
        })
        .await
    }

    /// Reads the text format.
    ///
    /// # Panics
    /// If a line is none of it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect())
    }

    /// The samples of metrics whose names begin so.
    pub fn named<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s Sample> {
        self.0.iter().filter(move |sample| sample.name.starts_with(prefix))
    }

    /// The sum of the samples of a metric that have these labels, whatever others they have.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|own| own == value))
        };
        self.0.iter().filter(has).map(|sample| sample.value as u64).sum()
    }
}

/// `NAME{LABEL="VALUE",...} NUMBER`, or without labels.
fn sample(line: &str) -> Option<Sample> {
    let end_of_name =
        line.find(|character: char| character != '_' && character != ':' && !character.is_ascii_alphanumeric())?;
    let (name, mut rest) = line.split_at(end_of_name);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, value) = rest.split_once("=\"")?;
            let (value, after) = quoted(value)?;
            labels.insert(label.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    (!name.is_empty()).then(|| Sample { name: name.to_owned(), labels, value })
}

/// What stands before the closing quotation mark, unescaped, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_text_format() {
        let text = "# TYPE a counter\na{} 1\n\na_b:c{x=\"1,}\",y=\"\\\"\\\\\\n\"} 2.5\nd 3\nd{x=\"1\"} 4\n";
        let samples = Samples::parse(text);
        let labels = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
            labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
        };
        let found: Vec<_> =
            samples.named("").map(|sample| (sample.name.as_str(), sample.labels.clone(), sample.value)).collect();
        assert_eq!(
            found,
            [
                ("a", labels(&[]), 1.0),
                ("a_b:c", labels(&[("x", "1,}"), ("y", "\"\\\n")]), 2.5),
                ("d", labels(&[]), 3.0),
                ("d", labels(&[("x", "1")]), 4.0)
            ]
        );
        assert_eq!((samples.sum("d", &[]), samples.sum("d", &[("x", "1")]), samples.sum("e", &[])), (7, 4, 0));
        for broken in ["a", "a{x=\"1 2", "{x=\"1\"} 2", "a b"] {
            assert_eq!(sample(broken), None, "{broken}");
        }
    }
}
