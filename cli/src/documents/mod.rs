//! Files of the user as one configuration document.
//!
//! A file is a configuration document of its own, or Kubernetes manifests: JSON, YAML, or several YAML documents. Manifests
//! of the kinds that the filter knows become entries of a document, of whatever file they come; other kinds are skipped
//! with a note. Every error and warning is told at the place in the file where the user wrote it.

mod origin;
mod read;

use canary_config::{Config, ConfigErrors, Warning};
use serde_json::{Value, json};

pub(crate) use origin::Origin;
pub(crate) use read::{parse, read_text};

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
    pub(crate) notes: Vec<String>,
    /// Where the document itself was written.
    root: Origin,
    /// Pointers of entries that were written elsewhere.
    parts: Vec<(String, Origin)>,
}

/// What a document says, or what is wrong with it, told at the user's places.
pub(crate) type Reading = Result<(Config, Vec<String>), Vec<String>>;

impl Document {
    /// Reads one file (`-` is standard input).
    ///
    /// # Errors
    /// One line: the file cannot be read or parsed, or holds several configuration documents.
    pub(crate) fn load(file: &str) -> Result<Self, String> {
        let mut documents = Self::load_all(&[file.to_owned()])?;
        match (documents.pop(), documents.is_empty()) {
            (Some(document), true) => Ok(document),
            _ => Err(format!("{file}: more than one configuration document; give each a file of its own")),
        }
    }

    /// Reads files. Every configuration document among them stands for itself; the manifests of all files go into it, if
    /// there is one, and else make up a document of their own.
    ///
    /// # Errors
    /// One line for each file that cannot be read or parsed.
    pub(crate) fn load_all(files: &[String]) -> Result<Vec<Self>, String> {
        let mut documents = Vec::new();
        let first = files.first().cloned().unwrap_or_default();
        let mut manifests = Self::empty(Origin { file: first, document: None, pointer: String::new() });
        let mut problems = Vec::new();
        for file in files {
            match read_text(file).and_then(|text| parse(file, &text)) {
                Ok(values) => values.into_iter().for_each(|(origin, value)| {
                    if is_manifest(&value) {
                        manifests.add_manifest(origin, value);
                    } else {
                        documents.push(Self { value, ..Self::empty(origin) });
                    }
                }),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        match documents.as_mut_slice() {
            [] => documents.push(manifests),
            [only] => only.absorb(manifests),
            [_, ..] if !manifests.parts.is_empty() || !manifests.notes.is_empty() => documents.push(manifests),
            _ => {}
        }
        Ok(documents)
    }

    /// A document that is no file's; errors are told under this name.
    pub(crate) fn named(name: &str, value: Value) -> Self {
        Self { value, ..Self::empty(Origin { file: name.to_owned(), document: None, pointer: String::new() }) }
    }

    /// The configuration with its warnings, or all errors, each as `FILE: /pointer: message`.
    pub(crate) fn read(&self) -> Reading {
        match Config::read(&self.value) {
            Ok((config, warnings)) => Ok((config, self.tell_warnings(&warnings))),
            Err(errors) => Err(self.tell_errors(&errors)),
        }
    }

    /// The name of the document's file.
    pub(crate) fn file(&self) -> &str {
        &self.root.file
    }

    fn tell_errors(&self, errors: &ConfigErrors) -> Vec<String> {
        errors.iter().map(|error| format!("{}: {}", self.origin(&error.at), error.kind)).collect()
    }

    fn tell_warnings(&self, warnings: &[Warning]) -> Vec<String> {
        warnings.iter().map(|warning| format!("{}: warning: {}", self.origin(&warning.at), warning.message)).collect()
    }

    /// Where the user wrote what a JSON pointer of the document names.
    pub(crate) fn origin(&self, pointer: &str) -> Origin {
        let part = self.parts.iter().find_map(|(prefix, origin)| {
            let rest = pointer.strip_prefix(prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some((origin, rest))
        });
        let (origin, rest) = part.unwrap_or((&self.root, pointer));
        Origin { pointer: format!("{}{rest}", origin.pointer), ..origin.clone() }
    }

    fn empty(root: Origin) -> Self {
        Self { value: json!({}), notes: Vec::new(), root, parts: Vec::new() }
    }

    /// Files an object of a known kind, the items of a list, and notes what is skipped.
    fn add_manifest(&mut self, origin: Origin, value: Value) {
        let kind = kind_of(&value).to_owned();
        if let (Some(Value::Array(items)), true) = (value.get("items"), kind.ends_with("List")) {
            for (index, item) in items.iter().enumerate() {
                let pointer = format!("{}/items/{index}", origin.pointer);
                self.add_manifest(Origin { pointer, ..origin.clone() }, item.clone());
            }
            return;
        }
        match KINDS.iter().find(|(known, _)| *known == kind) {
            Some((_, field)) => self.append(field, value, origin),
            None => self.notes.push(format!("{origin}: note: kind {kind} is skipped")),
        }
    }

    /// A field that is there and is no list is left to the document's own checks.
    fn append(&mut self, field: &str, value: Value, origin: Origin) {
        let Value::Object(fields) = &mut self.value else { return };
        if let Value::Array(list) = fields.entry(field).or_insert_with(|| json!([])) {
            self.parts.push((format!("/{field}/{}", list.len()), origin));
            list.push(value);
        }
    }

    /// Takes over the entries of another document.
    fn absorb(&mut self, other: Self) {
        for (pointer, origin) in other.parts {
            let field = pointer.split('/').nth(1).unwrap_or_default().to_owned();
            if let Some(value) = other.value.pointer(&pointer).cloned() {
                self.append(&field, value, origin);
            }
        }
        self.notes.extend(other.notes);
    }
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
