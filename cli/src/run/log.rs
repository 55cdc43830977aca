//! What Envoy writes, made readable: a line for each request, and the filter's own messages.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::console;

/// Envoy's log format as [`message`] reads it: level, component and text.
pub(super) const LOG_FORMAT: &str = "%l\t%n\t%v";
/// Each virtual machine of the filter says the same; within this time it is shown once.
const SAME_MESSAGE: Duration = Duration::from_secs(1);

/// One request, as the access log of the bootstrap has it.
#[derive(Debug, Default, Deserialize)]
struct Access {
    time: Option<String>,
    method: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    /// The filter state: `version=v2 reason=sticky route=jason`.
    canary: Option<String>,
    steered_to: Option<String>,
    cluster: Option<String>,
    status: Option<u64>,
    details: Option<String>,
    flags: Option<String>,
    duration_ms: Option<u64>,
}

impl Access {
    /// `12:00:00.000 GET reviews:9080/reviews/1 → v2  CLUSTER 200 3ms`, with the details and flags of what went wrong.
    fn line(&self) -> String {
        let shown = |field: &Option<String>| field.clone().filter(|value| value != "-");
        let or_dash = |field: &Option<String>| shown(field).unwrap_or_else(|| "-".to_owned());
        let details = shown(&self.details).filter(|details| details != "via_upstream");
        // Envoy names the cluster of the route that it would have taken.
        let answered_before = |details: &String| details.starts_with("canary_") || details == "fault_filter_abort";
        let cluster = shown(&self.cluster).filter(|_| !details.as_ref().is_some_and(answered_before));
        let mut line = format!(
            "{} {} {}{} → {}  {} {}",
            or_dash(&self.time),
            or_dash(&self.method),
            or_dash(&self.authority),
            shown(&self.path).unwrap_or_default(),
            self.version().unwrap_or("-"),
            cluster.unwrap_or_else(|| or_dash(&self.steered_to)),
            self.status.filter(|status| *status > 0).map_or("-".to_owned(), |status| status.to_string()),
        );
        for extra in [details, shown(&self.flags)].into_iter().flatten() {
            line.push(' ');
            line.push_str(&extra);
        }
        if let Some(duration) = self.duration_ms {
            line.push_str(&format!(" {duration}ms"));
        }
        line
    }

    /// The subset that served, as the filter state has it.
    fn version(&self) -> Option<&str> {
        self.canary.as_deref()?.split(' ').find_map(|part| part.strip_prefix("version="))
    }
}

/// The line for the terminal of one line of Envoy's standard output.
fn decision(line: &str) -> String {
    let readable = serde_json::from_str::<Access>(line).map_or_else(|_| line.to_owned(), |access| access.line());
    visible(&readable)
}

/// The line for the terminal of one line of Envoy's standard error.
fn message(line: &str) -> String {
    let mut parts = line.splitn(3, '\t');
    let readable = match (parts.next(), parts.next(), parts.next()) {
        (Some(level), Some("wasm"), Some(text)) => {
            match text.strip_prefix("wasm log ").and_then(|text| text.split_once(": ")) {
                Some((_, own)) => format!("filter: {level}: {own}"),
                None => format!("envoy: {level}: {text}"),
            }
        }
        (Some(level), Some(_), Some(text)) => format!("envoy: {level}: {text}"),
        _ => format!("envoy: {line}"),
    };
    visible(&readable)
}

/// Control characters escaped: a request must not write escape sequences to a terminal.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => visible.extend(character.escape_default()),
            false => visible.push(character),
        }
    }
    visible
}

/// Shows the access log until it ends.
pub(super) async fn show_decisions(stdout: impl AsyncRead + Unpin) {
    each_line(stdout, |line| console::say(decision(line))).await;
}

/// Shows Envoy's own log, the filter's messages among it, until it ends.
pub(super) async fn show_messages(stderr: impl AsyncRead + Unpin) {
    let mut shown = Shown::default();
    each_line(stderr, |line| {
        let message = message(line);
        if shown.is_new(&message, Instant::now()) {
            console::complain(&message);
        }
    })
    .await;
}

/// What was shown within the last second, the oldest first.
#[derive(Default)]
struct Shown(VecDeque<(String, Instant)>);

impl Shown {
    fn is_new(&mut self, message: &str, now: Instant) -> bool {
        while self.0.front().is_some_and(|(_, at)| now.duration_since(*at) > SAME_MESSAGE) {
            self.0.pop_front();
        }
        let is_new = self.0.iter().all(|(shown, _)| shown != message);
        if is_new {
            self.0.push_back((message.to_owned(), now));
        }
        is_new
    }
}

