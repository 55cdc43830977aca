//! Requests as large as Envoy takes them by default (`max_request_headers_kb`: 60), of any bytes, under every shipped example and
//! under regular expressions that people copy.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rules::{document_of, to};
use crate::{client::Request, example};

/// The size of the one large value.
pub const BYTES: usize = 57 * 1024;
/// A header that no document looks at.
pub const UNKNOWN: &str = "x-large";
/// Where a path is large instead of a header.
pub const PATH: &str = ":path";

/// What a large value is made of: its name, what is repeated, and how it ends.
const KINDS: [(&str, &[u8], &[u8]); 11] = [
    (HARMLESS, b"a", b""),
    ("cookies, ended by 0xff", b"user=jason;", b"\xff"),
    ("cookies, ended by ü", b"user=jason;", "ü".as_bytes()),
    ("letters and dashes", b"a-", b""),
    ("underscores", b"_", b""),
    ("semicolons", b";", b""),
    ("ü", "ü".as_bytes(), b""),
    ("0xff", b"\xff", b""),
    ("slashes", b"/", b""),
    ("escapes", b"%2e", b""),
    ("names of phones, nearly", b"Mobil iPhon Androi", b"\xc3\xbc"),
];
/// The kind that every other is compared with, in the header [`UNKNOWN`].
pub const HARMLESS: &str = "the letter a";

/// A document, and where its requests go.
#[derive(Debug)]
pub struct Subject {
    /// The folder of the example, or what it is.
    pub name: String,
    /// The filter's configuration.
    pub document: Value,
    /// Authority and path of requests.
    pub targets: Vec<(String, String)>,
    /// Headers that a rule looks at, [`PATH`] and two that every proxy sees.
    pub headers: Vec<String>,
}

impl Subject {
    /// Whether it is no shipped example.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.name == COPIED
    }
}

/// The name of what is no example.
const COPIED: &str = "copied regular expressions";

/// Every shipped example, and the copied regular expressions.
///
/// # Panics
/// If an example cannot be read.
#[must_use]
pub fn subjects() -> Vec<Subject> {
    let groups = example::groups();
    let names = groups.iter().flat_map(|group| example::names(group));
    names.map(|name| shipped(&name)).chain([copied()]).collect()
}

/// Names of the kinds that a header may consist of; a path is text.
pub fn kinds(header: &str) -> impl Iterator<Item = &'static str> {
    let is_path = header == PATH;
    KINDS.iter().filter(move |(_, unit, end)| !is_path || (unit.is_ascii() && end.is_ascii())).map(|(name, _, _)| *name)
}

/// A request with a large header, or with a large path.
///
/// # Panics
/// If there is no such kind.
#[must_use]
pub fn request(authority: &str, path: &str, header: &str, kind: &str) -> Request {
    let (_, unit, end) = KINDS.iter().find(|(name, _, _)| *name == kind).unwrap_or_else(|| panic!("no kind {kind}"));
    let mut value = unit.repeat(BYTES / unit.len() + 1);
    value.truncate(BYTES - end.len());
    value.extend_from_slice(end);
    if header == PATH {
        let value = String::from_utf8(value).expect("a path is text");
        return Request::new(authority, &format!("{path}{value}"));
    }
    Request::new(authority, path).header(header, value)
}

fn shipped(name: &str) -> Subject {
    let document = example::read_yaml(&example::path(name).join("config.yaml"));
    let requests = example::read_yaml(&example::path(name).join("requests.yaml"));
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("/").to_owned();
    let rows = requests.as_array().into_iter().flatten();
    let targets: BTreeSet<_> = rows.map(|row| (text(row, "authority"), text(row, "path"))).collect();
    subject(name, document, targets.into_iter().collect())
}

/// Rules of which each has a regular expression as people copy them: for a cookie, for a browser, for a domain, for a path.
fn copied() -> Subject {
    let by = |name: &str, regex: &str| json!({"match": [{"headers": {name: {"regex": regex}}}], "route": to("v2")});
    let rewrite = json!({
        "match": [{"uri": {"prefix": "/rewrite"}}],
        "rewrite": {"uriRegexRewrite": {"match": "[^/]*\\.html|_", "rewrite": "-"}},
        "route": to("v1"),
    });
    let http = vec![
        rewrite,
        by("cookie", "^(.*?;)?(user=jason)(;.*)?$"),
        by("user-agent", ".*(Mobile|iPhone|Android).*"),
        by("x-domain", ".*[a-z0-9-]{1,63}\\.example\\.com"),
        json!({"route": to("v1")}),
    ];
    let document = document_of(&[("reviews".to_owned(), http)]);
    let targets = ["/", "/rewrite"].map(|path| ("reviews".to_owned(), path.to_owned()));
    subject(COPIED, document, targets.into())
}

fn subject(name: &str, document: Value, targets: Vec<(String, String)>) -> Subject {
    let mut headers = BTreeSet::from([PATH, "cookie", "user-agent"].map(str::to_owned));
    headers_of(&document, &mut headers);
    Subject { name: name.to_owned(), document, targets, headers: headers.into_iter().collect() }
}

/// Names of headers that something in a document looks at.
fn headers_of(value: &Value, found: &mut BTreeSet<String>) {
    const MATCHERS: [&str; 3] = ["exact", "prefix", "regex"];
    let is_matcher = |value: &Value| MATCHERS.iter().any(|kind| value.get(kind).is_some());
    match value {
        Value::Array(values) => values.iter().for_each(|value| headers_of(value, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("headers" | "withoutHeaders", Value::Object(matchers)) => {
                        let names = matchers.iter().filter(|(name, value)| is_matcher(value) && name.as_str() != "uri");
                        found.extend(names.map(|(name, _)| name.clone()));
                    }
                    ("header", Value::String(name)) => found.extend([name.clone()]),
                    ("versionHeader", value) => found.extend(value["name"].as_str().map(str::to_owned)),
                    _ => {}
                }
                headers_of(value, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_looked_at_are_found() {
        for (name, document, expected) in [
            ("a match", json!({"http": [{"match": [{"headers": {"a": {"exact": "1"}}}]}]}), &["a"][..]),
            ("its opposite", json!({"match": [{"withoutHeaders": {"a": {"regex": "1"}}}]}), &["a"]),
            ("a sticky key", json!({"sticky": {"keys": [{"header": "a"}]}}), &["a"]),
            ("a version header", json!({"versionHeader": {"name": "a"}}), &["a"]),
            ("no operation", json!({"headers": {"request": {"set": {"a": "1"}}}}), &[]),
        ] {
            let mut found = BTreeSet::new();
            headers_of(&document, &mut found);
            assert!(found.iter().eq(expected), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_large_value_has_its_size_and_its_end() {
        for kind in kinds("cookie") {
            let pairs = request("reviews", "/", "cookie", kind).pairs();
            let (_, value) = pairs.iter().find(|(name, _)| name == "cookie").expect("a cookie");
            assert_eq!(value.len(), BYTES, "{kind}");
        }
    }
}
