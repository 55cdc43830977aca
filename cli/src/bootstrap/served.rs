//! Filters that run in each try of a request, when its endpoint is known.

use serde_json::{Value, json};

use super::native::removals;

/// Name of the filter that tells upstreams which version they are.
const SERVED_FILTER: &str = "canary-served";

/// The filters of a cluster whose upstreams are told which version they are: `headers` are what `format` says of the try. Where that
/// says nothing they stay as they are, and a request that has none, such as a mirrored copy, gets none. `consumed` is not for
/// upstreams. A cluster's filters stand in the place of the router's. `None` where there is nothing to do.
pub(crate) fn served_filters<'h>(
    headers: impl IntoIterator<Item = &'h str>,
    format: &str,
    consumed: Option<&str>,
) -> Option<Value> {
    let name = |header: &str| json!({"append": {"header": {"key": header, "value": format}, "append_action": "OVERWRITE_IF_EXISTS"}});
    let mutations: Vec<_> = removals(consumed).into_iter().chain(headers.into_iter().map(name)).collect();
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
