//! A walk through the schema that knows, for each of its places, a document that has the place.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value, json};

/// A place, and a document that has it.
#[derive(Clone)]
pub(crate) struct Place<'s> {
    pub(crate) pointer: String,
    pub(crate) document: Value,
    /// The definition that the place belongs to, for messages.
    definition: &'s str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pointer, self.definition)
    }
}

impl Place<'_> {
    /// The document with another value at the place.
    pub(crate) fn with_value(&self, value: Value) -> Value {
        let mut document = self.document.clone();
        *document.pointer_mut(&self.pointer).unwrap() = value;
        document
    }

    /// The document with a field in the object at the place.
    pub(crate) fn with_field(&self, name: &str, value: Value) -> Value {
        let mut object = self.document.pointer(&self.pointer).unwrap().clone();
        object[name] = value;
        self.with_value(object)
    }

    /// The document without a field of the object at the place.
    pub(crate) fn without_field(&self, name: &str) -> Value {
        let mut object = self.document.pointer(&self.pointer).unwrap().clone();
        object.as_object_mut().unwrap().remove(name);
        self.with_value(object)
    }
}

/// The smallest values that the reader takes, where required fields alone do not make one.
fn smallest(definition: &str) -> Option<Value> {
    let destination = json!({"host": "a"});
    let rule = json!({"route": [{"destination": destination}]});
    Some(match definition {
        "VirtualService" => json!({"hosts": ["a"], "http": [rule]}),
        "HttpRoute" => rule,
        "Policy" => json!({"hosts": ["a"], "defaultSubset": "v1"}),
        "ShortServiceObject" => json!({"spec": {"host": "a", "ports": []}}),
        "StickyKey" => json!({"cookie": "v1"}),
        "IssueCookie" => json!({"name": "v1"}),
        "Fault" => json!({"abort": {"httpStatus": 500}}),
        "FaultAbort" => json!({"httpStatus": 500}),
        "FaultDelay" => json!({"fixedDelay": "1s"}),
        "GrpcFailure" => json!("unavailable"),
        "Retries" => json!({"attempts": 1}),
        "Rewrite" => json!({"uri": "/"}),
        "Redirect" => json!({"uri": "/"}),
        "RegexRewrite" => json!({"match": "a", "rewrite": "b"}),
        "TrustedSource" => json!({"principal": "a"}),
        "Ramp" => json!({"subset": "v2", "start": "2026-11-21T08:00:00Z", "duration": "1s"}),
        _ => return None,
    })
}

/// Whether a field cannot stand beside another, which may be its other spelling.
fn excludes(definition: &str, name: &str, other: &str) -> bool {
    let answers = ["redirect", "directResponse", "direct_response", "delegate"];
    match definition {
        "StickyKey" => true,
        "HttpRoute" if answers.contains(&name) => other == "route",
        "FaultAbort" if name.starts_with("grpc") => other == "httpStatus",
        "Rewrite" | "Redirect" if name != "uri" => other == "uri",
        _ => snake_case(other) == name,
    }
}

pub(crate) struct Schema<'s> {
    definitions: &'s Map<String, Value>,
    /// Definitions that have been walked, by the definition and the field that led there: candidate's fields are the live ones'.
    walked: RefCell<HashSet<(&'s str, String, &'s str)>>,
}

impl<'s> Schema<'s> {
    pub(crate) fn new(schema: &'s Value) -> Self {
        Self { definitions: schema["definitions"].as_object().unwrap(), walked: RefCell::default() }
    }

