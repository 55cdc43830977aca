//! Connections that break off or stand still in the middle of a layer, and registries that never answer.

use std::{
    fs,
    net::TcpListener,
    time::{Duration, Instant},
};

use e2e::registry::Registry;

use crate::{
    relay::{Cut, Pauses, Relay},
    tool::{self, Tool, image},
};

/// How often canaryctl tries.
const TRIES: usize = 5;

pub(crate) fn an_upload_that_is_cut_is_tried_again() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let relay = Relay::cutting(registry.address(), Cut::Upload, 2);
    let pushed = tool.push(&image(relay.address, ":1"), &[]);
    assert_eq!((relay.cuts(), pushed.stderr.matches("trying again").count()), (2, 2), "{pushed:?}");
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
    assert_eq!((relay.cuts(), pulled.stderr.matches("trying again").count()), (2, 2), "{pulled:?}");
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

pub(crate) fn a_registry_that_never_answers_is_told() {
    // The kernel takes the connections.
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
    let address = listener.local_addr().expect("an address");
    let (tool, image) = (Tool::new(), image(address, ":1"));
    let pull = ["pull", &image, "--plain-http", "--timeout", "100ms"];
    for (operation, outcome) in [("push", tool.push(&image, &["--timeout", "100ms"])), ("pull", tool.run(&pull))] {
        let message = format!("{address} has been silent for 100ms (--timeout); given up at the {TRIES}th try");
        outcome.has_failed_with(operation, &message);
    }
    for (row, given, expected) in
        [("none at all", "0s", "give a duration of more than nothing, such as 30s"), ("no unit", "30", "such as 30s")]
    {
        let refused = tool.push(&image, &["--timeout", given]);
        assert!(!refused.succeeded && refused.stderr.contains(expected), "{row}: {refused:?}");
    }
}

pub(crate) fn what_stands_still_is_tried_again() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let relay = Relay::stopping(registry.address(), Cut::Upload, 1);
    let pushed = tool.push(&image(relay.address, ":filter"), &["--timeout", "1s"]);
    assert_eq!((pushed.succeeded, relay.cuts()), (true, 1), "{pushed:?}");
    let message = pushed.stderr.lines().find(|line| line.ends_with("trying again in 500ms")).expect("a second try");
    assert!(message.contains(" has been silent for ") && message.contains(" (--timeout and "), "{message}");
    // More than the buffers of a connection hold, so that the registry stops in the middle of it.
    fs::write(tool.path("large.wasm"), large_module()).expect("write a module");
    let to = image(registry.address(), ":1");
    let pushed = tool.run(&["push", "large.wasm", &to, "--plain-http", "--layout", "artifact"]);
    let relay = Relay::stopping(registry.address(), Cut::Download, 1);
    let from = image(relay.address, ":1");
    let pulled = tool.run(&["pull", &from, "--plain-http", "--output", "pulled.wasm", "--timeout", "2s"]);
    assert_eq!((pulled.digest(), relay.cuts()), (pushed.digest(), 1), "{pulled:?}");
    assert!(pulled.stderr.contains(" has been silent for 2s (--timeout); trying again"), "{pulled:?}");
    assert!(tool.pulled().is_some_and(|pulled| pulled == large_module()), "another module");
}

/// It need not be a valid module.
fn large_module() -> Vec<u8> {
    [b"\0asm\x01\0\0\0".as_slice(), &[7; 32 << 20]].concat()
}

/// All of it takes longer than the registry may be silent.
pub(crate) fn what_is_slow_is_waited_for() {
    let (registry, tool) = (Registry::start(), Tool::new());
    fs::write(tool.path("large.wasm"), large_module()).expect("write a module");
    let pauses = Pauses { after: 4 << 20, length: Duration::from_millis(700) };
    let relay = Relay::pausing(registry.address(), pauses);
    let to = image(relay.address, ":1");
    let began = Instant::now();
    let pushed = tool.run(&["push", "large.wasm", &to, "--plain-http", "--layout", "artifact", "--timeout", "1s"]);
    // Four seconds more are for what is handed over and not yet sent.
    assert!(began.elapsed() > Duration::from_secs(5), "the relay is not slow");
    assert!(pushed.succeeded && !pushed.stderr.contains("trying again"), "{pushed:?}");
    assert_eq!(relay.cuts(), 0);
}

/// It is handed over at once, whole, and sent for longer than the registry may be silent.
pub(crate) fn the_filter_goes_up_slowly() {
    let (registry, tool) = (Registry::start(), Tool::new());
    let pauses = Pauses { after: 4096, length: Duration::from_millis(20) };
    let relay = Relay::pausing(registry.address(), pauses);
    let began = Instant::now();
    let pushed = tool.push(&image(relay.address, ":1"), &["--timeout", "700ms"]);
    assert!(began.elapsed() > Duration::from_millis(700), "the relay is not slow");
    assert!(pushed.succeeded && !pushed.stderr.contains("trying again"), "{pushed:?}");
}
