//! `overrides`: who may force a version or ask for an explanation.

use crate::cidr::Cidr;
use crate::control_headers::ControlHeaders;
use crate::node::Node;
use crate::syntax;
use crate::vocabulary;

/// The clients that are trusted. By default no client is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Alternatives.
    pub from: Vec<TrustedSource>,
    /// Whether an address that the proxy took from `X-Forwarded-For` counts for [`TrustedSource::cidr`].
    pub trust_forwarded_for: bool,
}

/// A client that is trusted: everything that is set has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedSource {
    /// The client's address is in this block: the connection's, unless [`Overrides::trust_forwarded_for`].
    pub cidr: Option<Cidr>,
    /// The first URI of the client's certificate.
    pub principal: Option<Principal>,
    /// The client knows a secret.
    pub secret: Option<Secret>,
}

/// A match of the first URI among the names of a client's certificate, such as `spiffe://cluster.local/ns/test/sa/qa`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The whole URI.
    Exact(String),
    /// Its beginning; empty takes every certificate with a URI.
    Prefix(String),
}

/// A header whose value is a secret, of which the document knows a digest only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The header, in lower case; it never goes upstream.
    pub header: String,
    /// SHA-256 of the value.
    pub sha256: [u8; 32],
}

/// SHA-256 of nothing: what a script gets of a variable that is not set.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Overrides {
    pub(super) fn read(node: &Node<'_>, headers: &ControlHeaders) -> Option<Self> {
        let fields = node.object(&vocabulary::OVERRIDES)?;
        let from = fields.get("from").map(|list| list.read_each(|entry| read_source(entry, headers)));
        let trust_forwarded_for = fields.get("trustForwardedFor").and_then(|trust| trust.boolean()).unwrap_or(false);
        fields.finish();
        Some(Self { from: from.unwrap_or_default(), trust_forwarded_for })
    }

    /// The headers that hold secrets.
    pub fn secret_headers(&self) -> impl Iterator<Item = &str> {
        self.from.iter().filter_map(|source| Some(source.secret.as_ref()?.header.as_str()))
    }
}

fn read_source(node: &Node<'_>, headers: &ControlHeaders) -> Option<TrustedSource> {
    let fields = node.object(&vocabulary::TRUSTED_SOURCE)?;
    let cidr = fields.get("cidr").map(|place| read_cidr(&place));
    let principal = fields.get("principal").map(|place| read_principal(&place));
    let secret = fields.get("secret").map(|place| read_secret(&place, headers));
    fields.finish();
    if cidr.is_none() && principal.is_none() && secret.is_none() {
        node.invalid("a trusted client is known by cidr, principal or secret");
        return None;
    }
    // What could not be read is already an error: the document is rejected, so no condition is lost.
    Some(TrustedSource { cidr: cidr.flatten(), principal: principal.flatten(), secret: secret.flatten() })
}

fn read_cidr(node: &Node<'_>) -> Option<Cidr> {
    Cidr::parse(node.string()?).map_err(|message| node.invalid(message)).ok()
}

fn read_principal(node: &Node<'_>) -> Option<Principal> {
    let text = node.string()?;
    let (prefix, star) = text.split_once('*').map_or((text, None), |(prefix, rest)| (prefix, Some(rest)));
    match star {
        None if !text.is_empty() => Some(Principal::Exact(text.to_owned())),
        Some("") => Some(Principal::Prefix(prefix.to_owned())),
        _ => {
            node.invalid(format!(
                "a principal is the URI of a certificate, or its beginning and a final *, not {text:?}"
            ));
            None
        }
    }
}

fn read_secret(node: &Node<'_>, headers: &ControlHeaders) -> Option<Secret> {
    let fields = node.object(&vocabulary::SECRET)?;
    let header = fields.require("header").and_then(|place| {
        let name = place.string()?.to_ascii_lowercase();
        if !syntax::is_header_name(&name) || ["host", "cookie"].contains(&name.as_str()) {
            place.invalid(format!("{name:?} cannot hold a secret: the header is removed from every request"));
        }
        if headers.names().any(|control| control == name) {
            place.invalid(format!("{name} is a control header, so it cannot hold a secret"));
        }
        Some(name)
    });
    let sha256 = fields.require("sha256").and_then(|place| {
        let text = place.string()?;
        let digest = read_hex(text);
        if digest.is_none() {
            place.invalid("sha256 is 64 hexadecimal digits, as of `printf %s \"$SECRET\" | sha256sum`");
        }
        if text.eq_ignore_ascii_case(SHA256_OF_NOTHING) {
            place.invalid("this is the SHA-256 of the empty secret");
        }
        digest
    });
    fields.finish();
    Some(Secret { header: header?, sha256: sha256? })
}

fn read_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}
