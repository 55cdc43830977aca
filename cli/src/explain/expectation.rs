//! `expect` in a file of requests: parts of the answers that must be so, which makes the file a test of a configuration.

use serde_json::Value;

/// An expected value that the answer does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// JSON pointer of the value in the answer.
    pub(super) pointer: String,
    pub(super) expected: String,
    pub(super) found: String,
}

/// The differences between the expectation of the request at `at`, a JSON pointer, and its answer. Of objects, only the
/// expected fields are compared; lists are compared element by element.
///
/// # Errors
/// Fields that no answer has.
pub(super) fn compare(at: &str, expected: &Value, answer: &Value) -> Result<Vec<Difference>, String> {
    let (Value::Object(expected), Value::Object(fields)) = (expected, answer) else {
        return Err(format!("{at}/expect: an object is needed, with fields of the answer that `--output json` prints"));
    };
    let is_field = |name: &str| fields.contains_key(name) || ["differs", "candidate"].contains(&name);
    if let Some(unknown) = expected.keys().find(|name| !is_field(name)) {
        let known: Vec<&str> = fields.keys().map(String::as_str).collect();
        return Err(format!("{at}/expect/{unknown}: unknown field; known here: {}", known.join(", ")));
    }
    let mut found = Vec::new();
    for (name, value) in expected {
        add_differences(format!("/{name}"), value, fields.get(name).unwrap_or(&Value::Null), &mut found);
    }
    Ok(found)
}

fn add_differences(pointer: String, expected: &Value, answer: &Value, found: &mut Vec<Difference>) {
    match (expected, answer) {
        (Value::Object(expected), Value::Object(fields)) => {
            for (name, value) in expected {
                let below = fields.get(name).unwrap_or(&Value::Null);
                add_differences(format!("{pointer}/{name}"), value, below, found);
            }
        }
        (Value::Array(expected), Value::Array(elements)) if expected.len() == elements.len() => {
            for (index, (value, element)) in expected.iter().zip(elements).enumerate() {
                add_differences(format!("{pointer}/{index}"), value, element, found);
            }
        }
        _ if expected == answer => {}
        _ => found.push(Difference { pointer, expected: expected.to_string(), found: answer.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expected_parts_are_compared() {
        let answer = json!({"subset": "v1", "retry": {"attempts": 2, "retryOn": "5xx"}, "mirrors": [{"cluster": "a"}], "delayMs": null});
        for (row, expected, differences) in [
            ("the same", json!({"subset": "v1"}), vec![]),
            ("another value", json!({"subset": "v2"}), vec!["/subset: expected \"v2\", found \"v1\""]),
            ("part of an object", json!({"retry": {"attempts": 2}}), vec![]),
            ("another part", json!({"retry": {"attempts": 3}}), vec!["/retry/attempts: expected 3, found 2"]),
            ("an object that is absent", json!({"delayMs": 5}), vec!["/delayMs: expected 5, found null"]),
            (
                "an element",
                json!({"mirrors": [{"cluster": "b"}]}),
                vec!["/mirrors/0/cluster: expected \"b\", found \"a\""],
            ),
            ("a longer list", json!({"mirrors": []}), vec!["/mirrors: expected [], found [{\"cluster\":\"a\"}]"]),
            ("nothing of it", json!({"candidate": null}), vec![]),
        ] {
            let found = compare("/0", &expected, &answer).unwrap();
            let line = |one: &Difference| format!("{}: expected {}, found {}", one.pointer, one.expected, one.found);
            assert_eq!(found.iter().map(line).collect::<Vec<_>>(), differences, "{row}");
        }
        for (row, expected, error) in [
            ("an unknown field", json!({"version": "v1"}), "/0/expect/version: unknown field; known here: delayMs, "),
            ("no object", json!("v1"), "/0/expect: an object is needed"),
        ] {
            let found = compare("/0", &expected, &answer).unwrap_err();
            assert!(found.starts_with(error), "{row}: {found}");
        }
    }
}
