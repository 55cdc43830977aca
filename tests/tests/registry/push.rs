//! What a push leaves in the registry, and says.

use std::fs;

use e2e::registry::Registry;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::tool::{self, Tool, image};

pub(crate) fn both_layouts_come_back_as_they_were() {
    let registry = Registry::start();
    for layout in ["compat", "artifact"] {
        let (tool, image) = (Tool::new(), image(registry.address(), &format!(":{layout}")));
        let pushed = tool.push(&image, &["--layout", layout]);
        let pulled = tool.pull(&image);
        assert_eq!(pushed.digest(), pulled.digest(), "{layout}");
        assert!(tool.pulled().is_some_and(|pulled| pulled == tool::module()), "{layout}: another module");
    }
}

/// The annotations, and the lines that a WasmPlugin takes.
pub(crate) fn an_image_says_what_it_is() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let image = image(registry.address(), ":1");
    let pushed = tool.push(&image, &["--version", "1.2.3", "--source", "https://example.com/x", "--revision", "0a1b"]);
    let digest = pushed.digest();
    let manifest = fs::read(registry.blob(digest)).expect("the manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    for (name, expected) in
        [("version", "1.2.3"), ("source", "https://example.com/x"), ("revision", "0a1b"), ("licenses", "Apache-2.0")]
    {
        assert_eq!(manifest["annotations"][format!("org.opencontainers.image.{name}")], expected);
    }
    let own: String = Sha256::digest(tool::module()).iter().map(|byte| format!("{byte:02x}")).collect();
    for expected in [
        format!("\n  url: {image}\n  sha256: {}\n", digest.trim_start_matches("sha256:")),
        format!("the file's own, {own}\n"),
    ] {
        assert!(pushed.stderr.contains(&expected), "{expected:?}: {pushed:?}");
    }
}

pub(crate) fn the_same_image_is_not_pushed_again() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let image = image(registry.address(), ":1");
    let (first, second) = (tool.push(&image, &[]), tool.push(&image, &[]));
    assert_eq!(first.digest(), second.digest());
    assert!(first.stderr.contains("pushing ") && !first.stderr.contains("already"), "{first:?}");
    assert!(second.stderr.contains("nothing is pushed") && !second.stderr.contains("pushing "), "{second:?}");
}

pub(crate) fn a_tag_that_moves_is_warned_of() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let image = image(registry.address(), ":1");
    let (first, second) = (tool.push(&image, &[]), tool.push(&image, &["--version", "0.0.1"]));
    let warning = format!("warning: the tag has moved from {}:", first.digest());
    assert!(!first.stderr.contains("warning") && second.stderr.contains(&warning), "{second:?}");
    // Of the two images, only the notes differ.
    assert!(second.stderr.contains("layer sha256:") && second.stderr.contains(": is there\n"), "{second:?}");
    assert_eq!(tool.pull(&image).digest(), second.digest());
    assert_ne!(first.digest(), second.digest());
}

pub(crate) fn the_same_module_is_the_same_image_anywhere() {
    let digests = [":1", ":2"].map(|tag| {
        let registry = Registry::start();
        Tool::new().push(&image(registry.address(), tag), &[]).digest().to_owned()
    });
    assert_eq!(digests[0], digests[1]);
}

pub(crate) fn what_cannot_be_pushed_is_refused() {
    let (registry, tool) = (Registry::start(), Tool::new());
    fs::write(tool.path("text"), "#!/bin/sh\n").expect("a file");
    let tagged = image(registry.address(), ":1");
    let digest = image(registry.address(), &format!("@sha256:{}", "0".repeat(64)));
    for (row, file, image, expected) in [
        ("no file", "absent", &tagged, "absent: No such file"),
        ("no module", "text", &tagged, "text: it is no WebAssembly module"),
        ("to a digest", "text", &digest, "an image is pushed to a tag"),
    ] {
        tool.run(&["push", file, image, "--plain-http"]).has_failed_with(row, expected);
    }
    let refused = tool.run(&["push", "text", "oci://127.0.0.1/canary-filter", "--plain-http"]);
    assert!(!refused.succeeded && refused.stderr.contains("it has no tag"), "{refused:?}");
}
