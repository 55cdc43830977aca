//! Hosts: short and full names, wildcards, and what a proxy in a namespace may call them.

use memchr::memrchr2;

/// The domain of Kubernetes services.
const SERVICE_DOMAIN: &str = "svc.cluster.local";

/// The full name of a host: a name without a dot is a service of `namespace`, any other name is complete.
#[must_use]
pub fn qualify(host: &str, namespace: &str) -> String {
    if host.contains('.') || host.contains('*') || host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.{SERVICE_DOMAIN}")
    }
}

/// Every name under which a sidecar knows a host: the full name, with a trailing dot too, and for a Kubernetes service
/// `name.namespace`, `name.namespace.svc` and, within its own namespace, `name` (istiod's alternative virtual hosts).
#[must_use]
pub fn mesh_names(fqdn: &str, same_namespace: bool) -> Vec<String> {
    let mut names = vec![fqdn.to_owned()];
    if fqdn.contains('*') {
        return names;
    }
    if !fqdn.ends_with('.') {
        names.push(format!("{fqdn}."));
    }
    if let Some((name, namespace)) = service_name(fqdn) {
        names.push(format!("{name}.{namespace}.svc"));
        names.push(format!("{name}.{namespace}"));
        if same_namespace {
            names.push(name.to_owned());
        }
    }
    names
}

/// The namespace in the full name of a Kubernetes service; `None` for other names.
#[must_use]
pub fn namespace(fqdn: &str) -> Option<&str> {
    service_name(fqdn).map(|(_, namespace)| namespace)
}

/// (name, namespace) of the full name of a Kubernetes service.
fn service_name(fqdn: &str) -> Option<(&str, &str)> {
    let service = fqdn.strip_suffix(SERVICE_DOMAIN)?.strip_suffix('.')?;
    service.split_once('.').filter(|(_, namespace)| !namespace.contains('.'))
}

/// Whether `pattern` (a host or a wildcard) takes a host.
#[must_use]
pub fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => pattern == host,
    }
}

/// Whether two hosts of one list name a common host (Istio's `host.Name.Matches`).
#[must_use]
pub fn overlap(left: &str, right: &str) -> bool {
    match (left.strip_prefix('*'), right.strip_prefix('*')) {
        (Some(left), Some(right)) => left.ends_with(right) || right.ends_with(left),
        (Some(suffix), None) => right.ends_with(suffix),
        (None, Some(suffix)) => left.ends_with(suffix),
        (None, None) => left == right,
    }
}

/// Splits an authority into host and port as Envoy does when it looks a virtual host up: at the last colon that is not
/// inside the brackets of an IPv6 address. The port is `None` where it is no number.
#[must_use]
pub fn split_port(authority: &[u8]) -> (&[u8], Option<u16>) {
    // Nearly always a few digits follow the colon.
    let (mut rest, mut number, mut unit) = (authority, 0_u32, 1_u32);
    while let [before @ .., last] = rest {
        match last {
            b'0'..=b'9' if unit <= 10_000 => {
                number = number.wrapping_add(u32::from(last.wrapping_sub(b'0')).wrapping_mul(unit));
                unit = unit.wrapping_mul(10);
            }
            b':' => return (before, number.try_into().ok().filter(|_| unit > 1)),
            _ => break,
        }
        rest = before;
    }
    match memrchr2(b':', b']', authority).and_then(|last| authority.split_at_checked(last)) {
        Some((host, [b':', port @ ..])) => (host, port_number(port)),
        _ => (authority, None),
    }
}

/// The number that decimal digits write; like `u16::from_str` it accepts a plus sign before them.
fn port_number(digits: &[u8]) -> Option<u16> {
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_u16;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| digit.wrapping_sub(b'0'))?;
        // A port of 16 bits, times ten and some, fits 32.
        number = u32::from(number).wrapping_mul(10).wrapping_add(digit.into()).try_into().ok()?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::split_port;

    #[test]
    fn an_authority_is_split_at_its_last_colon() {
        for (name, authority, host, port) in [
            ("port", "reviews:9080", "reviews", Some(9080)),
            ("no port", "reviews", "reviews", None),
            ("digits without a colon", "9080", "9080", None),
            ("host that ends in digits", "reviews2", "reviews2", None),
            ("nothing", "", "", None),
            ("colon alone", ":", "", None),
            ("port alone", ":80", "", Some(80)),
            ("no digits after the colon", "reviews:", "reviews", None),
            ("letters after the colon", "reviews:http", "reviews", None),
            ("sign", "reviews:+80", "reviews", Some(80)),
            ("minus sign", "reviews:-80", "reviews", None),
            ("the largest port", "reviews:65535", "reviews", Some(65535)),
            ("beyond the largest port", "reviews:65536", "reviews", None),
            ("five digits", "reviews:99999", "reviews", None),
            ("leading zeros", "reviews:0000080", "reviews", Some(80)),
            ("many digits", "reviews:18446744073709551616", "reviews", None),
            ("IPv6 address", "[::1]", "[::1]", None),
            ("IPv6 address with a port", "[::1]:80", "[::1]", Some(80)),
            ("IPv6 address without brackets", "::1", ":", Some(1)),
            ("broken bracket", "[::1", "[:", Some(1)),
        ] {
            assert_eq!(split_port(authority.as_bytes()), (host.as_bytes(), port), "{name}");
        }
    }
}
