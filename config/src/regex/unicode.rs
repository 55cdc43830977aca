//! Unicode's general categories, scripts and simple case folding.

use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Class, ClassUnicode, HirKind};

use super::class;
use super::cursor::Cursor;
use super::unicode_names;

/// Adds the other cases of every letter.
pub(super) fn fold(set: &mut ClassUnicode) {
    // Fails only without the tables, which the workspace's features include.
    let _ = set.try_case_fold_simple();
}

/// `\pN`, `\p{Greek}`, `\P{Greek}` or `\p{^Greek}`, as a set and whether it is negated; the backslash is already read.
pub(super) fn read(rest: &mut Cursor<'_>) -> Result<(ClassUnicode, bool), String> {
    let sign = rest.next().unwrap_or('p');
    let unknown = |name: &str| format!("invalid character class range: \\{sign}{name}");
    let (written, name) = if rest.eat("{") {
        let name = rest.take_until("}").ok_or_else(|| unknown("{"))?;
        (format!("{{{name}}}"), name.to_owned())
    } else {
        let name = rest.next().map(String::from).unwrap_or_default();
        (name.clone(), name)
    };
    let plain = name.strip_prefix('^');
    let set = lookup(plain.unwrap_or(&name)).ok_or_else(|| unknown(&written))?;
    Ok((set, (sign == 'P') != plain.is_some()))
}

fn lookup(name: &str) -> Option<ClassUnicode> {
    if name == "Any" {
        return Some(class::of_ranges(&[('\0', char::MAX)]));
    }
    if !unicode_names::is_known(name) {
        return None;
    }
    let position = ast::Position { offset: 0, line: 1, column: 1 };
    let ast = Ast::class_unicode(ast::ClassUnicode {
        span: ast::Span::splat(position),
        negated: false,
        kind: ast::ClassUnicodeKind::Named(name.to_owned()),
    });
    let hir = TranslatorBuilder::new().build().translate("", &ast).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Some(set),
        HirKind::Literal(text) => {
            std::str::from_utf8(&text.0).ok()?.chars().next().map(|c| class::of_ranges(&[(c, c)]))
        }
        _ => Some(ClassUnicode::empty()),
    }
}
