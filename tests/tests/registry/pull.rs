//! What is taken out of a registry, and what is not.

use std::fs;

use e2e::registry::{Registry, raw};

use crate::tool::{self, Tool, image};

pub(crate) fn a_digest_names_one_image() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let address = registry.address();
    let first = tool.push(&image(address, ":1"), &[]).digest().to_owned();
    let second = tool.push(&image(address, ":1"), &["--version", "0.0.1"]).digest().to_owned();
    for (row, suffix, expected) in [
        ("the tag", ":1".to_owned(), Some(&second)),
        ("the digest it had", format!("@{first}"), Some(&first)),
        ("that digest, whatever the tag", format!(":1@{first}"), Some(&first)),
        ("the digest of nothing", format!("@sha256:{}", "0".repeat(64)), None),
        ("a tag that is not there", ":2".to_owned(), None),
    ] {
        let pulled = tool.pull(&image(address, &suffix));
        match expected {
            Some(expected) => assert_eq!(pulled.digest(), expected, "{row}"),
            None => pulled.has_failed_with(row, &format!("{address} does not have it")),
        }
    }
}

pub(crate) fn what_was_tampered_with_is_refused() {
    for (row, part) in [("the layer", 0), ("the manifest", 1)] {
        let (registry, tool) = (Registry::start(), Tool::new());
        let image = image(registry.address(), ":1");
        let pushed = tool.push(&image, &[]);
        let layer =
            pushed.stderr.lines().find_map(|line| line.strip_prefix("  layer ")?.split_once(": ")).expect("a layer").0;
        let digest = [layer, pushed.digest()][part];
        let file = registry.blob(digest);
        let mut content = fs::read(&file).expect("what the registry keeps");
        // Inside of a number of the manifest, or of the compressed module.
        let place = content.iter().rposition(u8::is_ascii_digit).expect("a digit");
        content[place] = if content[place] == b'0' { b'1' } else { b'0' };
        fs::write(&file, content).expect("tamper");
        let pulled = tool.pull(&image);
        pulled.has_failed_with(row, "nothing of it is used");
        assert!(!pulled.stderr.contains("trying again"), "{row}: {pulled:?}");
        assert_eq!(tool.pulled(), None, "{row}");
    }
}

/// By the rules that were seen to hold in Istio's agent.
pub(crate) fn what_istio_would_refuse_is_refused() {
    const MODULE: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
    const SETTINGS: &str = "application/vnd.module.wasm.config.v1+json";
    const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    let (registry, module) = (Registry::start(), tool::module());
    let address = registry.address();
    for (row, layers, expected) in [
        ("an artifact", &[(SETTINGS, b"{}".as_slice()), (MODULE, &module)][..], None),
        ("one layer", &[(MODULE, &module)], Some("as an artifact: it has 1 layer(s), not 2")),
        ("application/wasm", &[("application/wasm", &module)], Some("its last layer is application/wasm, not")),
        ("no tar", &[(GZIP, &module)], Some("as a compat image: the layer is no tar+gzip")),
        ("an uncompressed tar", &[("application/vnd.oci.image.layer.v1.tar", &module)], Some("its last layer is")),
        ("no module", &[(SETTINGS, b"{}".as_slice()), (MODULE, b"#!/bin/sh")], Some("no WebAssembly module")),
    ] {
        let tool = Tool::new();
        let tag = row.replace([' ', '/'], "-");
        let digest = raw::push(address, &tag, layers);
        let pulled = tool.pull(&image(address, &format!(":{tag}")));
        match expected {
            None => {
                assert_eq!(pulled.digest(), digest, "{row}");
                assert!(tool.pulled().is_some_and(|pulled| pulled == module), "{row}: another module");
            }
            Some(expected) => {
                pulled.has_failed_with(row, expected);
                pulled.has_failed_with(row, "Istio would refuse this image");
                assert_eq!(tool.pulled(), None, "{row}");
            }
        }
    }
    let tool = Tool::new();
    let child = tool.push(&image(address, ":child"), &[]);
    let size = fs::read(registry.blob(child.digest())).expect("the manifest").len();
    let index = raw::push_index(address, "index", child.digest(), size);
    for suffix in [":index".to_owned(), format!("@{index}")] {
        tool.pull(&image(address, &suffix)).has_failed_with("an index", "it is an index of images");
    }
}
