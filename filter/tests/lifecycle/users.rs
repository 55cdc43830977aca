//! Sticky users: a cookie for new users, a constant version, and ramps.

use std::collections::BTreeSet;

use crate::accrual::{End, OK, cluster, end};
use crate::fixture::{document, get, response_values, reviews, start};
use sdk_shims::test_host::{Plugin, Stream, Vm};
use serde_json::{Value, json};

const START: u64 = 1_795_000_000_123_456_789;

/// Half of the users go to v2. The key is a header, or a cookie that the filter sets.
fn config(of_rule: Value, of_policy: Value) -> String {
    let mut rule = json!({"route": [{"destination": {"host": "reviews", "subset": "v1"}, "weight": 50},
                                    {"destination": {"host": "reviews", "subset": "v2"}, "weight": 50}]});
    let mut policy = json!({"hosts": ["reviews"], "fallback": ["v2", "v1"],
        "sticky": {"keys": [{"header": "x-user-id"}, {"cookie": "canary-id"}], "salt": "s",
                   "issueCookie": {"name": "canary-id", "maxAge": "30d"}}});
    for (fields, more) in [(&mut rule, of_rule), (&mut policy, of_policy)] {
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    document(rule, json!({"policies": [policy]}))
}

fn asked<'vm>(plugin: &Plugin<'vm>, headers: &[(&str, &[u8])]) -> Stream<'vm> {
    let mut stream = plugin.stream();
    stream.request_headers(get("reviews", "/", headers), true);
    stream
}

/// The response's cookies, except for one of the upstream.
fn cookies(stream: &mut Stream<'_>) -> Vec<String> {
    stream.response_headers([(":status", "200"), ("set-cookie", "own=1")], true);
    let mut lines = response_values(stream, "set-cookie");
    assert_eq!(lines.remove(0), "own=1", "the upstream's cookie stays");
    lines
}

fn value(cookie: &str) -> &str {
    cookie.split(';').next().unwrap()
}

#[test]
fn a_new_user_gets_a_cookie_once_and_keeps_the_version() {
    let vm = start();
    let filter = vm.plugin(config(json!({}), json!({}))).unwrap();
    let (mut seen, mut values) = (BTreeSet::new(), BTreeSet::new());
    for number in 0..64 {
        let mut first = asked(&filter, &[]);
        let issued = cookies(&mut first);
        assert_eq!(issued.len(), 1, "user {number}: {issued:?}");
        let (pair, attributes) = issued[0].split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Max-Age=2592000; SameSite=Lax; HttpOnly");
        let identity = pair.strip_prefix("canary-id=").unwrap();
        assert!(identity.len() == 32 && identity.bytes().all(|byte| byte.is_ascii_hexdigit()), "{identity}");
        seen.insert(cluster(&first));
        assert!(values.insert(identity.to_owned()), "{identity} names two users");
        for again in 0..3 {
            let mut later = asked(&filter, &[("cookie", format!("a=b; {pair}").as_bytes())]);
            assert_eq!(cluster(&later), cluster(&first), "user {number}, time {again}");
            assert_eq!(cookies(&mut later), [""; 0], "user {number} is known");
        }
    }
    assert_eq!(seen, BTreeSet::from([reviews("v1"), reviews("v2")]));
}

#[test]
fn no_cookie_if_none_is_needed() {
    let abort = json!({"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}});
    for (row, of_rule, headers, expected) in [
        ("known by a header", json!({}), vec![("x-user-id", &b"u"[..])], 0),
        ("an empty header", json!({}), vec![("x-user-id", &b""[..])], 1),
        ("one destination", json!({"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}), vec![], 0),
        ("answered by the filter", abort, vec![], 0),
    ] {
        let vm = start();
        let filter = vm.plugin(config(of_rule, json!({}))).unwrap();
        let mut stream = asked(&filter, &headers);
        let issued = match stream.local_response() {
            Some(reply) => reply.headers.iter().filter(|(name, _)| name == b"set-cookie").count(),
            None => cookies(&mut stream).len(),
        };
        assert_eq!(issued, expected, "{row}");
    }
}

#[test]
fn a_cookie_is_secure_if_the_request_is() {
    let vm = start();
    let filter = vm.plugin(config(json!({}), json!({}))).unwrap();
    let mut request = get("reviews", "/", &[]);
    request.retain(|(name, _)| *name != ":scheme");
    request.push((":scheme", b"https"));
    let mut stream = filter.stream();
    stream.request_headers(request, true);
    assert!(cookies(&mut stream)[0].ends_with("; Secure; HttpOnly"));
}

#[test]
fn a_user_whose_version_is_missing_comes_back() {
    let vm = start();
    vm.set_time(START);
    let filter = vm.plugin(config(json!({}), json!({}))).unwrap();
    let mut first = loop {
        let stream = asked(&filter, &[]);
        if cluster(&stream) == reviews("v2") {
            break stream;
        }
    };
    let cookie = cookies(&mut first);
    assert_eq!(cookie.len(), 1, "the user gets a cookie anyway");
    end(first, End { flags: 1 << 24, status: 503, reached: false, ..OK });
    let known = [("cookie", value(&cookie[0]).as_bytes())];
    assert_eq!(cluster(&asked(&filter, &known)), reviews("v1"), "while v2 is avoided");
    vm.advance(std::time::Duration::from_millis(5_101));
    assert_eq!(cluster(&asked(&filter, &known)), reviews("v2"), "when it is used again");
}

/// 2026-11-18T11:06:40Z in seconds.
const RAMP: u64 = 1_795_000_000;

/// The users of v2 at this number of seconds after the ramp's start, by Envoy's clock. `None` if the clock fails.
fn in_canary(vm: &Vm, document: &str, after: Option<u64>) -> BTreeSet<u32> {
    let filter = vm.plugin(document).unwrap();
    let users = (0..400).filter(|user| {
        let mut stream = filter.stream();
        if let Some(after) = after {
            stream.set_property(
                &["request", "time"],
                RAMP.saturating_add(after).saturating_mul(1_000_000_000).to_le_bytes(),
            );
        }
        stream.request_headers(get("reviews", "/", &[("x-user-id", user.to_string().as_bytes())]), true);
        cluster(&stream) == reviews("v2")
    });
    users.collect()
}

#[test]
fn users_join_a_ramp_by_the_hosts_clock_and_none_leaves() {
    let vm = start();
    let ramp = json!({"ramp": {"subset": "v2", "start": "2026-11-18T11:06:40Z", "duration": "100s"}});
    let document = config(json!({}), ramp);
    assert_eq!(in_canary(&vm, &document, None).len(), 0, "without a clock the ramp is at its start");
    let mut before = BTreeSet::new();
    for (after, least, most) in [(0, 0, 0), (1, 0, 20), (25, 60, 140), (50, 150, 250), (75, 260, 340), (100, 400, 400)]
    {
        let now = in_canary(&vm, &document, Some(after));
        assert!((least..=most).contains(&now.len()), "after {after} s: {} of 400", now.len());
        assert!(now.is_superset(&before), "after {after} s: a user has left");
        before = now;
    }
}
