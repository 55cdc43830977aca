//! The fields of the configuration, declared once: name, type, default, description and the source of the rule.
//!
//! - The reader takes the names from here: they are the fields that an object may have, and that an error lists.
//! - With the feature `reference`, each object also carries what its fields mean. `canaryctl` makes the JSON Schema, the
//!   reference page and the hints of its messages from it. The .wasm is built without the feature.
//!
//! ```
//! use canary_config::vocabulary::DESTINATION;
//!
//! assert_eq!(DESTINATION.names, ["host", "subset", "port"]);
//! ```

mod document;
mod http_match;
mod kubernetes;
mod object;
mod policy;
#[cfg(feature = "reference")]
mod scalars;
mod virtual_service;

pub use document::{
    CANDIDATE, CLUSTERS, CONFIGURATION, CONTROL_HEADERS, FAULT_SETTINGS, FILTER_STATE, METRICS, OVERRIDES, PROXY,
    SECRET, TRUSTED_SOURCE,
};
pub use http_match::{HTTP_MATCH, STRING_MATCH};
pub use kubernetes::{
    DESTINATION_RULE, KUBERNETES_OBJECT, KUBERNETES_PORT, KUBERNETES_SERVICE, METADATA, SERVICE_ENTRY,
    SERVICE_ENTRY_PORT, SHORT_SERVICE, SUBSET,
};
pub use object::Object;
pub use policy::{
    FAILURE_ACCRUAL, ISSUE_COOKIE, POLICY, RAMP, RETRY_NEXT, SOURCE_IP, STICKY, STICKY_KEY, TRIAL, TRIAL_PERCENT,
    VERSION_FAULT, VERSION_HEADER,
};
pub use virtual_service::{
    BODY, CORS_POLICY, DELEGATE, DESTINATION, DIRECT_RESPONSE, FAULT, FAULT_ABORT, FAULT_DELAY, HEADER_OPERATIONS,
    HEADERS, HTTP_ROUTE, HTTP_ROUTE_DESTINATION, MIRROR, PERCENT, PORT_SELECTOR, REDIRECT, REGEX_REWRITE, RETRIES,
    REWRITE, VIRTUAL_SERVICE,
};

#[cfg(feature = "reference")]
pub use kubernetes::{ANY_SERVICE, DESTINATION_RULE_ENTRY, VIRTUAL_SERVICE_ENTRY};
#[cfg(feature = "reference")]
pub use object::reference::{Alternative, Entry, Field, Kind, Named, Reference, Source};
