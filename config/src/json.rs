//! A JSON document as one list of tokens: thousands of rules cost one allocation, which goes back as a whole.
//!
//! [`serde_json::Value`] takes some 400 bytes for each object in a proxy's VM, which grows for it and never shrinks again.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A document. Text is borrowed from the document's wherever it has no escapes.
#[derive(Debug)]
pub struct Json<'t> {
    /// A value's token comes before those of what is in it; a key before its value.
    tokens: Vec<Token<'t>>,
}

#[derive(Debug)]
enum Token<'t> {
    Null,
    Bool(bool),
    /// An integer that fits, which most numbers of a document are.
    Small(i32),
    Number(Box<Number>),
    /// A string or a key.
    Text(Cow<'t, str>),
    List(Extent),
    Object(Extent),
}

/// How much a list or an object holds.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// Its elements or entries.
    count: u32,
    /// Their tokens, with all that is in them.
    tokens: u32,
}

/// A value of a document.
#[derive(Debug, Clone, Copy)]
pub struct JsonValue<'a> {
    /// The value's token, and all that come after it.
    tokens: &'a [Token<'a>],
}

/// What a value is.
#[derive(Debug)]
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, without escapes.
    Text(&'a str),
    /// An array, in order.
    List(Elements<'a>),
    /// An object; its entries in the order of the document, equal keys included.
    Object(Entries<'a>),
}

/// The elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    tokens: &'a [Token<'a>],
    left: u32,
}

/// The entries of an object.
#[derive(Debug, Clone)]
pub struct Entries<'a>(Elements<'a>);

/// A number, exact where it is an integer of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A number that was written as an integer and fits 64 bits.
    Integer(i64),
    /// Any other number, rounded to the nearest float.
    Float(f64),
}

impl Number {
    /// The number as a float. Integers beyond 2^53 are rounded.
    pub fn value(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(value) => value,
        }
    }
}

/// To nine digits after the point, for errors: the shortest text that means the same float costs 12 KB in the .wasm.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self {
            Self::Integer(integer) => return integer.fmt(f),
            Self::Float(value) => *value,
        };
        let sign = if value < 0.0 { "-" } else { "" };
        if value.abs() >= 1e9 {
            return write!(f, "beyond {sign}1e9");
        }
        // A float-to-integer `as` saturates: no value can wrap.
        let billionths = (value.abs() * 1e9).round() as u64;
        let digits = format!("{sign}{}.{:09}", billionths / 1_000_000_000, billionths % 1_000_000_000);
        f.write_str(digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl<'t> Json<'t> {
    /// Reads JSON text.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &'t [u8]) -> serde_json::Result<Self> {
        let mut tokens = Vec::with_capacity(expected_tokens(text));
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        Reader(&mut tokens).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(Self { tokens })
    }

    /// The document's outermost value.
    #[must_use]
    pub fn root(&self) -> JsonValue<'_> {
        JsonValue { tokens: &self.tokens }
    }
}

/// One token for each byte that begins or divides something, but no more than documents with short names have: strings may
/// hold such bytes, too. A list that has to grow leaves holes in a VM's memory.
fn expected_tokens(text: &[u8]) -> usize {
    let is_mark = |byte: &u8| (*byte == b'{') | (*byte == b'[') | (*byte == b',') | (*byte == b':');
    // In bytes, of which a vector instruction adds up many at once.
    let count = |part: &[u8]| part.iter().fold(0_u8, |count, byte| count.wrapping_add(is_mark(byte).into()));
    let marks: usize = text.chunks(u8::MAX.into()).map(|part| usize::from(count(part))).sum();
    marks.min(text.len() / SHORTEST_TOKEN).saturating_add(1)
}

/// Bytes of text for each token, in a document with hardly any text.
const SHORTEST_TOKEN: usize = 3;

impl<'a> JsonValue<'a> {
    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind<'a> {
        let (token, rest) = self.tokens.split_first().unwrap_or((&Token::Null, &[]));
        match token {
            Token::Null => Kind::Null,
            Token::Bool(value) => Kind::Bool(*value),
            Token::Small(integer) => Kind::Number(Number::Integer((*integer).into())),
            Token::Number(number) => Kind::Number(**number),
            Token::Text(text) => Kind::Text(text),
            Token::List(extent) => Kind::List(Elements { tokens: rest, left: extent.count }),
            Token::Object(extent) => Kind::Object(Entries(Elements { tokens: rest, left: extent.count })),
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.tokens, [Token::Null, ..])
    }

    /// The text of a string; `None` for other values.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        if let [Token::Text(text), ..] = self.tokens { Some(text) } else { None }
    }

    /// The value of a number; `None` for other values.
    #[must_use]
    pub fn as_number(self) -> Option<Number> {
        if let Kind::Number(number) = self.kind() { Some(number) } else { None }
    }

    /// The tokens that follow the value and all that is in it.
    fn after(self) -> &'a [Token<'a>] {
        let inner = match self.tokens.first() {
            Some(Token::List(extent) | Token::Object(extent)) => usize::try_from(extent.tokens).unwrap_or(usize::MAX),
            _ => 0,
        };
        self.tokens.get(inner.saturating_add(1)..).unwrap_or_default()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = JsonValue<'a>;

    fn next(&mut self) -> Option<JsonValue<'a>> {
        self.left = self.left.checked_sub(1)?;
        let value = JsonValue { tokens: self.tokens };
        self.tokens = value.after();
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Elements<'_> {}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, JsonValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.0.tokens.split_first()?;
        self.0.tokens = rest;
        let Token::Text(key) = key else { return None };
        Some((key, self.0.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}

impl<'t> From<&'t Value> for Json<'t> {
    fn from(value: &'t Value) -> Self {
        let mut tokens = Vec::new();
        push_value(&mut tokens, value);
        Self { tokens }
    }
}

fn push_value<'t>(tokens: &mut Vec<Token<'t>>, value: &'t Value) {
    match value {
        Value::Null => tokens.push(Token::Null),
        Value::Bool(value) => tokens.push(Token::Bool(*value)),
        Value::Number(number) => tokens.push(Token::number(match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Number::Integer(integer),
            (None, value) => Number::Float(value.unwrap_or(f64::NAN)),
        })),
        Value::String(text) => tokens.push(Token::Text(Cow::Borrowed(text))),
        Value::Array(list) => {
            let start = begin(tokens);
            list.iter().for_each(|element| push_value(tokens, element));
            end(tokens, start, list.len(), Token::List);
        }
        Value::Object(map) => {
            let start = begin(tokens);
            for (key, value) in map {
                tokens.push(Token::Text(Cow::Borrowed(key)));
                push_value(tokens, value);
            }
            end(tokens, start, map.len(), Token::Object);
        }
    }
}

