//! `HTTPMatchRequest`: one alternative of a rule's `match`.

use std::hash::{Hash, Hasher};

use crate::node::{Fields, Node};
use crate::string_match::{StringMatch, StringMatchRules};
use crate::syntax;
use crate::vocabulary;

/// One entry of `match`: everything in it has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpMatch {
    /// Joins the rule's name in the route's name.
    pub name: Option<String>,
    /// The path without query and fragment.
    pub uri: Option<StringMatch>,
    /// `:scheme`.
    pub scheme: Option<StringMatch>,
    /// `:method`, case-sensitive.
    pub method: Option<StringMatch>,
    /// `:authority` as sent, port included.
    pub authority: Option<StringMatch>,
    /// Headers that have to match; names in lower case.
    pub headers: Vec<(String, StringMatch)>,
    /// Headers that must not match; names in lower case.
    pub without_headers: Vec<(String, StringMatch)>,
    /// JWT claims that have to match, by the keys that lead to them (`@request.auth.claims…` in `headers`).
    pub claims: Vec<(Vec<String>, StringMatch)>,
    /// JWT claims that must not match.
    pub without_claims: Vec<(Vec<String>, StringMatch)>,
    /// The first value of each query parameter; names are case-sensitive.
    pub query_params: Vec<(String, StringMatch)>,
    /// Compare `uri` without case (exact and prefix only).
    pub ignore_uri_case: bool,
    /// The port that the client asked for.
    pub port: Option<u16>,
    /// Labels that the proxy's workload must have.
    pub source_labels: Vec<(String, String)>,
    /// The namespace of the proxy's workload.
    pub source_namespace: Option<String>,
    /// Gateways at which the entry holds; where set, the source selectors are not looked at (as in istiod).
    pub gateways: Vec<String>,
}

const TEXT: StringMatchRules = StringMatchRules { empty_prefix: false, star_is_present: false };
const PATH: StringMatchRules = StringMatchRules { empty_prefix: true, star_is_present: false };
const INVERTED: StringMatchRules = StringMatchRules { empty_prefix: false, star_is_present: true };

impl HttpMatch {
    pub(super) fn read(node: &Node<'_>, claims_allowed: bool) -> Option<Self> {
        let fields = node.object(&vocabulary::HTTP_MATCH)?;
        let text = |name, rules| fields.get(name).and_then(|field| StringMatch::read(&field, rules));
        let (headers, claims) = header_matches(&fields, "headers", TEXT, claims_allowed);
        let (without_headers, without_claims) = header_matches(&fields, "withoutHeaders", INVERTED, claims_allowed);
        let entry = Self {
            name: fields.get("name").and_then(|name| name.string().map(str::to_owned)),
            uri: text("uri", PATH),
            scheme: text("scheme", TEXT),
            method: text("method", TEXT),
            authority: text("authority", TEXT),
            headers,
            without_headers,
            claims,
            without_claims,
            query_params: matches(&fields, "queryParams", TEXT),
            ignore_uri_case: fields.get("ignoreUriCase").and_then(|field| field.boolean()).unwrap_or(false),
            port: fields.get("port").and_then(|port| crate::port(&port)),
            source_labels: fields.get("sourceLabels").map(|labels| crate::labels(&labels)).unwrap_or_default(),
            source_namespace: fields.get("sourceNamespace").and_then(|namespace| read_namespace(&namespace)),
            gateways: fields.get("gateways").map(|gateways| crate::gateways(&gateways)).unwrap_or_default(),
        };
        fields.not_carried_out(&["statPrefix"], "Envoy's per-route statistics need a native route");
        fields.finish();
        Some(entry)
    }

    /// Whether the entry takes every request, so that nothing after it can be reached (istiod's `IsCatchAllRoute`).
    #[must_use]
    pub fn is_catch_all(&self) -> bool {
        let any_path = match &self.uri {
            None | Some(StringMatch::Present) => true,
            Some(StringMatch::Prefix(prefix)) => prefix == "/",
            Some(StringMatch::Regex(regex)) => regex.as_str() == ".*",
            Some(StringMatch::Exact(_)) => false,
        };
        any_path
            && self.headers.is_empty()
            && self.without_headers.is_empty()
            && self.claims.is_empty()
            && self.without_claims.is_empty()
            && self.query_params.is_empty()
            && [&self.scheme, &self.method, &self.authority].iter().all(|text| text.is_none())
    }

