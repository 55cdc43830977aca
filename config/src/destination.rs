//! `Destination`: a host, one of its versions, a port.

use crate::node::Node;
use crate::syntax;
use crate::vocabulary;

/// Where requests or their copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The host as written, in lower case; short names belong to the VirtualService's namespace.
    pub host: String,
    /// The DestinationRule's subset.
    pub subset: Option<String>,
    /// The port, 1–65535.
    pub port: Option<u16>,
}

impl Destination {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::DESTINATION)?;
        let host = fields.require("host").and_then(|host| {
            let name = host.string()?;
            let star = || Err("invalid destination host *".to_owned());
            host.check(if name == "*" { star() } else { syntax::check_wildcard_domain(name) });
            Some(name.to_ascii_lowercase())
        });
        let subset = fields.get("subset").and_then(|subset| {
            let name = subset.string().filter(|name| !name.is_empty())?;
            subset.check(syntax::check_subset(name));
            Some(name.to_owned())
        });
        let port = fields.get("port").and_then(|port| {
            let fields = port.object(&vocabulary::PORT_SELECTOR)?;
            let number = fields.require("number").and_then(|number| crate::port(&number));
            fields.finish();
            number
        });
        fields.finish();
        Some(Self { host: host?, subset, port })
    }
}
