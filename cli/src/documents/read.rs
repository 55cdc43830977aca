//! Text into values: JSON, or YAML with any number of documents.

use std::io::Read as _;

use serde_json::Value;

use super::origin::Origin;

/// The text of a file; `-` is standard input.
///
/// # Errors
/// `FILE: reason`, also where the text is not UTF-8.
pub(crate) fn read_text(file: &str) -> Result<String, String> {
    let text = if file == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| format!("{file}: {error}"))
}

/// The documents of a text, empty ones left out.
///
/// # Errors
/// `FILE: reason`, with line and column.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<(Origin, Value)>, String> {
    let values = parse_json(text).unwrap_or_else(|| parse_yaml(text)).map_err(|error| format!("{file}: {error}"))?;
    let single = values.len() == 1;
    let numbered = (1..).zip(values);
    let origin =
        |number| Origin { file: file.to_owned(), document: (!single).then_some(number), pointer: String::new() };
    Ok(numbered.map(|(number, value)| (origin(number), value)).collect())
}

/// `None` where the text does not look like JSON. JSON is nearly YAML, but its own parser names its errors better.
fn parse_json(text: &str) -> Option<Result<Vec<Value>, String>> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    match serde_json::from_str(text) {
        Ok(value) => Some(Ok(vec![value])),
        // A YAML flow mapping starts like JSON: only what is neither is an error, and then it is JSON's.
        Err(error) => Some(parse_yaml(text).map_err(|_| format!("not valid JSON: {error}"))),
    }
}

fn parse_yaml(text: &str) -> Result<Vec<Value>, String> {
    // The limits of the parser are for strangers' input; a user's own file may be as large as it needs to be.
    let options = serde_saphyr::options! { budget: None, with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| format!("not valid YAML: {error}"))
}
