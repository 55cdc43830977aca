//! The tables of `docs/reference/configuration.md`, from the vocabulary of the configuration.

use std::collections::HashSet;
use std::fmt::Write as _;

use canary_config::vocabulary::{CONFIGURATION, Field, Kind, Named, Object, Reference, Source};

/// Words of an enumeration that are explained one by one; longer ones are only listed.
const MAX_EXPLAINED: usize = 4;
const ISTIO: &str = "https://istio.io/latest/docs/reference/config/networking/";

/// A section with a table for each object of the configuration, in Markdown: the document first, then depth first.
#[must_use]
pub fn sections() -> String {
    let mut objects = Vec::new();
    collect(&CONFIGURATION, &mut HashSet::new(), &mut objects);
    let mut text = String::new();
    for (object, about) in objects {
        write_section(&mut text, object, about);
    }
    text
}

/// Adds an object and those below it, each once.
fn collect(
    object: &'static Object,
    known: &mut HashSet<&'static str>,
    found: &mut Vec<(&'static Object, &'static Reference)>,
) {
    let Some(about) = &object.reference else { return };
    if !known.insert(about.name) {
        return;
    }
    found.push((object, about));
    for field in about.fields {
        objects_of(&field.kind).into_iter().for_each(|below| collect(below, known, found));
    }
}

/// The objects that a kind of values leads to.
fn objects_of(kind: &'static Kind) -> Vec<&'static Object> {
    match kind {
        Kind::Nested(object) => vec![object],
        Kind::List(below) | Kind::NonEmptyList(below) | Kind::Map(below) => objects_of(below),
        Kind::Entry(entry) => [entry.whole.spec].into_iter().chain(entry.of_kind.iter().map(|one| one.spec)).collect(),
        _ => Vec::new(),
    }
}

fn write_section(text: &mut String, object: &Object, about: &Reference) {
    let source = match about.source {
        Source::Own => String::new(),
        Source::Kubernetes => " Source: Kubernetes.".to_owned(),
        Source::Istio(page) => format!(" Source: [Istio]({ISTIO}{page})."),
    };
    let _ = write!(text, "\n### {}\n\n{}{source}\n\n", about.name, about.description);
    text.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    for (name, field) in object.names.iter().zip(about.fields) {
        let default = match field.default {
            Some(default) => cell(&format!("`{default}`")),
            None if field.is_required => "required".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(text, "| `{name}` | {} | {default} | {} |", cell(&label(&field.kind)), cell(&meaning(field)));
    }
}

/// A text within a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn meaning(field: &Field) -> String {
    let mut meaning = field.description.to_owned();
    let words = match &field.kind {
        Kind::Words(words) | Kind::Named(Named { kind: Kind::Words(words), .. }) => *words,
        _ => &[],
    };
    if words.len() <= MAX_EXPLAINED {
        for (word, explained) in words {
            let _ = write!(meaning, " `{word}`: {explained}");
        }
    }
    if let Some(page) = field.see {
        let _ = write!(meaning, " See [{}]({page}).", title(page));
    }
    meaning
}

/// The words of an address: its section, else its page.
fn title(page: &str) -> String {
    let part = page.rsplit_once('#').map_or(page, |(_, section)| section);
    let part = part.rsplit('/').next().unwrap_or(part).trim_end_matches(".md");
    part.replace('-', " ")
}

/// What values a kind takes, in words.
pub(crate) fn label(kind: &Kind) -> String {
    match kind {
        Kind::Any => "any".to_owned(),
        Kind::AnyObject => "object".to_owned(),
        Kind::Text | Kind::NonEmptyText | Kind::Pattern(..) => "string".to_owned(),
        Kind::Timestamp => "time (RFC 3339)".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Integer(min, max) => format!("integer, {min} to {max}"),
        Kind::Number(min, max) => format!("number, {min} to {max}"),
        Kind::Ratio => "number, above 0, at most 1".to_owned(),
        Kind::Words(words) => words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::List(element) | Kind::NonEmptyList(element) => format!("list of {}", label(element)),
        Kind::Map(value) => format!("map of {}", label(value)),
        Kind::Nested(object) => object.reference.as_ref().map_or_else(String::new, |about| link(about.name)),
        Kind::Named(named) => label_of_named(named),
        Kind::Entry(entry) => {
            let specs = [entry.whole.spec].into_iter().chain(entry.of_kind.iter().map(|one| one.spec));
            specs
                .filter_map(|spec| spec.reference.as_ref())
                .map(|about| link(about.name))
                .collect::<Vec<_>>()
                .join(" or ")
        }
        Kind::Schema(_) => "string".to_owned(),
        Kind::NotSupported => "not supported".to_owned(),
    }
}

fn label_of_named(named: &Named) -> String {
    match &named.kind {
        Kind::Pattern(..) => spaced(named.name),
        Kind::Schema(_) => "string or integer".to_owned(),
        kind => label(kind),
    }
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_ascii_lowercase())
}

/// The words of a name, in lower case.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
