//! Text into values: JSON, or YAML with any number of documents.

use super::located::{Located, Position};
use super::syntax::SyntaxError;
use super::{json, yaml};

/// The documents of a text, empty ones left out.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn parse(text: &str) -> Result<Vec<Located>, SyntaxError> {
    let begins_like_json = text.trim_start().starts_with(['{', '[']);
    let found = match begins_like_json.then(|| json::parse(text)) {
        // A flow mapping of YAML begins like JSON: only what is neither is an error, and then it is JSON's.
        Some(Err(error)) => yaml::parse(text).map_err(|_| error),
        Some(Ok(values)) => Ok(values),
        None => yaml::parse(text),
    };
    found.map_err(|error| if text.contains("{{") { of_template(text, error) } else { error })
}

/// Helm charts and Go templates are no YAML before they are rendered.
fn of_template(text: &str, error: SyntaxError) -> SyntaxError {
    let line = text.lines().zip(1..).find(|(line, _)| line.contains("{{"));
    let at = line.map(|(line, number)| {
        let column = line.chars().zip(1..).find(|(letter, _)| *letter == '{').map_or(1, |(_, column)| column);
        Position { line: number, column }
    });
    let message = "this is a template, not YAML: render it first, such as with `helm template`".to_owned();
    SyntaxError { at: at.or(error.at), message }
}
