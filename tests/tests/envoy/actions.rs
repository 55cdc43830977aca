//! The actions of rules, as clients and upstreams see them: one row for each.

use std::time::{Duration, Instant};

use e2e::{
    client::{self, Answer, Request},
    upstream::Recorded,
};
use serde_json::{Value, json};

use crate::{
    Subject,
    documents::{split, to},
    steering::{PROTOCOLS, TEST_ID},
};

/// Names of headers and their expected values. No values if the header must be absent.
type Headers = &'static [(&'static str, &'static [&'static str])];

/// A request and its expected result.
struct Row {
    name: &'static str,
    request: Request,
    status: u16,
    body: Option<&'static str>,
    answer: Headers,
    /// The number of requests that v1 and v2 get.
    tries: usize,
    path: Option<&'static str>,
    authority: Option<&'static str>,
    got: Headers,
}

impl Row {
    /// A request that is served, once.
    fn new(name: &'static str, request: Request) -> Self {
        Self { name, request, status: 200, body: None, answer: &[], tries: 1, path: None, authority: None, got: &[] }
    }

    /// A request with a local reply.
    fn local(name: &'static str, request: Request, status: u16) -> Self {
        Self { status, tries: 0, ..Self::new(name, request) }
    }
}

/// Asserts every row over both protocols.
async fn check(subject: &Subject, rows: &[Row]) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        for row in rows {
            let id = format!("{protocol:?} {}", row.name);
            let answer = client::send(canary.address, protocol, &row.request.clone().header(TEST_ID, &id)).await;
            check_answer(&answer, row, &id);
            let recorded: Vec<Recorded> = canary.upstreams().flat_map(|upstream| upstream.recorded(&id)).collect();
            assert_eq!(recorded.len(), row.tries, "{id}: requests at upstreams");
            for recorded in &recorded {
                check_recorded(recorded, row, &id);
            }
        }
    }
}

fn check_answer(answer: &Answer, row: &Row, id: &str) {
    assert_eq!(answer.status, row.status, "{id}: {answer:?}");
    if let Some(body) = row.body {
        assert_eq!(answer.body, body, "{id}: body");
    }
    for (name, expected) in row.answer {
        assert_eq!(answer.values(name), *expected, "{id}: {name} of the answer");
    }
}

fn check_recorded(recorded: &Recorded, row: &Row, id: &str) {
    assert_eq!(recorded.path, row.path.unwrap_or(&recorded.path), "{id}: path at the upstream");
    assert_eq!(recorded.authority, row.authority.unwrap_or(&recorded.authority), "{id}: authority at the upstream");
    for (name, expected) in row.got {
        assert_eq!(recorded.texts(name), *expected, "{id}: {name} at the upstream");
    }
}

/// The hosts of this module, and their rules.
pub(crate) fn hosts() -> Vec<(&'static str, Value)> {
    vec![
        ("late.example", late_rules()),
        ("shop.example", redirect_rules()),
        ("direct.example", direct_response_rules()),
        ("rewrite.example", rewrite_rules()),
        ("retry.example", retry_rules()),
        ("timeout.example", timeout_rules()),
        ("headers.example", header_rules()),
        ("cors.example", cors_rules()),
        ("body.example", body_rules()),
    ]
}

fn by_prefix(prefix: &str, action: Value) -> Value {
    let mut rule = json!({"match": [{"uri": {"prefix": prefix}}]});
    for (key, value) in action.as_object().expect("an action") {
        rule[key] = value.clone();
    }
    rule
}

fn late_rules() -> Value {
    let delay = json!({"delay": {"fixedDelay": "200ms", "percentage": {"value": 100}}});
    json!([{"fault": delay, "rewrite": {"uri": "/new", "authority": "inner.example"}, "route": to("v2")}])
}

fn redirect_rules() -> Value {
    let redirect = |prefix: &str, redirect: Value| by_prefix(prefix, json!({"redirect": redirect}));
    let mut decorated = redirect("/decorated", json!({"uri": "/new"}));
    decorated["headers"] = json!({"response": {"set": {"x-why": "moved"}}});
    json!([
        redirect("/uri", json!({"uri": "/new"})),
        redirect("/query", json!({"uri": "/new?y=2"})),
        redirect("/authority", json!({"authority": "other.example", "redirectCode": 302})),
        redirect("/scheme", json!({"scheme": "https", "redirectCode": 308})),
        redirect("/port", json!({"port": 8443, "redirectCode": 307})),
        redirect("/derived", json!({"scheme": "https", "derivePort": "FROM_PROTOCOL_DEFAULT", "redirectCode": 303})),
        redirect("/prefix", json!({"prefixRewrite": "/new"})),
        decorated,
    ])
}

