//! Filters that run in each try of a request, when its endpoint is known.

use canary_config::Protocol;
use serde_json::{Value, json};

use super::native::removals;

/// Name of the filter that tells upstreams which version they are.
const SERVED_FILTER: &str = "canary-served";

/// What Envoy says of the version that serves a try.
pub(crate) struct ServedVersion {
    /// In Envoy's format. It gives no value where the version is not known.
    pub(crate) format: String,
    /// As an expression of CEL. Where the version is not known it fails, or gives an empty text.
    pub(crate) expression: String,
}

/// Whether a request is one of gRPC, as the filter asks for a version header that counts for some protocols.
const IS_GRPC: &str =
    "('content-type' in request.headers && request.headers['content-type'].startsWith('application/grpc'))";

impl ServedVersion {
    /// The format for requests of a protocol; it says nothing of others.
    fn for_protocol(&self, protocol: Protocol) -> String {
        let expression = &self.expression;
        match protocol {
            Protocol::Any => self.format.clone(),
            Protocol::Grpc => format!("%CEL({IS_GRPC} ? ({expression}) : '')%"),
            Protocol::Http => format!("%CEL({IS_GRPC} ? '' : ({expression}))%"),
        }
    }
}

/// The filters of a cluster whose upstreams are told which version they are, by each header in requests of its protocol. Where nothing
/// is known the headers stay as they are, and a request that has none, such as a mirrored copy, gets none. `consumed` is not for
/// upstreams. A cluster's filters stand in the place of the router's. `None` where there is nothing to do.
pub(crate) fn served_filters<'h>(
    headers: impl IntoIterator<Item = (&'h str, Protocol)>,
    served: Option<&ServedVersion>,
    consumed: Option<&str>,
) -> Option<Value> {
    let tell = |(name, protocol)| {
        let header = json!({"key": name, "value": served?.for_protocol(protocol)});
        Some(json!({"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS"}}))
    };
    let mutations: Vec<_> = removals(consumed).into_iter().chain(headers.into_iter().filter_map(tell)).collect();
    (!mutations.is_empty()).then(|| upstream_filters(SERVED_FILTER, mutations))
}

/// A filter that changes requests, and what has to follow it.
pub(super) fn upstream_filters(name: &str, mutations: Vec<Value>) -> Value {
    json!([
        {
            "name": name,
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"request_mutations": mutations},
            },
        },
        {
            "name": "envoy.filters.http.upstream_codec",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
            },
        },
    ])
}
