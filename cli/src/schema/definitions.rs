//! The definitions of the JSON Schema, from the vocabulary of the configuration.

use std::collections::BTreeMap;

use canary_config::vocabulary::{Alternative, Entry, Field, KUBERNETES_OBJECT, Kind, Named, Object};
use serde_json::{Map, Value, json};

/// Definitions by name. Each method adds what it needs and returns a reference to it.
#[derive(Debug, Default)]
pub(super) struct Definitions(BTreeMap<String, Value>);

impl Definitions {
    /// All definitions as one JSON object.
    pub(super) fn into_json(self) -> Value {
        self.0.into_iter().collect::<Map<_, _>>().into()
    }

    /// Adds a definition.
    pub(super) fn add(&mut self, name: &str, definition: Value) -> Value {
        self.0.insert(name.to_owned(), definition);
        reference(name)
    }

    /// An object with its fields.
    pub(super) fn object(&mut self, object: &'static Object) -> Value {
        let Some(about) = &object.reference else { return json!({"type": "object"}) };
        self.once(about.name, |definitions| {
            let fields = object.names.iter().zip(about.fields).map(|(name, field)| (*name, field, None));
            definitions.fields(about.description, object.is_open, fields)
        })
    }

    /// A whole Kubernetes object.
    pub(super) fn whole(&mut self, alternative: &'static Alternative) -> Value {
        let Some(about) = &KUBERNETES_OBJECT.reference else { return json!({"type": "object"}) };
        self.once(alternative.name, |definitions| {
            let kinds = definitions.named(alternative.kinds);
            let spec = definitions.object(alternative.spec);
            let fields = KUBERNETES_OBJECT.names.iter().zip(about.fields).map(|(name, field)| match *name {
                "kind" => (*name, field, Some(kinds.clone())),
                "spec" => (*name, field, Some(spec.clone())),
                _ => (*name, field, None),
            });
            definitions.fields(about.description, KUBERNETES_OBJECT.is_open, fields)
        })
    }

    /// Adds a definition unless it is there.
    fn once(&mut self, name: &str, definition: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), Value::Null);
            let definition = definition(self);
            self.0.insert(name.to_owned(), definition);
        }
        reference(name)
    }

    /// An object from its fields; the third part replaces a field's own kind.
    fn fields(
        &mut self,
        description: &str,
        is_open: bool,
        fields: impl Iterator<Item = (&'static str, &'static Field, Option<Value>)>,
    ) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (name, field, kind) in fields {
            let kind = kind.unwrap_or_else(|| self.kind(&field.kind));
            let schema = with_details(field, kind);
            if field.is_required {
                required.push(name);
            }
            let snake = snake_case(name);
            if snake != name {
                let mut unsuggested = schema.clone();
                unsuggested.insert("doNotSuggest".to_owned(), true.into());
                properties.insert(snake, unsuggested.into());
            }
            properties.insert(name.to_owned(), schema.into());
        }
        let mut object = json!({"description": description, "type": "object", "properties": properties});
        if !is_open {
            set(&mut object, "additionalProperties", false);
        }
        if !required.is_empty() {
            set(&mut object, "required", required);
        }
        object
    }

    fn named(&mut self, named: &'static Named) -> Value {
        self.once(named.name, |definitions| {
            let mut schema = definitions.kind(&named.kind);
            set(&mut schema, "description", named.description);
            schema
        })
    }

    /// A whole object or its bare spec.
    fn entry(&mut self, entry: &'static Entry) -> Value {
        self.once(entry.name, |definitions| {
            let bare = definitions.object(entry.whole.spec);
            let mut schema = json!({"if": is_whole(), "then": definitions.whole(&entry.whole), "else": bare});
            for alternative in entry.of_kind.iter().rev() {
                let then = definitions.whole(alternative);
                schema = json!({"if": is_of_kind(alternative.kinds), "then": then, "else": schema});
            }
            set(&mut schema, "description", entry.description);
            schema
        })
    }

    fn kind(&mut self, kind: &'static Kind) -> Value {
        match kind {
            Kind::Any => json!({}),
            Kind::AnyObject => json!({"type": "object", "additionalProperties": true}),
            Kind::Text => json!({"type": "string"}),
            Kind::NonEmptyText => json!({"type": "string", "minLength": 1}),
            Kind::Pattern(pattern, "") => json!({"type": "string", "pattern": pattern}),
            Kind::Pattern(pattern, message) => {
                json!({"type": "string", "pattern": pattern, "patternErrorMessage": message})
            }
            Kind::Timestamp => json!({"type": "string", "format": "date-time"}),
            Kind::Boolean => json!({"type": "boolean"}),
            Kind::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
            Kind::Number(min, max) => json!({"type": "number", "minimum": min, "maximum": max}),
            Kind::Ratio => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1.0}),
            Kind::Words(words) => {
                let (words, meanings): (Vec<_>, Vec<_>) = words.iter().copied().unzip();
                json!({"type": "string", "enum": words, "enumDescriptions": meanings})
            }
            Kind::List(element) => json!({"type": "array", "items": self.kind(element)}),
            Kind::NonEmptyList(element) => json!({"type": "array", "items": self.kind(element), "minItems": 1}),
            Kind::Map(value) => json!({"type": "object", "additionalProperties": self.kind(value)}),
            Kind::Nested(object) => self.object(object),
            Kind::Named(named) => self.named(named),
            Kind::Entry(entry) => self.entry(entry),
            Kind::Schema(schema) => schema(),
            Kind::NotSupported => json!({
                "type": "null",
                "doNotSuggest": true,
                "errorMessage": "not supported: Istio does not support it either",
            }),
        }
    }
}

/// A field's schema: its kind, beside `null` where it may be absent, with what an editor shows.
fn with_details(field: &Field, kind: Value) -> Map<String, Value> {
    let is_reference = kind.get("$ref").is_some();
    let mut schema = match kind {
        kind if is_reference && field.is_required => Map::from_iter([("allOf".to_owned(), json!([kind]))]),
        kind if is_reference => Map::from_iter([("anyOf".to_owned(), json!([kind, {"type": "null"}]))]),
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    if let Some(Value::String(kind)) = schema.get("type").filter(|kind| !field.is_required && *kind != "null") {
        let optional = json!([kind, "null"]);
        schema.insert("type".to_owned(), optional);
    }
    schema.insert("description".to_owned(), field.description.into());
    if let Some(default) = field.default.and_then(|json| serde_json::from_str::<Value>(json).ok()) {
        schema.insert("default".to_owned(), default);
    }
    if let Some(message) = field.deprecated {
        schema.insert("deprecationMessage".to_owned(), message.into());
    }
    schema
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

fn set(schema: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(fields) = schema {
        fields.insert(key.to_owned(), value.into());
    }
}

/// Whether an object is whole: it has a kind or a spec.
fn is_whole() -> Value {
    let has = |field: &str| json!({"properties": {field: {"not": {"type": "null"}}}, "required": [field]});
    json!({"anyOf": [has("kind"), has("spec")]})
}

/// Whether an object is of the kind that a definition names.
pub(super) fn is_of_kind(kinds: &Named) -> Value {
    let words = if let Kind::Words(words) = &kinds.kind { *words } else { &[] };
    let kind = words.first().map(|(word, _)| *word);
    json!({"properties": {"kind": {"const": kind}}, "required": ["kind"]})
}

/// The proto's spelling of a field.
fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len().saturating_add(4));
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