pub(crate) async fn redirects(subject: &Subject) {
    let shop = |path: &str| Request::new("shop.example", path);
    let to = |name, path: &str, status, location: Headers| Row {
        answer: location,
        body: Some(""),
        ..Row::local(name, shop(path), status)
    };
    let rows = [
        to("path, the query stays", "/uri/a?x=1", 301, &[("location", &["http://shop.example/new?x=1"])]),
        to("path with a query of its own", "/query?x=1", 301, &[("location", &["http://shop.example/new?y=2"])]),
        to("authority", "/authority?x=1", 302, &[("location", &["http://other.example/authority?x=1"])]),
        to("scheme", "/scheme", 308, &[("location", &["https://shop.example/scheme"])]),
        to("port", "/port", 307, &[("location", &["http://shop.example:8443/port"])]),
        to("port of the scheme", "/derived", 303, &[("location", &["https://shop.example/derived"])]),
        to("prefix", "/prefix/a?x=1", 301, &[("location", &["http://shop.example/new/a?x=1"])]),
        to(
            "response headers of the rule",
            "/decorated",
            301,
            &[("location", &["http://shop.example/new"]), ("x-why", &["moved"])],
        ),
    ];
    check(subject, &rows).await;
}

fn direct_response_rules() -> Value {
    let answer = |prefix: &str, status: u16, body: Value| {
        by_prefix(prefix, json!({"directResponse": {"status": status, "body": body}}))
    };
    let mut typed = answer("/typed", 200, json!({"string": "{}"}));
    typed["headers"] = json!({"response": {"set": {"content-type": "application/json"}}});
    json!([
        answer("/string", 503, json!({"string": "closed"})),
        answer("/bytes", 200, json!({"bytes": "b3Blbg=="})),
        by_prefix("/empty", json!({"directResponse": {"status": 204}})),
        typed,
    ])
}

pub(crate) async fn direct_responses(subject: &Subject) {
    let shop = |path: &str| Request::new("direct.example", path);
    let rows = [
        Row {
            body: Some("closed"),
            answer: &[("content-type", &["text/plain"]), ("content-length", &["6"])],
            ..Row::local("string", shop("/string"), 503)
        },
        Row { body: Some("open"), ..Row::local("bytes", shop("/bytes"), 200) },
        Row { body: Some(""), ..Row::local("no body", shop("/empty"), 204) },
        Row { body: Some(""), ..Row::local("HEAD", shop("/string").method("HEAD"), 503) },
        Row { body: Some("closed"), ..Row::local("POST", shop("/string").method("POST").body("x"), 503) },
        Row {
            body: Some("{}"),
            answer: &[("content-type", &["application/json"])],
            ..Row::local("content type of the rule", shop("/typed"), 200)
        },
    ];
    check(subject, &rows).await;
}

fn rewrite_rules() -> Value {
    let rewrite = |prefix: &str, rewrite: Value| by_prefix(prefix, json!({"rewrite": rewrite, "route": to("v1")}));
    json!([
        rewrite("/prefix", json!({"uri": "/new"})),
        rewrite("/root/", json!({"uri": "/"})),
        rewrite(
            "/regex",
            json!({"uriRegexRewrite": {"match": "/regex/([^/]+)/items/([0-9]+)", "rewrite": "/i/\\2/of/\\1"}}),
        ),
        rewrite("/authority", json!({"authority": "inner.example"})),
        rewrite("/both", json!({"uri": "/b", "authority": "inner.example:81"})),
        {"match": [{"uri": {"exact": "/exact"}}], "rewrite": {"uri": "/whole"}, "route": to("v1")},
        {"rewrite": {"uri": "/all"}, "route": to("v1")},
    ])
}

