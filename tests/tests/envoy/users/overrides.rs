//! Trusted and other clients that force a version or ask for an explanation, through trusted and other hops.

use std::net::Ipv4Addr;

use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery, UPSTREAMS},
    client::{Connection, Protocol, Request},
    upstream::TEST_ID,
};
use serde_json::{Value, json};

use crate::{
    Subject,
    documents::{self, all_to},
    steering::{PROTOCOLS, control_headers},
};

const SECRET: &str = "x-canary-secret";
/// Not trusted.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// Trusted.
const TESTER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Trusted, too. No client here can connect from it.
const OFFICE: &str = "10.20.0.7";

/// All requests go to v1. Trusts [`TESTER`], 10.20.0.0/16 and the secret `test`.
fn document(trusts_forwarded_for: bool) -> Value {
    let mut document = all_to("v1");
    document["policies"] = json!([{"hosts": ["reviews"], "fallback": ["v3", "v2", "v1"]}]);
    document["overrides"] = json!({
        "trustForwardedFor": trusts_forwarded_for,
        "from": [
            {"cidr": TESTER},
            {"cidr": "10.20.0.0/16"},
            {"secret": {"header": SECRET, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},
        ],
    });
    document
}

/// The client's headers, and whether it is trusted.
type Row = (&'static str, Ipv4Addr, Vec<(&'static str, Vec<u8>)>, bool);

/// Headers as a proxy sets them for the client's address.
fn forwarded(lines: &[&str]) -> Vec<(&'static str, Vec<u8>)> {
    lines.iter().map(|line| ("x-forwarded-for", line.as_bytes().to_vec())).collect()
}

/// With `use_remote_address` off, as by default: Envoy accepts any X-Forwarded-For, and the filter does not.
fn by_default() -> Vec<Row> {
    let secret = |values: &[&[u8]]| values.iter().map(|value| (SECRET, value.to_vec())).collect::<Vec<_>>();
    let claims = ["forwarded", "x-real-ip", "x-envoy-external-address", "x-client-ip", "true-client-ip"];
    let claims =
        claims.map(|name| (name, if name == "forwarded" { format!("for={OFFICE}") } else { OFFICE.to_owned() }.into()));
    vec![
        ("a trusted address", TESTER, vec![], true),
        ("another address", STRANGER, vec![], false),
        ("X-Forwarded-For of a trusted network", STRANGER, forwarded(&[OFFICE]), false),
        ("X-Forwarded-For of a trusted address", STRANGER, forwarded(&["127.0.0.2"]), false),
        ("a list that ends with it", STRANGER, forwarded(&["192.0.2.1, 10.20.0.7"]), false),
        ("lines that end with it", STRANGER, forwarded(&["192.0.2.1", OFFICE]), false),
        ("with a port", STRANGER, forwarded(&["10.20.0.7:4711"]), false),
        ("as IPv6", STRANGER, forwarded(&["::ffff:10.20.0.7"]), false),
        ("other headers with addresses", STRANGER, claims.to_vec(), false),
        ("a trusted address behind an untold hop", TESTER, forwarded(&["192.0.2.1"]), false),
        ("the secret", STRANGER, secret(&[b"test"]), true),
        ("a wrong secret", STRANGER, secret(&[b"tesT"]), false),
        ("an empty secret", STRANGER, secret(&[b""]), false),
        ("the secret twice", STRANGER, secret(&[b"test", b"test"]), false),
        ("the secret after another", STRANGER, secret(&[b"x", b"test"]), false),
        ("the secret twice in a line", STRANGER, secret(&[b"test,test"]), false),
        ("an oversized secret", STRANGER, secret(&[&[b't'; 5_000]]), false),
        ("a secret that is not UTF-8", STRANGER, secret(&[b"test\xff"]), false),
        ("a wrong secret from a trusted address", TESTER, secret(&[b"x"]), true),
    ]
}

/// At the edge, with `use_remote_address`: the client is the connection's peer.
fn at_the_edge() -> Vec<Row> {
    vec![
        ("a trusted address", TESTER, vec![], true),
        ("whatever it forwards", TESTER, forwarded(&["192.0.2.1"]), true),
        ("through a hop that is not trusted", STRANGER, forwarded(&[OFFICE]), false),
        ("the edge's own address forwarded", STRANGER, forwarded(&["127.0.0.2"]), false),
    ]
}

