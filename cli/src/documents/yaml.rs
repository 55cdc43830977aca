//! YAML as kubectl reads it: the scanner is libyaml's, whose port kubectl uses, and plain scalars are resolved as there.

use std::collections::HashMap;

use libyaml_safer::{Event, EventData, Mark, Parser, ScalarStyle};
use serde_json::{Number, Value};

use super::located::{Located, Parts, Position, Spot};
use super::syntax::{MAX_DEPTH, SyntaxError, duplicate, too_deep};

/// Values that a text may have with all its aliases replaced.
const MAX_VALUES: usize = 1_000_000;
const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// The documents of a text, empty ones left out.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Located>, SyntaxError> {
    let mut bytes = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut composer = Composer { parser, anchors: HashMap::new(), values: 0 };
    let mut documents = Vec::new();
    loop {
        match composer.next()?.data {
            EventData::StreamEnd => return Ok(documents),
            EventData::DocumentStart { .. } => {
                composer.anchors.clear();
                let first = composer.next()?;
                documents.extend(Some(composer.compose(first, 0)?).filter(|document| !document.value.is_null()));
            }
            _ => {}
        }
    }
}

/// Makes values of the parser's events.
struct Composer<'b, 't> {
    parser: Parser<&'b mut &'t [u8]>,
    anchors: HashMap<String, Located>,
    /// How many values there are so far.
    values: usize,
}

impl Composer<'_, '_> {
    fn next(&mut self) -> Result<Event, SyntaxError> {
        self.parser.parse().map_err(|error| {
            let context = error.context_mark().map(position);
            let at = error.problem_mark().map(position);
            SyntaxError { at, message: in_plain_words(error.problem(), context) }
        })
    }

    /// The value that begins with an event.
    fn compose(&mut self, event: Event, depth: usize) -> Result<Located, SyntaxError> {
        let at = position(event.start_mark);
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.count(1, at)?;
        let (anchor, found) = match event.data {
            EventData::Scalar { anchor, tag, value, style, .. } => {
                (anchor, scalar(value, tag.as_deref(), style == ScalarStyle::Plain, at))
            }
            EventData::SequenceStart { anchor, .. } => (anchor, self.list(at, depth)?),
            EventData::MappingStart { anchor, .. } => (anchor, self.mapping(at, depth)?),
            EventData::Alias { anchor } => {
                let Some(found) = self.anchors.get(&anchor).cloned() else {
                    return Err(SyntaxError::new(at, format!("no anchor &{anchor} before this alias")));
                };
                self.count(size(&found.value), at)?;
                (None, found)
            }
            _ => return Err(SyntaxError::new(at, "a value is missing here")),
        };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, found.clone());
        }
        Ok(found)
    }

    fn count(&mut self, values: usize, at: Position) -> Result<(), SyntaxError> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES {
            return Err(SyntaxError::new(at, format!("more than {MAX_VALUES} values, aliases replaced")));
        }
        Ok(())
    }

    fn list(&mut self, at: Position, depth: usize) -> Result<Located, SyntaxError> {
        let (mut values, mut spots) = (Vec::new(), Vec::new());
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::SequenceEnd) {
                break;
            }
            let element = self.compose(event, depth.saturating_add(1))?;
            values.push(element.value);
            spots.push(element.spot);
        }
        let spot = Spot { parts: Parts::List(spots), ..Spot::scalar(at) };
        Ok(Located { value: values.into(), spot })
    }

    fn mapping(&mut self, at: Position, depth: usize) -> Result<Located, SyntaxError> {
        let mut fields: Vec<(String, Located)> = Vec::new();
        let mut merged: Vec<(String, Located)> = Vec::new();
        let mut lines: HashMap<String, u64> = HashMap::new();
        loop {
            let event = self.next()?;
            if matches!(event.data, EventData::MappingEnd) {
                break;
            }
            let key_at = position(event.start_mark);
            let is_merge = is_merge(&event);
            let key = self.compose(event, depth.saturating_add(1))?;
            let value = self.next()?;
            let mut value = self.compose(value, depth.saturating_add(1))?;
            if is_merge {
                merge(value, &mut merged);
                continue;
            }
            let name = key_name(&key, key_at)?;
            if let Some(line) = lines.insert(name.clone(), key_at.line) {
                return Err(duplicate(&name, key_at, line));
            }
            value.spot.key = Some(key_at);
            fields.push((name, value));
        }
        fields.extend(merged.into_iter().filter(|(name, _)| !lines.contains_key(name)));
        Ok(Located::object(at, fields))
    }
}

fn is_merge(event: &Event) -> bool {
    matches!(&event.data, EventData::Scalar { value, style: ScalarStyle::Plain, tag: None, .. } if value == "<<")
}

/// Fields that a `<<` brings; earlier ones win.
fn merge(located: Located, merged: &mut Vec<(String, Located)>) {
    match (located.value, located.spot.parts) {
        (Value::Object(mut values), Parts::Fields(spots)) => {
            for (name, spot) in spots {
                let value = values.remove(&name).unwrap_or_default();
                if merged.iter().all(|(known, _)| *known != name) {
                    merged.push((name, Located { value, spot }));
                }
            }
        }
        (Value::Array(values), Parts::List(spots)) => {
            values.into_iter().zip(spots).for_each(|(value, spot)| merge(Located { value, spot }, merged));
        }
        _ => {}
    }
}

