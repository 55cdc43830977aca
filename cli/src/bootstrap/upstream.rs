//! `--upstream SERVICE/SUBSET=HOST:PORT|none`: who serves a version.

use std::{fmt, str::FromStr};

use super::versions::Version;
use crate::address::HostPort;

/// One `--upstream` flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// Full name of the host, or any whole labels that it starts with, such as `reviews` and `reviews.default`.
    service: String,
    subset: Option<String>,
    serving: Serving,
}

/// Who serves a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Serving {
    /// An echo server of our own.
    Echo,
    /// A server of the user's.
    Address(HostPort),
    /// Nobody: its clusters are left out.
    Nobody,
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "give SERVICE/SUBSET=HOST:PORT or SERVICE/SUBSET=none, such as reviews/v2=127.0.0.1:9080";
        let (version, serving) = text.split_once('=').ok_or(wrong)?;
        let (service, subset) = match version.split_once('/') {
            Some((service, subset)) => (service, Some(subset)),
            None => (version, None),
        };
        if service.is_empty() || subset.is_some_and(|subset| subset.is_empty() || subset.contains('/')) {
            return Err(wrong.to_owned());
        }
        let serving = match serving {
            "none" => Serving::Nobody,
            address => Serving::Address(address.parse()?),
        };
        Ok(Self { service: service.to_ascii_lowercase(), subset: subset.map(str::to_owned), serving })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)?;
        if let Some(subset) = &self.subset {
            write!(f, "/{subset}")?;
        }
        match &self.serving {
            Serving::Address(address) => write!(f, "={address}"),
            Serving::Nobody | Serving::Echo => f.write_str("=none"),
        }
    }
}

impl Upstream {
    /// Whether the flag names this version, by full name or by leading labels of it.
    fn names(&self, version: &Version) -> bool {
        let after = version.host.strip_prefix(&self.service);
        after.is_some_and(|after| after.is_empty() || after.starts_with('.')) && self.subset == version.subset
    }
}

/// Who serves a version, by the flags.
pub(crate) fn serving(version: &Version, flags: &[Upstream]) -> Serving {
    let flag = flags.iter().find(|flag| flag.names(version));
    flag.map_or(Serving::Echo, |flag| flag.serving.clone())
}

/// The addresses that the flags name.
pub(crate) fn addresses(flags: &[Upstream]) -> impl Iterator<Item = &HostPort> {
    flags.iter().filter_map(|flag| match &flag.serving {
        Serving::Address(address) => Some(address),
        Serving::Echo | Serving::Nobody => None,
    })
}

/// What is wrong with the flags for these versions: one that names none or several, two that name the same.
pub(crate) fn check(versions: &[Version], flags: &[Upstream]) -> Result<(), String> {
    let keys = |versions: &[&Version]| versions.iter().map(|version| version.key()).collect::<Vec<_>>().join(", ");
    let mut taken: Vec<&Version> = Vec::new();
    for flag in flags {
        let named: Vec<&Version> = versions.iter().filter(|version| flag.names(version)).collect();
        match named.as_slice() {
            [] => {
                let known = keys(&versions.iter().collect::<Vec<_>>());
                return Err(format!("--upstream {flag}: the configuration has no such destination; known: {known}"));
            }
            [version] if taken.contains(version) => {
                return Err(format!("--upstream {flag}: {} is given twice", version.key()));
            }
            [version] => taken.push(version),
            several => return Err(format!("--upstream {flag}: could be any of {}; give the full name", keys(several))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::traffic_policy::TrafficPolicy;

    fn version(host: &str, subset: Option<&str>) -> Version {
        let subset = subset.map(str::to_owned);
        Version { host: host.to_owned(), subset, clusters: Vec::new(), policy: TrafficPolicy::default() }
    }

    #[test]
    fn a_flag_names_a_version_and_who_serves_it() {
        let address = |text: &str| Serving::Address(text.parse().unwrap());
        for (text, expected) in [
            ("reviews/v2=127.0.0.1:9080", Some(("reviews", Some("v2"), address("127.0.0.1:9080")))),
            ("Reviews.default/v2=none", Some(("reviews.default", Some("v2"), Serving::Nobody))),
            ("reviews=localhost:80", Some(("reviews", None, address("localhost:80")))),
            ("reviews/v2", None),
            ("reviews/v2=", None),
            ("reviews/v2=9080", None),
            ("/v2=none", None),
            ("reviews/=none", None),
            ("reviews/v2/x=none", None),
            ("", None),
        ] {
            let parsed: Result<Upstream, String> = text.parse();
            let expected = expected.map(|(service, subset, serving)| Upstream {
                service: service.to_owned(),
                subset: subset.map(str::to_owned),
                serving,
            });
            assert_eq!(parsed.ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn flags_are_held_against_the_destinations() {
        let versions = [
            version("cart.shop.svc.cluster.local", Some("v1")),
            version("reviews.default.svc.cluster.local", Some("v1")),
            version("reviews.default.svc.cluster.local", None),
            version("cart.depot.svc.cluster.local", Some("v1")),
        ];
        for (name, flags, error) in [
            ("short name", vec!["reviews/v1=none"], None),
            ("full name", vec!["reviews.default.svc.cluster.local/v1=none"], None),
            ("without subset", vec!["reviews=none"], None),
            ("enough labels", vec!["cart.shop/v1=none"], None),
            (
                "part of a label",
                vec!["review/v1=none"],
                Some("no such destination; known: cart.shop.svc.cluster.local/v1, "),
            ),
            (
                "unknown subset",
                vec!["reviews/v9=none"],
                Some("--upstream reviews/v9=none: the configuration has no such"),
            ),
            ("ambiguous", vec!["cart/v1=none"], Some("could be any of cart.shop.svc.cluster.local/v1, cart.depot")),
            ("twice", vec!["reviews/v1=none", "reviews.default/v1=127.0.0.1:1"], Some("given twice")),
        ] {
            let flags: Vec<Upstream> = flags.into_iter().map(|flag| flag.parse().unwrap()).collect();
            match (check(&versions, &flags), error) {
                (Ok(()), None) => {}
                (Err(found), Some(error)) => assert!(found.contains(error), "{name}: {found}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_version_without_a_flag_is_served_by_an_echo_server() {
        let flags = ["reviews/v2=none".parse().unwrap()];
        for (subset, expected) in [(Some("v1"), Serving::Echo), (Some("v2"), Serving::Nobody), (None, Serving::Echo)] {
            assert_eq!(serving(&version("reviews.default.svc.cluster.local", subset), &flags), expected, "{subset:?}");
        }
    }
}
