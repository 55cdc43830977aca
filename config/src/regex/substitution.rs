//! `uriRegexRewrite`: a pattern and its replacement.

use std::fmt;

use super::{InvalidRegex, Regex, parse};

/// A pattern whose matches are replaced, as by RE2's `GlobalReplace`.
#[derive(Clone, PartialEq, Eq)]
pub struct Substitution {
    regex: Regex,
    rewrite: String,
    parts: Vec<Part>,
}

/// A part of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A literal text.
    Text(String),
    /// The text of a group. Group 0 is the whole match.
    Group(usize),
}

impl Substitution {
    /// Checks a pattern and its rewrite: `\1` is the first group, `\0` the whole match, `\\\\` a backslash.
    ///
    /// # Errors
    /// The errors of [`Regex::new`], and a rewrite with a group that the pattern does not have.
    pub fn new(pattern: &str, rewrite: &str) -> Result<Self, InvalidRegex> {
        let regex = Regex::new(pattern)?;
        let groups = parse(pattern)?.properties().explicit_captures_len();
        let parts = parse_rewrite(rewrite, groups)?;
        Ok(Self { regex, rewrite: rewrite.to_owned(), parts })
    }

    /// The pattern.
    #[must_use]
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The text of the rewrite.
    #[must_use]
    pub fn rewrite(&self) -> &str {
        &self.rewrite
    }

    /// The replacement of a match, in parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

fn parse_rewrite(rewrite: &str, groups: usize) -> Result<Vec<Part>, InvalidRegex> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut characters = rewrite.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let escaped = characters.next();
        match escaped.map(|c| (c, c.to_digit(10).and_then(|digit| usize::try_from(digit).ok()))) {
            Some((_, Some(group))) if group <= groups => {
                parts.extend([Part::Text(std::mem::take(&mut text)), Part::Group(group)]);
            }
            Some((_, Some(group))) => {
                return Err(InvalidRegex(format!("rewrite {rewrite:?} names group {group}, the pattern has {groups}")));
            }
            Some(('\\', None)) => text.push('\\'),
            _ => {
                return Err(InvalidRegex(format!(
                    "rewrite {rewrite:?}: a backslash wants a digit or a backslash after it"
                )));
            }
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

impl fmt::Debug for Substitution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Substitution({:?} => {:?})", self.regex.as_str(), self.rewrite)
    }
}
