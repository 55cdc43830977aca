//! The routing decision of canary-filter, as a pure function.
//!
//! A document in Istio's own words (VirtualService, DestinationRule) is read by [`Config::read`], compiled once by
//! [`RouteTable::compile`], and asked for each request by [`RouteTable::decide`]. Nothing here knows a proxy, a clock or a
//! source of randomness: the request is a [`RequestView`], chance comes in as [`Draws`], and the answer is a [`Decision`],
//! plain data that an adapter carries out.
//!
//! ```
//! use canary_routing::{Config, Draws, Outcome, Request, RouteTable};
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
//! let Outcome::Forward(forward) = table.decide(&jason, &Draws::default()).outcome else { panic!() };
//! assert_eq!(forward.cluster, "outbound|9080|v2|reviews.default.svc.cluster.local");
//! ```

pub mod accrual;
mod answer;
pub mod availability;
pub mod config;
mod cors;
pub mod decision;
pub mod difference;
pub mod draws;
pub mod duration;
pub mod explain;
pub mod explanation;
mod field;
mod fingerprint;
pub mod format;
pub mod header_change;
pub mod host;
mod host_index;
mod index;
mod matcher;
pub mod network;
pub mod overrides;
pub mod own_headers;
mod path;
mod pick;
pub mod regex;
pub mod request;
mod resolve;
mod ring;
pub mod route;
mod rules;
mod sorted;
mod split;
pub mod sticky;
pub mod table;
pub mod timestamp;
mod version;

pub use availability::{AllAvailable, Availability, FallbackReason};
pub use config::{Config, ConfigError, ConfigErrors, Proxy, Warning};
pub use decision::{Decision, Fallback, FaultScope, Forward, LocalReply, Outcome, Picked, Reason, Skipped};
pub use difference::{Difference, differences};
pub use draws::{Draws, Fraction};
pub use fingerprint::fingerprint;
pub use header_change::HeaderChange;
pub use overrides::{Permission, Permissions};
pub use request::{Claim, Request, RequestView};
pub use route::{Destination, Route};
pub use table::RouteTable;
pub use timestamp::Timestamp;
