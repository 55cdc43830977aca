//! Takes the picture of the board for the documentation: one minute of a canary.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use e2e::{
    binaries::EnvoyBinary,
    bootstrap::Surroundings,
    browser::Page,
    canary::{Backend, Canary, Delivery, NATIVE},
    canaryctl::Server,
    client::{Protocol, Request},
    failover::Failover,
    load::{Kind, Load},
};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::document;

const WIDTH: u32 = 1180;

/// The file that `$BOARD_PICTURE` names.
pub(crate) fn wanted() -> Option<PathBuf> {
    env::var_os("BOARD_PICTURE").filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// Jason gets v2. Other users get versions by weight.
fn rules(v1: u64, v2: u64) -> Value {
    let mut document = document(v1, v2);
    let jason = json!({"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}}],
        "route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
    let rules = document["virtualServices"][0]["http"].as_array_mut().expect("rules");
    rules.insert(0, jason);
    document
}

pub(crate) fn take(runtime: &Handle, envoy: &EnvoyBinary, chromium: &Path, file: &Path) {
    let _inside = runtime.enter();
    let backends = ["v1", "v2", NATIVE].map(Backend::of);
    let surroundings = Surroundings::failing_over(Failover::newest(&envoy.version), 2);
    let canary = runtime.block_on(Canary::start_in(envoy, Delivery::Ecds, surroundings, &rules(100, 0), &backends));
    let board = Server::board(canary.envoy.admin_address(), &[]);
    let reviews = |path: &str| Request::new("reviews", path);
    let load = |get: Request, connections, pause| {
        Load::paced(canary.address, &Kind::Http(Protocol::Http1, get), connections, Duration::from_millis(pause))
    };
    let mut page = Page::open(chromium, &format!("http://{}/", board.address()), WIDTH, 900);
    page.evaluate("document.querySelector('[data-seconds=\"60\"]').click()");
    page.until("Envoy is there", "document.getElementById('condition').textContent", |text| text == "live");
    let _loads = [
        load(reviews("/delay/12ms"), 3, 25),
        load(reviews("/delay/40ms"), 2, 60),
        load(reviews("/delay/180ms"), 1, 300),
        load(reviews("/delay/90ms").header("end-user", "jason"), 2, 150),
        load(reviews("/").header("want", "v3"), 1, 700),
    ];
    for (v1, v2, seconds) in [(95, 5, 16), (75, 25, 14), (50, 50, 16), (10, 90, 14)] {
        canary.upstream("v2").fail_every(if v2 == 25 { 4 } else { 0 });
        runtime.block_on(canary.take(&rules(v1, v2)));
        thread::sleep(Duration::from_secs(seconds));
    }
    page.evaluate("document.forms[0].url.value = 'http://reviews:9080/reviews/1'; document.forms[0].requestSubmit()");
    page.until("an explanation", "document.querySelector('#answers pre')?.textContent ?? ''", |text| text != "");
    let height =
        page.evaluate("document.documentElement.scrollHeight").as_u64().and_then(|height| height.try_into().ok());
    page.resize(WIDTH, height.expect("a height"));
    fs::write(file, page.picture()).expect("write the picture");
}
