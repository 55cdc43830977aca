//! Names of the cases that tables, targets and the chart speak of; those of the jobs are in [`crate::workload::jobs`].

use crate::host_calls::{Call, Callback};

/// A plain route to one cluster, and no filter: what everything is compared with.
pub const NO_FILTER: &str = "no filter";
/// The same once more: the control.
pub const CONTROL: &str = "no filter, again";
/// The same for a request with five headers more.
pub const NO_FILTER_FIVE: &str = "no filter, five headers more";
/// The route whose cluster a header names, here from the client.
pub const STEERED: &str = "no filter, the steered route";
/// The same with the retries by which requests go on from a composite cluster.
pub const STEERED_RETRIES: &str = "no filter, the steered route with retries";
/// The same to a failover cluster of the kind that `canaryctl run` takes.
pub const STEERED_FAILOVER: &str = "no filter, the steered route, a failover cluster";
/// The same to one of the kind that every Envoy has.
pub const STEERED_AGGREGATE: &str = "no filter, the steered route, an aggregate failover cluster";
/// The third article's script.
pub const LUA: &str = "Lua script";
/// A request for a host that the configuration does not know.
pub const UNKNOWN_HOST: &str = "filter, unknown host";
/// Bookinfo with the shipped route and its three mirrors.
pub const BOOKINFO_SHIPPED_ROUTE: &str = "filter, Bookinfo, the shipped route";
/// The third article's job where each version's requests go on to the others.
pub const FAILOVER: &str = "filter, the third article's job, failover clusters";
/// Many hosts.
pub const HOSTS: &str = "filter, 1,000 hosts of 10 rules";
/// Many values of one header.
pub const VALUES: &str = "filter, 100,000 values of one header";
/// Many headers.
pub const OWN_HEADERS: &str = "filter, 10,000 rules with a header of their own";
/// Rules that differ in the last of five headers.
pub const ALIKE: &str = "filter, 200 rules alike";
/// The same as native routes.
pub const NATIVE_ALIKE: &str = "native routes, 200 rules alike";
/// Regular expressions over one header.
pub const REGEXES: &str = "filter, 50 regexes";
/// The same as native routes.
pub const NATIVE_REGEXES: &str = "native routes, 50 regexes";
/// The filter with a shipped example, and a request of 57 KB that no rule looks at.
pub const LARGE_HARMLESS: &str = "filter, 57 KB, harmless";
/// The same filter, and the request that costs it the most instructions.
pub const LARGE_WORST: &str = "filter, 57 KB, the worst";
/// The same two with regular expressions that people copy.
pub const COPIED_HARMLESS: &str = "filter, copied regexes, 57 KB, harmless";
/// See [`COPIED_HARMLESS`].
pub const COPIED_WORST: &str = "filter, copied regexes, 57 KB, the worst";

/// Numbers of mixed rules.
pub const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// So many rules as native routes, of which the last matches.
#[must_use]
pub fn native(rules: usize) -> String {
    format!("native routes, {} rules", thousands(rules))
}

/// So many rules in the filter, of which the last matches.
#[must_use]
pub fn filter(rules: usize) -> String {
    format!("filter, {} rules", thousands(rules))
}

/// Modules that do nothing, each in a callback or two more than the one before: name, callbacks, and what comes with the last.
pub const ENTRIES: [(&str, &[Callback], &str); 5] = {
    use Callback::{Create, Delete, Done, Log, RequestHeaders, ResponseHeaders};
    [
        ("module, no callback", &[], "a context for each stream"),
        ("module, request headers", &[RequestHeaders], "entry for the headers of the request"),
        ("module, response headers", &[RequestHeaders, ResponseHeaders], "entry for the headers of the response"),
        ("module, log", &[RequestHeaders, ResponseHeaders, Log], "entry for the access log"),
        (
            "module, beginning and end",
            &[Create, RequestHeaders, ResponseHeaders, Log, Done, Delete],
            "entries for the beginning and the end of the context (three)",
        ),
    ]
};

/// The module of which [`repeated`] ones do more.
pub const ENTRY: &str = ENTRIES[1].0;

/// How often a [`repeated`] module makes its call.
pub const REPEATS: usize = 10;

/// A module that makes a host call so many times.
#[must_use]
pub fn repeated(call: &str) -> String {
    format!("module, {REPEATS} × {call}")
}

/// Host calls: a name, the call, and what it does.
#[must_use]
pub fn calls() -> Vec<(&'static str, Call, &'static str)> {
    let text = str::to_owned;
    vec![
        ("get", Call::GetHeader { map: 0, name: text("grpcsvc") }, "read one header"),
        ("absent get", Call::GetHeader { map: 0, name: text("x-absent") }, "look for a header that is absent"),
        ("map", Call::GetHeaders { map: 0 }, "read all headers, undecoded"),
        ("refresh", Call::ClearRouteCache, "have the route chosen again"),
        (
            "set",
            Call::SetHeader { map: 0, name: text("x-canary-version"), value: text("v1") },
            "set a request header, and have the route chosen again",
        ),
        ("property", Call::GetProperty { path: text("xds\0cluster_name") }, "read a property, `xds.cluster_name`"),
        (
            "state",
            Call::SetProperty { path: text("canary"), value: text("version=v1 reason=rule") },
            "set filter state, for access logs",
        ),
        ("clock", Call::ReadClock, "read the clock"),
        ("count", Call::Count { series: 0 }, "add to a counter"),
        ("observe", Call::Observe { series: 0 }, "add to a histogram"),
    ]
}

/// `10,000`
#[must_use]
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(",")
}
