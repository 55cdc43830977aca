//! What is wrong with a document, and where.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

/// One thing wrong with the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// JSON pointer (RFC 6901) of the place, `""` for the document itself.
    pub at: String,
    /// What is wrong there.
    pub kind: ConfigErrorKind,
}

/// The ways in which a place can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigErrorKind {
    /// The text is no JSON.
    Syntax(String),
    /// A key that the object does not have; the keys that it has.
    UnknownField(&'static [&'static str]),
    /// The same field in both spellings, camelCase and snake_case.
    DuplicateField(&'static str),
    /// A required field is absent.
    Missing(&'static str),
    /// A value of another JSON type.
    WrongType {
        /// What the field takes.
        expected: &'static str,
        /// What was found.
        found: &'static str,
    },
    /// A value that its rule excludes, in words.
    Invalid(String),
}

impl ConfigErrorKind {
    /// A short name for machines. It stays the same in later releases.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "syntax",
            Self::UnknownField(_) => "unknown-field",
            Self::DuplicateField(_) => "duplicate-field",
            Self::Missing(_) => "missing-field",
            Self::WrongType { .. } => "wrong-type",
            Self::Invalid(_) => "invalid-value",
        }
    }
}

impl fmt::Display for ConfigErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => write!(f, "not valid JSON: {message}"),
            Self::UnknownField([]) => f.write_str("unknown field"),
            Self::UnknownField(known) => write!(f, "unknown field; known here: {}", known.join(", ")),
            Self::DuplicateField(name) => write!(f, "the field {name} is given twice, in camelCase and in snake_case"),
            Self::Missing(name) => write!(f, "{name} is required"),
            Self::WrongType { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Invalid(message) => f.write_str(message),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "/" } else { &self.at };
        write!(f, "{at}: {}", self.kind)
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with a document, in reading order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors in reading order.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// How many errors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none. Errors that [`Config::read`](crate::Config::read) returns are never empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that is accepted, as Istio accepts it, but hardly meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Warning {
    /// JSON pointer of the place.
    pub at: String,
    /// What kind of warning it is.
    pub code: WarningCode,
    /// What to look at, and what happens meanwhile.
    pub message: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WarningCode {
    /// A field that has a successor.
    Deprecated,
    /// A setting that an HTTP filter cannot carry out.
    NotCarriedOut,
    /// A setting that changes nothing as it is.
    NoEffect,
    /// A value that is reduced to a limit.
    Reduced,
    /// A rule or match that no request reaches.
    UnusedRule,
    /// A subset that no DestinationRule defines.
    UnknownSubset,
    /// A delegate that is not visible.
    UnknownDelegate,
    /// An object for gateways that this proxy does not serve.
    OtherGateway,
    /// A host that another VirtualService has.
    HostTaken,
    /// A failover version without the port.
    FailoverPort,
    /// An old form of a name.
    LegacyName,
    /// A large body in the configuration.
    LargeBody,
}

impl WarningCode {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Deprecated,
        Self::NotCarriedOut,
        Self::NoEffect,
        Self::Reduced,
        Self::UnusedRule,
        Self::UnknownSubset,
        Self::UnknownDelegate,
        Self::OtherGateway,
        Self::HostTaken,
        Self::FailoverPort,
        Self::LegacyName,
        Self::LargeBody,
    ];

    /// A short name for machines. It stays the same in later releases.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Deprecated => "deprecated",
            Self::NotCarriedOut => "not-carried-out",
            Self::NoEffect => "no-effect",
            Self::Reduced => "reduced",
            Self::UnusedRule => "unused-rule",
            Self::UnknownSubset => "unknown-subset",
            Self::UnknownDelegate => "unknown-delegate",
            Self::OtherGateway => "other-gateway",
            Self::HostTaken => "host-taken",
            Self::FailoverPort => "failover-port",
            Self::LegacyName => "legacy-name",
            Self::LargeBody => "large-body",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

/// Collects what one reading of a document finds.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    errors: RefCell<Vec<ConfigError>>,
    warnings: RefCell<Vec<Warning>>,
    /// The program sizes of the regexes read so far.
    program_total: Cell<u32>,
}

impl Findings {
    /// Adds an error at the place that the JSON pointer `at` names.
    pub(crate) fn error(&self, at: String, kind: ConfigErrorKind) {
        self.errors.borrow_mut().push(ConfigError { at, kind });
    }

    /// Adds a warning about the place that the JSON pointer `at` names.
    pub(crate) fn warn(&self, at: String, code: WarningCode, message: String) {
        self.warnings.borrow_mut().push(Warning { at, code, message });
    }

    /// Adds a regex's program to the total; returns whether this one takes it over `limit`.
    pub(crate) fn exceeds_program_total(&self, program_size: u32, limit: u32) -> bool {
        let before = self.program_total.get();
        let after = before.saturating_add(program_size);
        self.program_total.set(after);
        before <= limit && after > limit
    }

    /// The warnings in reading order, each once: sections that two documents share are read twice.
    ///
    /// # Errors
    /// The errors in reading order, if there are any.
    pub(crate) fn into_result(self) -> Result<Vec<Warning>, ConfigErrors> {
        let errors = self.errors.into_inner();
        if !errors.is_empty() {
            return Err(ConfigErrors(errors));
        }
        let (mut known, mut warnings) = (HashSet::new(), self.warnings.into_inner());
        warnings.retain(|warning| known.insert(warning.clone()));
        Ok(warnings)
    }
}
