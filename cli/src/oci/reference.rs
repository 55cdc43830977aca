//! `oci://HOST[:PORT]/NAME:TAG`, as flags take it and Istio's `url` has it.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use oci_client::Reference;

/// How Istio tells images from files behind other URLs.
const SCHEME: &str = "oci://";
/// How a folder of this machine begins.
const FOLDER: &str = "oci-layout:";
const EXAMPLE: &str = "oci://registry.example.com/canary-filter:0.2.0";

/// An image in a registry, by its tag, its digest or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageUrl {
    text: String,
    reference: Reference,
}

impl ImageUrl {
    /// What the client of the registry calls it.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The registry's host and port, as `docker login` takes it.
    pub(crate) fn host(&self) -> &str {
        self.reference.registry()
    }
}

/// Where an image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Into a registry.
    Registry(ImageUrl),
    /// Into a new folder of this machine, as an image layout of OCI.
    Folder(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(FOLDER) {
            Some("") => Err(format!("it names no folder behind {FOLDER}")),
            Some(folder) => Ok(Self::Folder(folder.into())),
            None => text.parse().map(Self::Registry),
        }
    }
}

/// Whether a host, with or without a port, is this machine itself, so that what is sent there goes over no network: unless the
/// environment names a proxy (`http_proxy`) and does not except the host (`no_proxy`).
pub(crate) fn is_loopback(host: &str) -> bool {
    let has_port = |(_, port): &(&str, &str)| port.parse::<u16>().is_ok();
    let name = host.rsplit_once(':').filter(has_port).map_or(host, |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    let address = name.parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

impl FromStr for ImageUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; an image is written as {EXAMPLE}");
        let named = text.strip_prefix(SCHEME).ok_or_else(|| wrong(&format!("it does not begin with {SCHEME}")))?;
        let (host, name) = named.split_once('/').ok_or_else(|| wrong("it has no name behind the registry's host"))?;
        if !host.contains(['.', ':']) && host != "localhost" {
            return Err(wrong(&format!("{host:?} is no registry's host (Docker Hub is docker.io)")));
        }
        let last = name.rsplit('/').next().unwrap_or_default();
        if !last.contains([':', '@']) {
            return Err(wrong("it has no tag: `latest` is not meant unless it is said"));
        }
        let reference = named.parse().map_err(|error| wrong(&format!("{error}")))?;
        Ok(Self { text: text.to_owned(), reference })
    }
}

impl fmt::Display for ImageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_host_a_name_and_a_tag_or_digest() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let (by_digest, by_both) = (format!("oci://r.io/a@{digest}"), format!("oci://r.io/a:1@{digest}"));
        for (text, expected) in [
            (
                "oci://registry.example.com/canary-filter:0.2.0",
                ("registry.example.com", "canary-filter", Some("0.2.0")),
            ),
            ("oci://127.0.0.1:5000/canary-filter:1", ("127.0.0.1:5000", "canary-filter", Some("1"))),
            ("oci://localhost/a:1", ("localhost", "a", Some("1"))),
            ("oci://docker.io/me/a:1", ("docker.io", "me/a", Some("1"))),
            ("oci://r.io/a/b/c:latest", ("r.io", "a/b/c", Some("latest"))),
            (&by_digest, ("r.io", "a", None)),
            (&by_both, ("r.io", "a", Some("1"))),
        ] {
            let image: ImageUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let found = (image.host(), image.reference().repository(), image.reference().tag());
            assert_eq!(found, expected, "{text}");
            assert_eq!(image.reference().digest().is_some(), text.contains('@'), "{text}");
            assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn an_image_goes_into_a_registry_or_a_folder() {
        let image = "oci://r.io/a:1";
        assert_eq!(image.parse(), Ok(Target::Registry(image.parse().unwrap())));
        assert_eq!("oci-layout:dist/image".parse(), Ok(Target::Folder("dist/image".into())));
        assert!("oci-layout:".parse::<Target>().unwrap_err().contains("no folder"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (row, text, expected) in [
            ("no scheme", "registry.example.com/a:1", "does not begin with oci://"),
            ("another scheme", "https://registry.example.com/a:1", "does not begin with oci://"),
            ("no name", "oci://registry.example.com", "no name"),
            ("an empty name", "oci://registry.example.com/:1", "invalid"),
            ("no host", "oci://canary-filter/a:1", "no registry's host (Docker Hub is docker.io)"),
            ("no tag", "oci://registry.example.com:5000/a", "no tag"),
            ("capitals", "oci://registry.example.com/Canary:1", "invalid reference format"),
            ("a digest that is cut", "oci://registry.example.com/a@sha256:0123", "invalid"),
            ("nothing", "", "does not begin with oci://"),
        ] {
            let error = text.parse::<ImageUrl>().expect_err(row);
            assert!(error.contains(expected) && error.ends_with(EXAMPLE), "{row}: {error}");
        }
    }

    #[test]
    fn loopback_is_what_goes_over_no_network() {
        for (host, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("registry.localhost:5000", true),
            ("127.0.0.1", true),
            ("127.8.9.10:5000", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("registry.example.com:5000", false),
            ("localhost.example.com", false),
            ("mylocalhost:5000", false),
            ("10.0.0.1:5000", false),
            ("0.0.0.0:5000", false),
            ("[2001:db8::1]:5000", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
