//! Values at the boundary of a matcher: matches and near misses.

use canary_config::StringMatch;

const LONG: usize = 4000;
/// A byte that cannot start a character.
const NO_TEXT: u8 = 0xff;

/// A value that the matcher takes: of a regular expression the text that is left without its operators.
pub(super) fn value(matcher: &StringMatch) -> String {
    match matcher {
        StringMatch::Exact(text) | StringMatch::Prefix(text) => text.clone(),
        StringMatch::Regex(regex) => {
            let plain = regex.as_str().replace(".*", "x").replace(".+", "x").replace("\\d", "1");
            plain.chars().filter(|c| !"^$\\()?+*".contains(*c)).collect()
        }
        StringMatch::Present => "x".to_owned(),
    }
}

/// Lines of a header around a value.
pub(super) fn lines(value: &str) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let shorter = value.get(..value.len().saturating_sub(1)).unwrap_or_default();
    let one = |line: String| vec![line.into_bytes()];
    vec![
        ("as it is", one(value.to_owned())),
        ("one more character", one(format!("{value}x"))),
        ("one character less", one(shorter.to_owned())),
        ("in the other case", one(other_case(value))),
        ("after a character", one(format!("x{value}"))),
        ("empty", one(String::new())),
        ("absent", Vec::new()),
        ("in two lines", vec![bytes(value), bytes(value)]),
        ("before another line", vec![bytes(value), bytes("other")]),
        ("after another line", vec![bytes("other"), bytes(value)]),
        ("after an empty line", vec![Vec::new(), bytes(value)]),
        ("before a comma", one(format!("{value},other"))),
        ("after a comma", one(format!("other, {value}"))),
        ("between blanks", one(format!("  {value}\t"))),
        ("with a blank inside", one(format!("{value} {value}"))),
        ("before a byte that is no text", vec![[value.as_bytes(), &[NO_TEXT]].concat()]),
        ("after a byte that is no text", vec![[&[NO_TEXT], value.as_bytes()].concat()]),
        ("with an umlaut", one(format!("{value}ü"))),
        ("and very much more", one(format!("{value}{}", "x".repeat(LONG)))),
        ("after very much", one(format!("{}{value}", "x".repeat(LONG)))),
    ]
}

/// Paths around one.
pub(super) fn paths(path: &str) -> Vec<(&'static str, String)> {
    let shorter = path.get(..path.len().saturating_sub(1)).filter(|path| path.starts_with('/')).unwrap_or("/");
    let slash = if path.ends_with('/') { "" } else { "/" };
    let encoded = path.char_indices().find(|(_, c)| c.is_ascii_alphanumeric()).map_or_else(
        || format!("{path}%61"),
        |(at, c)| format!("{}%{:02X}{}", &path[..at], u32::from(c), &path[at + 1..]),
    );
    vec![
        ("as it is", path.to_owned()),
        ("one more character", format!("{path}x")),
        ("one character less", shorter.to_owned()),
        ("in the other case", other_case(path)),
        ("a slash behind", format!("{path}/")),
        ("more behind", format!("{path}{slash}x/y")),
        ("a query", format!("{path}?a=1&b=%2F")),
        ("an empty query", format!("{path}?")),
        ("a path in the query", format!("/?{path}")),
        ("two slashes before", format!("/{path}")),
        ("two slashes behind", format!("{path}{slash}/x")),
        ("behind /.", format!("/.{path}")),
        ("behind /a/..", format!("/a/..{path}")),
        ("behind /../", format!("/..{path}")),
        ("/. behind", format!("{path}{slash}.")),
        ("/.. behind", format!("{path}{slash}..")),
        ("/../x behind", format!("{path}{slash}../x")),
        ("under /x", format!("/x{path}")),
        ("encoded", encoded),
        ("%2F behind", format!("{path}%2Fx")),
        ("%2f before", format!("/%2f{}", path.trim_start_matches('/'))),
        ("%7e behind", format!("{path}%7e%41")),
        ("%00 behind", format!("{path}%00")),
        ("%zz behind", format!("{path}%zz")),
        ("%2E%2E behind", format!("{path}{slash}%2E%2E/x")),
        ("a parameter", format!("{path};v=1")),
        ("a blank", format!("{path}%20x")),
        ("bytes that are no text", format!("{path}%FF%FE")),
        ("very much behind", format!("{path}{slash}{}", "x".repeat(LONG))),
    ]
}

/// Queries around a parameter.
pub(super) fn queries(name: &str, value: &str) -> Vec<(&'static str, String)> {
    vec![
        ("as it is", format!("{name}={value}")),
        ("one more character", format!("{name}={value}x")),
        ("in the other case", format!("{name}={}", other_case(value))),
        ("its name in the other case", format!("{}={value}", other_case(name))),
        ("first of two", format!("{name}={value}&{name}=other")),
        ("second of two", format!("{name}=other&{name}={value}")),
        ("after another", format!("other=1&{name}={value}")),
        ("behind a semicolon", format!("other=1;{name}={value}")),
        ("encoded", format!("{name}=%{:02X}", value.bytes().next().unwrap_or(b'a'))),
        ("without value", name.to_owned()),
        ("empty", format!("{name}=")),
        ("absent", String::new()),
    ]
}

/// Spellings of a host, and hosts beside it.
pub(super) fn hosts(host: &str) -> Vec<(&'static str, String)> {
    let mut labels = host.splitn(3, '.');
    let (first, second) = (labels.next().unwrap_or_default(), labels.next().unwrap_or_default());
    vec![
        ("with port 80", format!("{host}:80")),
        ("with port 9", format!("{host}:9")),
        ("with an empty port", format!("{host}:")),
        ("in capitals", host.to_ascii_uppercase()),
        ("in capitals with a port", format!("{}:8080", host.to_ascii_uppercase())),
        ("with a dot behind", format!("{host}.")),
        ("with a dot and a port", format!("{host}.:80")),
        ("one more character", format!("{host}x")),
        ("after a character", format!("x{host}")),
        ("under a name", format!("x.{host}")),
        ("its first label", first.to_owned()),
        ("two labels", format!("{first}.{second}")),
        ("three labels", format!("{first}.{second}.svc")),
        ("an unknown one", "unknown.example.org".to_owned()),
        ("an address", "127.0.0.1".to_owned()),
        ("none", String::new()),
    ]
}

pub(super) fn other_case(text: &str) -> String {
    let other = |c: char| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
    text.chars().map(other).collect()
}
