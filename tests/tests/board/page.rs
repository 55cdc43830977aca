//! The board's page in Chromium.

use std::{path::Path, time::Duration};

use e2e::{
    binaries::EnvoyBinary,
    browser::Page,
    canary::Delivery,
    canaryctl::Server,
    client::Protocol,
    load::{Kind, Load},
};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::{document, relay::Relay, reviews, start};

/// The share of a version in the table, in percent.
const SHARE: &str = "[...document.querySelectorAll('[data-version=\"v2\"] td')].slice(0, 1).map((cell) => parseFloat(cell.textContent))[0] ?? -1";
/// How much of the plot the second colour covers, by its outline.
const AREA: &str = "document.querySelector('svg path.c1')?.getAttribute('d') ?? ''";

pub(crate) fn follows_a_shift(runtime: &Handle, envoy: &EnvoyBinary, chromium: &Path) {
    let _inside = runtime.enter();
    let canary = runtime.block_on(start(envoy, Delivery::Ecds, &document(100, 0)));
    let board = Server::board(canary.envoy.admin_address(), &[]);
    let load = Load::paced(canary.address, &Kind::Http(Protocol::Http1, reviews()), 2, Duration::from_millis(5));
    let url = format!("http://{}/", board.address());
    let mut page = Page::open(chromium, &url, 1180, 900);
    page.evaluate("document.querySelector('[data-seconds=\"60\"]').click()");
    page.until("v1 is shown", "document.querySelector('[data-version=\"v1\"] td')?.textContent ?? ''", |text| {
        text == "100.0 %"
    });
    assert_eq!(page.evaluate(SHARE), -1.0, "nobody has asked for v2");
    runtime.block_on(canary.take(&document(0, 100)));
    let number = |value: &Value| value.as_f64().unwrap_or(-1.0);
    let first = page.until("v2 has a share", SHARE, |value| number(value) > 0.0);
    let drawn = page.until("v2 has an area", AREA, |value| value != "");
    page.until("the share of v2 grows", SHARE, |value| number(value) > number(&first) + 5.0);
    page.until("the area of v2 grows", AREA, |value| *value != drawn && value != "");
    page.until("the change is marked", "document.querySelectorAll('svg .change').length", |value| value == 1);
    page.evaluate("document.forms[0].url.value = 'http://reviews/1'; document.forms[0].headers.value = 'x: <b>y</b>'; document.forms[0].requestSubmit()");
    let answer =
        page.until("an explanation", "document.querySelector('#answers pre')?.textContent ?? ''", |text| text != "");
    assert!(answer.as_str().is_some_and(|text| text.contains("to v2 of reviews")), "{answer}");
    runtime.block_on(load.stop());
    assert_eq!(page.complaints(), [""; 0]);
    let foreign = page.requests().iter().find(|request| !request.starts_with(&url));
    assert_eq!(foreign, None, "nothing comes from elsewhere");
}

pub(crate) fn says_what_is_amiss(runtime: &Handle, envoy: &EnvoyBinary, chromium: &Path) {
    let _inside = runtime.enter();
    let relay = runtime.block_on(Relay::start());
    let board = Server::board(relay.address, &[]);
    let mut page = Page::open(chromium, &format!("http://{}/", board.address()), 800, 600);
    let notice = "document.getElementById('notice').textContent";
    let says = |part: &'static str| move |text: &Value| text.as_str().is_some_and(|text| text.contains(part));
    page.until("silence", notice, says("Envoy does not answer since"));
    let markup = "http://<img src=x onerror=document.title=1>/";
    let mut document = document(50, 50);
    document["virtualServices"][0]["http"][0]["name"] = markup.into();
    let canary = runtime.block_on(start(envoy, Delivery::Ecds, &document));
    relay.lead_to(Some(canary.envoy.admin_address()));
    page.until("Envoy is there", notice, |text| text == "");
    page.until("a hint", "document.getElementById('services').textContent", says("Waiting for requests"));
    page.evaluate("document.forms[0].url.value = 'http://reviews/1'; document.forms[0].requestSubmit()");
    page.until("names are text", "document.querySelector('#answers pre')?.textContent ?? ''", says("<img src=x"));
    assert_eq!(page.evaluate("document.querySelectorAll('img').length"), 0);
    page.evaluate("document.forms[0].url.value = 'reviews'; document.forms[0].requestSubmit()");
    page.until("an error", "document.querySelector('#answers .bad')?.textContent ?? ''", says("an absolute URL"));
}
