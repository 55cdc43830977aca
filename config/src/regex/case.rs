//! Unicode's simple case folding.

use regex_syntax::hir::ClassUnicode;

/// Adds the other cases of every letter.
pub(super) fn fold(set: &mut ClassUnicode) {
    // Fails only without the table, which the workspace's features include.
    let _ = set.try_case_fold_simple();
}
