//! HTTP/1.1 as far as clients and upstreams of a benchmark need it: fixed requests without bodies, answers with a length.

use crate::upstream::SERVED_BY;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The name of the upstream that answered; empty if none did.
    pub served_by: String,
}

/// What an upstream of this name answers.
pub(super) fn response(upstream: &str) -> Vec<u8> {
    let body = format!("{upstream}\n");
    format!("HTTP/1.1 200 OK\r\n{SERVED_BY}: {upstream}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Whether these are whole requests: a request has no body here, and a client sends one at a time.
pub(super) fn ends_a_request(received: &[u8]) -> bool {
    received.ends_with(END_OF_HEAD)
}

/// How long the answer at the beginning of these bytes is; `None` while there are too few.
pub(super) fn length_of_answer(received: &[u8]) -> Option<usize> {
    let head = received.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD)? + END_OF_HEAD.len();
    let length = header(&received[..head], "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    (received.len() >= head + length).then_some(head + length)
}

/// Whether an upstream of this name answered with status 200. Cheaper than [`answer`].
pub(super) fn is_served_by(answer: &[u8], line: &[u8]) -> bool {
    answer.starts_with(b"HTTP/1.1 200 ") && answer.windows(line.len()).any(|window| window == line)
}

/// The line that [`is_served_by`] looks for.
pub(super) fn served_by_line(upstream: &str) -> Vec<u8> {
    format!("\r\n{SERVED_BY}: {upstream}\r\n").into_bytes()
}

/// The answer in these bytes.
pub(super) fn answer(received: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(received);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, served_by: header(received, SERVED_BY).unwrap_or_default() }
}

fn header(head: &[u8], name: &str) -> Option<String> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    let values = lines.filter_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.strip_prefix(b":").filter(|_| found.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(String::from_utf8_lossy(value.trim_ascii()).into_owned())
    });
    values.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_body_ends() {
        for (name, received, length) in [
            ("nothing", "", None),
            ("half of a head", "HTTP/1.1 200 OK\r\nserver: envoy\r\n", None),
            ("without a body", "HTTP/1.1 204 No Content\r\n\r\n", Some(27)),
            ("a body that is not there yet", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nv1", None),
            ("a body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nv1\n", Some(41)),
            ("and more", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nv1\nHTTP", Some(41)),
        ] {
            assert_eq!(length_of_answer(received.as_bytes()), length, "{name}");
        }
    }

    #[test]
    fn an_answer_names_its_upstream() {
        let of = |status, served_by: &str| Answer { status, served_by: served_by.to_owned() };
        for (name, received, expected) in [
            ("an upstream's", String::from_utf8(response("v1")).expect("text"), of(200, "v1")),
            ("the proxy's own", "HTTP/1.1 503 Service Unavailable\r\n\r\n".to_owned(), of(503, "")),
            ("no answer", "nonsense".to_owned(), of(0, "")),
        ] {
            assert_eq!(answer(received.as_bytes()), expected, "{name}");
            let is_v1 = is_served_by(received.as_bytes(), &served_by_line("v1"));
            assert_eq!(is_v1, expected == of(200, "v1"), "{name}");
        }
        assert!(!is_served_by(&response("v10"), &served_by_line("v1")), "a longer name");
    }

    #[test]
    fn a_request_ends_with_an_empty_line() {
        assert!(ends_a_request(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert!(!ends_a_request(b"GET / HTTP/1.1\r\nhost: a\r\n"));
    }
}
