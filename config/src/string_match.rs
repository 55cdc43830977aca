//! `StringMatch`: how a text is compared.

use crate::node::Node;
use crate::regex::Regex;
use crate::vocabulary;

/// Istio's `StringMatch`. Without a kind (`{}`) it means that the thing is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StringMatch {
    /// Equal, byte for byte.
    Exact(String),
    /// A prefix, byte for byte.
    Prefix(String),
    /// The whole value matches; see [`Regex`].
    Regex(Box<Regex>),
    /// There, whatever its value.
    Present,
}

/// What differs from field to field.
#[derive(Debug, Clone, Copy)]
pub(super) struct StringMatchRules {
    /// `uri` takes an empty prefix, which matches everything; Envoy's header and query matchers do not.
    pub(super) empty_prefix: bool,
    /// In `withoutHeaders` the regex `*` means that the header is there (elsewhere it is no regex).
    pub(super) star_is_present: bool,
}

impl StringMatch {
    pub(super) fn read(node: &Node<'_>, rules: StringMatchRules) -> Option<Self> {
        let fields = node.object(&vocabulary::STRING_MATCH)?;
        let kinds = [fields.get("exact"), fields.get("prefix"), fields.get("regex")];
        fields.finish();
        if kinds.iter().flatten().count() > 1 {
            node.invalid("only one of exact, prefix and regex may be set");
            return None;
        }
        match kinds {
            [Some(exact), ..] => Some(Self::Exact(exact.string()?.to_owned())),
            [_, Some(prefix), _] => {
                let text = prefix.string()?;
                if text.is_empty() && !rules.empty_prefix {
                    prefix.invalid("prefix string match should not be empty");
                }
                Some(Self::Prefix(text.to_owned()))
            }
            [.., Some(regex)] => match regex.string()? {
                "*" if rules.star_is_present => Some(Self::Present),
                pattern => {
                    let read = Regex::new(pattern).map_err(|error| regex.invalid(error.to_string())).ok()?;
                    regex.count_regex(&read);
                    Some(Self::Regex(read.into()))
                }
            },
            _ => Some(Self::Present),
        }
    }

    /// Whether the match is a regular expression.
    #[must_use]
    pub fn is_regex(&self) -> bool {
        matches!(self, Self::Regex(_))
    }
}