/// A key as JSON has it: a text. A word such as `on` stays as it is written: `retryNext` has a field of that name.
fn key_name(key: &Located, at: Position) -> Result<String, SyntaxError> {
    if let Some(word) = &key.spot.spelled {
        return Ok(word.clone());
    }
    match &key.value {
        Value::String(name) => Ok(name.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(key.value.to_string()),
        _ => Err(SyntaxError::new(at, "a key must be a string")),
    }
}

/// A scalar as go-yaml resolves it.
fn scalar(text: String, tag: Option<&str>, is_plain: bool, at: Position) -> Located {
    let is_text = !is_plain && tag.is_none() || tag.is_some_and(|tag| tag == "!" || tag == format!("{TAG_PREFIX}str"));
    let value = if is_text { None } else { resolve(&text) };
    let is_odd =
        matches!(value, Some(Value::Bool(_))) && !["true", "false"].contains(&text.to_ascii_lowercase().as_str());
    let spelled = is_odd.then(|| text.clone());
    Located { value: value.unwrap_or(Value::String(text)), spot: Spot { spelled, ..Spot::scalar(at) } }
}

/// What a plain scalar is, if it is no text.
fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(true.into()),
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Some(false.into());
        }
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

fn integer(text: &str) -> Option<Value> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |prefixes: [&str; 2], radix| {
        let digits = prefixes.into_iter().find_map(|prefix| magnitude.strip_prefix(prefix))?;
        u64::from_str_radix(digits, radix).ok()
    };
    let prefixed = radix(["0x", "0X"], 16).or_else(|| radix(["0b", "0B"], 2)).or_else(|| radix(["0o", "0O"], 8));
    let is_digits = !magnitude.is_empty() && magnitude.bytes().all(|byte| byte.is_ascii_digit());
    let octal = magnitude.strip_prefix('0').filter(|rest| is_digits && !rest.is_empty());
    let magnitude = match (prefixed, octal) {
        (Some(magnitude), _) => magnitude,
        (None, Some(digits)) => u64::from_str_radix(digits, 8).ok()?,
        (None, None) if is_digits => magnitude.parse().ok()?,
        (None, None) => return None,
    };
    if sign > 0 {
        return Some(magnitude.into());
    }
    i64::try_from(0_i128.saturating_sub(magnitude.into())).ok().map(Value::from)
}

/// A decimal number. A whole one is an integer, as in the JSON that kubectl sends.
fn float(text: &str) -> Option<Value> {
    let is_float = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_digit());
    let number: f64 = text.parse().ok().filter(|_| is_float)?;
    // Exact up to 2^53, and `as` saturates beyond.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        return Some((number as i64).into());
    }
    Number::from_f64(number).map(Value::Number)
}

/// How many values there are within a value, itself included.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(size).fold(1, usize::saturating_add),
        Value::Object(fields) => fields.values().map(size).fold(1, usize::saturating_add),
        _ => 1,
    }
}

fn position(mark: Mark) -> Position {
    Position { line: mark.line.saturating_add(1), column: mark.column.saturating_add(1) }
}

/// What is wrong and the way out, in place of the scanner's own words. `context` is where the enclosing part begins.
fn in_plain_words(problem: &str, context: Option<Position>) -> String {
    let of_line = |what: &str| context.map_or_else(|| what.to_owned(), |at| format!("{what} of line {}", at.line));
    match problem {
        "mapping values are not allowed in this context" => {
            "a second \": \" in this line: quote the text, or begin a new line".to_owned()
        }
        "found character that cannot start any token" => {
            "a value cannot begin with this character: quote the text, and indent by spaces, not tabs".to_owned()
        }
        "found a tab character that violates indentation" => "indent by spaces, not tabs".to_owned(),
        "did not find expected key" => {
            format!("this line does not fit {}: check its indentation", of_line("the block"))
        }
        "did not find expected '-' indicator" => {
            format!("this line does not fit {}: begin it with \"- \", or check its indentation", of_line("the list"))
        }
        "could not find expected ':'" => {
            format!("no \": \" after the key{}", context.map_or_else(String::new, |at| format!(" of line {}", at.line)))
        }
        "did not find expected ',' or ']'" => format!("{} is not closed by \"]\"", of_line("the list")),
        "did not find expected ',' or '}'" => format!("{} is not closed by \"}}\"", of_line("the object")),
        "found unexpected end of stream" => format!("{} is not closed", of_line("the quote")),
        "found unknown escape character" | "found invalid Unicode character escape code" => {
            "unknown escape in a double-quoted text: double the backslash, or use single quotes".to_owned()
        }
        "control characters are not allowed" => "control characters are not allowed".to_owned(),
        "did not find expected <document start>" => "a new document must begin with a line \"---\"".to_owned(),
        "block sequence entries are not allowed in this context" => "a list must begin on a line of its own".to_owned(),
        _ => "this is not YAML: check quotes and indentation".to_owned(),
    }
}
