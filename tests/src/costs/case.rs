//! Names of the cases that tables, targets and the chart speak of.

/// A plain route to one cluster, and no filter: what everything is compared with.
pub const NO_FILTER: &str = "no filter";
/// The same once more, as a control.
pub const CONTROL: &str = "no filter, again";
/// The same for a request with five headers more.
pub const NO_FILTER_FIVE: &str = "no filter, five headers more";
/// A route whose cluster the client names.
pub const CLUSTER_HEADER: &str = "no filter, cluster_header";
/// The third article's script.
pub const LUA: &str = "Lua script";
/// One get, one set, and a route by the header that was set.
pub const FLOOR: &str = "hand-written, one get and one set";
/// The Lua script's job by hand.
pub const BY_HAND: &str = "hand-written, the Lua script's job";
/// The Lua script's job by the filter that tells nobody.
pub const BARE: &str = "filter, the Lua script's job, metrics and filter state off";
/// The same with filter state.
pub const WITH_STATE: &str = "filter, the Lua script's job, metrics off";
/// The same as shipped.
pub const SHIPPED: &str = "filter, the Lua script's job";
/// A request for a host that the configuration does not know.
pub const UNKNOWN_HOST: &str = "filter, unknown host";
/// Host, path, headers, a sticky split and two control headers.
pub const BOOKINFO: &str = "filter, Bookinfo";
/// The same, and the shipped route with its three mirrors.
pub const BOOKINFO_MIRRORS: &str = "filter, Bookinfo, shipped routes";
/// A thousand hosts.
pub const HOSTS: &str = "filter, 1,000 hosts of 10 rules";
/// Values of one header.
pub const VALUES: &str = "filter, 100,000 values";
/// Rules that differ in their last header.
pub const ALIKE: &str = "filter, 200 rules alike";
/// The same as native routes.
pub const NATIVE_ALIKE: &str = "native routes, 200 rules alike";
/// Regular expressions.
pub const REGEXES: &str = "filter, 50 regexes";
/// The same as native routes.
pub const NATIVE_REGEXES: &str = "native routes, 50 regexes";

/// Numbers of mixed rules.
pub const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// So many rules as native routes, none of which matches.
#[must_use]
pub fn native(rules: usize) -> String {
    format!("native routes, {} rules", thousands(rules))
}

/// The same, for a request that the rule in the middle matches.
#[must_use]
pub fn native_listed(rules: usize) -> String {
    format!("{}, a listed user", native(rules))
}

/// So many rules in the filter, none of which matches.
#[must_use]
pub fn filter(rules: usize) -> String {
    format!("filter, {} rules", thousands(rules))
}

/// The same, for a request that the rule in the middle matches.
#[must_use]
pub fn filter_listed(rules: usize) -> String {
    format!("{}, a listed user", filter(rules))
}

/// A module that makes a host call once.
#[must_use]
pub fn once(call: &str) -> String {
    format!("module, {call}")
}

/// A module that makes a host call eleven times.
#[must_use]
pub fn eleven_times(call: &str) -> String {
    format!("module, 11 × {call}")
}

/// Modules that do nothing, each in one callback more than the one before.
pub const ENTRIES: [(&str, &str, &str); 5] = [
    ("module, no callback", "loaded", "a context for each stream"),
    ("module, request headers", "request", "entry for the request's headers"),
    ("module, response headers", "response", "entry for the response's headers"),
    ("module, log", "log", "entry for the access log"),
    ("module, beginning and end", "lifetime", "entries for the context's beginning and end (three)"),
];

/// The entry that modules with host calls make them in.
pub const ENTRY: &str = ENTRIES[1].0;

/// Host calls: the name, the module and what is called.
pub const CALLS: [(&str, &str, &str); 9] = [
    ("get", "get", "read one header"),
    ("absent get", "get-absent", "look for a header that is absent"),
    ("map", "map", "read all headers, undecoded"),
    ("refresh", "refresh", "have the route chosen anew"),
    ("set", "set", "set a request header, and have the route chosen anew"),
    ("property", "property", "read a property, `xds.cluster_name`"),
    ("state", "state", "set filter state, for access logs"),
    ("clock", "clock", "read the clock"),
    ("metric", "metric", "count"),
];

/// `10,000`
#[must_use]
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| String::from_utf8_lossy(group)).collect::<Vec<_>>().join(",")
}
