//! `HTTPRewrite`: the path and authority that the upstream sees.

use crate::node::Node;
use crate::regex::Substitution;
use crate::vocabulary;

/// What is rewritten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// How the path changes.
    pub path: Option<PathRewrite>,
    /// The new authority.
    pub authority: Option<String>,
}

/// How the path changes; the query stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// Replaces the matched prefix, or the whole path after an exact or regex match. Without a uri match the prefix is `/`.
    Uri(String),
    /// Replaces every hit of a pattern.
    Regex(Substitution),
}

impl Rewrite {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::REWRITE)?;
        let text =
            |name| fields.get(name).and_then(|field| field.string().map(str::to_owned)).filter(|text| !text.is_empty());
        let uri = text("uri");
        let regex = fields.get("uriRegexRewrite");
        let authority = text("authority");
        fields.finish();
        if uri.is_some() && regex.is_some() {
            node.invalid("rewrite may only contain one of URI or UriRegexRewrite");
        } else if uri.is_none() && regex.is_none() && authority.is_none() {
            node.invalid("rewrite must specify at least one of URI, UriRegexRewrite, or authority");
        }
        let regex = regex.and_then(|regex| read_regex_rewrite(&regex)).map(PathRewrite::Regex);
        Some(Self { path: regex.or(uri.map(PathRewrite::Uri)), authority })
    }
}

fn read_regex_rewrite(node: &Node<'_>) -> Option<Substitution> {
    let fields = node.object(&vocabulary::REGEX_REWRITE)?;
    let text = |name| fields.get(name).and_then(|field| field.string()).filter(|text| !text.is_empty());
    let (pattern, rewrite) = (text("match"), text("rewrite"));
    fields.finish();
    let (Some(pattern), Some(rewrite)) = (pattern, rewrite) else {
        node.invalid("UriRegexRewrite requires both Rewrite and Match fields to be specified");
        return None;
    };
    let substitution = Substitution::new(pattern, rewrite).map_err(|error| node.invalid(error.to_string())).ok()?;
    node.count_regex(substitution.regex());
    Some(substitution)
}
