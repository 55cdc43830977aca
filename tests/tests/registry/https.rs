//! Registries behind HTTPS, and those that are not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use e2e::{
    binaries,
    registry::{Options, Registry},
};
use tempfile::TempDir;

use crate::tool::{Tool, image};

/// A registry that speaks HTTPS, and the certificate that makes it trusted.
pub(crate) struct Secure {
    pub(crate) registry: Registry,
    folder: TempDir,
}

impl Secure {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        fs::write(&certificate, made.cert.pem()).expect("write the certificate");
        fs::write(&key, made.signing_key.serialize_pem()).expect("write its key");
        let registry = Registry::start_with(&Options { certificate: Some((certificate, key)), ..Options::default() });
        Self { registry, folder }
    }

    /// What SSL_CERT_FILE has to be.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

pub(crate) fn is_spoken_to_those_who_are_trusted() {
    let (secure, other) = (Secure::start(), Secure::start());
    let image = image(secure.registry.address(), ":1");
    let wasm = binaries::wasm();
    let push = ["push", wasm.to_str().expect("a path in UTF-8"), &image];
    for (row, certificates, expected) in [
        ("no other certificate", other.certificate(), Some("its certificate is not trusted: ")),
        (
            "no certificate at all",
            Path::new("/dev/null").to_owned(),
            Some("SSL_CERT_FILE may name a file of certificates"),
        ),
        ("its certificate", secure.certificate(), None),
    ] {
        let tool = Tool::new().with("SSL_CERT_FILE", &certificates);
        let pushed = tool.run(&push);
        match expected {
            Some(expected) => {
                pushed.has_failed_with(row, expected);
                assert!(!pushed.stderr.contains("trying again"), "{row}: {pushed:?}");
            }
            None => {
                let pulled = tool.run(&["pull", &image]);
                assert_eq!(pushed.digest(), pulled.digest(), "{row}");
                assert!(tool.path("plugin.wasm").is_file(), "{row}: pulled under the name that it has in the image");
            }
        }
    }
}

pub(crate) fn and_http_are_told_apart() {
    let (secure, plain) = (Secure::start(), Registry::start());
    let wasm = binaries::wasm();
    let file = wasm.to_str().expect("a path in UTF-8");
    let tool = Tool::new().with("SSL_CERT_FILE", &secure.certificate());
    for (row, registry, flags, expected) in [
        ("HTTP to HTTPS", secure.registry.address(), &["--plain-http"][..], "speaks HTTPS: leave --plain-http out"),
        ("HTTPS to HTTP", plain.address(), &[], "does not speak HTTPS: --plain-http is for"),
    ] {
        let image = image(registry, ":1");
        for command in [&["push", file, &image][..], &["pull", &image]] {
            let outcome = tool.run(&[command, flags].concat());
            outcome.has_failed_with(row, &format!("{registry} {expected}"));
            assert!(!outcome.stderr.contains("trying again"), "{row}: {outcome:?}");
        }
    }
}
