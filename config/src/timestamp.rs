//! Points in time, as RFC 3339 writes them.

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// Days before each month of a common year.
const DAYS_BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const DAYS_OF_MONTH: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const FIRST_YEAR: u64 = 1970;

impl Timestamp {
    /// A host's clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds from an earlier point; 0 where it is a later one.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads an RFC 3339 date and time from 1970 on, such as `2026-11-21T08:00:00Z` or `2026-11-21T09:00:00.5+01:00`, cut to
    /// whole milliseconds. Leap seconds (`:60`) are rejected.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', 't'])?;
        let (time, offset) = rest.split_at_checked(rest.find(['Z', 'z', '+', '-'])?)?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let parts = [(24, hour), (60, minute), (60, second), (1000, millis(fraction)?)];
        let add = |total: u64, (factor, part): (u64, u64)| total.saturating_mul(factor).saturating_add(part);
        at_utc(parts.into_iter().fold(days(numbers(date, '-', [4, 2, 2])?)?, add), offset).map(Self)
    }
}

/// Takes the zone off a local time: `Z`, or hours and minutes ahead of UTC or behind it.
fn at_utc(local: u64, offset: &str) -> Option<u64> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let (sign, zone) = offset.split_at_checked(1)?;
    let [hours, minutes] = numbers(zone, ':', [2, 2])?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let distance = hours.saturating_mul(60).saturating_add(minutes).saturating_mul(60_000);
    if sign == "+" { local.checked_sub(distance) } else { local.checked_add(distance) }
}

/// Days since 1970-01-01.
fn days([year, month, day]: [u64; 3]) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let month_index = usize::try_from(month.checked_sub(1)?).ok()?;
    let is_leap_february = is_leap && month == 2;
    let length = DAYS_OF_MONTH.get(month_index)?.saturating_add(u64::from(is_leap_february));
    if year < FIRST_YEAR || day == 0 || day > length {
        return None;
    }
    let leap_days = leap_years_before(year).saturating_sub(leap_years_before(FIRST_YEAR));
    let of_years = year.saturating_sub(FIRST_YEAR).saturating_mul(365).saturating_add(leap_days);
    let of_months = DAYS_BEFORE.get(month_index)?.saturating_add(u64::from(is_leap && month > 2));
    Some(of_years.saturating_add(of_months).saturating_add(day.saturating_sub(1)))
}

fn leap_years_before(year: u64) -> u64 {
    let last = year.saturating_sub(1);
    (last / 4).saturating_sub(last / 100).saturating_add(last / 400)
}

/// The first three decimals of a second, as milliseconds.
fn millis(decimals: &str) -> Option<u64> {
    let is_number = !decimals.is_empty() && decimals.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("{decimals:0<3}").get(..3)?.parse().ok()).flatten()
}

/// Numbers of fixed widths between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (number, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_as_rfc_3339_has_them() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01t00:00:01z", Some(1_000)),
            ("1972-03-01T00:00:00Z", Some(68_256_000_000)),
            ("2000-02-29T12:00:00Z", Some(951_825_600_000)),
            ("2026-11-21T08:00:00Z", Some(1_795_248_000_000)),
            ("2026-11-21T09:00:00+01:00", Some(1_795_248_000_000)),
            ("2026-11-21T02:30:00-05:30", Some(1_795_248_000_000)),
            ("2026-11-21T08:00:00.25Z", Some(1_795_248_000_250)),
            ("2026-11-21T08:00:00.123456789Z", Some(1_795_248_000_123)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            ("1970-01-01T00:00:00+00:01", None),
            ("1969-12-31T23:59:59Z", None),
            ("2026-02-29T00:00:00Z", None),
            ("2100-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-11-31T00:00:00Z", None),
            ("2026-11-00T00:00:00Z", None),
            ("2026-11-21T24:00:00Z", None),
            ("2026-11-21T08:60:00Z", None),
            ("2016-12-31T23:59:60Z", None),
            ("2026-11-21T08:00:00", None),
            ("2026-11-21T08:00Z", None),
            ("2026-11-21T08:00:00.Z", None),
            ("2026-11-21T08:00:00+0100", None),
            ("2026-11-21T08:00:00+24:00", None),
            ("2026-11-21T08:00:00Zx", None),
            ("2026-11-21 08:00:00Z", None),
            ("26-11-21T08:00:00Z", None),
            ("2026-11-21", None),
            ("1795248000", None),
            ("", None),
        ] {
            assert_eq!(Timestamp::parse(text), millis.map(Timestamp), "{text:?}");
        }
    }
}