/// Makes room for the token of a list or an object; returns its place.
fn begin(tokens: &mut Vec<Token<'_>>) -> usize {
    tokens.push(Token::Null);
    tokens.len().saturating_sub(1)
}

/// Fills in the token of a list or an object of so many elements or entries.
fn end<'t>(tokens: &mut [Token<'t>], start: usize, count: usize, container: fn(Extent) -> Token<'t>) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let inner = tokens.len().saturating_sub(start).saturating_sub(1);
    if let Some(token) = tokens.get_mut(start) {
        *token = container(Extent { count: number(count), tokens: number(inner) });
    }
}

impl Token<'_> {
    fn number(number: Number) -> Self {
        match number {
            Number::Integer(integer) => {
                i32::try_from(integer).map_or_else(|_| Self::Number(number.into()), Self::Small)
            }
            Number::Float(_) => Self::Number(number.into()),
        }
    }
}

impl From<JsonValue<'_>> for Value {
    fn from(value: JsonValue<'_>) -> Self {
        match value.kind() {
            Kind::Null => Self::Null,
            Kind::Bool(value) => Self::Bool(value),
            Kind::Number(Number::Integer(integer)) => integer.into(),
            Kind::Number(Number::Float(value)) => value.into(),
            Kind::Text(text) => Self::String(text.to_owned()),
            Kind::List(elements) => Self::Array(elements.map(Self::from).collect()),
            Kind::Object(entries) => Self::Object(entries.map(|(key, value)| (key.to_owned(), value.into())).collect()),
        }
    }
}

/// Adds the tokens of one value.
struct Reader<'r, 'de>(&'r mut Vec<Token<'de>>);

impl<'de> DeserializeSeed<'de> for Reader<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Token::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(Token::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.push(Token::number(i64::try_from(value).map_or(Number::Float(value as f64), Number::Integer)));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(Token::number(Number::Integer(value)));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.push(Token::number(Number::Float(value)));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.push(Token::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push(Token::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let (start, mut count) = (begin(self.0), 0_usize);
        while elements.next_element_seed(Reader(self.0))?.is_some() {
            count = count.saturating_add(1);
        }
        end(self.0, start, count, Token::List);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let (start, mut count) = (begin(self.0), 0_usize);
        while entries.next_key_seed(Reader(self.0))?.is_some() {
            entries.next_value_seed(Reader(self.0))?;
            count = count.saturating_add(1);
        }
        end(self.0, start, count, Token::Object);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::Value;

    use super::{Json, Number, Token};

    #[test]
    fn means_what_serde_json_means() {
        for text in [
            r#"{"b": [1, -2, 3.5, true, null, "x"], "a": {"nested": {}}, "c": []}"#,
            r#"{"a": 1, "b": 2, "a": 3, "b": {"a": 4, "a": 5}}"#,
            r#"{"esc\"aped": "\u00fc\n", "ü": "plain"}"#,
            "18446744073709551615",
            "1e400",
            "[1",
            "\"\u{1}\"",
        ] {
            let read = Json::parse(text.as_bytes()).map_err(|error| error.to_string());
            let value = serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
            let again = value.as_ref().map(|value| Value::from(Json::from(value).root())).map_err(String::clone);
            assert_eq!(read.as_ref().map(|json| Value::from(json.root())).map_err(String::clone), again, "{text}");
        }
    }

    #[test]
    fn numbers_are_shown_as_a_reader_would_write_them() {
        for (number, shown) in [
            (Number::Integer(i64::MIN), "-9223372036854775808"),
            (Number::Float(101.5), "101.5"),
            (Number::Float(-0.25), "-0.25"),
            (Number::Float(100.0), "100"),
            (Number::Float(0.000_000_001_4), "0.000000001"),
            (Number::Float(1e300), "beyond 1e9"),
            (Number::Float(-1e300), "beyond -1e9"),
        ] {
            assert_eq!(number.to_string(), shown, "{number:?}");
        }
    }

    #[test]
    fn copies_no_text_without_escapes() {
        let read = Json::parse(br#"["plain", "esc\naped"]"#).ok();
        let Some(Json { tokens }) = read else { panic!("a document") };
        let [_, Token::Text(plain), Token::Text(escaped)] = &tokens[..] else { panic!("{tokens:?}") };
        assert!(matches!((plain, escaped), (Cow::Borrowed("plain"), Cow::Owned(_))), "{tokens:?}");
    }
}
