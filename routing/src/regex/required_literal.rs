//! What a pattern requires of a value.

use regex_syntax::hir::HirKind;

use super::pieces::Piece;

/// A text that every matching value contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequiredLiteral {
    /// The value starts with the text.
    Start(Vec<u8>),
    /// The text is one of the value's elements between semicolons.
    Element(Vec<u8>),
}

impl RequiredLiteral {
    /// What a pattern requires of a whole value. `None` if nothing simple is known.
    pub(super) fn of(pieces: &[Piece<'_>]) -> Option<Self> {
        if let [Piece::DotsBeforeSemicolon, Piece::Literal(text), Piece::DotsAfterSemicolon] = pieces {
            return (!text.contains(&b';')).then(|| Self::Element(text.clone()));
        }
        let mut text = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.extend_from_slice(literal),
                Piece::Other(hir) => {
                    text.extend_from_slice(repeated_literal(hir.kind()));
                    break;
                }
                _ => break,
            }
        }
        (!text.is_empty()).then_some(Self::Start(text))
    }
}

/// The text of `x+` or `x{2,}`.
fn repeated_literal(kind: &HirKind) -> &[u8] {
    let HirKind::Repetition(repetition) = kind else { return b"" };
    match repetition.sub.kind() {
        HirKind::Literal(text) if repetition.min > 0 => &text.0,
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use canary_config::regex::parse;

    use super::RequiredLiteral::{self, Element, Start};
    use crate::regex::pieces;

    #[test]
    fn is_read_off_the_pattern() {
        let element = |text: &str| Some(Element(text.into()));
        let start = |text: &str| Some(Start(text.into()));
        let rows: &[(&str, &str, Option<RequiredLiteral>)] = &[
            ("Istio's idiom", "^(.*?;)?(user=jason)(;.*)?$", element("user=jason")),
            ("the same without anchors", "(.*?;)?(user=jason)(;.*)?", element("user=jason")),
            ("the same, greedy, without a group", "^(.*;)?user=jason(;.*)?$", element("user=jason")),
            ("the same with an escape", r"^(.*?;)?(user\.name=jason)(;.*)?$", element("user.name=jason")),
            ("a cookie with a blank", "^(.*?;)?( user=jason)(;.*)?$", element(" user=jason")),
            ("two cookies", "^(.*?;)?(user=jason;a=b)(;.*)?$", None),
            ("several users", "^(.*?;)?(user=jason|user=eve)(;.*)?$", None),
            ("any user", "^(.*?;)?(user=.*)(;.*)?$", None),
            ("an escaped end", r"^(.*?;)?(user=jason)(;.*)?\$", None),
            ("no cookie", "^(.*?;)?()(;.*)?$", None),
            ("something after it", "^(.*?;)?(user=jason)(;.*)$", None),
            ("literal", "jason", start("jason")),
            ("anchored", "^/api/.*$", start("/api/")),
            ("once or more", "/a+", start("/a")),
            ("perhaps never", "/ab*c", start("/a")),
            ("perhaps never, behind an empty quote", r"/ab\Q\E*", start("/a")),
            ("perhaps not there", "/ab?c", start("/a")),
            ("counted", "/ab{0,2}", start("/a")),
            ("perhaps never, of many bytes", "/ü*", start("/")),
            ("perhaps never, alone", "a*b", None),
            ("alternatives", "/api|/web", None),
            ("alternatives in a group", "/api/(a|b)", start("/api/")),
            ("flags", "(?i)jason", None),
            ("class", "[ab]c", None),
            ("quote", r"\Qa.b\E", start("a.b")),
            ("two anchors", "^^a", None),
            ("anything", ".*", None),
        ];
        for (name, pattern, expected) in rows {
            let hir = parse(pattern).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(RequiredLiteral::of(&pieces::of(&hir)), *expected, "{name}: {pattern:?}");
        }
    }
}
