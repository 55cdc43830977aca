//! Whether a request satisfies an entry of a rule's `match`.

use std::borrow::Cow;

use crate::config::{HttpMatch, StringMatch};
use crate::field::Field;
use crate::request::RequestView;

impl HttpMatch {
    /// Whether the request satisfies everything but the selectors `port`, `gateways`, `sourceLabels` and
    /// `sourceNamespace`, which belong to the proxy and the port, not to the request's content. Regexes are tried last.
    pub(crate) fn is_match(&self, request: &impl RequestView) -> bool {
        let holds = |field: &Field<'_>, wanted: &StringMatch| {
            let folds = self.ignore_uri_case && *field == Field::Uri;
            field.any(request, |value| if folds { matches_folded(wanted, value) } else { wanted.is_match(value) })
        };
        let mut has_regex = false;
        let all_but_regexes = self.conditions().all(|(field, wanted)| {
            has_regex |= wanted.is_regex();
            wanted.is_regex() || holds(&field, wanted)
        });
        all_but_regexes
            && !self.without_headers.iter().any(|(name, unwanted)| is_excluded(request, name, unwanted))
            && !self.without_claims.iter().any(|(keys, unwanted)| {
                Field::Claim(Cow::Borrowed(keys)).any(request, |value| unwanted.is_match(value))
            })
            && (!has_regex || self.conditions().all(|(field, wanted)| !wanted.is_regex() || holds(&field, wanted)))
    }

    /// What has to hold, each for any value of its field; what must not hold is no part of it.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = (Field<'_>, &StringMatch)> {
        let own = [
            (Field::Uri, &self.uri),
            (Field::Method, &self.method),
            (Field::Authority, &self.authority),
            (Field::Scheme, &self.scheme),
        ];
        let headers = self.headers.iter().map(|(name, wanted)| (Field::header(name), wanted));
        let queries = self.query_params.iter().map(|(name, wanted)| (Field::Query(Cow::Borrowed(name)), wanted));
        let claims = self.claims.iter().map(|(keys, wanted)| (Field::Claim(Cow::Borrowed(keys)), wanted));
        let own = own.into_iter().filter_map(|(field, wanted)| Some((field, wanted.as_ref()?)));
        own.chain(headers).chain(queries).chain(claims)
    }
}

fn matches_folded(wanted: &StringMatch, path: &[u8]) -> bool {
    match wanted {
        StringMatch::Exact(exact) => path.eq_ignore_ascii_case(exact.as_bytes()),
        StringMatch::Prefix(prefix) => {
            path.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        }
        StringMatch::Regex(_) | StringMatch::Present => wanted.is_match(path),
    }
}

/// Whether an inverted matcher holds a request off. It takes an absent header as an empty one (istiod sets
/// `treat_missing_header_as_empty`), unless it asks for presence only.
fn is_excluded(request: &impl RequestView, name: &str, unwanted: &StringMatch) -> bool {
    let field = Field::header(name);
    field.any(request, |value| unwanted.is_match(value))
        || (*unwanted != StringMatch::Present && unwanted.is_match(b"") && !field.any(request, |_| true))
}
