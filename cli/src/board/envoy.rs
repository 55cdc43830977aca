//! The Envoy that is watched: its statistics, and the configuration that it has loaded.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use canary_routing::fingerprint;
use hyper::{Response, StatusCode, Uri};
use serde_json::Value;

use super::stats::{self, Reading};
use crate::{address::HostPort, http};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The port of an `http://` URL that names none.
const HTTP_PORT: u16 = 80;
/// Where filters' configurations are found: by extension configuration discovery, and in the listeners.
const PLACES: [(&str, &str); 3] = [
    ("ecds_filters", "/ecds_filter"),
    ("dynamic_listeners", "/active_state/listener"),
    ("static_listeners", "/listener"),
];

/// The URL of an Envoy's admin interface: `http://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvoyUrl(HostPort);

impl From<HostPort> for EnvoyUrl {
    fn from(address: HostPort) -> Self {
        Self(address)
    }
}

impl FromStr for EnvoyUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not http://HOST[:PORT], such as http://127.0.0.1:9901");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
        let (Some("http"), Some(authority), true) = (uri.scheme_str(), uri.authority(), is_bare) else {
            return Err(wrong());
        };
        let named = authority.as_str().parse();
        named.or_else(|_| format!("{authority}:{HTTP_PORT}").parse()).map(Self).map_err(|_: String| wrong())
    }
}

impl fmt::Display for EnvoyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// A document that a filter was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    /// The filter's name in Envoy's configuration.
    pub(super) plugin: String,
    /// As `canary_config_version` shows it.
    pub(super) version: u64,
    pub(super) document: Value,
}

impl EnvoyUrl {
    /// The filter's statistics.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn statistics(&self) -> Result<Reading, String> {
        Reading::parse(&self.get(stats::PATH).await?)
    }

    /// The documents that this Envoy's filters were given last. A filter that comes by discovery may have refused its
    /// document: Envoy shows the last one that came, not the last good one.
    ///
    /// # Errors
    /// When Envoy does not say.
    pub(super) async fn configurations(&self) -> Result<Vec<Given>, String> {
        let mut all = Vec::new();
        for (resource, pointer) in PLACES {
            let answer = self.ask(&format!("/config_dump?resource={resource}")).await?;
            // An Envoy without discovered filters answers that there is no such resource.
            if answer.status() == StatusCode::NOT_FOUND {
                continue;
            }
            let dump: Value =
                serde_json::from_slice(answer.body()).map_err(|error| format!("{self}: config_dump: {error}"))?;
            all.extend(given(&dump, pointer));
        }
        Ok(all)
    }

    async fn get(&self, path: &str) -> Result<Bytes, String> {
        let answer = self.ask(path).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(format!("{self} answers {status}: is it Envoy's admin interface?")),
        }
    }

    async fn ask(&self, path: &str) -> Result<Response<Bytes>, String> {
        let answer = http::get((self.0.host(), self.0.port()), &self.0.to_string(), path, TIMEOUT).await;
        answer.map_err(|error| format!("{self}: {error}"))
    }
}

/// The documents in what a configuration dump has in force.
fn given(dump: &Value, pointer: &str) -> Vec<Given> {
    let mut found = Vec::new();
    let configs = dump.get("configs").and_then(Value::as_array);
    let in_force = configs.into_iter().flatten().filter_map(|config| config.pointer(pointer));
    in_force.for_each(|config| find(config, &mut found));
    found
}

/// Wherever it stands, also in other filters that hold filters. A filter of several listeners is told once.
fn find(value: &Value, found: &mut Vec<Given>) {
    match value {
        Value::Object(fields) => {
            let is_wasm =
                fields.get("@type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with(".wasm.v3.Wasm"));
            let given = fields.get("config").filter(|_| is_wasm).and_then(document);
            found.extend(given.filter(|given| !found.contains(given)));
            fields.values().for_each(|value| find(value, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| find(element, found)),
        _ => {}
    }
}

/// The document of a plugin's configuration: JSON in a `StringValue`, as the filter takes it.
fn document(plugin: &Value) -> Option<Given> {
    const FIELDS: [&str; 3] = ["virtualServices", "virtual_services", "mode"];
    let text = plugin.pointer("/configuration/value")?.as_str()?;
    let document: Value = serde_json::from_str(text).ok()?;
    let fields = document.as_object()?;
    // Other modules have other fields.
    let is_ours = FIELDS.iter().any(|field| fields.contains_key(*field));
    let name = plugin.get("name").and_then(Value::as_str).unwrap_or_default();
    is_ours.then(|| Given { plugin: name.to_owned(), version: fingerprint(text.as_bytes()), document })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_envoy_is_a_url_without_a_path() {
        for (text, expected) in [
            ("http://127.0.0.1:9901", Some("http://127.0.0.1:9901")),
            ("http://envoy:9901/", Some("http://envoy:9901")),
            ("http://envoy", Some("http://envoy:80")),
            ("http://[::1]:1", Some("http://[::1]:1")),
            ("https://envoy:9901", None),
            ("http://envoy:9901/stats", None),
            ("http://me@envoy:9901", None),
            ("http://envoy:70000", None),
            ("127.0.0.1:9901", None),
            ("", None),
        ] {
            let parsed: Result<EnvoyUrl, String> = text.parse();
            assert_eq!(parsed.ok().map(|url| url.to_string()).as_deref(), expected, "{text:?}");
        }
    }

    fn wasm(name: &str, document: &str) -> Value {
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"name": name, "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": document}},
        })
    }

    #[test]
    fn documents_in_force_are_found() {
        let ours = wasm("canary", r#"{"virtualServices": []}"#);
        let listener =
            |filters: Value| json!({"filter_chains": [{"filters": [{"typed_config": {"http_filters": filters}}]}]});
        for (row, config, expected) in [
            ("inline", json!({"listener": listener(json!([{"typed_config": ours}]))}), vec!["canary"]),
            ("two chains, one document", json!({"listener": [ours, ours]}), vec!["canary"]),
            (
                "two documents",
                json!({"listener": [ours, wasm("other", r#"{"mode": "version"}"#)]}),
                vec!["canary", "other"],
            ),
            ("another module", json!({"listener": [wasm("x", r#"{"a": 1}"#)]}), vec![]),
            ("no JSON", json!({"listener": [wasm("x", "virtualServices")]}), vec![]),
            ("a refused one", json!({"error_state": {"failed_configuration": ours}}), vec![]),
            ("nothing", json!({}), vec![]),
        ] {
            let found = given(&json!({"configs": [config]}), "/listener");
            assert_eq!(found.iter().map(|given| given.plugin.as_str()).collect::<Vec<_>>(), expected, "{row}");
        }
        assert_eq!(given(&json!({}), "/listener"), []);
    }
}
