//! Where the filter differs from Istio's own routes on purpose, and what of the examples Istio has no words for: the tables of
//! `docs/differences.md`.

use std::fmt::Write as _;

use super::case::Side;

/// A difference that is no defect.
struct Difference {
    what: &'static str,
    native: &'static str,
    filter: &'static str,
    why: &'static str,
    seen: Seen,
}

/// What of an exchange shows it, and is not compared therefore.
enum Seen {
    /// Request headers, as upstreams get them, whose names begin so.
    Request(&'static [Side], &'static str),
    /// Response headers whose names begin so.
    Response(&'static [Side], &'static str),
    /// Response headers of a rule, in answers that Envoy gives before any filter is asked.
    Refusal(&'static [Side]),
    /// Nothing that is compared here.
    Nothing,
}

const FILTER: &[Side] = &[Side::Cluster, Side::Version];

const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "`x-canary-…` in requests",
        native: "pass through as the client sent them",
        filter: "are removed; upstreams get the version and the decision in them",
        why: "a client must not steer the proxy, and upstreams see what was decided",
        seen: Seen::Request(FILTER, "x-canary-"),
    },
    Difference {
        what: "`x-canary-…` in responses",
        native: "none",
        filter: "an explanation for those who may ask for one",
        why: "that is how a decision is looked into",
        seen: Seen::Response(FILTER, "x-canary-"),
    },
    Difference {
        what: "A rule's response headers, in the 400 with which Envoy itself refuses a request (`/%00`)",
        native: "there, in some",
        filter: "not there, in mode cluster",
        why: "no filter is asked",
        seen: Seen::Refusal(&[Side::Cluster]),
    },
    Difference {
        what: "A destination without a port, in a sidecar",
        native: "the request's port",
        filter: "the service's only port, where `services` tells it",
        why: "with another port Istio's cluster does not exist",
        seen: Seen::Nothing,
    },
    Difference {
        what: "A host that no registry knows, in a sidecar",
        native: "acts on port 80 alone",
        filter: "acts on every port",
        why: "the filter has no registry",
        seen: Seen::Nothing,
    },
];

/// A part of an example that is left out on all sides.
struct LeftOut {
    example: &'static str,
    part: &'static str,
    why: &'static str,
}

const VERSION_HEADER: &str =
    "`versionHeader`: Istio has no words for a version that is named by the request and need not be in a rule";

const LEFT_OUT: &[LeftOut] = &[
    LeftOut { example: "grpc-versions/01-rules-by-header", part: "policies", why: VERSION_HEADER },
    LeftOut { example: "grpc-versions/02-one-rule", part: "policies", why: VERSION_HEADER },
];

/// An example that only one mode of the filter can carry out.
struct NotInModeVersion {
    example: &'static str,
    why: &'static str,
}

const NOT_IN_MODE_VERSION: &[NotInModeVersion] = &[];

/// The parts of an example that Istio has no words for.
pub(crate) fn left_out(example: &str) -> impl Iterator<Item = &'static str> {
    LEFT_OUT.iter().filter(move |row| row.example == example).map(|row| row.part)
}

/// Whether an example is listed as one that mode version cannot carry out.
pub(crate) fn is_not_in_mode_version(example: &str) -> bool {
    NOT_IN_MODE_VERSION.iter().any(|row| row.example == example)
}

/// Every example that the tables name.
pub(crate) fn examples() -> impl Iterator<Item = &'static str> {
    LEFT_OUT.iter().map(|row| row.example).chain(NOT_IN_MODE_VERSION.iter().map(|row| row.example))
}

/// Whether an upstream's request header is expected to differ at this side.
pub(crate) fn in_request(side: Side, name: &str) -> bool {
    DIFFERENCES.iter().any(
        |row| matches!(row.seen, Seen::Request(sides, prefix) if sides.contains(&side) && name.starts_with(prefix)),
    )
}

/// Whether a response header is expected to differ at this side.
pub(crate) fn in_response(side: Side, name: &str) -> bool {
    DIFFERENCES.iter().any(
        |row| matches!(row.seen, Seen::Response(sides, prefix) if sides.contains(&side) && name.starts_with(prefix)),
    )
}

/// Whether a rule's response headers are expected to differ at this side where Envoy itself has refused a request.
pub(crate) fn in_refusal(side: Side) -> bool {
    DIFFERENCES.iter().any(|row| matches!(row.seen, Seen::Refusal(sides) if sides.contains(&side)))
}

/// The tables as they stand in `docs/differences.md`.
pub(crate) fn tables() -> String {
    let mut text = "| what | Istio's routes | canary-filter | why | compared |\n|---|---|---|---|---|\n".to_owned();
    let mut line = |cells: &[&str]| writeln!(text, "| {} |", cells.join(" | ")).expect("a string");
    for row in DIFFERENCES {
        let compared = match row.seen {
            Seen::Request(..) | Seen::Response(..) => "all but this header",
            Seen::Refusal(..) => "all but these headers",
            Seen::Nothing => "no: at gateways it is the same",
        };
        line(&[row.what, row.native, row.filter, row.why, compared]);
    }
    text.push_str("\n| example | compared | why |\n|---|---|---|\n");
    let mut line = |cells: &[&str]| writeln!(text, "| {} |", cells.join(" | ")).expect("a string");
    for row in LEFT_OUT {
        line(&[&format!("`{}`", row.example), &format!("without `{}`", row.part), row.why]);
    }
    for row in NOT_IN_MODE_VERSION {
        line(&[&format!("`{}`", row.example), "in mode cluster alone", row.why]);
    }
    text
}