    /// Whether the entry takes every request in every proxy and on every port.
    #[must_use]
    pub(super) fn is_unconditional(&self) -> bool {
        self.is_catch_all()
            && self.port.is_none()
            && self.source_labels.is_empty()
            && self.source_namespace.is_none()
            && self.gateways.is_empty()
    }
}

/// Everything of an entry but the name: entries that are equal in it match the same requests.
pub(super) struct Content<'m>(pub(super) &'m HttpMatch);

impl Content<'_> {
    fn parts(&self) -> impl Eq + Hash {
        let HttpMatch {
            name: _,
            uri,
            scheme,
            method,
            authority,
            headers,
            without_headers,
            claims,
            without_claims,
            query_params,
            ignore_uri_case,
            port,
            source_labels,
            source_namespace,
            gateways,
        } = self.0;
        let request = (uri, scheme, method, authority, headers, without_headers, claims, without_claims);
        (request, query_params, ignore_uri_case, port, source_labels, source_namespace, gateways)
    }
}

impl PartialEq for Content<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Content<'_> {}

impl Hash for Content<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

fn read_namespace(node: &Node<'_>) -> Option<String> {
    let namespace = node.string().filter(|namespace| !namespace.is_empty())?;
    if !syntax::is_dns_label(namespace) {
        node.invalid(format!("sourceNamespace match {namespace} is invalid"));
    }
    Some(namespace.to_owned())
}

/// A map from names to matches, in the order of the names.
fn matches(fields: &Fields<'_>, name: &'static str, rules: StringMatchRules) -> Vec<(String, StringMatch)> {
    let Some(node) = fields.get(name) else { return Vec::new() };
    let Some(entries) = node.entries() else { return Vec::new() };
    let mut matches = Vec::with_capacity(entries.size_hint().0);
    matches.extend(entries.filter_map(|(key, value)| Some((key.to_owned(), StringMatch::read(&value, rules)?))));
    matches
}

type HeaderMatches = (Vec<(String, StringMatch)>, Vec<(Vec<String>, StringMatch)>);

/// The keys of `headers` are headers or claims of a JWT.
fn header_matches(
    fields: &Fields<'_>,
    name: &'static str,
    rules: StringMatchRules,
    claims_allowed: bool,
) -> HeaderMatches {
    let (mut headers, mut claims) = HeaderMatches::default();
    let Some(node) = fields.get(name) else { return (headers, claims) };
    let Some(entries) = node.entries() else { return (headers, claims) };
    headers.reserve_exact(entries.len());
    for (key, value) in entries {
        let matcher = StringMatch::read(&value, rules);
        let Some(path) = claim_path(key) else {
            value.check(syntax::check_matched_header(key));
            headers.extend(matcher.map(|matcher| (key.to_ascii_lowercase(), matcher)));
            continue;
        };
        if !claims_allowed {
            value.invalid(format!("JWT claim based routing (key: {key}) is only supported for gateway"));
        } else if matcher == Some(StringMatch::Present) {
            value.invalid("a claim needs exact, prefix or regex: Envoy rejects the routes that Istio makes for a claim without one");
        }
        claims.extend(matcher.map(|matcher| (path, matcher)));
    }
    (headers, claims)
}

const CLAIMS: &str = "@request.auth.claims";

/// The keys of `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`.
fn claim_path(key: &str) -> Option<Vec<String>> {
    let (prefix, path) = key.split_at_checked(CLAIMS.len())?;
    if !prefix.eq_ignore_ascii_case(CLAIMS) {
        return None;
    }
    if path.starts_with('[') { claim_keys(path) } else { claim_keys(path.strip_prefix('.')?) }
}

/// The keys of `a.b` or `[a][b]`.
pub(super) fn claim_keys(path: &str) -> Option<Vec<String>> {
    let keys = |path: &str, separator: &str| path.split(separator).map(str::to_owned).collect();
    let Some(path) = path.strip_prefix('[') else { return (!path.is_empty()).then(|| keys(path, ".")) };
    let path = path.strip_suffix(']').filter(|path| !path.is_empty())?;
    Some(keys(path, "]["))
}
