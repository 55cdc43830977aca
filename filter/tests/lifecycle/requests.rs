//! Requests by the callbacks that Envoy calls: what the filter reads, decides and writes.

use crate::fixture::{BOOKINFO, CONTROL_HEADERS, get, reviews, start};
use canary_routing::Fraction;
use proxy_wasm::types::Action;
use sdk_shims::entropy;
use sdk_shims::host::LogLevel;
use sdk_shims::test_host::Header;

/// The expected result of a request.
enum Expected {
    /// Forwarded with this version and cluster, after this number of writes.
    Forward(Option<&'static str>, String, usize),
    /// Answered with 404.
    NotFound,
    /// Left alone without control headers, after this number of writes.
    Untouched(usize),
}
use Expected::{Forward, NotFound, Untouched};

/// Name, authority, path, further headers, and the expected result.
type Row<'a> = (&'static str, &'static [u8], &'static str, &'a [(&'a str, &'a [u8])], Expected);

#[test]
fn requests() {
    let v1 = || Forward(Some("v1"), reviews("v1"), 2);
    let v2 = || Forward(Some("v2"), reviews("v2"), 2);
    let many: Vec<(&str, &[u8])> =
        std::iter::repeat_n(("end-user", &b"mary"[..]), 99).chain([("end-user", &b"jason"[..])]).collect();
    let value = vec![b'x'; 60 * 1024];
    let huge = [("end-user", &value[..])];
    let v1_cluster = reviews("v1");
    let right = [("x-canary-version", &b"v1"[..]), ("x-canary-cluster", v1_cluster.as_bytes())];
    let right_for_v1 = [right[0], right[1], ("end-user", b"jason")];
    let right_twice = [right, right].concat();
    let ratings = |writes| Forward(None, "outbound|9080||ratings.default.svc.cluster.local".to_owned(), writes);
    let rows: Vec<Row<'_>> = vec![
        ("no header", b"reviews", "/", &[], v1()),
        ("with a port", b"reviews:9080", "/", &[], v1()),
        ("the rule's header", b"reviews", "/", &[("end-user", b"jason")], v2()),
        ("in the second value", b"reviews", "/", &[("end-user", b"mary"), ("end-user", b"jason")], v2()),
        ("in the last of 100 values", b"reviews", "/", &many, v2()),
        ("not UTF-8", b"reviews", "/", &[("end-user", b"jason\xff")], v1()),
        ("60 KiB", b"reviews", "/", &huge, v1()),
        ("empty value", b"reviews", "/", &[("end-user", b"")], v1()),
        ("a destination without subset", b"ratings", "/ratings/1", &[], ratings(1)),
        ("its forged version is removed", b"ratings", "/ratings/1", &[("x-canary-version", b"v9")], ratings(2)),
        ("known host, no rule", b"ratings", "/other", &[], NotFound),
        ("unknown host", b"elsewhere", "/", &[("end-user", b"jason")], Untouched(0)),
        ("no authority", b"", "/", &[], Untouched(0)),
        ("authority is not UTF-8", b"reviews\xff", "/", &[], Untouched(0)),
        ("right already", b"reviews", "/", &right, Forward(Some("v1"), reviews("v1"), 0)),
        ("right, but twice", b"reviews", "/", &right_twice, v1()),
        ("one right", b"reviews", "/", &right[..1], Forward(Some("v1"), reviews("v1"), 1)),
        ("right on an unknown host", b"elsewhere", "/", &right, Untouched(2)),
        ("right for another version", b"reviews", "/", &right_for_v1, v2()),
    ];
    for (row, authority, path, headers, expected) in rows {
        let vm = start();
        let plugin = vm.plugin(BOOKINFO).unwrap();
        let mut stream = plugin.stream();
        let action = stream.request_headers(get(authority, path, headers), true);
        let lines = |name| {
            stream.request_values(name).into_iter().map(|value| String::from_utf8(value).unwrap()).collect::<Vec<_>>()
        };
        let steering = (action, lines("x-canary-version"), lines("x-canary-cluster"));
        match expected {
            Forward(version, cluster, writes) => {
                let version = version.map(str::to_owned).into_iter().collect();
                assert_eq!(
                    (steering, stream.route_cache_clears()),
                    ((Action::Continue, version, vec![cluster]), writes),
                    "{row}"
                );
            }
            NotFound => {
                assert_eq!(steering, (Action::Pause, vec![], vec![]), "{row}");
                let sent = stream.local_response().unwrap();
                assert_eq!((sent.status, sent.details.as_str()), (404, "canary_no_rule_matched"), "{row}");
            }
            Untouched(writes) => {
                assert_eq!(
                    (steering, stream.route_cache_clears()),
                    ((Action::Continue, vec![], vec![]), writes),
                    "{row}"
                );
            }
        }
        assert_eq!(stream.local_response().is_some(), matches!(action, Action::Pause), "{row}");
        assert_eq!(
            stream.request_values("end-user").len(),
            headers.iter().filter(|(name, _)| *name == "end-user").count()
        );
        assert_eq!(vm.calls("proxy_get_header_map_pairs"), 1, "{row}: the map is read once");
        assert_eq!(vm.calls("proxy_get_header_map_value"), 0, "{row}");
        stream.response_headers([(":status", "200")], true);
        drop(stream);
        assert!(vm.logged(LogLevel::Error).is_empty() && vm.logged(LogLevel::Warn).is_empty(), "{row}: {:?}", vm.log());
    }
}

