//! The second spelling of each field.

use schemars::Schema;
use serde_json::Value;

/// Adds the proto's snake_case beside each camelCase field, without suggesting it.
pub(super) fn add_snake_case(schema: &mut Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    let spelled: Vec<(String, Value)> = properties
        .iter()
        .filter(|(name, _)| name.bytes().any(|byte| byte.is_ascii_uppercase()))
        .map(|(name, field)| (snake_case(name), unsuggested(field.clone())))
        .collect();
    properties.extend(spelled);
}

fn unsuggested(mut field: Value) -> Value {
    if let Some(keywords) = field.as_object_mut() {
        keywords.insert("doNotSuggest".to_owned(), true.into());
    }
    field
}

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