pub(crate) async fn rewrites(subject: &Subject) {
    let shop = |path: &str| Request::new("rewrite.example", path);
    let row = |name, path: &str, expected| Row { path: Some(expected), ..Row::new(name, shop(path)) };
    let rows = [
        row("prefix", "/prefix/a?x=1", "/new/a?x=1"),
        row("prefix with its slash to the root", "/root/a", "/a"),
        row("regex with groups", "/regex/cart/items/7?x=items", "/i/7/of/cart?x=items"),
        row("regex without a hit", "/regex/cart", "/regex/cart"),
        row("exact", "/exact?x=1", "/whole?x=1"),
        row("no uri matcher is the prefix /", "/parcel", "/allparcel"),
        Row {
            authority: Some("inner.example"),
            got: &[("x-envoy-original-path", &[])],
            ..Row::new("authority", shop("/authority"))
        },
        Row {
            authority: Some("inner.example:81"),
            path: Some("/b"),
            got: &[("x-envoy-original-path", &["/both"])],
            ..Row::new("path and authority", shop("/both"))
        },
        Row {
            path: Some("/new"),
            got: &[("x-envoy-original-path", &["/prefix"])],
            ..Row::new(
                "the client's original path is overwritten",
                shop("/prefix").header("x-envoy-original-path", "/x"),
            )
        },
    ];
    check(subject, &rows).await;
}

fn retry_rules() -> Value {
    let retry = |prefix: &str, retries: Value| by_prefix(prefix, json!({"retries": retries, "route": to("v1")}));
    json!([
        retry("/5xx", json!({"attempts": 3, "retryOn": "5xx"})),
        retry("/once", json!({"attempts": 1, "retryOn": "gateway-error"})),
        retry("/codes", json!({"attempts": 2, "retryOn": "404,418"})),
        retry("/mixed", json!({"attempts": 2, "retryOn": "connect-failure,429,unavailable"})),
        retry("/slow", json!({"attempts": 1, "perTryTimeout": "200ms", "retryOn": "5xx"})),
        retry("/off", json!({"attempts": 0})),
        {"route": to("v1")},
    ])
}

pub(crate) async fn retries(subject: &Subject) {
    let shop = |path: &str| Request::new("retry.example", path);
    let row = |name, path: &str, status, tries| Row { status, tries, ..Row::new(name, shop(path)) };
    let rows = [
        row("three retries on 5xx are four tries", "/5xx/status/503", 503, 4),
        row("a success is no failure", "/5xx", 200, 1),
        row("4xx is no 5xx", "/5xx/status/404", 404, 1),
        row("one retry", "/once/status/502", 502, 2),
        row("500 is no gateway error", "/once/status/500", 500, 1),
        row("a number", "/codes/status/404", 404, 3),
        row("another number", "/codes/status/418", 418, 3),
        row("a number that is not listed", "/codes/status/503", 503, 1),
        row("a number beside names", "/mixed/status/429", 429, 3),
        row("each try has its limit", "/slow/delay/5s", 504, 2),
        row("no attempts", "/off/status/503", 503, 1),
        row("a rule without retries", "/status/503", 503, 1),
        Row {
            got: &[("x-envoy-retry-on", &[]), ("x-envoy-max-retries", &[])],
            ..row("nothing of it at the upstream", "/5xx", 200, 1)
        },
    ];
    check(subject, &rows).await;
}

fn timeout_rules() -> Value {
    let limited = |prefix: &str| by_prefix(prefix, json!({"timeout": "400ms", "route": to("v1")}));
    let mut retried = limited("/retried");
    retried["retries"] = json!({"attempts": 5, "perTryTimeout": "150ms", "retryOn": "5xx"});
    let mut late = limited("/late");
    late["fault"] = json!({"delay": {"fixedDelay": "600ms", "percentage": {"value": 100}}});
    json!([limited("/limited"), retried, late, {"route": to("v1")}])
}

