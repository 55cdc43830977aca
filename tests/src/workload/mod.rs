//! What is measured, in Envoy by `make bench` and in the VM alone by the budget: documents, and requests under them.

pub mod jobs;
pub mod large;
pub mod rules;

use crate::client::Request;

/// The user whom the sticky split of [`jobs::bookinfo`] sends to v3.
const USER_OF_V3: &str = "4713";

/// What a browser sends through a service or two; no document looks at all of it.
#[must_use]
pub fn request(user: &str) -> Request {
    Request::new("reviews", "/reviews/1?verbose=1")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
        .header("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br")
        .header("end-user", user)
        .header("x-user-id", USER_OF_V3)
        .header("grpcsvc", "v9")
}

/// The header map that Envoy shows to its filters for a request.
#[must_use]
pub fn header_map(request: &Request) -> Vec<(String, Vec<u8>)> {
    let added = [("x-forwarded-proto", "http"), ("x-request-id", "4f3e6f0a-3d0c-9f7a-8c43-0f1f6e1a2b3c")];
    let added = added.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    request.pairs().into_iter().chain(added).collect()
}
