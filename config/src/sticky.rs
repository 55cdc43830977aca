//! `policies[].sticky`: what a user is known by, and the cookie for those who are not.

use std::time::Duration;

use crate::http_match;
use crate::node::{Fields, Node};
use crate::syntax;
use crate::values::{read_duration, read_subset};
use crate::vocabulary;

/// The same user gets the same version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Where a user's key may be. The first key that a request has counts.
    pub keys: Vec<StickyKey>,
    /// Hashed before the key: another salt deals the users anew. It holds no NUL.
    pub salt: String,
    /// The canaries' places along the ring, outermost first; those not named follow by name.
    pub order: Vec<String>,
    /// For requests without any of the keys; `None` leaves them to chance.
    pub issue_cookie: Option<IssueCookie>,
}

/// A place where a user's key may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickyKey {
    /// The first line of a header, in lower case.
    Header(String),
    /// The first cookie of a name.
    Cookie(String),
    /// The first query parameter of a name, as sent.
    Query(String),
    /// A string claim of the validated JWT, by the keys that lead to it.
    Claim(Vec<String>),
    /// The network of the client's address.
    SourceIp {
        /// Bits of an IPv4 address that count, 0 to 32.
        prefix_length: u8,
        /// Bits of an IPv6 address that count, 0 to 128.
        prefix_length6: u8,
    },
}

/// The cookie that a new user gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueCookie {
    /// Its name.
    pub name: String,
    /// How long a browser keeps it, in seconds; `None` means until it is closed.
    pub max_age: Option<u64>,
    /// The paths that it is sent to.
    pub path: String,
    /// The domain that it is sent to with its subdomains; `None` means the very host.
    pub domain: Option<String>,
    /// Whether requests that come from other sites carry it.
    pub same_site: SameSite,
    /// Whether it travels by HTTPS only; `None` means where the request came by HTTPS.
    pub secure: Option<bool>,
    /// Whether scripts cannot read it.
    pub http_only: bool,
}

/// `SameSite` of a cookie (RFC 6265bis).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Sent by requests from the same site only.
    Strict,
    /// Also when a link from another site is followed.
    Lax,
    /// Sent with every request; browsers want `Secure` beside it.
    None,
}

impl SameSite {
    /// The attribute's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// A user's address changes within the /64 that an access network gives to a household or a phone.
const PREFIX_LENGTH6: u8 = 64;

impl Sticky {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::STICKY)?;
        let keys = fields.require("keys").map(|keys| read_keys(&keys)).unwrap_or_default();
        let salt = fields.get("salt").and_then(|salt| {
            let text = salt.string()?;
            if text.contains('\0') {
                salt.invalid("a salt holds no NUL: that is what ends it");
            }
            Some(text.to_owned())
        });
        let order = fields.get("order").map(|order| read_order(&order)).unwrap_or_default();
        let issue_cookie = fields.get("issueCookie").and_then(|cookie| {
            let issued = IssueCookie::read(&cookie)?;
            if !keys.contains(&StickyKey::Cookie(issued.name.clone())) {
                cookie.invalid(format!("keys does not hold {{cookie: {}}}: no key would read it", issued.name));
            }
            Some(issued)
        });
        fields.finish();
        Some(Self { keys, salt: salt.unwrap_or_default(), order, issue_cookie })
    }
}

fn read_keys(node: &Node<'_>) -> Vec<StickyKey> {
    let keys = node.read_each(StickyKey::read);
    if node.is_empty_list() {
        node.invalid("keys names no key");
    }
    keys
}

fn read_order(node: &Node<'_>) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    for element in node.elements() {
        let Some(subset) = read_subset(&element) else { continue };
        if order.contains(&subset) {
            element.invalid(format!("{subset} is in the order already"));
        }
        order.push(subset);
    }
    order
}

impl StickyKey {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::STICKY_KEY)?;
        let found = [
            fields.get("header").map(|place| read_header(&place)),
            fields.get("cookie").map(|place| read_cookie_name(&place).map(Self::Cookie)),
            fields.get("query").map(|place| read_text(&place).map(Self::Query)),
            fields.get("claim").map(|place| read_claim(&place)),
            fields.get("sourceIp").map(|place| read_source_ip(&place)),
        ];
        fields.finish();
        let mut found = found.into_iter().flatten();
        let key = found.next();
        if key.is_none() || found.next().is_some() {
            node.invalid("a key is one of header, cookie, query, claim and sourceIp");
        }
        key.flatten()
    }

    /// The kind of place and its name, such as `header x-user-id`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Header(name) => format!("header {name}"),
            Self::Cookie(name) => format!("cookie {name}"),
            Self::Query(name) => format!("query {name}"),
            Self::Claim(path) => format!("claim {}", path.join(".")),
            Self::SourceIp { .. } => "sourceIp".to_owned(),
        }
    }
}