async fn each_line(stream: impl AsyncRead + Unpin, mut show: impl FnMut(&str)) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        show(String::from_utf8_lossy(&line).trim_end_matches('\n'));
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_readable_line() {
        for (name, line, expected) in [
            (
                "served",
                r#"{"time":"12:00:00.000","method":"GET","authority":"reviews:9080","path":"/reviews/1?x=1","canary":"version=v2 reason=sticky route=jason",
                    "steered_to":null,"cluster":"outbound|9080|v2|reviews","status":200,"details":"via_upstream","flags":"-",
                    "duration_ms":3}"#,
                "12:00:00.000 GET reviews:9080/reviews/1?x=1 → v2  outbound|9080|v2|reviews 200 3ms",
            ),
            (
                "unknown cluster",
                r#"{"time":"12:00:00.000","method":"GET","authority":"reviews","path":"/","canary":"version=v9 reason=rule","steered_to":"reviews-v9",
                    "cluster":null,"status":503,"details":"cluster_not_found","flags":"NC","duration_ms":0}"#,
                "12:00:00.000 GET reviews/ → v9  reviews-v9 503 cluster_not_found NC 0ms",
            ),
            (
                "untouched",
                r#"{"time":"12:00:00.000","method":"POST","authority":"other","path":"/","canary":null,"cluster":"native",
                    "status":200,"details":"via_upstream","flags":"-","duration_ms":1}"#,
                "12:00:00.000 POST other/ → -  native 200 1ms",
            ),
            (
                "answered by the filter",
                r#"{"time":"12:00:00.000","method":"GET","authority":"reviews","path":"/old","canary":null,"steered_to":null,
                    "cluster":"native","status":301,"details":"canary_redirect","flags":"-","duration_ms":0}"#,
                "12:00:00.000 GET reviews/old → -  - 301 canary_redirect 0ms",
            ),
            (
                "aborted by the fault filter",
                r#"{"time":"12:00:00.000","method":"GET","authority":"reviews","path":"/","canary":null,"steered_to":null,
                    "cluster":"native","status":418,"details":"fault_filter_abort","flags":"DI,FI","duration_ms":200}"#,
                "12:00:00.000 GET reviews/ → -  - 418 fault_filter_abort DI,FI 200ms",
            ),
            (
                "client gone",
                r#"{"time":"12:00:00.000","method":"GET","authority":"reviews","path":"/","canary":"version=v1 reason=rule","cluster":"c",
                    "status":0,"details":"downstream_remote_disconnect","flags":"DC","duration_ms":5}"#,
                "12:00:00.000 GET reviews/ → v1  c - downstream_remote_disconnect DC 5ms",
            ),
            (
                "no request that could be read",
                r#"{"time":"12:00:00.000","method":null,"authority":null,"path":null,"canary":null,"cluster":null,
                    "status":400,"details":"http1.invalid_characters","flags":"DPE","duration_ms":0}"#,
                "12:00:00.000 - - → -  - 400 http1.invalid_characters DPE 0ms",
            ),
            (
                "escape sequence",
                r#"{"time":"12:00:00.000","method":"GET","authority":"a","path":"/","canary":"version=\u001b[31m reason=rule","cluster":"c","status":200}"#,
                r"12:00:00.000 GET a/ → \u{1b}[31m  c 200",
            ),
            ("something else", "starting", "starting"),
        ] {
            assert_eq!(decision(&line.replace('\n', "")), expected, "{name}");
        }
    }

    #[test]
    fn what_several_virtual_machines_say_is_shown_once() {
        let start = Instant::now();
        let mut shown = Shown::default();
        for (name, message, millis, is_new) in [
            ("first", "a", 0, true),
            ("another", "b", 10, true),
            ("first again", "a", 900, false),
            ("another again", "b", 1_000, false),
            ("first, later", "a", 1_001, true),
            ("another, later", "b", 1_011, true),
        ] {
            assert_eq!(shown.is_new(message, start + Duration::from_millis(millis)), is_new, "{name}");
        }
    }

    #[test]
    fn messages_say_who_speaks() {
        for (line, expected) in [
            (
                "warning\twasm\twasm log canary canary: tcp is not carried out: 1",
                "filter: warning: tcp is not carried out: 1",
            ),
            ("error\twasm\tWasm VM failed", "envoy: error: Wasm VM failed"),
            ("critical\tmain\terror initializing", "envoy: critical: error initializing"),
            ("second line", "envoy: second line"),
        ] {
            assert_eq!(message(line), expected);
        }
    }
}
