//! Files of the user as one configuration document.
//!
//! A file is a configuration document of its own, or Kubernetes manifests: JSON, YAML, or several of either. Manifests of the
//! kinds that the filter knows become entries of a document, from whatever file they come. Other kinds are skipped with a
//! note. Every error and warning names the place in the file where the user wrote it.

mod advice;
mod codes;
mod files;
mod json;
mod located;
mod origin;
mod problem;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod yaml;

use std::collections::HashMap;

use canary_config::{Config, ConfigError, ConfigErrorKind, ConfigErrors, Warning};
use serde_json::{Value, json};

pub use codes::CODES;
use located::Located;
use origin::ObjectName;
pub(crate) use origin::Origin;
pub(crate) use problem::{Format, Problem, Severity, printed};

/// Which list of a document takes which kind of object.
const KINDS: [(&str, &str); 4] = [
    ("VirtualService", "virtualServices"),
    ("DestinationRule", "destinationRules"),
    ("Service", "services"),
    ("ServiceEntry", "services"),
];

/// A configuration document with the origins of its parts.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// The document.
    pub(crate) value: Value,
    /// What was skipped, and why.
    pub(crate) skipped: Vec<Problem>,
    /// Where the document itself was written.
    root: Origin,
    /// Entries that were written elsewhere, by their pointers, such as `/services/0`.
    parts: HashMap<String, Origin>,
}

/// What files hold.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Every configuration document stands for itself. The manifests of all files go into it, if there is one, and else make
    /// up a document of their own.
    pub(crate) documents: Vec<Document>,
    /// Files that cannot be read or parsed.
    pub(crate) problems: Vec<Problem>,
}

/// What a document says as lines for the user, or what is wrong with it.
pub(crate) type Reading = Result<(Config, Vec<String>), Vec<String>>;

impl Document {
    /// Reads one file (`-` is standard input), or the files of a folder.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or holds several configuration documents.
    pub(crate) fn load(file: &str) -> Result<Self, String> {
        let mut documents = Self::load_all(&[file.to_owned()])?;
        match (documents.pop(), documents.is_empty()) {
            (Some(document), true) => Ok(document),
            _ => Err(format!("{file}: more than one configuration document; give each a file of its own")),
        }
    }

    /// Reads files.
    ///
    /// # Errors
    /// What is wrong with each file that cannot be read or parsed.
    pub(crate) fn load_all(files: &[String]) -> Result<Vec<Self>, String> {
        let loaded = Self::load_files(files);
        if loaded.problems.is_empty() {
            return Ok(loaded.documents);
        }
        Err(lines(&loaded.problems).join("\n"))
    }

    /// Reads files as far as they can be read.
    pub(crate) fn load_files(names: &[String]) -> Loaded {
        let mut problems = Vec::new();
        let files = files::expand(names).unwrap_or_else(|(file, error)| {
            problems.push(Problem::of_file(&file, error));
            Vec::new()
        });
        let mut documents = Vec::new();
        let mut manifests = Self::empty(Origin::of_text(files.first().map_or("", String::as_str), None));
        for file in &files {
            match files::read(file).and_then(|text| text::parse(&text)) {
                Ok(found) => found.into_iter().for_each(|Located { value, spot }| {
                    let origin = Origin::of_text(file, Some(spot));
                    if is_manifest(&value) {
                        manifests.add_manifest(origin, value);
                    } else {
                        documents.push(Self { value, ..Self::empty(origin) });
                    }
                }),
                Err(error) => problems.push(Problem::of_file(file, error)),
            }
        }
        match documents.as_mut_slice() {
            [] if problems.is_empty() || !manifests.parts.is_empty() => documents.push(manifests),
            [only] => only.absorb(manifests),
            [_, ..] if !manifests.parts.is_empty() || !manifests.skipped.is_empty() => documents.push(manifests),
            _ => {}
        }
        Loaded { documents, problems }
    }

