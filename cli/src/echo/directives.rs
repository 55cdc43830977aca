//! What a request's path asks of the echo server: `/status/503`, `/delay/250ms`.

use std::time::Duration;

use hyper::StatusCode;

use canary_config::duration;

/// The wishes found in one path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directives {
    /// The status to answer with; 200 unless the path says otherwise.
    pub(super) status: StatusCode,
    /// How long to wait before anything else is done.
    pub(super) delay: Duration,
}

impl Directives {
    /// Reads every `/status/N` (200 to 599) and `/delay/DURATION` of a path without its query.
    ///
    /// Delays add up, the last status wins, and what cannot be read is an ordinary segment.
    pub(super) fn parse(path: &str) -> Self {
        let mut directives = Self { status: StatusCode::OK, delay: Duration::ZERO };
        let mut segments = path.split('/').peekable();
        while let Some(segment) = segments.next() {
            let Some(value) = segments.peek() else { break };
            match segment {
                "status" => directives.status = status(value).unwrap_or(directives.status),
                "delay" => {
                    directives.delay = directives.delay.saturating_add(duration::parse(value).unwrap_or_default())
                }
                _ => {}
            }
        }
        directives
    }
}

/// A final status: the informational ones cannot end a response.
fn status(text: &str) -> Option<StatusCode> {
    let number = text.parse().ok().filter(|number| (200..600).contains(number))?;
    StatusCode::from_u16(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_ask_for_a_status_and_a_delay_anywhere() {
        for (name, path, status, millis) in [
            ("nothing", "/reviews/1", 200, 0),
            ("status", "/status/503", 503, 0),
            ("status in the middle", "/reviews/status/418/1", 418, 0),
            ("the last status wins", "/status/500/status/404", 404, 0),
            ("delay", "/delay/2s", 200, 2000),
            ("delay in milliseconds", "/delay/250ms", 200, 250),
            ("decimal delay", "/delay/0.5s/x", 200, 500),
            ("delays add up", "/delay/1s/delay/500ms", 200, 1500),
            ("both", "/a/delay/10ms/status/404/b", 404, 10),
            ("status without number", "/status", 200, 0),
            ("status out of range", "/status/99", 200, 0),
            ("informational status", "/status/101", 200, 0),
            ("a later bad status changes nothing", "/status/404/status/x", 404, 0),
            ("delay without unit", "/delay/2", 200, 0),
            ("the word inside another segment", "/mystatus/500", 200, 0),
        ] {
            let expected =
                Directives { status: StatusCode::from_u16(status).unwrap(), delay: Duration::from_millis(millis) };
            assert_eq!(Directives::parse(path), expected, "{name}: {path}");
        }
    }
}
