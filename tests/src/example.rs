//! The examples of `envoy-configs/examples`: configurations, and requests with what must come of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use canary_config::{Config, DestinationKey};
use canary_routing::explain::Question;
use serde_json::{Map, Value, json};

use crate::{
    binaries,
    canary::{Backend, NATIVE},
    client::Request,
};

/// One folder with `config.yaml` and `requests.yaml`.
#[derive(Debug)]
pub struct Example {
    /// Group and name of the folder, such as `bookinfo/03-jason`.
    pub name: String,
    /// `config.yaml`.
    pub document: Value,
    /// `requests.yaml`.
    pub rows: Vec<Row>,
}

/// A request, and what must come of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The request, and what it says of proxy and chance.
    pub question: Question,
    /// What must come of it, by these keys; any other is a key of `canaryctl explain`'s answer.
    ///
    /// - `service`, `version`: who serves; a service of one version without `version`
    /// - `shares`: who serves how many of the requests, by version, or by status for those that the proxy answers itself
    /// - `untouched: true`: the proxy's own routes serve
    /// - `status`: what the client gets; 200 unless it says otherwise
    pub expect: Map<String, Value>,
}

/// The groups of examples.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn groups() -> Vec<String> {
    folders(&binaries::workspace().join("envoy-configs/examples"))
}

/// The examples of a group.
///
/// # Panics
/// If there are none, or if a file is missing or holds something else.
#[must_use]
pub fn of_group(group: &str) -> Vec<Example> {
    names(group).iter().map(|name| Example::read(name)).collect()
}

/// The names of a group's examples, such as `bookinfo/03-jason`.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn names(group: &str) -> Vec<String> {
    folders(&path(group)).iter().map(|step| format!("{group}/{step}")).collect()
}

/// The folder of a group or of an example.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    binaries::workspace().join("envoy-configs/examples").join(name)
}

impl Example {
    /// Reads an example.
    ///
    /// # Panics
    /// If a file is missing or holds something else.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let document = read_yaml(&path(name).join("config.yaml"));
        let requests = read_yaml(&path(name).join("requests.yaml"));
        let questions = Question::read_all(&requests).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        let rows: Vec<_> = questions.into_iter().map(|question| Row::of(name, question)).collect();
        assert!(!rows.is_empty(), "{name}: no requests");
        Self { name: name.to_owned(), document, rows }
    }

    /// The document as it is read.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn config(&self) -> Config {
        Config::read(&self.document).unwrap_or_else(|errors| panic!("{}: {errors}", self.name)).0
    }

    /// An upstream `HOST/SUBSET` for each version that the configuration knows, and one behind the native route.
    ///
    /// # Panics
    /// If the port of a version is not known.
    #[must_use]
    pub fn backends(&self) -> Vec<Backend> {
        let config = self.config();
        let backend = |key: &DestinationKey| {
            let port = key.port.unwrap_or_else(|| panic!("{}: no port of {} in services", self.name, key.host));
            let subset = key.subset.as_deref();
            Backend { name: upstream(&key.host, subset), clusters: vec![config.clusters.name(&key.host, subset, port)] }
        };
        let routed = config.destinations();
        let hosts = routed.iter().flat_map(|key| {
            let rules = config.destination_rules.iter().filter(|rule| rule.host == key.host);
            rules
                .flat_map(|rule| &rule.subsets)
                .map(|subset| DestinationKey { subset: Some(subset.name.clone()), ..key.clone() })
        });
        let mut all: Vec<_> = routed.iter().cloned().chain(hosts).collect();
        all.sort();
        all.dedup();
        all.iter()
            .map(backend)
            .chain([Backend { name: NATIVE.to_owned(), clusters: vec![NATIVE.to_owned()] }])
            .collect()
    }
}

impl Row {
    fn of(example: &str, question: Question) -> Self {
        let name = question.name.as_deref().unwrap_or_else(|| panic!("{example}: a row has no name"));
        let expect = question.expect.as_ref().and_then(Value::as_object).cloned();
        let expect = expect.unwrap_or_else(|| panic!("{example}: {name}: expects nothing"));
        Self { question, expect }
    }

    /// The configuration in the proxy of the caller that this row is about.
    #[must_use]
    pub fn seen_by(&self, example: &Example) -> Value {
        let mut document = example.document.clone();
        let question = &self.question;
        for (key, value) in [
            ("gateways", question.gateway.as_ref().map(|gateway| json!([gateway]))),
            ("namespace", question.source_namespace.as_ref().map(|namespace| json!(namespace))),
            ("labels", question.source_labels.clone().map(|labels| labels.into_iter().collect::<Value>())),
        ] {
            if let Some(value) = value {
                document["proxy"][key] = value;
            }
        }
        document
    }

    /// What is sent.
    ///
    /// # Panics
    /// If authority, path or method are no text.
    #[must_use]
    pub fn request(&self) -> Request {
        let asked = &self.question.request;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let request = Request::new(&text(&asked.authority), &text(&asked.path)).method(&text(&asked.method));
        asked.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.question.name.as_deref().unwrap_or_default()
    }

    /// The text under a key of what must come of it.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.expect.get(key).and_then(Value::as_str)
    }
}

/// The name of an upstream.
#[must_use]
pub fn upstream(host: &str, subset: Option<&str>) -> String {
    subset.map_or_else(|| host.to_owned(), |subset| format!("{host}/{subset}"))
}

fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
    let mut names: Vec<_> = paths
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    assert!(!names.is_empty(), "no folder in {}", folder.display());
    names.sort();
    names
}

/// A YAML file of one document.
///
/// # Panics
/// If it is not there, or is not YAML.
#[must_use]
pub fn read_yaml(path: &Path) -> Value {
    let yaml = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