    /// Sets the namespace of manifests that name none, of policies and short services, and of the proxy's workload.
    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        let fill = |place: Option<&mut Value>| {
            let Some(Value::Object(fields)) = place else { return };
            let slot = fields.entry("namespace").or_insert(Value::Null);
            if slot.is_null() || *slot == "" {
                *slot = namespace.into();
            }
        };
        let Value::Object(sections) = &mut self.value else { return };
        for section in ["virtualServices", "destinationRules", "services", "policies"] {
            for entry in sections.get_mut(section).and_then(Value::as_array_mut).into_iter().flatten() {
                let Some(fields) = entry.as_object_mut() else { continue };
                let is_whole =
                    ["kind", "spec"].iter().any(|field| fields.get(*field).is_some_and(|value| !value.is_null()));
                if is_whole {
                    fill(Some(fields.entry("metadata").or_insert_with(|| json!({}))));
                } else if ["services", "policies"].contains(&section) {
                    fill(Some(entry));
                }
            }
        }
        fill(Some(sections.entry("proxy").or_insert_with(|| json!({}))));
    }

    /// A document that is not from a file; errors are reported under this name.
    pub(crate) fn named(name: &str, value: Value) -> Self {
        Self { value, ..Self::empty(Origin::of_text(name, None)) }
    }

    /// The configuration with its warnings, or all errors, as lines.
    pub(crate) fn read(&self) -> Reading {
        match self.check() {
            Ok((config, warnings)) => Ok((config, lines(&warnings))),
            Err(errors) => Err(lines(&errors)),
        }
    }

    /// The configuration with its warnings, or all errors.
    ///
    /// # Errors
    /// Everything that is wrong with the document.
    pub(crate) fn check(&self) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
        match Config::read(&self.value) {
            Ok((config, warnings)) => Ok((config, warnings.iter().map(|warning| self.warning(warning)).collect())),
            Err(errors) => Err(self.errors(&errors)),
        }
    }

    /// What was skipped, as lines.
    pub(crate) fn notes(&self) -> Vec<String> {
        lines(&self.skipped)
    }

    /// The name of the document's file.
    pub(crate) fn file(&self) -> &str {
        &self.root.text.file
    }

    fn errors(&self, errors: &ConfigErrors) -> Vec<Problem> {
        errors.iter().map(|error| self.error(error)).collect()
    }

    fn error(&self, error: &ConfigError) -> Problem {
        let origin = self.origin(&error.at);
        let advice = advice::advise(&self.value, error, origin.spot());
        let is_of_key = matches!(error.kind, ConfigErrorKind::UnknownField(_));
        let key = origin.spot().and_then(|spot| spot.key).filter(|_| is_of_key);
        let problem = Problem::new(Severity::Error, error.kind.code(), &origin, error.kind.to_string());
        Problem {
            position: key.or(problem.position),
            found: advice.found,
            allowed: advice.allowed,
            fix: advice.fix,
            ..problem
        }
    }

    fn warning(&self, warning: &Warning) -> Problem {
        Problem::new(Severity::Warning, warning.code.code(), &self.origin(&warning.at), warning.message.clone())
    }

    /// A line about the place that a JSON pointer of the document names.
    pub(crate) fn line(
        &self,
        severity: Severity,
        code: &'static str,
        pointer: &str,
        message: impl Into<String>,
    ) -> String {
        Problem::new(severity, code, &self.origin(pointer), message).to_string()
    }

    /// Where the user wrote what a JSON pointer of the document names.
    pub(crate) fn origin(&self, pointer: &str) -> Origin {
        let end = pointer.match_indices('/').nth(2).map_or(pointer.len(), |(index, _)| index);
        let (entry, rest) = pointer.split_at(end);
        match self.parts.get(entry) {
            Some(origin) => origin.below(rest),
            None => self.root.below(pointer),
        }
    }

    fn empty(root: Origin) -> Self {
        Self { value: json!({}), skipped: Vec::new(), root, parts: HashMap::new() }
    }

    /// Adds an object of a known kind, the items of a list, and notes what is skipped.
    fn add_manifest(&mut self, origin: Origin, value: Value) {
        let kind = kind_of(&value).to_owned();
        if let (Some(Value::Array(items)), true) = (value.get("items"), kind.ends_with("List")) {
            for (index, item) in items.iter().enumerate() {
                self.add_manifest(origin.below(&format!("/items/{index}")), item.clone());
            }
            return;
        }
        let origin = Origin { object: Some(ObjectName::of(&value)), ..origin };
        match KINDS.iter().find(|(known, _)| *known == kind) {
            Some((_, field)) => self.append(field, value, origin),
            None => self.skipped.push(skipped(&kind, &origin)),
        }
    }

    /// A field that is there and is no list is left to the document's own checks.
    fn append(&mut self, field: &str, value: Value, origin: Origin) {
        let Value::Object(fields) = &mut self.value else { return };
        if let Value::Array(list) = fields.entry(field).or_insert_with(|| json!([])) {
            self.parts.insert(format!("/{field}/{}", list.len()), origin);
            list.push(value);
        }
    }

    /// Takes over the entries of another document.
    fn absorb(&mut self, mut other: Self) {
        for (_, field) in KINDS {
            let Some(Value::Array(entries)) = other.value.get_mut(field).map(Value::take) else { continue };
            for (index, entry) in entries.into_iter().enumerate() {
                if let Some(origin) = other.parts.remove(&format!("/{field}/{index}")) {
                    self.append(field, entry, origin);
                }
            }
        }
        self.skipped.append(&mut other.skipped);
    }
}

/// A kind that the filter does not use; one that looks like a misspelt one is worth a warning.
fn skipped(kind: &str, origin: &Origin) -> Problem {
    let distance = |known: &str| strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &kind.to_ascii_lowercase());
    let meant = KINDS.iter().map(|(known, _)| *known).find(|known| distance(known) <= 2);
    match meant {
        Some(meant) => {
            let problem =
                Problem::new(Severity::Warning, "unknown-kind", origin, format!("kind {kind} is unknown and skipped"));
            Problem { fix: Some(format!("kind: {meant}")), ..problem }
        }
        None => Problem::new(Severity::Note, "skipped", origin, format!("kind {kind} is skipped")),
    }
}

/// The values of a file with their origins: requests, for example.
///
/// # Errors
/// The file cannot be read or parsed.
pub(crate) fn values(file: &str) -> Result<Vec<(Origin, Value)>, String> {
    let found = files::read(file).and_then(|text| text::parse(&text));
    let found = found.map_err(|error| Problem::of_file(file, error).to_string())?;
    Ok(found.into_iter().map(|Located { value, spot }| (Origin::of_text(file, Some(spot)), value)).collect())
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// Sets a field of a document that has been read before, so that its sections are objects.
pub(crate) fn set(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for field in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = json!({});
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(field).or_insert(Value::Null);
    }
    *place = value;
}

fn is_manifest(value: &Value) -> bool {
    !kind_of(value).is_empty()
}

fn kind_of(value: &Value) -> &str {
    value.get("kind").and_then(Value::as_str).unwrap_or_default()
}
