//! What a value needs in order to match a pattern, where that can be read off the pattern's text.

/// A text without which no value matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Necessary<'p> {
    /// The value starts with it.
    Start(&'p str),
    /// It is one of the value's elements between semicolons.
    Element(&'p str),
}

/// Characters that may mean something else than themselves.
const SPECIAL: [char; 14] = ['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'];

impl<'p> Necessary<'p> {
    /// What a pattern asks of a whole value; `None` where its text does not show it at once.
    pub(super) fn of(pattern: &'p str) -> Option<Self> {
        let body = pattern.strip_prefix('^').unwrap_or(pattern);
        element(body).map(Self::Element).or_else(|| start(body).map(Self::Start))
    }
}

/// The cookie of Istio's idiom `^(.*?;)?(user=jason)(;.*)?$`: what comes before it ends with a semicolon, what comes after it
/// begins with one, and it has none.
fn element(body: &str) -> Option<&str> {
    let rest = ["(.*?;)?", "(.*;)?"].into_iter().find_map(|before| body.strip_prefix(before))?;
    let text = ["(;.*)?$", "(;.*)?"].into_iter().find_map(|after| rest.strip_suffix(after))?;
    let text = text.strip_prefix('(').and_then(|group| group.strip_suffix(')')).unwrap_or(text);
    (!text.is_empty() && !text.contains(';') && !text.contains(SPECIAL)).then_some(text)
}

/// The characters before the first special one. A pattern with alternatives is left alone, and so is a character that may be
/// repeated no time at all; an empty quote leaves it to what comes behind.
fn start(body: &str) -> Option<&str> {
    let end = body.find(SPECIAL).unwrap_or(body.len());
    let (text, rest) = body.split_at_checked(end).filter(|_| !body.contains('|'))?;
    let last = text.char_indices().next_back().map(|(position, _)| position);
    let text = match last.filter(|_| rest.starts_with(['*', '?', '{']) || rest.starts_with(r"\Q")) {
        Some(last) => text.get(..last)?,
        None => text,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::Necessary::{self, Element, Start};

    #[test]
    fn is_read_off_the_pattern() {
        let rows: &[(&str, &str, Option<Necessary<'_>>)] = &[
            ("Istio's idiom", "^(.*?;)?(user=jason)(;.*)?$", Some(Element("user=jason"))),
            ("the same without anchors", "(.*?;)?(user=jason)(;.*)?", Some(Element("user=jason"))),
            ("the same, greedy, without a group", "^(.*;)?user=jason(;.*)?$", Some(Element("user=jason"))),
            ("a cookie with a blank", "^(.*?;)?( user=jason)(;.*)?$", Some(Element(" user=jason"))),
            ("two cookies", "^(.*?;)?(user=jason;a=b)(;.*)?$", None),
            ("several users", "^(.*?;)?(user=jason|user=eve)(;.*)?$", None),
            ("any user", "^(.*?;)?(user=.*)(;.*)?$", None),
            ("an escaped end", r"^(.*?;)?(user=jason)(;.*)?\$", None),
            ("no cookie", "^(.*?;)?()(;.*)?$", None),
            ("something after it", "^(.*?;)?(user=jason)(;.*)$", None),
            ("literal", "jason", Some(Start("jason"))),
            ("anchored", "^/api/.*$", Some(Start("/api/"))),
            ("once or more", "/a+", Some(Start("/a"))),
            ("perhaps never", "/ab*c", Some(Start("/a"))),
            ("perhaps never, behind an empty quote", r"/ab\Q\E*", Some(Start("/a"))),
            ("perhaps not there", "/ab?c", Some(Start("/a"))),
            ("counted", "/ab{0,2}", Some(Start("/a"))),
            ("perhaps never, of many bytes", "/ü*", Some(Start("/"))),
            ("perhaps never, alone", "a*b", None),
            ("alternatives", "/api|/web", None),
            ("alternatives in a group", "/api/(a|b)", None),
            ("flags", "(?i)jason", None),
            ("class", "[ab]c", None),
            ("escape", r"\Qa.b\E", None),
            ("two anchors", "^^a", None),
            ("anything", ".*", None),
        ];
        for (name, pattern, expected) in rows {
            assert_eq!(Necessary::of(pattern), *expected, "{name}: {pattern:?}");
        }
    }
}
