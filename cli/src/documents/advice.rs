//! What a field takes, and what to write in place of a mistake that is known.

use canary_config::vocabulary::{CONFIGURATION, Entry, Kind, Object};
use canary_config::{ConfigError, ConfigErrorKind};
use serde_json::Value;

use super::located::Spot;
use crate::schema::reference;

/// Characters of a found value that are shown.
const MAX_FOUND: usize = 80;

/// Fields that Istio 1.5 removed from the VirtualService API (istio/api#1214), and what replaces them.
const REMOVED: [(&str, &str); 6] = [
    ("websocketUpgrade", "remove it: Istio 1.5 removed the field, and upgrades to WebSocket need no setting"),
    ("appendHeaders", "headers: {request: {add: {NAME: VALUE}}}; Istio 1.5 removed appendHeaders"),
    ("appendRequestHeaders", "headers: {request: {add: {NAME: VALUE}}}; Istio 1.5 removed appendRequestHeaders"),
    ("appendResponseHeaders", "headers: {response: {add: {NAME: VALUE}}}; Istio 1.5 removed appendResponseHeaders"),
    ("removeRequestHeaders", "headers: {request: {remove: [NAME]}}; Istio 1.5 removed removeRequestHeaders"),
    ("removeResponseHeaders", "headers: {response: {remove: [NAME]}}; Istio 1.5 removed removeResponseHeaders"),
];

/// Fields that are often written in place of another.
const CONFUSED: [(&str, &str); 5] =
    [("path", "uri"), ("cookies", "headers"), ("versions", "subsets"), ("retry", "retries"), ("destinations", "route")];

/// Advice on one error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Advice {
    /// The value that is wrong, as JSON.
    pub(super) found: Option<String>,
    /// What the field takes.
    pub(super) allowed: Option<String>,
    /// What to write instead.
    pub(super) fix: Option<String>,
}

/// Advice on an error of a document; `spot` is where the value is in the user's text.
pub(super) fn advise(document: &Value, error: &ConfigError, spot: Option<&Spot>) -> Advice {
    let value = document.pointer(&error.at);
    let field = Field::at(&error.at, document);
    match &error.kind {
        ConfigErrorKind::UnknownField(known) => {
            Advice { fix: instead_of(error.at.rsplit('/').next().unwrap_or_default(), known), ..Advice::default() }
        }
        ConfigErrorKind::WrongType { .. } | ConfigErrorKind::Invalid(_) => {
            let Some(value) = value.filter(|value| !value.is_object() && !value.is_array() || is_wrong_type(error))
            else {
                return Advice::default();
            };
            let spelled = spot.and_then(|spot| spot.spelled.as_deref());
            Advice {
                found: Some(spelled.map_or_else(|| shown(value), str::to_owned)),
                allowed: field.as_ref().and_then(Field::allowed),
                fix: corrected(error, value, spelled, field.as_ref()),
            }
        }
        _ => Advice::default(),
    }
}

fn is_wrong_type(error: &ConfigError) -> bool {
    matches!(error.kind, ConfigErrorKind::WrongType { .. })
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_FOUND) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The field that was probably meant.
fn instead_of(name: &str, known: &[&str]) -> Option<String> {
    let camel = camel_case(name);
    if let Some((_, fix)) = REMOVED.iter().find(|(removed, _)| *removed == camel) {
        return Some((*fix).to_owned());
    }
    let confused = CONFUSED.iter().find(|(written, meant)| *written == camel && known.contains(meant));
    let near = || {
        let distance =
            |known: &&&str| strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &camel.to_ascii_lowercase());
        let most = camel.chars().count().div_ceil(3).min(3);
        known.iter().min_by_key(distance).filter(|known| distance(known) <= most)
    };
    let meant = confused.map(|(_, meant)| *meant).or_else(|| near().copied())?;
    Some(format!("write {meant}"))
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
}

