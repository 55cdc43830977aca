//! Durations as people and Istio write them: `2s`, `1.5s`, `250ms`, `1h30m`.

use std::time::Duration;

/// The units, in seconds; longer spellings first, so that `ms` is not read as `m`.
const UNITS: [(&str, f64); 5] = [("ms", 1e-3), ("us", 1e-6), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];

/// Reads one or more decimal numbers, each followed by its unit (`h`, `m`, `s`, `ms`, `us`), as Go and Istio do.
///
/// Returns `None` for anything else: no unit, a sign, a blank, or more than a [`Duration`] can hold.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    loop {
        let (part, after) = component(rest)?;
        total = total.checked_add(part)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

fn component(text: &str) -> Option<(Duration, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at_checked(digits)?;
    let (after, seconds) = UNITS.iter().find_map(|(unit, seconds)| Some((rest.strip_prefix(unit)?, seconds)))?;
    let number: f64 = number.parse().ok()?;
    Some((Duration::try_from_secs_f64(number * seconds).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_istio_writes_them() {
        for (text, micros) in [
            ("2s", Some(2_000_000)),
            ("1.5s", Some(1_500_000)),
            ("250ms", Some(250_000)),
            ("0.5ms", Some(500)),
            ("7us", Some(7)),
            ("1h30m", Some(5_400_000_000)),
            ("0s", Some(0)),
            (".5s", Some(500_000)),
            ("2", None),
            ("", None),
            ("s", None),
            (".s", None),
            ("-1s", None),
            ("2 s", None),
            ("2sx", None),
            ("1.2.3s", None),
            ("inf", None),
            ("99999999999999999999999s", None),
        ] {
            assert_eq!(parse(text), micros.map(Duration::from_micros), "{text:?}");
        }
    }
}
