//! What a host can say of a request beyond its headers.

use canary_config::format::Property;
use canary_config::timestamp::Timestamp;

/// Inputs of a decision beyond the request's headers. A decision asks for each only if a rule needs it.
pub trait RequestContext {
    /// The port that the client asked for, if it is known from another source than the authority.
    fn port(&self) -> Option<u16> {
        None
    }
    /// A property of the connection or the request. `None` if the host does not know it.
    fn property(&self, _property: Property) -> Option<Vec<u8>> {
        None
    }
    /// When the request came, by the host's clock. Repeated calls for one request return the same time. `None` if the
    /// host has no clock; a ramp is then at its start. Asked only if a rule has a ramp.
    fn now(&self) -> Option<Timestamp> {
        None
    }
    /// A claim of the request's validated JWT, by the path of its keys.
    fn claim(&self, _path: &[String]) -> Claim {
        Claim::None
    }
}

/// The value of a JWT claim. Numbers, booleans and objects match nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The claim is absent, or has a type that matches nothing.
    None,
    /// A string.
    Text(Vec<u8>),
    /// A list. Elements other than strings are left out.
    List(Vec<Vec<u8>>),
}
