//! What a host knows of a request beside its head.

use canary_config::format::Property;
use canary_config::timestamp::Timestamp;

/// What a decision may ask beside the head of a request; it asks only where a rule needs it.
pub trait RequestContext {
    /// The port that the client asked for where it is known from elsewhere than the authority.
    fn port(&self) -> Option<u16> {
        None
    }
    /// A property of the connection or the request; `None` where the host does not know it.
    fn property(&self, _property: Property) -> Option<Vec<u8>> {
        None
    }
    /// When the request came, by the host's clock; the same whenever it is asked for one request. `None` where the host has no
    /// clock: then what moves by the clock stands at its beginning. Asked only where a rule has a ramp.
    fn now(&self) -> Option<Timestamp> {
        None
    }
    /// A claim of the request's validated JWT, by the keys that lead to it.
    fn claim(&self, _path: &[String]) -> Claim {
        Claim::None
    }
}

/// The value of a JWT claim, as far as rules can match it: numbers, booleans and objects match nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Absent, or of a kind that matches nothing.
    None,
    /// A string.
    Text(Vec<u8>),
    /// A list; elements that are no strings are left out.
    List(Vec<Vec<u8>>),
}
