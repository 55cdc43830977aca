//! The version that answers, and the request that it gets.

use e2e::{
    canary::{Canary, cluster_name},
    client::{self, Protocol, Request},
    upstream::Recorded,
};

pub(crate) use e2e::upstream::TEST_ID;

use crate::{Subject, documents};

pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// Sends a request and returns what the upstream got. Asserts that this upstream got it and no other did.
pub(crate) async fn delivered(
    canary: &Canary,
    protocol: Protocol,
    get: Request,
    id: &str,
    served_by: &str,
) -> Recorded {
    let answer = client::send(canary.address, protocol, &get.header(TEST_ID, id)).await;
    assert_eq!((answer.status, answer.served_by.as_str()), (200, served_by), "{id}");
    let mut recorded = canary.upstream(served_by).recorded(id);
    assert_eq!(recorded.len(), 1, "{id}: requests that {served_by} got");
    recorded.remove(0)
}

/// The filter's headers that an upstream got.
pub(crate) fn control_headers(recorded: &Recorded) -> Vec<(String, String)> {
    let control = recorded.headers.iter().filter(|(name, _)| name.starts_with("x-canary-"));
    control.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
}

pub(crate) async fn picks_the_version_that_the_rule_names(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    let reviews = |path: &str| Request::new("reviews", path);
    let rows = [
        ("header of a rule", reviews("/reviews/1").header("end-user", "jason"), "v2"),
        ("no header", reviews("/reviews/1"), "v1"),
        ("another value", reviews("/reviews/1").header("end-user", "jasons"), "v1"),
        ("empty value", reviews("/reviews/1").header("end-user", ""), "v1"),
        ("prefix of a rule", reviews("/reviews/1").header("end-user", "test-7"), "v3"),
        ("second line of a repeated header", reviews("/").header("end-user", "ann").header("end-user", "jason"), "v2"),
        ("lines are not joined", reviews("/").header("end-user", "jas").header("end-user", "on"), "v1"),
        ("cookie among others", reviews("/").header("cookie", "a=b; group=beta; c=d"), "v3"),
        ("cookie of another value", reviews("/").header("cookie", "a=b; group=beta2"), "v1"),
        ("cookies in two lines", reviews("/").header("cookie", "a=b").header("cookie", "group=beta"), "v3"),
        ("name with its namespace", Request::new("reviews.default", "/").header("end-user", "jason"), "v2"),
        (
            "full name and port",
            Request::new("reviews.default.svc.cluster.local:9080", "/").header("end-user", "jason"),
            "v2",
        ),
    ];
    for protocol in PROTOCOLS {
        for (row, get, served_by) in &rows {
            let id = format!("{protocol:?} {row}");
            let recorded = delivered(canary, protocol, get.clone(), &id, served_by).await;
            let expected = [("x-canary-version".to_owned(), (*served_by).to_owned())];
            assert_eq!(control_headers(&recorded), expected, "{id}: control headers at the upstream");
            let entry = canary.access_log(&id).await;
            assert_eq!(entry["cluster"], cluster_name(served_by), "{id}: cluster in the access log");
        }
    }
}

pub(crate) async fn passes_unusual_headers_on(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    let long = vec![b'x'; 60_000];
    let hundred: Vec<_> = (0..100_u32).map(|number| format!("line {number}").into_bytes()).collect();
    let rows: [(&str, &str, Vec<Vec<u8>>, &str); 6] = [
        ("not UTF-8 in a header that no rule names", "x-note", vec![b"caf\xe9 \xff\xfe".to_vec()], "v1"),
        ("not UTF-8 in a header of a rule", "end-user", vec![b"jason\xff".to_vec()], "v1"),
        ("not UTF-8 after the prefix of a rule", "end-user", vec![b"test-\xc3\x28".to_vec()], "v3"),
        ("not UTF-8 beside the value of a rule", "end-user", vec![b"\xff".to_vec(), b"jason".to_vec()], "v2"),
        ("60 KB", "x-note", vec![long], "v1"),
        ("100 lines", "x-note", hundred, "v1"),
    ];
    for protocol in PROTOCOLS {
        for (row, name, values, served_by) in &rows {
            let id = format!("{protocol:?} {row}");
            let get = values.iter().fold(Request::new("reviews", "/"), |get, value| get.header(name, value));
            let recorded = delivered(canary, protocol, get, &id, served_by).await;
            assert!(recorded.values(name) == *values, "{id}: the upstream got other bytes");
        }
    }
}

pub(crate) async fn answers_404_where_no_rule_of_a_known_host_matches(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        let matched = format!("{protocol:?} a rule matches");
        delivered(canary, protocol, Request::new(documents::REVIEWS_ONLY, "/reviews/1"), &matched, "v1").await;

        let id = format!("{protocol:?} no rule matches");
        let get = Request::new(documents::REVIEWS_ONLY, "/ratings/1").header(TEST_ID, &id);
        let answer = client::send(canary.address, protocol, &get).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (404, ""), "{id}");
        let entry = canary.access_log(&id).await;
        assert_eq!((&entry["code"], &entry["details"]), (&404.into(), &"canary_no_rule_matched".into()), "{id}");
    }
}

pub(crate) async fn leaves_unknown_hosts_to_the_native_route(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        let id = format!("{protocol:?} unknown host");
        let get = Request::new(documents::UNKNOWN, "/reviews/1").header("end-user", "jason");
        let recorded = delivered(canary, protocol, get, &id, "native").await;
        assert_eq!(control_headers(&recorded), [], "{id}");
        assert_eq!(recorded.values("end-user"), [b"jason"], "{id}");
        assert_eq!((recorded.authority.as_str(), recorded.path.as_str()), (documents::UNKNOWN, "/reviews/1"), "{id}");
    }
}
