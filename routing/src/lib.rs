//! The routing decision of canary-filter, as a pure function.
//!
//! [`RouteTable::compile`] compiles a configuration of [`canary_config`] once. [`RouteTable::decide`] decides each
//! request. Nothing here knows a proxy, a clock or a source of randomness. The inputs are a [`RequestHead`], a
//! [`RequestContext`], random numbers by [`draws::Chance`], and the [`Health`] of clusters. The result is a
//! [`Decision`]: plain data that an adapter applies.
//!
//! The stages have a folder each: `compile` (the only one that knows the structures of the configuration), `matching`
//! (which rule), `picking` (which version, and the fallback), `acting` (headers, paths, local replies). `decide.rs`
//! runs the last three for a request.
//!
//! ```
//! use canary_config::Config;
//! use canary_routing::{AllHealthy, Draws, Outcome, Request, RouteTable};
//!
//! let (config, warnings) = Config::from_json(br#"{
//!   "virtualServices": [{"hosts": ["reviews"], "http": [
//!     {"match": [{"headers": {"end-user": {"exact": "jason"}}}],
//!      "route": [{"destination": {"host": "reviews", "subset": "v2"}}]},
//!     {"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]}],
//!   "destinationRules": [{"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v2"}]}],
//!   "services": [{"host": "reviews", "ports": [9080]}]
//! }"#).unwrap();
//! assert!(warnings.is_empty());
//! let table = RouteTable::compile(&config);
//!
//! let jason = Request::get("http://reviews:9080/reviews/1").with_header("end-user", "jason");
//! let Outcome::Forward(forward) = jason.decide(&table, &Draws::default(), &AllHealthy).outcome else { panic!() };
//! assert_eq!(forward.cluster, "outbound|9080|v2|reviews.default.svc.cluster.local");
//! ```

pub mod accrual;
mod acting;
mod compile;
pub mod context;
mod decide;
pub mod decision;
pub mod destination;
pub mod difference;
pub mod draws;
pub mod explain;
pub mod explanation;
mod fingerprint;
mod head;
pub mod health;
mod host_index;
mod input;
pub mod limits;
mod matching;
mod names;
mod network;
pub mod overrides;
mod picking;
mod possible_decisions;
mod regex;
pub mod request;
pub mod route;
mod short_list;
pub mod table;

pub use acting::{HeaderChange, HeaderChanges, LocalReply, Operation};
pub use context::{Claim, RequestContext};
pub use decision::{
    Decision, Failover, FailoverVersion, Fallback, Forward, Outcome, Picked, Reason, Skipped, SplitPick, User,
    VersionValue,
};
pub use destination::{Destination, DestinationId, DestinationName};
pub use difference::{Difference, differences};
pub use draws::{Chance, Draw, Draws, Fraction};
pub use fingerprint::fingerprint;
pub use head::RequestHead;
pub use health::{AllHealthy, FallbackReason, Health};
pub use input::DecisionInput;
pub use limits::{FailoverFailure, Limits, RetryPolicy};
pub use names::{HeaderName, Slot};
pub use overrides::{Permission, Permissions};
pub use picking::sticky;
pub use possible_decisions::PossibleDecision;
pub use regex::matches_regex;
pub use request::Request;
pub use route::Route;
pub use table::{RouteTable, Steering};
