//! Connections that break off in the middle of a layer.

use std::fs;

use e2e::registry::Registry;

use crate::{
    relay::{Cut, Relay},
    tool::{self, Tool, image},
};

/// How often canaryctl tries.
const TRIES: usize = 5;

pub(crate) fn an_upload_that_is_cut_is_tried_again() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let relay = Relay::cutting(registry.address(), Cut::Upload, 2);
    let pushed = tool.push(&image(relay.address, ":1"), &[]);
    assert_eq!((relay.cuts(), pushed.told.matches("trying again").count()), (2, 2), "{pushed:?}");
    assert_eq!(pushed.digest(), tool.pull(&image(registry.address(), ":1")).digest());
    assert!(tool.pulled().is_some_and(|pulled| pulled == tool::module()), "another module");
}

pub(crate) fn an_upload_that_stays_cut_leaves_the_tag() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let before = tool.push(&image(registry.address(), ":1"), &[]);
    let relay = Relay::cutting(registry.address(), Cut::Upload, usize::MAX);
    // In the other layout the layer is another.
    let cut = tool.push(&image(relay.address, ":1"), &["--layout", "artifact"]);
    cut.has_failed_with("cut", &format!("given up at the {TRIES}th try"));
    assert_eq!(relay.cuts(), TRIES, "{cut:?}");
    assert_eq!(tool.pull(&image(registry.address(), ":1")).digest(), before.digest());
}

pub(crate) fn a_download_that_is_cut_is_tried_again() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let pushed = tool.push(&image(registry.address(), ":1"), &[]);
    let relay = Relay::cutting(registry.address(), Cut::Download, 2);
    let pulled = tool.pull(&image(relay.address, ":1"));
    assert_eq!((relay.cuts(), pulled.told.matches("trying again").count()), (2, 2), "{pulled:?}");
    assert_eq!(pulled.digest(), pushed.digest());
    assert!(tool.pulled().is_some_and(|pulled| pulled == tool::module()), "another module");
}

pub(crate) fn a_download_that_stays_cut_leaves_the_file() {
    let (registry, tool) = (Registry::start(), Tool::new());
    tool.push(&image(registry.address(), ":1"), &[]).digest();
    fs::write(tool.path("pulled.wasm"), "of yesterday").expect("a file");
    let relay = Relay::cutting(registry.address(), Cut::Download, usize::MAX);
    tool.pull(&image(relay.address, ":1")).has_failed_with("cut", &format!("given up at the {TRIES}th try"));
    assert_eq!(tool.pulled().as_deref(), Some(b"of yesterday".as_slice()));
    let entries = fs::read_dir(tool.path("")).expect("its folder").count();
    assert_eq!(entries, 1, "nothing but the file of yesterday");
}
