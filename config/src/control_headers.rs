//! `headers`: the names of the headers by which the filter steers the proxy.

use crate::node::Node;
use crate::syntax;
use crate::vocabulary;

/// Names of the control headers, in lower case; `None` where `""` turned one off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlHeaders {
    version: Option<String>,
    cluster: Option<String>,
    mirrors: Vec<String>,
    host: Option<String>,
    explain: Option<String>,
}

/// Most mirrors of a rule in cluster mode: each needs a policy of its own on the route.
pub const MAX_MIRRORS: usize = 3;

impl Default for ControlHeaders {
    fn default() -> Self {
        let name = |name: &str| Some(format!("x-canary-{name}"));
        Self {
            version: name("version"),
            cluster: name("cluster"),
            mirrors: mirror_names("x-canary-mirror"),
            host: name("host"),
            explain: name("explain"),
        }
    }
}

impl ControlHeaders {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::CONTROL_HEADERS)?;
        let default = Self::default();
        let name = |field: &'static str| fields.get(field).and_then(|place| read_name(&place));
        let headers = Self {
            version: name("version").unwrap_or(default.version),
            cluster: name("cluster").unwrap_or(default.cluster),
            mirrors: name("mirror")
                .map_or(default.mirrors, |name| name.iter().flat_map(|name| mirror_names(name)).collect()),
            host: name("host").unwrap_or(default.host),
            explain: name("explain").unwrap_or(default.explain),
        };
        fields.finish();
        let names: Vec<&str> = headers.names().collect();
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|other| other == name) {
                node.invalid(format!("{name} is the name of two control headers"));
            }
        }
        Some(headers)
    }

    /// Names the version that serves; the only one that goes upstream.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Names the cluster for a route with `cluster_header`.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// Name the clusters that get a copy: the configured name, then the same with `-2` and `-3`.
    pub fn mirrors(&self) -> impl Iterator<Item = &str> {
        self.mirrors.iter().map(String::as_str)
    }

    /// Carries a rewritten host for a route with `host_rewrite_header`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Asks for an explanation of the decision.
    #[must_use]
    pub fn explain(&self) -> Option<&str> {
        self.explain.as_deref()
    }

    /// Every name that is on: what a client may not send.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let single = [&self.version, &self.cluster, &self.host, &self.explain];
        single.into_iter().flatten().chain(&self.mirrors).map(String::as_str)
    }
}

/// A header's name in lower case; `""` turns the header off.
fn read_name(place: &Node<'_>) -> Option<Option<String>> {
    let name = place.string()?.to_ascii_lowercase();
    if name.is_empty() {
        return Some(None);
    }
    if !syntax::is_header_name(&name) || name == "host" {
        place.invalid(format!("{name:?} cannot be the name of a control header"));
    }
    Some(Some(name))
}

fn mirror_names(first: &str) -> Vec<String> {
    let more = (2..=MAX_MIRRORS).map(|number| format!("{first}-{number}"));
    std::iter::once(first.to_owned()).chain(more).collect()
}
