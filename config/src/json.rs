//! A JSON document, small enough to hold large ones beside what is read from them.
//!
//! [`serde_json::Value`] takes some 400 bytes for each object in a proxy's VM, which grows for it and never shrinks again.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::sorted::sorted;

/// A value; text is borrowed from the document's wherever it has no escapes.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Box<Number>),
    /// A string, without escapes.
    Text(Cow<'t, str>),
    /// An array, in order.
    List(Box<[Json<'t>]>),
    /// In the order of the keys, each of which is there once.
    Object(Box<[(Cow<'t, str>, Json<'t>)]>),
}

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
    /// The text of a string; `None` for other values.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a number; `None` for other values.
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(**number),
            _ => None,
        }
    }

    fn number(number: Number) -> Self {
        Self::Number(Box::new(number))
    }

    fn object(mut entries: Vec<(Cow<'t, str>, Self)>) -> Self {
        // Of equal keys the last counts, as in most readers of JSON.
        entries.reverse();
        if !entries.is_sorted_by(|(left, _), (right, _)| left < right) {
            entries = sorted(entries, |(left, _), (right, _)| left.cmp(right));
        }
        entries.dedup_by(|(later, _), (kept, _)| later == kept);
        Self::Object(entries.into())
    }
}

impl<'t> From<&'t Value> for Json<'t> {
    fn from(value: &'t Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Self::number(Number::Integer(integer)),
                (None, value) => Self::number(Number::Float(value.unwrap_or(f64::NAN))),
            },
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(list) => Self::List(list.iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::object(map.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), value.into())).collect())
            }
        }
    }
}

impl From<&Json<'_>> for Value {
    fn from(json: &Json<'_>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match **number {
                Number::Integer(integer) => integer.into(),
                Number::Float(value) => value.into(),
            },
            Json::Text(text) => Self::String(text.as_ref().to_owned()),
            Json::List(list) => Self::Array(list.iter().map(Self::from).collect()),
            Json::Object(entries) => {
                Self::Object(entries.iter().map(|(key, value)| (key.as_ref().to_owned(), value.into())).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::number(i64::try_from(value).map_or(Number::Float(value as f64), Number::Integer)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::number(Number::Integer(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::number(Number::Float(value)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut object = Vec::new();
        while let Some((Json::Text(key), value)) = entries.next_entry()? {
            object.push((key, value));
        }
        Ok(Json::object(object))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::Value;

    use super::{Json, Number};

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
            let read = serde_json::from_str::<Json<'_>>(text).map_err(|error| error.to_string());
            let value = serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
            assert_eq!(read, value.as_ref().map(Json::from).map_err(String::clone), "{text}");
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
        let read = serde_json::from_str::<Json<'_>>(r#"["plain", "esc\naped"]"#).ok();
        let Some(Json::List(list)) = read else { panic!("a list") };
        assert!(matches!(&list[..], [Json::Text(Cow::Borrowed("plain")), Json::Text(Cow::Owned(_))]), "{list:?}");
    }
}
