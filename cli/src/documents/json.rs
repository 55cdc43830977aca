//! JSON with positions: one value, or several one after the other.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::located::{Lines, Located, Parts, Position, Spot};
use super::syntax::{MAX_DEPTH, SyntaxError, duplicate, too_deep};

/// The values of a text.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Located>, SyntaxError> {
    let reader = Reader { text, lines: Lines::new(text) };
    let mut found = Vec::new();
    for raw in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let raw = raw.map_err(|error| wrong_json(&error))?;
        found.push(reader.read(raw, 0)?);
    }
    Ok(found)
}

struct Reader<'t> {
    text: &'t str,
    lines: Lines<'t>,
}

impl<'t> Reader<'t> {
    fn position(&self, part: &str) -> Position {
        // The part lies in the text: no pointer is followed, their difference is its offset.
        let offset = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        self.lines.position(offset)
    }

    fn read(&self, raw: &'t RawValue, depth: usize) -> Result<Located, SyntaxError> {
        let text = raw.get();
        let at = self.position(text);
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        let deeper = depth.saturating_add(1);
        match text.as_bytes().first() {
            Some(b'{') => {
                let members = parts::<Members<'t>>(text)?;
                let (mut lines, mut fields) = (HashMap::new(), Vec::with_capacity(members.0.len()));
                for (name, value) in members.0 {
                    let mut value = self.read(value, deeper)?;
                    if let Some(line) = lines.insert(name.clone(), value.spot.at.line) {
                        return Err(duplicate(&name, value.spot.at, line));
                    }
                    value.spot.key = Some(value.spot.at);
                    fields.push((name, value));
                }
                Ok(Located::object(at, fields))
            }
            Some(b'[') => {
                let (mut values, mut spots) = (Vec::new(), Vec::new());
                for element in parts::<Vec<&'t RawValue>>(text)? {
                    let element = self.read(element, deeper)?;
                    values.push(element.value);
                    spots.push(element.spot);
                }
                Ok(Located { value: values.into(), spot: Spot { parts: Parts::List(spots), ..Spot::scalar(at) } })
            }
            _ => Ok(Located { value: parts::<Value>(text)?, spot: Spot::scalar(at) }),
        }
    }
}

fn parts<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, SyntaxError> {
    serde_json::from_str(text).map_err(|error| wrong_json(&error))
}

/// The fields of an object in order, repeated ones too.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'t> Visitor<'t> for Fields {
            type Value = Members<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The parser's error without its own position.
fn wrong_json(error: &serde_json::Error) -> SyntaxError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    let message = match message {
        "EOF while parsing an object"
        | "EOF while parsing a list"
        | "EOF while parsing a string"
        | "EOF while parsing a value" => "not valid JSON: it ends too early",
        "recursion limit exceeded" => {
            return SyntaxError { at: None, message: format!("lists and objects more than {MAX_DEPTH} deep") };
        }
        "trailing comma" => "not valid JSON: a comma before the closing bracket",
        "key must be a string" => "not valid JSON: a key must be a quoted string",
        "expected `:`" => "not valid JSON: no \":\" after the key",
        "expected `,` or `}`" | "expected `,` or `]`" => "not valid JSON: a comma or a closing bracket is missing",
        "invalid escape" | "invalid unicode code point" | "lone leading surrogate in hex escape" => {
            "not valid JSON: an unknown escape"
        }
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "not valid JSON: a control character in a string"
        }
        _ => "not valid JSON: a value is missing or misspelt",
    };
    let position = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let at = Position { line: position(error.line()), column: position(error.column()).max(1) };
    SyntaxError::new(at, message)
}
