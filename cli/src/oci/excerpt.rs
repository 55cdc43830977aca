//! What others have written, fit to be shown.

/// How many characters are shown.
const LONGEST: usize = 300;

/// The beginning of a text in one line, without what a terminal would obey.
pub(crate) fn excerpt(text: &str) -> String {
    let printable = text.replace(|character: char| character.is_control(), " ");
    let mut words = printable.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(LONGEST) {
        words.truncate(end);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_in_one_line_that_does_nothing() {
        let long = "ä".repeat(LONGEST);
        for (row, text, expected) in [
            ("nothing", "", ""),
            ("a line", "it is locked\n", "it is locked"),
            ("lines", "a\r\n\n\tb\n", "a b"),
            ("a terminal's commands", "\u{1b}[31mred\u{9b}0m\0", "[31mred 0m"),
            ("as much as fits", &long, &long),
            ("more", &format!("{long}b"), &format!("{long}…")),
        ] {
            assert_eq!(excerpt(text), expected, "{row}");
        }
    }
}