/// Behind one trusted proxy: `xff_num_trusted_hops: 1`, and `trustForwardedFor`.
fn behind_a_hop() -> Vec<Row> {
    vec![
        ("through the trusted hop", STRANGER, forwarded(&[OFFICE]), true),
        ("another through the trusted hop", STRANGER, forwarded(&["192.0.2.1"]), false),
        (
            "a forged one, after which the hop writes the client's",
            STRANGER,
            forwarded(&["10.20.0.7, 192.0.2.1"]),
            false,
        ),
        ("one through a hop of its own before", STRANGER, forwarded(&["192.0.2.1, 10.20.0.7"]), true),
    ]
}

pub(crate) async fn are_for_the_trusted_only(subject: &Subject) {
    let hop = json!({"use_remote_address": true, "xff_num_trusted_hops": 1});
    for (place, manager, trusts_forwarded_for, rows) in [
        ("by default", json!({}), false, by_default()),
        ("at the edge", json!({"use_remote_address": true}), false, at_the_edge()),
        ("behind a hop", hop.clone(), true, behind_a_hop()),
        (
            "behind a hop that the document does not trust",
            hop,
            false,
            vec![("through the hop", STRANGER, forwarded(&[OFFICE]), false)],
        ),
    ] {
        let surroundings = Surroundings { manager, ..Surroundings::default() };
        let backends = UPSTREAMS.map(Backend::of);
        let document = document(trusts_forwarded_for);
        let canary = Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &document, &backends).await;
        let _log = canary.envoy.show_log_on_panic();
        let (mut granted, mut refused) = (0, 0);
        for (row, source, headers, trusted) in &rows {
            for protocol in PROTOCOLS {
                let id = format!("{place}: {row}, {protocol:?}");
                check(&canary, &id, protocol, *source, headers, *trusted).await;
                // For two requests, one to a known host and one to an unknown one.
                *(if *trusted { &mut granted } else { &mut refused }) += 2;
            }
        }
        for (answer, expected) in [("granted", granted), ("refused", refused)] {
            for control in ["version", "explain"] {
                let counter = format!("wasmcustom.type=.={control};.;result=.={answer};.;canary_overrides_total");
                if expected > 0 {
                    canary.envoy.wait_for_stat(&counter, expected).await;
                }
                assert_eq!(canary.envoy.stat(&counter).await, expected, "{place}: {counter}");
            }
        }
    }
}

/// Asks a known and an unknown host for v3 and for an explanation. Each request is served in any case.
async fn check(
    canary: &Canary,
    id: &str,
    protocol: Protocol,
    source: Ipv4Addr,
    headers: &[(&str, Vec<u8>)],
    trusted: bool,
) {
    let version = if trusted { "v3" } else { "v1" };
    for (host, served_by) in [("reviews", version), (documents::UNKNOWN, "native")] {
        let id = format!("{id}, {host}");
        let get = Request::new(host, "/").header(TEST_ID, &id);
        let get = get.header("x-canary-version", "v3").header("x-canary-explain", "1");
        let get = headers.iter().fold(get, |get, (name, value)| get.header(name, value));
        let mut connection = Connection::open_from(source, canary.address, protocol).await.expect("a connection");
        let answer = connection.send(&get).await.expect("an answer");
        assert_eq!((answer.status, answer.served_by.as_str()), (200, served_by), "{id}");
        let recorded = canary.upstream(served_by).recorded(&id);
        assert_eq!(recorded.len(), 1, "{id}");
        assert_eq!(recorded[0].texts(SECRET), [""; 0], "{id}: the secret at the upstream");
        let expected =
            if host == "reviews" { vec![("x-canary-version".to_owned(), version.to_owned())] } else { vec![] };
        assert_eq!(control_headers(&recorded[0]), expected, "{id}: control headers at the upstream");
        let explained = answer.values("x-canary-explain");
        assert_eq!(explained.len(), usize::from(trusted), "{id}: {explained:?}");
        if trusted && host == "reviews" {
            let text = &explained[0];
            assert!(text.len() <= 1024 && text.contains("reason=override; version=v3"), "{id}: {text}");
        }
    }
}
