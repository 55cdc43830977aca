//! A JSON document, small enough to hold large ones beside what is read from them.
//!
//! [`serde_json::Value`] takes some 400 bytes for each object in a proxy's VM, which grows for it and never shrinks again.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::sorted::sorted;

/// A value; text is borrowed from the document's wherever it has no escapes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'t> {
    Null,
    Bool(bool),
    Number(Box<Number>),
    Text(Cow<'t, str>),
    List(Box<[Json<'t>]>),
    /// In the order of the keys, each of which is there once.
    Object(Box<[(Cow<'t, str>, Json<'t>)]>),
}

impl<'t> Json<'t> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
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
            Value::Number(number) => Self::Number(Box::new(number.clone())),
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
            Json::Number(number) => Self::Number(number.as_ref().clone()),
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
        Ok(Json::Number(Box::new(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(Box::new(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, |number| Json::Number(Box::new(number))))
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

    use super::Json;

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
            assert_eq!(read.as_ref().map(Value::from), value.as_ref().cloned(), "{text}");
            assert_eq!(value.as_ref().map(Json::from).ok(), read.ok(), "{text}");
        }
    }

    #[test]
    fn copies_no_text_without_escapes() {
        let read = serde_json::from_str::<Json<'_>>(r#"["plain", "esc\naped"]"#).ok();
        let Some(Json::List(list)) = read else { panic!("a list") };
        assert!(matches!(&list[..], [Json::Text(Cow::Borrowed("plain")), Json::Text(Cow::Owned(_))]), "{list:?}");
    }
}