/// The value that was probably meant.
fn corrected(error: &ConfigError, value: &Value, spelled: Option<&str>, field: Option<&Field>) -> Option<String> {
    let expected = match &error.kind {
        ConfigErrorKind::WrongType { expected, .. } => *expected,
        ConfigErrorKind::Invalid(message) => return corrected_text(message, value, field),
        _ => return None,
    };
    let is_duration = field.is_some_and(|field| ["Duration", "CookieAge"].contains(&field.name()));
    match (expected, value) {
        ("a string", Value::Bool(_)) => {
            spelled.map(|text| format!("\"{text}\"; YAML reads {text} without quotes as a boolean"))
        }
        ("a string", Value::Number(number)) if is_duration => Some(format!("{number}s")),
        ("a string", Value::Number(number)) => Some(format!("\"{number}\"")),
        ("an object", Value::Number(number)) => match field?.name() {
            "Percent" | "TrialPercent" => Some(format!("{{value: {number}}}")),
            "PortSelector" => Some(format!("{{number: {number}}}")),
            _ => None,
        },
        ("an object", Value::String(text)) => match field?.name() {
            "Percent" | "TrialPercent" => percent(text).map(|number| format!("{{value: {number}}}")),
            "StringMatch" => Some(format!("{{exact: {text:?}}}")),
            _ => None,
        },
        ("an integer" | "a number", Value::String(text)) => percent(text),
        ("an integer", Value::Number(number)) => {
            number.as_f64().filter(|number| *number >= 0.0).map(|number| format!("{}", number.round()))
        }
        ("a list", Value::Object(_) | Value::String(_)) => Some("a list: begin each element with \"- \"".to_owned()),
        ("a value", Value::Null) => Some("remove the empty element".to_owned()),
        _ => None,
    }
}

/// The number of a text such as `10` or `10%`.
fn percent(text: &str) -> Option<String> {
    let number = text.trim().trim_end_matches('%').trim();
    number.parse::<f64>().ok().map(|_| number.to_owned())
}

/// The text that was probably meant.
fn corrected_text(message: &str, value: &Value, field: Option<&Field>) -> Option<String> {
    let text = value.as_str()?;
    if message.contains("invalid or unsupported Perl syntax") {
        return Some(
            "RE2 has no look-around and no back references: match the opposite under withoutHeaders, or order two rules"
                .to_owned(),
        );
    }
    if field.is_some_and(|field| field.name() == "Duration") && text.parse::<f64>().is_ok() {
        return Some(format!("{text}s"));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (message.contains("domain name") && field.is_some_and(|field| field.is_destination_host))
        .then(|| format!("host: {host} with port: {{number: {port}}} beside it"))
}

/// What the vocabulary says of a place.
struct Field {
    kind: &'static Kind,
    is_destination_host: bool,
}

impl Field {
    /// The field that a JSON pointer of the configuration leads to.
    fn at(pointer: &str, document: &Value) -> Option<Self> {
        let mut object: Option<&'static Object> = Some(&CONFIGURATION);
        let mut kind: Option<&'static Kind> = None;
        let mut last = ("", "");
        let mut way = String::new();
        for step in pointer.split('/').skip(1) {
            if let Some(Kind::Entry(entry)) = kind {
                object = Some(spec(entry, document.pointer(&way)));
                if step == "spec" {
                    kind = None;
                    way = format!("{way}/{step}");
                    continue;
                }
            }
            way = format!("{way}/{step}");
            kind = match (object, kind) {
                (Some(object), _) => Some(&object.field(&camel_case(step))?.kind),
                (None, Some(Kind::List(below) | Kind::NonEmptyList(below) | Kind::Map(below))) => Some(*below),
                _ => return None,
            };
            last = (object.map_or("", Object::name), step);
            object = match kind {
                Some(Kind::Nested(nested)) => Some(*nested),
                _ => None,
            };
        }
        Some(Self { kind: kind?, is_destination_host: last == ("Destination", "host") })
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Nested(object) => object.name(),
            Kind::Named(named) => named.name,
            _ => "",
        }
    }

    /// What it takes, in words. Objects have fields, which the page names.
    fn allowed(&self) -> Option<String> {
        let pattern = |kind: &Kind| match kind {
            Kind::Pattern(_, message) if !message.is_empty() => Some((*message).to_owned()),
            Kind::Words(_) | Kind::Integer(..) | Kind::Number(..) | Kind::Ratio => {
                Some(reference::label(kind).replace('`', ""))
            }
            _ => None,
        };
        match self.kind {
            Kind::Named(named) => pattern(&named.kind),
            kind => pattern(kind),
        }
    }
}

/// The spec of an entry, whole or bare.
fn spec(entry: &'static Entry, value: Option<&Value>) -> &'static Object {
    let kind = value.and_then(|value| value.get("kind")).and_then(Value::as_str).unwrap_or_default();
    let is_of = |kinds: &Kind| matches!(kinds, Kind::Words(words) if words.iter().any(|(word, _)| *word == kind));
    let alternative = entry.of_kind.iter().find(|alternative| is_of(&alternative.kinds.kind));
    alternative.unwrap_or(&entry.whole).spec
}