    /// Every object with fields, with the schemas of its fields.
    pub(crate) fn visit_objects(&self, mut visit: impl FnMut(&Place<'s>, &'s Map<String, Value>)) {
        self.visit(&mut |place, schema| {
            if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
                visit(place, fields);
            }
        });
    }

    /// Every value within the document.
    pub(crate) fn visit_values(&self, mut visit: impl FnMut(&Place<'s>, &'s Value)) {
        self.visit(&mut |place, schema| {
            if !place.pointer.is_empty() {
                visit(place, schema);
            }
        });
    }

    fn visit(&self, visit: &mut dyn FnMut(&Place<'s>, &'s Value)) {
        let root = &self.definitions["Configuration"];
        let place = Place { pointer: String::new(), document: json!({}), definition: "Configuration" };
        self.walk(root, place, visit);
        let walked = self.walked.borrow();
        let is_missed = |name: &&String| !walked.iter().any(|(.., definition)| definition == name);
        let missed: Vec<_> = self.definitions.keys().filter(is_missed).collect();
        assert_eq!(missed, ["Configuration", "Manifest"], "definitions that the walk has not found");
    }

    fn walk(&self, schema: &'s Value, mut place: Place<'s>, visit: &mut dyn FnMut(&Place<'s>, &'s Value)) {
        let (definition, schema) = self.resolve(schema);
        if let Some(definition) = definition {
            let field = place.pointer.rsplit('/').next().unwrap_or_default().to_owned();
            if !self.walked.borrow_mut().insert((place.definition, field, definition)) {
                return;
            }
            place.definition = definition;
        }
        if schema.get("else").is_some() {
            for branch in ["then", "else"] {
                let document = place.with_value(self.smallest(&schema[branch]));
                self.walk(&schema[branch], Place { document, ..place.clone() }, visit);
            }
            return;
        }
        visit(&place, schema);
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let below = self.below(&place, name, field);
            if name.contains('_') {
                visit(&below, self.resolve(field).1);
            } else {
                self.walk(field, below, visit);
            }
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            self.walk(values, self.below(&place, "a", values), visit);
        }
        if let Some(items) = schema.get("items") {
            let pointer = format!("{}/0", place.pointer);
            let document = place.with_value(json!([self.smallest(items)]));
            self.walk(items, Place { pointer, document, ..place }, visit);
        }
    }

    fn below(&self, place: &Place<'s>, name: &str, field: &'s Value) -> Place<'s> {
        let mut object = place.document.pointer(&place.pointer).unwrap().clone();
        let fields = object.as_object_mut().unwrap();
        fields.retain(|other, _| other == name || !excludes(place.definition, name, other));
        fields.entry(name).or_insert_with(|| self.smallest(field));
        let pointer = format!("{}/{name}", place.pointer);
        Place { pointer, document: place.with_value(object), definition: place.definition }
    }

    /// The schema that a reference leads to, or the one beside `null`, with the name of its definition.
    fn resolve(&self, schema: &'s Value) -> (Option<&'s str>, &'s Value) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let (name, definition) = self.definitions.get_key_value(reference.rsplit('/').next().unwrap()).unwrap();
            let (inner, resolved) = self.resolve(definition);
            return (inner.or(Some(name)), resolved);
        }
        let single = |keyword: &str| schema.get(keyword)?.as_array()?.iter().find(|part| part.get("$ref").is_some());
        match single("anyOf").or_else(|| single("allOf")) {
            Some(part) => self.resolve(part),
            None => (None, schema),
        }
    }

    /// A small value that the schema takes.
    fn smallest(&self, schema: &'s Value) -> Value {
        let (definition, schema) = self.resolve(schema);
        if let Some(value) = definition.and_then(smallest) {
            return value;
        }
        if schema.get("else").is_some() {
            return self.smallest(&schema["else"]);
        }
        if let Some(words) = schema.get("enum") {
            return words[0].clone();
        }
        let kind = schema.get("type").map(|kind| if kind.is_array() { &kind[0] } else { kind });
        match kind.and_then(Value::as_str).unwrap_or("null") {
            "object" => self.smallest_object(schema),
            "array" if schema.get("minItems").is_some() => json!([self.smallest(&schema["items"])]),
            "array" => json!([]),
            "string" => smallest_text(schema).into(),
            "boolean" => json!(false),
            "integer" | "number" => schema.get("minimum").or_else(|| schema.get("maximum")).cloned().unwrap(),
            _ => Value::Null,
        }
    }

    /// What is required, and the kind, which tells objects apart.
    fn smallest_object(&self, schema: &'s Value) -> Value {
        let required =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().map(|name| name.as_str().unwrap());
        let fields = &schema["properties"];
        let kind = fields.get("kind").map(|_| "kind");
        required.chain(kind).map(|name| (name.to_owned(), self.smallest(&fields[name]))).collect::<Map<_, _>>().into()
    }
}

fn smallest_text(schema: &Value) -> &'static str {
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    let texts = [
        "v1",
        "1s",
        "/",
        "2026-11-21T08:00:00Z",
        "https",
        "reset",
        "GET",
        "ab54d286f1ed0d7ea6a2ab4d9aa8ab54d286f1ed0d7ea6a2ab4d9aa8ab54d286",
    ];
    texts.into_iter().find(|text| validator.is_valid(&json!(text))).unwrap_or_else(|| panic!("no text is {schema}"))
}

/// The proto's spelling of a field.
pub(crate) fn snake_case(name: &str) -> String {
    let spell = |letter: char| match letter {
        'A'..='Z' => format!("_{}", letter.to_ascii_lowercase()),
        letter => letter.to_string(),
    };
    name.chars().map(spell).collect()
}

/// What a schema offers by name: the ends of its range, the words of its enumeration.
pub(crate) fn bounds_and_words(schema: &Value) -> impl Iterator<Item = Value> {
    let ends = ["minimum", "maximum"].into_iter().filter_map(|keyword| schema.get(keyword).cloned());
    let whole =
        |value: Value| value.as_f64().filter(|end| end.fract() == 0.0).map_or(value.clone(), |end| json!(end as i64));
    let words = schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
    ends.map(whole).chain(words).collect::<Vec<_>>().into_iter()
}

/// Whole numbers just beyond the ends of a schema's range.
pub(crate) fn beyond(schema: &Value) -> impl Iterator<Item = Value> {
    let ends = [("minimum", -1.0), ("maximum", 1.0)];
    let end = |(keyword, step): (&str, f64)| Some(json!((schema.get(keyword)?.as_f64()? + step) as i64));
    ends.into_iter().filter_map(end).collect::<Vec<_>>().into_iter()
}