pub(crate) async fn timeouts(subject: &Subject) {
    const LIMIT: Duration = Duration::from_millis(400);
    // Before the upstream answers. The time depends on the load of the machine.
    const LATE: Duration = Duration::from_secs(4);
    // Envoy's timers start at the time when its event loop woke up, so they may fire a little early.
    const EARLY: Duration = Duration::from_millis(20);
    let shop = |path: &str| Request::new("timeout.example", path);
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        for (name, path, status, limit) in [
            ("too slow", "/limited/delay/5s", 504, Some(LIMIT)),
            ("in time", "/limited/delay/10ms", 200, None),
            ("retries count towards the limit", "/retried/delay/5s", 504, Some(LIMIT)),
            ("an injected delay does not count towards the limit", "/late", 200, None),
            ("after an injected delay the limit still counts", "/late/delay/5s", 504, None),
            ("a rule without timeout waits", "/delay/1s", 200, None),
        ] {
            let id = format!("{protocol:?} {name}");
            let begin = Instant::now();
            let answer = client::send(canary.address, protocol, &shop(path).header(TEST_ID, &id)).await;
            let took = begin.elapsed();
            assert_eq!(answer.status, status, "{id}: {answer:?}");
            if let Some(limit) = limit {
                assert!(took + EARLY >= limit && took < LATE, "{id}: took {took:?}, the limit is {limit:?}");
                assert_eq!(canary.access_log(&id).await["flags"], "UT", "{id}");
            }
            let recorded = canary.upstream("v1").recorded(&id);
            for name in ["x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"] {
                assert!(recorded.iter().all(|request| request.values(name).is_empty()), "{id}: {name} at the upstream");
            }
        }
    }
}

fn header_rules() -> Value {
    let operations = |level: &str| {
        json!({
            "request": {"set": {"x-set": level}, "add": {"x-add": level}, "remove": ["x-remove"]},
            "response": {"set": {"x-set": level}, "add": {"x-add": level}, "remove": ["x-remove"]},
        })
    };
    let destination = |subset: &str, weight: u32| json!({"destination": {"host": "reviews", "subset": subset}, "weight": weight, "headers": operations(subset)});
    json!([
        {"match": [{"uri": {"prefix": "/rule"}}], "headers": operations("rule"), "route": to("v1")},
        {"match": [{"uri": {"prefix": "/one"}}], "headers": operations("rule"), "route": [destination("v1", 1)]},
        {"match": [{"uri": {"prefix": "/split"}}], "headers": operations("rule"),
         "route": [destination("v1", 1), destination("v2", 0)]},
        {"match": [{"uri": {"prefix": "/host"}}], "headers": {"request": {"set": {"Host": "inner.example"}}}, "route": to("v1")},
        {"match": [{"uri": {"prefix": "/format"}}], "route": to("v1"), "headers": {
            "request": {"set": {"x-copy": "%REQ(x-set)%", "x-percent": "50%%"}},
            "response": {"set": {"x-protocol": "%PROTOCOL%"}},
        }},
        {"route": split(&[("v1", 1), ("v2", 0)])},
    ])
}

pub(crate) async fn header_operations(subject: &Subject) {
    let shop = |path: &str| Request::new("headers.example", path);
    let with_headers = |path: &str| {
        let names = ["x-set", "x-add", "x-remove"];
        names.iter().fold(shop(path), |request, name| {
            request.header(name, "client").header(&format!("x-reply-{name}"), "upstream")
        })
    };
    let rows = [
        Row {
            got: &[("x-set", &["rule"]), ("x-add", &["client", "rule"]), ("x-remove", &[])],
            answer: &[("x-set", &["rule"]), ("x-add", &["upstream", "rule"]), ("x-remove", &[])],
            ..Row::new("of the rule", with_headers("/rule"))
        },
        Row {
            got: &[("x-set", &["v1"]), ("x-add", &["client", "rule", "v1"]), ("x-remove", &[])],
            answer: &[("x-set", &["v1"]), ("x-add", &["upstream", "rule", "v1"]), ("x-remove", &[])],
            ..Row::new("of the rule and its only destination: the destination's set wins", with_headers("/one"))
        },
        Row {
            got: &[("x-set", &["rule"]), ("x-add", &["client", "v1", "rule"]), ("x-remove", &[])],
            answer: &[("x-set", &["rule"]), ("x-add", &["upstream", "v1", "rule"]), ("x-remove", &[])],
            ..Row::new("of the rule and one of several destinations: the rule's set wins", with_headers("/split"))
        },
        Row {
            got: &[("x-set", &["client"]), ("x-add", &["client"]), ("x-remove", &["client"])],
            answer: &[("x-set", &["upstream"]), ("x-add", &["upstream"]), ("x-remove", &["upstream"])],
            ..Row::new("of a rule without any", with_headers("/none"))
        },
        Row { authority: Some("inner.example"), ..Row::new("Host is a host rewrite", shop("/host")) },
        Row {
            got: &[("x-copy", &["client"]), ("x-percent", &["50%"])],
            ..Row::new("values are format strings", with_headers("/format"))
        },
        Row {
            got: &[("x-set", &["rule"])],
            ..Row::new("one line in place of two", shop("/rule").header("x-set", "a").header("x-set", "b"))
        },
    ];
    check(subject, &rows).await;
}

