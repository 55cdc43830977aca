//! What a user should know of a file: errors, warnings and notes, each with its place and the way out.

use std::fmt;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::located::Position;
use super::origin::{ObjectName, Origin, place};
use super::syntax::SyntaxError;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The configuration is rejected.
    Error,
    /// The configuration is accepted, and probably not meant like this.
    Warning,
    /// Something to know.
    Note,
}

/// What a user should know of a place in a file.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// A short name for machines, which stays the same in later releases.
    pub(crate) code: &'static str,
    /// The file's name as the user gave it.
    pub(crate) file: String,
    /// The line and column, if they are known.
    pub(crate) position: Option<Position>,
    /// The Kubernetes object.
    pub(crate) object: Option<ObjectName>,
    /// JSON pointer of the place, `/` for the root; empty where there are no values.
    pub(crate) pointer: String,
    /// What is wrong.
    pub(crate) message: String,
    /// The value that is wrong, as JSON.
    pub(crate) found: Option<String>,
    /// What the field takes, in words.
    pub(crate) allowed: Option<String>,
    /// What to write instead.
    pub(crate) fix: Option<String>,
}

/// The form of a list of problems.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON array
    Json,
    /// Annotations of GitHub Actions
    Github,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    fn style(self) -> Style {
        let colour = match self {
            Self::Error => AnsiColor::Red,
            Self::Warning => AnsiColor::Yellow,
            Self::Note => AnsiColor::Cyan,
        };
        colour.on_default().bold()
    }
}

impl Problem {
    /// A problem of a part of a text.
    pub(crate) fn new(severity: Severity, code: &'static str, origin: &Origin, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            file: origin.text.file.clone(),
            position: origin.position(),
            object: origin.object.clone(),
            pointer: origin.pointer().to_owned(),
            message: message.into(),
            found: None,
            allowed: None,
            fix: None,
        }
    }

    /// A file that cannot be read or parsed.
    pub(crate) fn of_file(file: &str, error: SyntaxError) -> Self {
        Self {
            severity: Severity::Error,
            code: "syntax",
            file: file.to_owned(),
            position: error.at,
            object: None,
            pointer: String::new(),
            message: error.message,
            found: None,
            allowed: None,
            fix: None,
        }
    }

    /// The same as one JSON object.
    fn json(&self) -> Value {
        let object = self.object.as_ref();
        json!({
            "severity": self.severity.name(),
            "code": self.code,
            "file": self.file,
            "line": self.position.map(|at| at.line),
            "column": self.position.map(|at| at.column),
            "kind": object.map(|object| &object.kind),
            "namespace": object.and_then(|object| object.namespace.as_ref()),
            "name": object.map(|object| &object.name),
            "pointer": self.pointer,
            "message": self.message,
            "found": self.found,
            "allowed": self.allowed,
            "fix": self.fix,
        })
    }

    /// A workflow command of GitHub Actions.
    fn annotation(&self) -> String {
        let at = self.position.map_or_else(String::new, |at| format!(",line={},col={}", at.line, at.column));
        let kind = if self.severity == Severity::Note { "notice" } else { self.severity.name() };
        let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
        format!("::{kind} file={}{at},title={}::{}", property(&self.file), self.code, escape(&self.sentence()))
    }

    /// Object, pointer and message, with what helps below.
    fn sentence(&self) -> String {
        let object = self.object.as_ref().map_or_else(String::new, |object| format!("{object}: "));
        let pointer = if self.pointer.is_empty() { String::new() } else { format!("{}: ", self.pointer) };
        let line =
            |name: &str, text: Option<&String>| text.map_or_else(String::new, |text| format!("\n  {name}: {text}"));
        // Many messages name the value already.
        let found = self.found.as_ref().filter(|found| !self.message.contains(found.as_str()));
        let (found, allowed, fix) =
            (line("found", found), line("allowed", self.allowed.as_ref()), line("fix", self.fix.as_ref()));
        format!("{object}{pointer}{}{found}{allowed}{fix}", self.message)
    }

    /// The same with colours.
    fn coloured(&self) -> String {
        let (bold, style) = (Style::new().bold(), self.severity.style());
        let at = place(&self.file, self.position);
        format!("{bold}{at}:{bold:#} {style}{}:{style:#} {} [{}]", self.severity.name(), self.head(), self.code)
            + &self.tail()
    }

    fn head(&self) -> String {
        self.sentence().lines().next().unwrap_or_default().to_owned()
    }

    fn tail(&self) -> String {
        self.sentence().lines().skip(1).map(|line| format!("\n{line}")).collect()
    }
}

/// As text without colours.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = place(&self.file, self.position);
        write!(f, "{at}: {}: {} [{}]{}", self.severity.name(), self.head(), self.code, self.tail())
    }
}

/// Problems in a form, ready to print; coloured text is for `anstream`, which removes the colours where they do not belong.
pub(crate) fn printed(problems: &[Problem], format: Format) -> String {
    let lines = |line: fn(&Problem) -> String| problems.iter().map(|problem| line(problem) + "\n").collect();
    match format {
        Format::Text => lines(Problem::coloured),
        Format::Github => lines(Problem::annotation),
        Format::Json => format!("{:#}\n", problems.iter().map(Problem::json).collect::<Value>()),
    }
}
