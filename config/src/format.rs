//! Header values as Envoy's format strings: text, `%%`, and commands between percent signs.
//!
//! A command that the filter cannot expand is rejected by name when the document is read; it is never sent as text.

use std::fmt;

/// A parsed header value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    source: String,
    parts: Vec<Part>,
}

/// A part of a header value; parts are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// `%REQ(NAME?ALTERNATIVE):LENGTH%`: the first value of a header.
    Header {
        /// The header, in lower case.
        name: String,
        /// The header whose value counts where the first is absent.
        alternative: Option<String>,
        /// How many bytes of the value count, at most.
        length: Option<usize>,
    },
    /// What the host knows of the connection or the request.
    Property(Property),
    /// `%ROUTE_NAME%`: the route that matched.
    RouteName,
}

/// A property of the connection or the request that a host hands to a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// `%PROTOCOL%`, such as `HTTP/1.1`.
    Protocol,
    /// `%DOWNSTREAM_REMOTE_ADDRESS%`: the client's address with its port.
    RemoteAddress,
    /// `%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%`.
    RemoteAddressWithoutPort,
    /// `%DOWNSTREAM_REMOTE_PORT%`.
    RemotePort,
    /// `%DOWNSTREAM_LOCAL_ADDRESS%`: the listener's address with its port.
    LocalAddress,
    /// `%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%`.
    LocalAddressWithoutPort,
    /// `%DOWNSTREAM_LOCAL_PORT%`.
    LocalPort,
    /// `%REQUESTED_SERVER_NAME%`: the SNI.
    RequestedServerName,
    /// `%DOWNSTREAM_PEER_URI_SAN%`: the first URI of the client's certificate.
    PeerUriSan,
    /// `%DOWNSTREAM_PEER_SUBJECT%`.
    PeerSubject,
    /// `%DOWNSTREAM_TLS_VERSION%`.
    TlsVersion,
}

const PROPERTIES: [(&str, Property); 11] = [
    ("PROTOCOL", Property::Protocol),
    ("DOWNSTREAM_REMOTE_ADDRESS", Property::RemoteAddress),
    ("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Property::RemoteAddressWithoutPort),
    ("DOWNSTREAM_REMOTE_PORT", Property::RemotePort),
    ("DOWNSTREAM_LOCAL_ADDRESS", Property::LocalAddress),
    ("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Property::LocalAddressWithoutPort),
    ("DOWNSTREAM_LOCAL_PORT", Property::LocalPort),
    ("REQUESTED_SERVER_NAME", Property::RequestedServerName),
    ("DOWNSTREAM_PEER_URI_SAN", Property::PeerUriSan),
    ("DOWNSTREAM_PEER_SUBJECT", Property::PeerSubject),
    ("DOWNSTREAM_TLS_VERSION", Property::TlsVersion),
];

/// Why a value is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidFormat {
    /// A control character other than the tab.
    ControlCharacter,
    /// A percent sign that is neither doubled nor the start of a command.
    Percent,
    /// A command that is well-formed and that a filter cannot expand.
    Unsupported(String),
}

impl fmt::Display for InvalidFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlCharacter => f.write_str("header value configuration is invalid: it has a control character"),
            Self::Percent => f.write_str("header value configuration: un-escaped % (write %% for a percent sign)"),
            Self::Unsupported(command) => {
                write!(
                    f,
                    "header value configuration: %{command}% cannot be expanded by a filter; known: REQ(NAME), ROUTE_NAME"
                )?;
                PROPERTIES.iter().try_for_each(|(name, _)| write!(f, ", {name}"))
            }
        }
    }
}

impl std::error::Error for InvalidFormat {}

impl Format {
    /// Parses a header's value.
    ///
    /// # Errors
    /// If Istio's validation rejects it, or a command cannot be expanded here.
    pub fn parse(source: &str) -> Result<Self, InvalidFormat> {
        if source.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(InvalidFormat::ControlCharacter);
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let (command, after) = after.split_once('%').ok_or(InvalidFormat::Percent)?;
            parts.extend([Part::Text(std::mem::take(&mut text)), parse_command(command)?]);
            rest = after;
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self { source: source.to_owned(), parts })
    }

    /// The parts in order; none is an empty text.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The value as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

fn parse_command(command: &str) -> Result<Part, InvalidFormat> {
    let unsupported = || InvalidFormat::Unsupported(command.to_owned());
    let name_end = command.find(['(', ':']).unwrap_or(command.len());
    let (name, arguments) = command.split_at_checked(name_end).ok_or_else(unsupported)?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(InvalidFormat::Percent);
    }
    if name == "REQ" {
        return parse_header(arguments).ok_or_else(unsupported);
    }
    if !arguments.is_empty() {
        return Err(unsupported());
    }
    if name == "ROUTE_NAME" {
        return Ok(Part::RouteName);
    }
    let property = PROPERTIES.iter().find(|(known, _)| *known == name);
    property.map(|(_, property)| Part::Property(*property)).ok_or_else(unsupported)
}

/// `(NAME?ALTERNATIVE):LENGTH`
fn parse_header(arguments: &str) -> Option<Part> {
    let (names, rest) = arguments.strip_prefix('(')?.split_once(')')?;
    let length = match rest.strip_prefix(':') {
        Some(length) => Some(length.parse().ok()?),
        None if rest.is_empty() => None,
        None => return None,
    };
    let (name, alternative) = match names.split_once('?') {
        Some((name, alternative)) => (name, Some(alternative.to_ascii_lowercase())),
        None => (names, None),
    };
    let name = name.to_ascii_lowercase();
    (!name.is_empty()).then_some(Part::Header { name, alternative, length })
}
