//! A Kubernetes object as YAML text, with the comments that its reader needs.

use std::fmt::Write as _;

use serde_json::Value;

use crate::console;

/// An object, and what is said about it.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Lines above the object, without their `#`.
    pub(super) comments: Vec<String>,
    pub(super) object: Value,
    /// A list of the `spec`, each element with a comment of its own.
    pub(super) list: Option<CommentedList>,
}

/// A field of the `spec` that holds a list.
#[derive(Debug)]
pub(super) struct CommentedList {
    pub(super) field: &'static str,
    pub(super) elements: Vec<(String, Value)>,
}

impl Manifest {
    /// Prints objects to standard output in this order, below the command that has made them.
    pub(super) fn print_all(manifests: impl IntoIterator<Item = Self>) -> Result<(), Vec<String>> {
        let mut command = vec![command_line(), String::new()];
        for mut manifest in manifests {
            command.append(&mut manifest.comments);
            manifest.comments = std::mem::take(&mut command);
            manifest.print()?;
        }
        Ok(())
    }

    /// Prints it to standard output, as a YAML document that others may follow.
    fn print(&self) -> Result<(), Vec<String>> {
        let text = self.text().map_err(|error| vec![format!("error: {error}")])?;
        console::say(text.trim_end());
        Ok(())
    }

    /// The YAML document. `spec` is the last field of an object, since fields are in alphabetical order, so that a list of it
    /// may be written after the object.
    fn text(&self) -> Result<String, serde_saphyr::ser::Error> {
        let mut text = comment(&self.comments.join("\n"), "");
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&self.object)?);
        if let Some(list) = &self.list {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}:", list.field);
            for (why, element) in &list.elements {
                text.push_str(&comment(why, "  "));
                text.push_str(&indented(&serde_saphyr::to_string(&[element])?, "  "));
            }
        }
        Ok(text)
    }
}

fn comment(text: &str, indent: &str) -> String {
    let line = |line: &str| if line.is_empty() { format!("{indent}#\n") } else { format!("{indent}# {line}\n") };
    text.lines().map(line).collect()
}

fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") }).collect()
}

/// The command line of this process, as a shell takes it.
fn command_line() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| quoted(&argument.to_string_lossy()));
    std::iter::once("canaryctl".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::documents::Document;

    #[test]
    fn the_text_says_what_the_object_says() {
        let value = |number: u32| json!({"text": "{\n  \"a\": [\n\n    1\n  ]\n}", "number": number, "on": "on"});
        let manifest = Manifest {
            comments: vec!["what".to_owned(), String::new(), "why".to_owned()],
            object: json!({"kind": "X", "spec": {"a": 1}}),
            list: Some(CommentedList {
                field: "rows",
                elements: vec![("one".to_owned(), value(1)), ("two\nlines".to_owned(), value(2))],
            }),
        };
        let text = manifest.text().unwrap();
        assert!(text.starts_with("# what\n#\n# why\n---\nkind: X\n"), "{text}");
        assert!(text.contains("\n  rows:\n  # one\n  - number: 1\n"), "{text}");
        assert!(text.contains("\n  # two\n  # lines\n  - number: 2\n"), "{text}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("manifest.yaml");
        std::fs::write(&file, text.replace("kind: X\n", "")).unwrap();
        let read = Document::load(&file.display().to_string()).unwrap().value;
        assert_eq!(read, json!({"spec": {"a": 1, "rows": [value(1), value(2)]}}));
    }

    #[test]
    fn an_argument_is_quoted_where_a_shell_would_read_more_into_it() {
        for (argument, expected) in [
            (
                "oci://registry.example.com:5000/canary-filter@sha256:ab",
                "oci://registry.example.com:5000/canary-filter@sha256:ab",
            ),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("*", "'*'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(argument), expected, "{argument}");
        }
    }
}
