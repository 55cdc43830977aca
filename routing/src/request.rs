//! An owned request, for tests and tools.

use canary_config::format::Property;
use canary_config::host::split_port;
use canary_config::timestamp::Timestamp;
use serde_json::Value;

use crate::context::{Claim, RequestContext};
use crate::decision::Decision;
use crate::draws::Draws;
use crate::health::Health;
use crate::input::DecisionInput;
use crate::table::RouteTable;

/// An owned request, for tests, fixtures and `canaryctl explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `:method`.
    pub method: Vec<u8>,
    /// `:scheme`.
    pub scheme: Vec<u8>,
    /// `:authority`.
    pub authority: Vec<u8>,
    /// `:path` with the query.
    pub path: Vec<u8>,
    /// Header values in order. Names are in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Overrides the port of the authority.
    pub port: Option<u16>,
    /// The claims of the validated JWT.
    pub claims: Value,
    /// The client's address with its port.
    pub remote_address: Option<String>,
    /// The first URI of the client's certificate.
    pub principal: Option<String>,
    /// When the request came.
    pub now: Option<Timestamp>,
}

impl Request {
    /// A GET of an absolute URL. Any other text is taken as a path with an empty authority.
    #[must_use]
    pub fn get(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(split).unwrap_or((rest, ""));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Self {
            method: b"GET".to_vec(),
            scheme: scheme.into(),
            authority: authority.into(),
            path: path.into(),
            headers: Vec::new(),
            port: None,
            claims: Value::Null,
            remote_address: None,
            principal: None,
            now: None,
        }
    }

    /// The same request with one more header value.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// The header map, as a host passes it.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let pseudo: [(&[u8], &[u8]); 4] = [
            (b":method", &self.method),
            (b":scheme", &self.scheme),
            (b":authority", &self.authority),
            (b":path", &self.path),
        ];
        pseudo.into_iter().chain(self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())))
    }

    /// What a table decides for this request, with all faults.
    #[must_use]
    pub fn decide<'t>(&self, table: &'t RouteTable, draws: &Draws, health: &dyn Health) -> Decision<'t> {
        let head = table.read_head(self.pairs());
        table.decide(&DecisionInput { head: &head, context: self, chance: draws, health })
    }
}

impl RequestContext for Request {
    fn port(&self) -> Option<u16> {
        self.port
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        if property == Property::PeerUriSan {
            return self.principal.as_ref().map(|principal| principal.clone().into());
        }
        let address = self.remote_address.as_ref()?;
        match property {
            Property::RemoteAddress => Some(address.clone().into()),
            Property::RemoteAddressWithoutPort => Some(split_port(address.as_bytes()).0.to_vec()),
            Property::RemotePort => split_port(address.as_bytes()).1.map(|port| port.to_string().into()),
            _ => None,
        }
    }

    fn now(&self) -> Option<Timestamp> {
        self.now
    }

    fn claim(&self, path: &[String]) -> Claim {
        let claim = path.iter().try_fold(&self.claims, |value, key| value.get(key));
        match claim {
            Some(Value::String(text)) => Claim::Text(text.clone().into()),
            Some(Value::Array(list)) => {
                Claim::List(list.iter().filter_map(|element| Some(element.as_str()?.to_owned().into())).collect())
            }
            _ => Claim::None,
        }
    }
}
