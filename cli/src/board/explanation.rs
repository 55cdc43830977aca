//! What the form of the page asks: `canaryctl explain`, by the configuration that Envoy has loaded.

use canary_routing::explain::Question;
use serde::Deserialize;
use serde_json::{Value, json};

use super::watch::Watch;
use crate::explain;

/// A request to explain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    method: String,
    url: String,
    /// Lines `NAME: VALUE`.
    #[serde(default)]
    headers: Vec<String>,
    /// Clusters that count as missing.
    #[serde(default)]
    unavailable: Vec<String>,
}

/// What each loaded configuration does with a request, as data and as text.
///
/// # Errors
/// What is wrong with the question, or why there is no configuration.
pub(super) async fn explain(watch: &Watch, body: &[u8]) -> Result<Value, String> {
    let question = question(body)?;
    let documents = watch.documents().await?;
    let answers = documents.iter().map(|document| {
        let (config, _) = document.read().map_err(|errors| errors.join("\n"))?;
        let text = explain::explained(document, &config, &question);
        Ok(json!({"configuration": document.file(), "answer": explain::answer(&config, &question), "text": text}))
    });
    answers.collect::<Result<Vec<Value>, String>>().map(|answers| json!({"answers": answers}))
}

fn question(body: &[u8]) -> Result<Question, String> {
    let asked: Asked = serde_json::from_slice(body).map_err(|error| format!("the question: {error}"))?;
    if asked.method.is_empty() || asked.method.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("the method {:?} is none", asked.method));
    }
    let url = explain::parse_url(asked.url.trim()).map_err(|error| format!("the URL: {error}"))?;
    let headers = asked.headers.iter().filter(|line| !line.trim().is_empty());
    let headers = headers.map(|line| explain::parse_header(line).map_err(|error| format!("{line:?}: {error}")));
    let mut request = explain::request(&asked.method, &url, &headers.collect::<Result<Vec<_>, _>>()?);
    request.now = explain::clock();
    Ok(Question { unavailable: asked.unavailable, ..Question::new(request) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read() {
        for (row, body, expected) in [
            ("method and URL", r#"{"method": "GET", "url": "http://reviews:9080/1"}"#, Ok(("reviews:9080", 0))),
            (
                "headers, an empty line",
                r#"{"method": "GET", "url": "http://reviews/", "headers": ["end-user: jason", "", "Host: other"]}"#,
                Ok(("other", 1)),
            ),
            ("no URL", r#"{"method": "GET"}"#, Err("missing field `url`")),
            ("a path", r#"{"method": "GET", "url": "/1"}"#, Err("an absolute URL is needed")),
            ("no method", r#"{"method": "", "url": "http://a/"}"#, Err("the method \"\"")),
            ("a method of two words", r#"{"method": "G ET", "url": "http://a/"}"#, Err("the method")),
            ("no header", r#"{"method": "GET", "url": "http://a/", "headers": ["x"]}"#, Err("NAME: VALUE")),
            ("an unknown field", r#"{"method": "GET", "url": "http://a/", "x": 1}"#, Err("unknown field `x`")),
            ("no JSON", "x", Err("the question")),
        ] {
            let found = question(body.as_bytes());
            match (found, expected) {
                (Ok(question), Ok((authority, headers))) => {
                    assert_eq!(question.request.authority, authority.as_bytes(), "{row}");
                    assert_eq!(question.request.headers.len(), headers, "{row}");
                }
                (Err(error), Err(part)) => assert!(error.contains(part), "{row}: {error}"),
                (found, expected) => panic!("{row}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
