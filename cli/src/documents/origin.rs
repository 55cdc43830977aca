//! Where the user wrote something.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::located::{Position, Spot};

/// A text that the user wrote: a file, or one document of it.
#[derive(Debug)]
pub(crate) struct Text {
    /// The file's name as the user gave it.
    pub(crate) file: String,
    /// Where its values are; `None` where no text is known, such as in what a proxy reports.
    pub(crate) spot: Option<Spot>,
}

/// A part of a text.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The text that the part belongs to.
    pub(crate) text: Arc<Text>,
    /// JSON pointer of the part in the text.
    pub(crate) pointer: String,
    /// The Kubernetes object that the part belongs to.
    pub(crate) object: Option<ObjectName>,
}

/// The name of a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectName {
    /// Its kind.
    pub(crate) kind: String,
    /// Its namespace, if it names one.
    pub(crate) namespace: Option<String>,
    /// Its name; empty where it has none.
    pub(crate) name: String,
}

impl ObjectName {
    /// The name of a manifest.
    pub(crate) fn of(manifest: &Value) -> Self {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            kind: text("/kind").unwrap_or_default(),
            namespace: text("/metadata/namespace").filter(|namespace| !namespace.is_empty()),
            name: text("/metadata/name").unwrap_or_default(),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl Origin {
    /// A whole text.
    pub(crate) fn of_text(file: &str, spot: Option<Spot>) -> Self {
        let text = Arc::new(Text { file: file.to_owned(), spot });
        Self { text, pointer: String::new(), object: None }
    }

    /// A part of this part.
    pub(crate) fn below(&self, pointer: &str) -> Self {
        Self { pointer: format!("{}{pointer}", self.pointer), ..self.clone() }
    }

    /// Where the value is in the text, or what encloses it where it is absent.
    pub(crate) fn spot(&self) -> Option<&Spot> {
        self.text.spot.as_ref().map(|root| root.find(&self.pointer))
    }

    /// The line and column of the value.
    pub(crate) fn position(&self) -> Option<Position> {
        self.spot().map(|spot| spot.at)
    }

    /// The JSON pointer, `/` for the root.
    pub(crate) fn pointer(&self) -> &str {
        if self.pointer.is_empty() { "/" } else { &self.pointer }
    }
}

/// `FILE:LINE:COLUMN`, as far as they are known.
pub(crate) fn place(file: &str, position: Option<Position>) -> String {
    position.map_or_else(|| file.to_owned(), |at| format!("{file}:{}:{}", at.line, at.column))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", place(&self.text.file, self.position()), self.pointer())
    }
}
