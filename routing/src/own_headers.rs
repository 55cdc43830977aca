//! The headers that no client may send: a request leaves with those that the filter sets, and no others.

use crate::config::{ControlHeaders, FaultDelayer, Overrides};

/// Asks Envoy's fault filter to answer with an HTTP status.
pub const ABORT_REQUEST: &str = "x-envoy-fault-abort-request";
/// Asks Envoy's fault filter to answer with a gRPC status.
pub const ABORT_GRPC_REQUEST: &str = "x-envoy-fault-abort-grpc-request";
/// Asks Envoy's fault filter to wait so many milliseconds.
pub const DELAY_REQUEST: &str = "x-envoy-fault-delay-request";

/// What Envoy's fault filter obeys in header mode, no matter who sends it.
const FAULT_HEADERS: [&str; 8] = [
    ABORT_REQUEST,
    "x-envoy-fault-abort-request-percentage",
    ABORT_GRPC_REQUEST,
    "x-envoy-fault-abort-grpc-request-percentage",
    DELAY_REQUEST,
    "x-envoy-fault-delay-request-percentage",
    "x-envoy-fault-throughput-response",
    "x-envoy-fault-throughput-response-percentage",
];

/// The control headers, those with clients' secrets, and Envoy's fault headers where the fault filter listens to them.
#[derive(Debug)]
pub struct OwnHeaders {
    names: Vec<String>,
    /// Bit `n` stands for a name of `n` bytes; the last one for all that are longer. It tells most headers off by their size.
    sizes: u64,
}

impl OwnHeaders {
    pub(crate) fn new(control: &ControlHeaders, overrides: &Overrides, faults: FaultDelayer) -> Self {
        let faults = match faults {
            FaultDelayer::FaultFilter => FAULT_HEADERS.as_slice(),
            FaultDelayer::Timer => &[],
        };
        let all = control.names().chain(overrides.secret_headers()).chain(faults.iter().copied());
        let mut names: Vec<String> = all.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        let sizes = names.iter().fold(0, |sizes, name| sizes | size_bit(name.len()));
        Self { names, sizes }
    }

    /// Every name, once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The name that a header's name is.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&str> {
        if self.sizes & size_bit(name.len()) == 0 {
            return None;
        }
        self.names().find(|own| own.as_bytes() == name)
    }

    /// Whether a header is one of them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name.as_bytes()).is_some()
    }
}

fn size_bit(size: usize) -> u64 {
    1_u64.wrapping_shl(size.min(63) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_its_own_and_nothing_else() {
        let (control, overrides) = (ControlHeaders::default(), Overrides::default());
        let alone = OwnHeaders::new(&control, &overrides, FaultDelayer::Timer);
        let with_faults = OwnHeaders::new(&control, &overrides, FaultDelayer::FaultFilter);
        let long = format!("x-{}", "a".repeat(70));
        for (name, is_own, is_fault) in [
            ("x-canary-version", true, false),
            ("x-canary-mirror-3", true, false),
            ("x-canary-versiox", false, false),
            ("x-envoy-internal", false, false),
            ("x-envoy-fault-throughput-response-percentage", false, true),
            ("", false, false),
            (&long, false, false),
        ] {
            assert_eq!(alone.contains(name), is_own, "{name}");
            assert_eq!(with_faults.contains(name), is_own || is_fault, "{name}, with the fault filter");
            assert_eq!(alone.names().any(|own| own == name), is_own, "{name} among the names");
        }
    }
}
