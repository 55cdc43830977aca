//! Shares of requests, written for people.

use std::fmt;

/// A share above 0 and at most 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share(pub(crate) f64);

impl Share {
    /// Whether it is all there is.
    pub(crate) fn is_all(self) -> bool {
        self.0 >= 1.0
    }

    /// `reviews v1 90 %`, or what it is the share of alone where that is all.
    pub(crate) fn after(self, of: &str) -> String {
        if self.is_all() { of.to_owned() } else { format!("{of} {self}") }
    }
}

impl fmt::Display for Share {
    /// With two decimals at most; what they cannot tell from nothing or all is said in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = format!("{:.2}", self.0 * 100.0);
        match percent.trim_end_matches('0').trim_end_matches('.') {
            "" | "0" => f.write_str("under 0.01 %"),
            "100" if !self.is_all() => f.write_str("over 99.99 %"),
            percent => write!(f, "{percent} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_two_decimals_at_most() {
        for (share, expected) in [
            (1.0, "100 %"),
            (0.9, "90 %"),
            (0.105, "10.5 %"),
            (2.0 / 3.0, "66.67 %"),
            (0.0001, "0.01 %"),
            (0.000_001, "under 0.01 %"),
            (0.999_999, "over 99.99 %"),
        ] {
            assert_eq!(Share(share).to_string(), expected, "{share}");
        }
    }
}
