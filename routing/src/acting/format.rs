//! Header values with Envoy's format strings, compiled.

use std::borrow::Cow;

use canary_config::format::Property;

use crate::matching::{Field, RequestView};

/// A header value: text and command operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) parts: Box<[FormatPart]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FormatPart {
    Text(Box<[u8]>),
    /// `%REQ(NAME?ALTERNATIVE):LENGTH%`
    Header {
        field: Field,
        alternative: Option<Field>,
        length: Option<usize>,
    },
    Property(Property),
    RouteName,
}

impl Format {
    /// The value, if it is the same for every request.
    pub(crate) fn fixed(&self) -> Option<&[u8]> {
        match &*self.parts {
            [] => Some(b""),
            [FormatPart::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The value for a request. An operator without a value expands to nothing.
    pub(crate) fn expand<'f>(&'f self, view: &RequestView<'_>, route: &str) -> Cow<'f, [u8]> {
        if let Some(text) = self.fixed() {
            return Cow::Borrowed(text);
        }
        let mut value = Vec::new();
        for part in &self.parts {
            match part {
                FormatPart::Text(text) => value.extend_from_slice(text),
                FormatPart::Property(property) => value.extend(view.context.property(*property).unwrap_or_default()),
                FormatPart::RouteName => value.extend_from_slice(route.as_bytes()),
                FormatPart::Header { field, alternative, length } => {
                    // Envoy's formatter takes the first value of a header.
                    let header = view.first(*field).or_else(|| view.first((*alternative)?)).unwrap_or_default();
                    value.extend_from_slice(header.get(..length.unwrap_or(header.len())).unwrap_or(header));
                }
            }
        }
        Cow::Owned(value)
    }
}
