//! `HTTPRedirect` and `HTTPDirectResponse`: answers without an upstream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use std::sync::Arc;

use crate::error::WarningCode;
use crate::http_match::HttpMatch;
use crate::node::Node;
use crate::string_match::StringMatch;
use crate::values::read_status;
use crate::vocabulary;

/// A redirect. What it does not say is taken from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The new path.
    pub path: Option<RedirectPath>,
    /// The new authority.
    pub authority: Option<String>,
    /// The new scheme, http or https.
    pub scheme: Option<String>,
    /// The new port.
    pub port: Option<RedirectPort>,
    /// The status; only 301, 302, 303, 307 and 308 do anything (Envoy has no others).
    pub code: u16,
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectPath {
    /// The whole path; its query, if it has one, replaces the request's.
    Uri(String),
    /// Replaces the matched prefix.
    Prefix(String),
}

/// The port of a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectPort {
    /// A number.
    Number(u16),
    /// The scheme's default: none is written.
    ProtocolDefault,
    /// The port that the client asked for.
    Request,
}

/// An answer with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectResponse {
    /// The status, 200–599.
    pub status: u16,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// The codes of Envoy's redirects.
const CODES: [u16; 5] = [301, 302, 303, 307, 308];

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

impl Redirect {
    /// Whether Envoy has a redirect of this code; without one the rule does nothing.
    #[must_use]
    pub fn is_carried_out(&self) -> bool {
        CODES.contains(&self.code)
    }

    pub(super) fn read(node: &Node<'_>, matches: &[Arc<HttpMatch>]) -> Option<Self> {
        let fields = node.object(&vocabulary::REDIRECT)?;
        let text =
            |name| fields.get(name).and_then(|field| field.string().map(str::to_owned)).filter(|text| !text.is_empty());
        let (uri, prefix) = (text("uri"), text("prefixRewrite"));
        let authority = text("authority");
        let scheme = text("scheme");
        let number = fields.get("port").and_then(|port| crate::port(&port)).map(RedirectPort::Number);
        let derived = fields.get("derivePort").and_then(|port| read_derived_port(&port));
        let code =
            fields.get("redirectCode").map_or(Some(0), |code| code.integer("redirect code", 0..=u32::from(u16::MAX)));
        fields.finish();
        if uri.is_some() && prefix.is_some() {
            node.invalid("redirect may only specify one of uri or prefix_rewrite");
        }
        if number.is_some() && derived.is_some() {
            node.invalid("redirect may only specify one of port or derivePort");
        }
        let prefixes_only = matches.iter().all(|entry| matches!(entry.uri, None | Some(StringMatch::Prefix(_))));
        if prefix.is_some() && !prefixes_only {
            node.invalid("redirect prefix_rewrite requires all URI matches to use prefix match type");
        }
        let says_nothing = [&uri, &prefix, &authority, &scheme].iter().all(|field| field.is_none());
        if says_nothing && number.is_none() && derived.is_none() {
            node.invalid("redirect must specify URI, authority, scheme, or port");
        }
        if scheme.as_deref().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
            node.invalid("invalid redirect scheme, must be \"http\" or \"https\"");
        }
        Some(Self {
            path: uri.map(RedirectPath::Uri).or(prefix.map(RedirectPath::Prefix)),
            authority,
            scheme,
            port: number.or(derived),
            code: read_code(node, code?)?,
        })
    }
}

fn read_code(node: &Node<'_>, code: u32) -> Option<u16> {
    let code = u16::try_from(code).ok()?;
    match code {
        0 => return Some(301),
        300..=399 if CODES.contains(&code) => {}
        300..=399 => node.warn(
            WarningCode::NoEffect,
            format!("redirect code {code} is not one of {CODES:?}: the rule does nothing"),
        ),
        _ => node.invalid(format!("{code} is not a valid redirect code, must be 3xx")),
    }
    Some(code)
}

fn read_derived_port(node: &Node<'_>) -> Option<RedirectPort> {
    match node.string()? {
        "FROM_PROTOCOL_DEFAULT" => Some(RedirectPort::ProtocolDefault),
        "FROM_REQUEST_PORT" => Some(RedirectPort::Request),
        other => {
            node.invalid(format!("derivePort is FROM_PROTOCOL_DEFAULT or FROM_REQUEST_PORT, not {other:?}"));
            None
        }
    }
}

impl DirectResponse {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::DIRECT_RESPONSE)?;
        let status = fields.require("status");
        let body = fields.get("body");
        fields.finish();
        let bytes = body.as_ref().map_or(Some(Vec::new()), read_body);
        if let (Some(body), Some(bytes)) = (&body, &bytes) {
            match bytes.len() {
                length if length > MIB => {
                    body.invalid("large direct_responses may impact control plane performance, must be less than 1MB")
                }
                length if length > 100_usize.saturating_mul(KIB) => {
                    body.warn(WarningCode::LargeBody, "large direct_responses may impact control plane performance")
                }
                _ => {}
            }
        }
        Some(Self { status: read_status(&status?)?, body: bytes? })
    }
}

fn read_body(node: &Node<'_>) -> Option<Vec<u8>> {
    let fields = node.object(&vocabulary::BODY)?;
    let (text, bytes) = (fields.get("string"), fields.get("bytes"));
    fields.finish();
    match (text, bytes) {
        (Some(_), Some(_)) => {
            node.invalid("only one of string and bytes may be set");
            None
        }
        (Some(text), None) => Some(text.string()?.as_bytes().to_vec()),
        (None, Some(bytes)) => {
            let decoded = BASE64.decode(bytes.string()?).ok();
            if decoded.is_none() {
                bytes.invalid("bytes is not valid base64");
            }
            decoded
        }
        (None, None) => Some(Vec::new()),
    }
}
