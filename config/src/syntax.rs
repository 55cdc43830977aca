//! The syntax of names, as Istio's validation has it (`pkg/config/labels`, `pkg/config/validation`).

/// Istio's DNS label: letters of either case, digits and inner hyphens, at most 63.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// A first label that may be `*` or start with `*-` or `*`.
fn is_wildcard_dns_label(text: &str) -> bool {
    let rest = text.strip_prefix("*-").or_else(|| text.strip_prefix('*')).unwrap_or(text);
    text == "*" || (text.len() <= 63 && is_dns_label(rest))
}

fn check_length(name: &str) -> Result<(), String> {
    match name.len() {
        0 => Err("empty domain name not allowed".to_owned()),
        1..=255 => Ok(()),
        _ => Err(format!("domain name {name:?} too long (max 255)")),
    }
}

fn check_labels(name: &str, labels: &str) -> Result<(), String> {
    let top = labels.rsplit('.').next().unwrap_or_default();
    if top.parse::<i64>().is_ok() {
        return Err(format!("domain name {name:?} invalid (top level domain {top:?} cannot be all-numeric)"));
    }
    let labels = labels.strip_suffix('.').unwrap_or(labels);
    match labels.split('.').find(|label| !is_dns_label(label)) {
        Some(label) => Err(format!("domain name {name:?} invalid (label {label:?} invalid)")),
        None => Ok(()),
    }
}

/// A fully qualified or short domain name without wildcards.
pub(crate) fn check_fqdn(name: &str) -> Result<(), String> {
    check_length(name)?;
    check_labels(name, name)
}

/// A domain name whose first label may be a wildcard.
pub(crate) fn check_wildcard_domain(name: &str) -> Result<(), String> {
    check_length(name)?;
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    if !is_wildcard_dns_label(first) {
        return Err(format!("domain name {name:?} invalid (label {first:?} invalid)"));
    }
    rest.map_or(Ok(()), |rest| check_labels(name, rest))
}

/// A subset's name.
pub(crate) fn check_subset(name: &str) -> Result<(), String> {
    match name {
        "" => Err("subset name cannot be empty".to_owned()),
        name if is_dns_label(name) => Ok(()),
        name => Err(format!("subset name is invalid: {name}")),
    }
}

/// A gateway's name: `name`, `namespace/name` or the legacy FQDN.
pub(crate) fn check_gateway(name: &str) -> Result<(), String> {
    let Some((namespace, gateway)) = name.split_once('/') else { return check_fqdn(name) };
    if namespace.is_empty() || gateway.is_empty() {
        return Err("config namespace and gateway name cannot be empty".to_owned());
    }
    if !is_dns_label(namespace) {
        return Err(format!("invalid value for namespace: {namespace:?}"));
    }
    if is_dns_label(gateway) { Ok(()) } else { Err(format!("invalid value for gateway name: {gateway:?}")) }
}

/// Whether this is an HTTP header name (RFC 9110 token).
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The name of a header to match: a token, or a pseudo-header in lower case.
pub(crate) fn check_matched_header(name: &str) -> Result<(), String> {
    const PSEUDO_HEADERS: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":status"];
    if name.is_empty() {
        return Err("header name cannot be empty".to_owned());
    }
    if PSEUDO_HEADERS.contains(&name) || is_header_name(name) {
        return Ok(());
    }
    Err(format!("header name {name} is not a valid header name"))
}

/// One Kubernetes label (`labels.Instance.Validate`).
pub(crate) fn check_label(key: &str, value: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let prefix_ok = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_dns_label));
    if !prefix_ok || !is_qualified_name(name) {
        return Err(format!("invalid label key: {key:?}"));
    }
    if !value.is_empty() && !is_qualified_name(value) {
        return Err(format!("invalid label value: {value:?}"));
    }
    Ok(())
}

fn is_qualified_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}