fn cors_rules() -> Value {
    let policy = json!({
        "allowOrigins": [{"exact": "https://shop.example"}, {"regex": "https://.*[.]partner[.]example"}],
        "allowMethods": ["GET", "PUT"],
        "allowHeaders": ["x-token"],
        "exposeHeaders": ["x-total"],
        "maxAge": "10m",
        "allowCredentials": true,
    });
    let abort = json!({"abort": {"httpStatus": 503, "percentage": {"value": 100}}});
    json!([by_prefix("/abort", json!({"corsPolicy": policy, "fault": abort, "route": to("v1")})),
           {"corsPolicy": policy, "route": to("v1")}])
}

pub(crate) async fn cors(subject: &Subject) {
    let shop = |path: &str| Request::new("cors.example", path);
    let from = |origin: &str| shop("/").header("origin", origin);
    let preflight = |origin: &str| from(origin).method("OPTIONS").header("access-control-request-method", "PUT");
    let rows = [
        Row {
            body: Some(""),
            answer: &[
                ("access-control-allow-origin", &["https://shop.example"]),
                ("access-control-allow-credentials", &["true"]),
                ("access-control-allow-methods", &["GET,PUT"]),
                ("access-control-allow-headers", &["x-token"]),
                ("access-control-max-age", &["600"]),
            ],
            ..Row::local("preflight", preflight("https://shop.example"), 200)
        },
        Row {
            answer: &[("access-control-allow-origin", &["https://a.partner.example"])],
            ..Row::local("preflight of an origin by regex", preflight("https://a.partner.example"), 200)
        },
        Row {
            answer: &[("access-control-allow-origin", &[]), ("access-control-allow-methods", &[])],
            ..Row::new("preflight of another origin is forwarded", preflight("https://evil.example"))
        },
        Row {
            answer: &[
                ("access-control-allow-origin", &["https://shop.example"]),
                ("access-control-allow-credentials", &["true"]),
                ("access-control-expose-headers", &["x-total"]),
                ("access-control-allow-methods", &[]),
            ],
            ..Row::new("simple request", from("https://shop.example"))
        },
        Row {
            answer: &[("access-control-allow-origin", &["https://shop.example"])],
            ..Row::new(
                "the policy's word counts, not the upstream's",
                from("https://shop.example").header("x-reply-access-control-allow-origin", "*"),
            )
        },
        Row {
            answer: &[("access-control-allow-origin", &[])],
            ..Row::new("simple request of another origin", from("https://evil.example"))
        },
        Row { answer: &[("access-control-allow-origin", &[])], ..Row::new("no origin", shop("/")) },
        Row {
            answer: &[("access-control-allow-origin", &[])],
            ..Row::local(
                "a fault comes before",
                shop("/abort")
                    .method("OPTIONS")
                    .header("origin", "https://shop.example")
                    .header("access-control-request-method", "PUT"),
                503,
            )
        },
        Row {
            answer: &[("access-control-allow-origin", &["https://shop.example"])],
            ..Row::new(
                "OPTIONS without a requested method is a simple request",
                from("https://shop.example").method("OPTIONS"),
            )
        },
    ];
    check(subject, &rows).await;
}

fn body_rules() -> Value {
    json!([{
            "match": [{"uri": {"prefix": "/late"}}],
            "fault": {"delay": {"fixedDelay": "200ms", "percentage": {"value": 100}}},
            "rewrite": {"uri": "/"},
            "route": to("v1"),
        }, {"route": to("v1")}])
}

pub(crate) async fn bodies_pass_whole(subject: &Subject) {
    let large = "0123456789abcdef".repeat(200_000);
    let shop = |path: &str| Request::new("body.example", path);
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    for protocol in PROTOCOLS {
        for path in ["/late", "/at-once"] {
            let id = format!("{protocol:?} {path}");
            let request = shop(path).method("POST").body(large.clone()).header(TEST_ID, &id);
            let answer = client::send(canary.address, protocol, &request).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{id}");
            let recorded = canary.upstream("v1").recorded(&id);
            assert!(recorded.len() == 1 && recorded[0].body == large, "{id}: the upstream got another body");
        }
    }
}
