//! Durations as people and Istio write them: `2s`, `1.5s`, `250ms`, `1h30m`.

use std::time::Duration;

/// The units, in nanoseconds; longer spellings first, so that `ms` is not read as `m`.
const UNITS: [(&str, u128); 5] =
    [("ms", 1_000_000), ("us", 1_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];

/// Digits after the point that count: with more a product would not fit, and they are far below a nanosecond.
const DIGITS: usize = 18;

/// Reads one or more decimal numbers, each followed by its unit (`h`, `m`, `s`, `ms`, `us`), as Go and Istio do.
///
/// Returns `None` for anything else: no unit, a sign, a blank, or more than 584 years.
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

/// What [`parse`] reads as a duration of whole milliseconds; the standard library's text takes twenty times the bytes in the
/// .wasm.
pub(crate) fn text(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        millis => format!("{}ms", duration.as_secs().saturating_mul(1_000).saturating_add(millis.into())),
    }
}

fn component(text: &str) -> Option<(Duration, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at_checked(digits)?;
    let (after, unit) = UNITS.iter().find_map(|(name, unit)| Some((rest.strip_prefix(name)?, *unit)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let fraction = fraction.get(..DIGITS).unwrap_or(fraction);
    let part =
        digits_of(fraction)?.checked_mul(unit)?.checked_div(10_u128.checked_pow(fraction.len().try_into().ok()?)?)?;
    let nanoseconds = digits_of(whole)?.checked_mul(unit)?.checked_add(part)?;
    Some((Duration::from_nanos(nanoseconds.try_into().ok()?), after))
}

/// The number that digits say; none say 0.
fn digits_of(text: &str) -> Option<u128> {
    if text.is_empty() { Some(0) } else { text.parse::<u64>().ok().map(u128::from) }
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
            ("1.s", Some(1_000_000)),
            ("0.00000100000000000000009h", Some(3_600)),
            ("0.1s", Some(100_000)),
            ("1000000h", Some(3_600_000_000_000_000)),
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