fn read_text(node: &Node<'_>) -> Option<String> {
    let text = node.string()?;
    if text.is_empty() {
        node.invalid("a name is empty");
    }
    Some(text.to_owned())
}

fn read_header(node: &Node<'_>) -> Option<StickyKey> {
    let name = node.string()?.to_ascii_lowercase();
    if !syntax::is_header_name(&name) || name == "host" {
        node.invalid(format!("{name:?} cannot be the name of a header with a user's key"));
    }
    Some(StickyKey::Header(name))
}

fn read_cookie_name(node: &Node<'_>) -> Option<String> {
    let name = node.string()?;
    if !syntax::is_header_name(name) {
        node.invalid(format!("{name:?} cannot be the name of a cookie"));
    }
    Some(name.to_owned())
}

fn read_claim(node: &Node<'_>) -> Option<StickyKey> {
    let text = node.string()?;
    let path = http_match::claim_keys(text);
    if path.is_none() {
        node.invalid(format!("{text:?} is no claim: write sub, a.b or [a][b]"));
    }
    path.map(StickyKey::Claim)
}

fn read_source_ip(node: &Node<'_>) -> Option<StickyKey> {
    let fields = node.object(&vocabulary::SOURCE_IP)?;
    let length = |name, longest: u8| {
        let length = fields.get(name)?.integer("prefix length", 0..=longest.into())?;
        u8::try_from(length).ok()
    };
    let key = StickyKey::SourceIp {
        prefix_length: length("prefixLength", 32).unwrap_or(32),
        prefix_length6: length("prefixLength6", 128).unwrap_or(PREFIX_LENGTH6),
    };
    fields.finish();
    Some(key)
}

impl IssueCookie {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&vocabulary::ISSUE_COOKIE)?;
        let name = fields.require("name").and_then(|name| read_cookie_name(&name));
        let boolean = |name| fields.get(name).and_then(|field| field.boolean());
        let cookie = Self {
            name: name.unwrap_or_default(),
            max_age: fields.get("maxAge").and_then(|age| read_max_age(&age)),
            path: read_attribute(&fields, "path", |path| path.starts_with('/')).unwrap_or_else(|| "/".to_owned()),
            domain: read_attribute(&fields, "domain", |domain| syntax::check_fqdn(domain).is_ok()),
            same_site: fields.get("sameSite").and_then(|place| read_same_site(&place)).unwrap_or(SameSite::Lax),
            secure: boolean("secure"),
            http_only: boolean("httpOnly").unwrap_or(true),
        };
        fields.finish();
        cookie.check(node);
        Some(cookie)
    }

    /// What a browser would throw away.
    fn check(&self, node: &Node<'_>) {
        if self.same_site == SameSite::None && self.secure == Some(false) {
            node.invalid("browsers drop a cookie of sameSite None that is not secure");
        }
        if self.name.starts_with("__Secure-") && self.secure != Some(true) {
            node.invalid("browsers drop a cookie __Secure-… that is not secure: true");
        }
        let is_host_only = self.secure == Some(true) && self.path == "/" && self.domain.is_none();
        if self.name.starts_with("__Host-") && !is_host_only {
            node.invalid("browsers drop a cookie __Host-… that is not secure: true, of path / and without domain");
        }
    }
}

/// An attribute of a cookie, which ends with a semicolon.
fn read_attribute(fields: &Fields<'_>, name: &'static str, is_valid: impl Fn(&str) -> bool) -> Option<String> {
    let place = fields.get(name)?;
    let text = place.string()?;
    if !is_valid(text) || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
        place.invalid(format!("{text:?} cannot be the {name} of a cookie"));
    }
    Some(text.to_owned())
}

/// A duration as everywhere, or whole days (`30d`).
fn read_max_age(node: &Node<'_>) -> Option<u64> {
    const DAY: u64 = 86_400;
    let days = node.text().and_then(|text| text.strip_suffix('d')?.parse::<u32>().ok());
    let age = match days {
        Some(days) => Duration::from_secs(DAY.saturating_mul(days.into())),
        None => read_duration(node)?,
    };
    if age.as_secs() == 0 || age.subsec_nanos() > 0 {
        node.invalid("maxAge is 1s or more, in whole seconds; without it the cookie lives until the browser is closed");
    }
    Some(age.as_secs())
}

fn read_same_site(node: &Node<'_>) -> Option<SameSite> {
    match node.string()? {
        "Strict" => Some(SameSite::Strict),
        "Lax" => Some(SameSite::Lax),
        "None" => Some(SameSite::None),
        other => {
            node.invalid(format!("sameSite is Strict, Lax or None, not {other:?}"));
            None
        }
    }
}
