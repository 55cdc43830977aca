//! What a rule says about a request, seen from both ends of `canaryctl run`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::session::{Answer, PATIENCE, Session};

const RULES: &str = r#"
virtualServices:
- hosts: [reviews]
  http:
  - match: [{uri: {prefix: /rate}}]
    rewrite: {uri: /ratings, authority: ratings.example.com}
    headers: {request: {add: {x-a: "1"}}, response: {add: {x-by: canary}}}
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{uri: {prefix: /copied}}]
    mirrors: [{destination: {host: audit, subset: v1}}, {destination: {host: audit, subset: v2}}]
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{uri: {prefix: /slow}}]
    fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{uri: {prefix: /abort}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{uri: {prefix: /late}}]
    fault: {delay: {fixedDelay: 200ms, percentage: {value: 100}}, abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new}
  - match: [{uri: {prefix: /say}}]
    directResponse: {status: 202, body: {string: '{"service": "said", "version": "here"}'}}
  - match: [{uri: {prefix: /delay}}]
    timeout: 200ms
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{uri: {prefix: /status}}]
    retries: {attempts: 2, retryOn: 5xx}
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]
services: [{host: reviews, ports: [9080]}, {host: audit, ports: [80]}]
"#;

/// The values of a header that the upstream saw.
fn seen<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let lines = answer.body["headers"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().filter(|line| line[0] == name).map(|line| line[1].as_str().unwrap()).collect()
}

fn control_headers(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = lines.filter(|name| name.starts_with("x-canary-")).collect();
    names.sort();
    names
}

fn seen_names(answer: &Answer) -> impl Iterator<Item = String> {
    answer.body["headers"].as_array().unwrap().iter().map(|line| line[0].as_str().unwrap().to_owned())
}

#[test]
fn rules_change_requests_and_answers() {
    let session = Session::start(RULES, &[]);
    let mut client = session.connect();
    let answer = client.get("reviews", "/rate/1?x=1", "x-canary-host: forged\r\n");
    assert_eq!(
        (&answer.body["path"], &answer.body["authority"]),
        (&"/ratings/1?x=1".into(), &"ratings.example.com".into())
    );
    assert_eq!(seen(&answer, "x-a"), ["1"]);
    assert_eq!(answer.header("x-by"), ["canary"]);
    assert_eq!(control_headers(seen_names(&answer)), ["x-canary-decision", "x-canary-version"]);
    session.says("GET reviews/rate/1?x=1 → v1  outbound|9080|v1|");

    for (name, path, status, header, decision) in [
        ("redirect", "/old", 301, ("location", "http://reviews/new"), "GET reviews/old → -  - 301 canary_redirect"),
        (
            "direct response",
            "/say",
            202,
            ("content-type", "text/plain"),
            "GET reviews/say → -  - 202 canary_direct_response",
        ),
        ("abort", "/abort", 418, ("content-type", "text/plain"), "418 canary_fault_abort"),
        ("timeout", "/delay/2s", 504, ("content-type", "text/plain"), "504 response_timeout UT"),
        (
            "retries",
            "/status/503",
            503,
            ("content-type", "application/json"),
            "GET reviews/status/503 → v1  outbound|9080|v1|reviews.default.svc.cluster.local 503 URX",
        ),
    ] {
        let answer = client.get("reviews", path, "");
        assert_eq!((answer.status, answer.header(header.0)), (status, vec![header.1]), "{name}");
        session.says(decision);
    }

    let sent = Instant::now();
    assert_eq!(client.get("reviews", "/slow", "").who(), "reviews v1");
    let taken = sent.elapsed();
    assert!(taken >= Duration::from_secs(1), "{taken:?}");
}

/// A server that hands on the head of every request and answers 200.
struct Recorder {
    address: SocketAddr,
    heads: Receiver<Vec<String>>,
}

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heads) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                thread::spawn(move || record(stream, &sender));
            }
        });
        Self { address, heads }
    }
}

fn record(mut stream: TcpStream, heads: &Sender<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
        match line.trim_end() {
            "" => {
                let _ = heads.send(std::mem::take(&mut head));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
            text => head.push(text.to_owned()),
        }
        line.clear();
    }
}

#[test]
fn a_copy_carries_the_mark_and_no_control_header() {
    let recorder = Recorder::start();
    let session = Session::start(RULES, &["--upstream", &format!("audit/v1={}", recorder.address)]);
    session.says(&format!("audit v1: {}, cluster outbound|80|v1|audit.default.svc.cluster.local", recorder.address));
    session.says("audit v2: echo server on 127.0.0.1:");
    let mut client = session.connect();
    let answer = client.get("reviews", "/copied?x=1", "x-canary-shadow: forged\r\nx-canary-mirror-3: forged\r\n");
    assert_eq!(answer.who(), "reviews v1");
    // Envoy reads the mirrors' headers too late for anything to remove them from the request itself.
    assert_eq!(
        control_headers(seen_names(&answer)),
        ["x-canary-decision", "x-canary-mirror", "x-canary-mirror-2", "x-canary-version"]
    );
    let copy = recorder.heads.recv_timeout(PATIENCE).unwrap();
    assert_eq!(copy[0], "GET /copied?x=1 HTTP/1.1");
    for line in ["host: reviews", "x-canary-shadow: true"] {
        assert!(copy.contains(&line.to_owned()), "no {line} in {copy:?}");
    }
    let names = copy[1..].iter().map(|line| line.split(':').next().unwrap().to_owned());
    assert_eq!(control_headers(names), ["x-canary-shadow"]);
}

