//! What is declared of an object, and how.

#[cfg(feature = "reference")]
use reference::{Field, Reference};

/// The fields that an object may have.
#[derive(Debug)]
pub struct Object {
    /// Their names in camelCase; the proto's snake_case is accepted, too.
    pub names: &'static [&'static str],
    /// Whether other fields are ignored. Where they are not, they are errors.
    pub is_open: bool,
    /// What the object and its fields mean.
    #[cfg(feature = "reference")]
    pub reference: Option<Reference>,
}

impl Object {
    /// An object of these fields only, for input that is no part of the configuration.
    #[must_use]
    pub const fn closed(names: &'static [&'static str]) -> Self {
        Self {
            names,
            is_open: false,
            #[cfg(feature = "reference")]
            reference: None,
        }
    }
}

#[cfg(feature = "reference")]
impl Object {
    /// The name of its definition in the JSON Schema; empty for input that is no part of the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.reference.as_ref().map_or("", |about| about.name)
    }

    /// What a field takes and means, by its name in camelCase.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        let fields = self.reference.as_ref()?.fields;
        self.names.iter().zip(fields).find(|(known, _)| **known == name).map(|(_, field)| field)
    }
}

/// Declares an object: its name in the schema, the source of its rules, its description, and its fields.
macro_rules! object {
    ($id:ident $(($open:ident))?, $name:literal, $source:expr, $description:literal, [$($field:literal => $details:expr;)*]) => {
        #[doc = $description]
        pub static $id: Object = Object {
            names: &[$($field),*],
            is_open: object!(@is_open $($open)?),
            #[cfg(feature = "reference")]
            reference: Some(Reference {
                name: $name,
                source: $source,
                description: $description,
                fields: &[$($details),*],
            }),
        };
    };
    (@is_open) => { false };
    (@is_open open) => { true };
}
pub(super) use object;

#[cfg(feature = "reference")]
pub(super) mod reference {
    use super::Object;
    use serde_json::Value;

    /// Who has defined an object and its rules.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Source {
        /// canary-filter.
        Own,
        /// Istio: the end of the address of its reference, below `https://istio.io/latest/docs/reference/config/networking/`.
        Istio(&'static str),
        /// Kubernetes.
        Kubernetes,
    }

    /// What an object means.
    #[derive(Debug)]
    pub struct Reference {
        /// The name of its definition in the JSON Schema.
        pub name: &'static str,
        /// Who has defined it.
        pub source: Source,
        /// What it is for.
        pub description: &'static str,
        /// Its fields, in the order of [`Object::names`].
        pub fields: &'static [Field],
    }

    /// What a field takes and means.
    #[derive(Debug)]
    pub struct Field {
        /// What values it takes.
        pub kind: Kind,
        /// What it means, as Markdown without links.
        pub description: &'static str,
        /// What its absence means, as JSON, where that is a value.
        pub default: Option<&'static str>,
        /// Whether its absence is an error.
        pub is_required: bool,
        /// Whether it is deprecated: the message, which names the field to use.
        pub deprecated: Option<&'static str>,
        /// The page and section that tell more, from `docs/reference/`.
        pub see: Option<&'static str>,
    }

    /// A field that may be absent.
    pub(in crate::vocabulary) const fn field(kind: Kind, description: &'static str) -> Field {
        Field { kind, description, default: None, is_required: false, deprecated: None, see: None }
    }

    impl Field {
        pub(in crate::vocabulary) const fn required(mut self) -> Self {
            self.is_required = true;
            self
        }

        pub(in crate::vocabulary) const fn default(mut self, json: &'static str) -> Self {
            self.default = Some(json);
            self
        }

        pub(in crate::vocabulary) const fn deprecated(mut self, message: &'static str) -> Self {
            self.deprecated = Some(message);
            self
        }

        pub(in crate::vocabulary) const fn see(mut self, page: &'static str) -> Self {
            self.see = Some(page);
            self
        }
    }

    /// What values a field takes.
    #[derive(Debug)]
    pub enum Kind {
        /// Any value; it is not read.
        Any,
        /// Any object; it is not read by the filter.
        AnyObject,
        /// A text.
        Text,
        /// A text that is not empty.
        NonEmptyText,
        /// A text that matches the pattern; the message says so in words, `""` where the description does.
        Pattern(&'static str, &'static str),
        /// A time in RFC 3339.
        Timestamp,
        /// `true` or `false`.
        Boolean,
        /// An integer from the first to the second, inclusive.
        Integer(u32, u32),
        /// A number from the first to the second, inclusive.
        Number(f64, f64),
        /// A number above 0, at most 1.
        Ratio,
        /// One of these words, each with its meaning.
        Words(&'static [(&'static str, &'static str)]),
        /// A list.
        List(&'static Self),
        /// A list of at least one element.
        NonEmptyList(&'static Self),
        /// An object with any keys.
        Map(&'static Self),
        /// An object.
        Nested(&'static Object),
        /// A kind with a name, which several fields share.
        Named(&'static Named),
        /// A Kubernetes object, or its bare spec.
        Entry(&'static Entry),
        /// What only a JSON Schema of its own says.
        Schema(fn() -> Value),
        /// A field that Istio names and does not support.
        NotSupported,
    }

    /// A kind of values with a name.
    #[derive(Debug)]
    pub struct Named {
        /// The name of its definition in the JSON Schema.
        pub name: &'static str,
        /// What it is, as Markdown without links.
        pub description: &'static str,
        /// What values it takes.
        pub kind: Kind,
    }

    /// A list element that is a whole Kubernetes object, or a bare spec.
    #[derive(Debug)]
    pub struct Entry {
        /// The name of its definition in the JSON Schema.
        pub name: &'static str,
        /// What it is.
        pub description: &'static str,
        /// Kinds whose specs differ from the bare one, each recognised by its kind.
        pub of_kind: &'static [Alternative],
        /// Any other whole object.
        pub whole: Alternative,
    }

    /// A whole Kubernetes object.
    #[derive(Debug)]
    pub struct Alternative {
        /// The name of its definition in the JSON Schema.
        pub name: &'static str,
        /// The kinds it may have.
        pub kinds: &'static Named,
        /// Its spec; for [`Entry::whole`] also the bare form.
        pub spec: &'static Object,
    }
}
