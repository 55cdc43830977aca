//! The claims of a validated JWT, from the metadata that Envoy's JWT filter writes.
//!
//! A single claim cannot be read: the host returns bare bytes, where eight bytes may be a number or a string, and it
//! fails for an object that contains a null. So the whole metadata is read: a serialized
//! `envoy.config.core.v3.Metadata`, in which each `google.protobuf.Value` has a type.

use canary_routing::Claim;

use super::protobuf::{Field, fields};

/// The property with the stream's dynamic metadata.
pub(crate) const METADATA: &str = "metadata";

const JWT_FILTER: &str = "envoy.filters.http.jwt_authn";
/// The JWT filter's `payload_in_metadata`: istiod's name, and the one of Envoy's documentation.
const PAYLOAD_KEYS: [&str; 2] = ["payload", "jwt_payload"];

/// `Metadata.filter_metadata` and `Struct.fields`.
const MAP: u32 = 1;
/// An entry of a map.
const KEY: u32 = 1;
const VALUE: u32 = 2;
/// `ListValue.values`.
const VALUES: u32 = 1;

/// A serialized `Metadata`. Malformed parts count as absent.
pub(crate) struct Metadata(Vec<u8>);

/// A serialized `google.protobuf.Value`.
#[derive(Clone, Copy)]
enum Value<'m> {
    Text(&'m [u8]),
    Struct(&'m [u8]),
    List(&'m [u8]),
    /// A null, a number or a boolean.
    Other,
}

impl Metadata {
    pub(crate) const fn new(serialized: Vec<u8>) -> Self {
        Self(serialized)
    }

    /// The claim at this path.
    pub(crate) fn claim(&self, path: &[String]) -> Claim {
        match self.payload().and_then(|payload| descend(payload, path)) {
            Some(Value::Text(text)) => Claim::Text(text.to_vec()),
            Some(Value::List(list)) => Claim::List(texts(list)),
            Some(Value::Struct(_) | Value::Other) | None => Claim::None,
        }
    }

    fn payload(&self) -> Option<Value<'_>> {
        let of_filter = entry(&self.0, JWT_FILTER)?;
        PAYLOAD_KEYS.iter().find_map(|key| entry(of_filter, key)).map(Value::parse)
    }
}

impl<'m> Value<'m> {
    /// Parses a value. As in every `oneof`, the last field counts.
    fn parse(message: &'m [u8]) -> Self {
        let value = |field| match field {
            (3, Field::Bytes(text)) => Self::Text(text),
            (5, Field::Bytes(fields)) => Self::Struct(fields),
            (6, Field::Bytes(list)) => Self::List(list),
            _ => Self::Other,
        };
        fields(message).last().map_or(Self::Other, value)
    }
}

fn descend<'m>(payload: Value<'m>, path: &[String]) -> Option<Value<'m>> {
    path.iter().try_fold(payload, |value, key| match value {
        Value::Struct(fields) => entry(fields, key).map(Value::parse),
        Value::Text(_) | Value::List(_) | Value::Other => None,
    })
}

fn texts(list: &[u8]) -> Vec<Vec<u8>> {
    let values = submessages(list, VALUES).map(Value::parse);
    values.filter_map(|value| if let Value::Text(text) = value { Some(text.to_vec()) } else { None }).collect()
}

/// The value of a key in a map. The last entry of a key counts.
fn entry<'m>(message: &'m [u8], key: &str) -> Option<&'m [u8]> {
    let of_key = |entry: &&[u8]| submessages(entry, KEY).last().unwrap_or_default() == key.as_bytes();
    let entry = submessages(message, MAP).filter(of_key).last()?;
    Some(submessages(entry, VALUE).last().unwrap_or_default())
}

/// The content of each field with this number that is bytes, a string or a message.
fn submessages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        Field::Bytes(_) | Field::Number => None,
    })
}