#[test]
fn a_request_without_pseudo_headers_or_headers_is_left_alone() {
    let vm = start();
    let plugin = vm.plugin(BOOKINFO).unwrap();
    for headers in [vec![], vec![("x", "y")], vec![(":path", "/")]] {
        let mut stream = plugin.stream();
        assert_eq!(stream.request_headers(headers.clone(), false), Action::Continue);
        assert_eq!(stream.request().len(), headers.len());
    }
}

#[test]
fn a_clients_control_headers_never_get_through() {
    let vm = start();
    let plugin = vm.plugin(BOOKINFO).unwrap();
    for name in CONTROL_HEADERS {
        for (case, name) in [("lower case", name.to_owned()), ("upper case", name.to_uppercase())] {
            for (lines, values) in
                [("one line", &[&b"forged"[..]][..]), ("two lines", &[b"forged", b"\xff"]), ("empty", &[b""])]
            {
                for authority in ["reviews", "ratings", "elsewhere", ""] {
                    let forged: Vec<(&str, &[u8])> = values.iter().map(|value| (name.as_str(), *value)).collect();
                    let mut plain = plugin.stream();
                    plain.request_headers(get(authority, "/", &[]), true);
                    let mut stream = plugin.stream();
                    stream.request_headers(get(authority, "/", &forged), true);
                    let sorted = |mut lines: Vec<Header>| {
                        lines.sort();
                        lines
                    };
                    assert_eq!(
                        sorted(stream.request()),
                        sorted(plain.request()),
                        "{name} ({case}), {lines}, {authority:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn control_headers_can_be_renamed_and_turned_off() {
    let all: Vec<(&str, &[u8])> = ["x-v", "x-c", "x-m", "x-m-2", "x-m-3", "x-h", "x-e"]
        .into_iter()
        .chain(CONTROL_HEADERS)
        .map(|name| (name, &b"client"[..]))
        .collect();
    let renamed = r#"{"version": "X-V", "cluster": "x-c", "mirror": "x-m", "host": "x-h", "explain": "x-e"}"#;
    let off = r#"{"version": "", "cluster": "", "mirror": "", "host": "", "explain": ""}"#;
    let ours = [("x-v", "v1".to_owned()), ("x-c", reviews("v1"))];
    for (row, headers, gone, set) in [
        ("renamed", renamed, &["x-m", "x-m-2", "x-m-3", "x-h", "x-e"][..], &ours[..]),
        ("off", off, &[], &[]),
        (
            "one off",
            r#"{"mirror": ""}"#,
            &CONTROL_HEADERS[2..4],
            &[("x-canary-version", "v1".to_owned()), ("x-canary-cluster", reviews("v1"))],
        ),
    ] {
        let vm = start();
        let plugin = vm.plugin(BOOKINFO.replacen('{', &format!(r#"{{"headers": {headers},"#), 1)).unwrap();
        let mut stream = plugin.stream();
        stream.request_headers(get("reviews", "/", &all), true);
        for (name, value) in &all {
            let expected: Vec<Vec<u8>> = match set.iter().find(|(ours, _)| ours == name) {
                Some((_, value)) => vec![value.clone().into_bytes()],
                None if gone.contains(name) => vec![],
                None => vec![value.to_vec()],
            };
            assert_eq!(stream.request_values(name), expected, "{row}: {name}");
        }
    }
}

#[test]
fn a_split_needs_one_draw() {
    let document = r#"{"virtualServices": [{"hosts": ["reviews"], "http": [{"route": [
        {"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
        {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10}]}]}]}"#;
    let vm = start();
    let plugin = vm.plugin(document).unwrap();
    for seed in 0..5 {
        entropy::reseed(seed);
        let served: Vec<_> = (0..200)
            .map(|_| {
                let mut stream = plugin.stream();
                stream.request_headers(get("reviews", "/", &[]), true);
                stream.request_values("x-canary-version").concat()
            })
            .collect();
        entropy::reseed(seed);
        let expected: Vec<_> = (0..200)
            .map(|_| {
                let split = Fraction::from_bits(entropy::draw());
                if split.scale(100) < 90 { b"v1".to_vec() } else { b"v2".to_vec() }
            })
            .collect();
        assert_eq!(served, expected, "seed {seed}");
        assert!(served.contains(&b"v1".to_vec()) && served.contains(&b"v2".to_vec()), "seed {seed}");
    }
}

#[test]
fn a_client_that_leaves_at_any_point_leaves_no_state() {
    let vm = start();
    let plugin = vm.plugin(BOOKINFO).unwrap();
    drop(plugin.stream());
    let mut before_the_response = plugin.stream();
    before_the_response.request_headers(get("reviews", "/", &[]), false);
    drop(before_the_response);
    let mut answered_here = plugin.stream();
    assert_eq!(answered_here.request_headers(get("ratings", "/other", &[]), false), Action::Pause);
    drop(answered_here);
    drop(plugin);
    assert!(vm.logged(LogLevel::Error).is_empty());
}