#[test]
fn faults_can_be_left_to_the_fault_filter() {
    let session = Session::start(&format!("{RULES}faults: {{delay: faultFilter}}\n"), &[]);
    let mut client = session.connect();
    let forged = "x-envoy-fault-abort-request: 500\r\nx-envoy-fault-delay-request: 60000\r\n";
    for (name, path, status, decision) in [
        ("none", "/", 200, "GET reviews/ → v1  outbound|9080|v1|reviews.default.svc.cluster.local 200 "),
        ("delay", "/slow", 200, "GET reviews/slow → v1  outbound|9080|v1|reviews.default.svc.cluster.local 200 DI "),
        ("abort", "/abort", 418, "GET reviews/abort → v1  - 418 fault_filter_abort FI "),
        ("delay, then abort", "/late", 418, "GET reviews/late → v1  - 418 fault_filter_abort DI,FI "),
        ("unknown host", "/other", 200, "GET reviews/other → v1"),
    ] {
        let answer = client.get("reviews", path, forged);
        assert_eq!(answer.status, status, "{name}");
        session.says(decision);
        if status == 200 {
            let faults = seen_names(&answer).filter(|name| name.starts_with("x-envoy-fault"));
            assert_eq!(faults.collect::<Vec<_>>(), [""; 0], "{name}");
        }
    }
    assert_eq!(client.get("other", "/", forged).who(), "native default");
    fs::write(session.file(), RULES).unwrap();
    session.complains(
        "canary.yaml: /faults/delay: it is part of the bootstrap: restart run; configuration 1 stays in force",
    );
}

#[test]
fn version_mode_routes_by_the_version_alone() {
    let session = Session::start(&format!("{RULES}mode: version\n"), &[]);
    session.says("the filter picks the version and names it in x-canary-version");
    let mut client = session.connect();
    let jason = "end-user: jason\r\n";
    for (name, authority, path, headers, who, decision) in [
        ("version", "reviews", "/", jason, "reviews v2", "GET reviews/ → v2  outbound|9080|v2|"),
        ("default", "reviews:9080", "/", "", "reviews v1", "GET reviews:9080/ → v1  outbound|9080|v1|"),
        ("forged version", "reviews", "/x", "x-canary-version: v2\r\n", "reviews v1", "GET reviews/x → v1"),
        (
            "another name of the host",
            "reviews.default.svc",
            "/y",
            jason,
            "reviews v2",
            "GET reviews.default.svc/y → v2",
        ),
        ("unknown host", "other", "/", jason, "native default", "GET other/ → -  native 200"),
        ("a rewrite is not the filter's", "reviews", "/rate", "", "reviews v1", "GET reviews/rate → v1"),
        ("a fault is not the filter's", "reviews", "/abort", "", "reviews v1", "GET reviews/abort → v1"),
        ("a redirect is not the filter's", "reviews", "/old", "", "reviews v1", "GET reviews/old → -"),
    ] {
        let answer = client.get(authority, path, headers);
        assert_eq!((answer.status, answer.who().as_str()), (200, who), "{name}");
        assert_eq!(answer.body["path"], Value::from(path), "{name}");
        session.says(decision);
    }
    fs::write(
        session.file(),
        format!("{}mode: version\n", RULES.replace("subset: v2}}]\n  - route", "subset: v3}}]\n  - route")),
    )
    .unwrap();
    session.says("configuration 2 in force");
    assert_eq!(client.get("reviews", "/", jason).who(), "reviews v3");
    fs::write(session.file(), RULES).unwrap();
    session.complains("canary.yaml: /mode: it is part of the bootstrap: restart run; configuration 2 stays in force");
    assert_eq!(client.get("reviews", "/", jason).who(), "reviews v3");
}

#[test]
fn version_mode_serves_what_a_trusted_client_forces() {
    let rules = "destinationRules: [{host: reviews, subsets: [{name: v1}, {name: v2}, {name: v3}]}]\n\
                 overrides: {from: [{cidr: 127.0.0.0/8}]}\n";
    let session = Session::start(&format!("{RULES}{rules}mode: version\n"), &[]);
    let mut client = session.connect();
    for (name, headers, who) in [
        ("no version", "", "reviews v1"),
        ("a version of another rule", "x-canary-version: v2\r\n", "reviews v2"),
        ("a version of no rule", "x-canary-version: v3\r\n", "reviews v3"),
    ] {
        let answer = client.get("reviews", "/", headers);
        assert_eq!((answer.status, answer.who().as_str()), (200, who), "{name}");
    }
}
