//! Compares the results of one request on two sides.

use std::{collections::BTreeMap, fmt, time::Duration};

use e2e::upstream::{Recorded, SERVED_BY, TEST_ID};
use hyper::HeaderMap;

use super::{
    case::{Side, TAG},
    exchange::Exchange,
    intended,
    requests::Ask,
    rules::Rule,
};

/// Response headers that say when, and how long it took; and whose length a body has, which is compared itself.
const OF_TIME: [&str; 3] = ["date", "x-envoy-upstream-service-time", "content-length"];
/// How much before its time a delay may end: Envoy's clock stands still while it works on what has come in.
const EARLY: Duration = Duration::from_millis(20);
/// Request headers that are drawn for each request.
const OF_CHANCE: [&str; 1] = ["x-request-id"];

const RESPONSE_HEADER: &str = "response header";

/// A request with a difference.
#[derive(Debug)]
pub(crate) struct Deviation {
    /// The request's name.
    pub(crate) ask: String,
    request: String,
    status: Option<u16>,
    side: Side,
    facts: Vec<String>,
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n  {}: {:?} natively", self.side.name(), self.ask, self.request, self.status)?;
        self.facts.iter().try_for_each(|fact| writeln!(f, "  - {fact}"))
    }
}

type Facts = BTreeMap<String, String>;

/// The requests with differences that are not intended.
pub(crate) fn deviations(
    asks: &[Ask],
    native: &[Exchange],
    other: &[Exchange],
    side: Side,
    rules: &[Rule],
) -> Vec<Deviation> {
    let compared = asks.iter().zip(native).zip(other);
    let found = compared.filter_map(|((ask, native), other)| {
        let rule = native.values(TAG).first().and_then(|tag| rules.iter().find(|rule| rule.tag == *tag));
        let facts = differing(native, other, side, rule);
        let request = format!("{:?}", ask.request).chars().take(400).collect();
        let status = native.answer.as_ref().map(|answer| answer.status);
        (!facts.is_empty()).then(|| Deviation { ask: ask.name.clone(), request, status, side, facts })
    });
    found.collect()
}

fn differing(native: &Exchange, other: &Exchange, side: Side, rule: Option<&Rule>) -> Vec<String> {
    let mut found = Vec::new();
    for (exchange, name) in [(native, "native"), (other, side.name())] {
        let least = rule.map_or_else(Default::default, |rule| rule.delay);
        if exchange.took + EARLY < least {
            found.push(format!("{name}: after {:?}, before its delay of {least:?} was over", exchange.took));
        }
    }
    let aborted =
        |exchange: &Exchange| rule.and_then(Rule::may_abort).is_some_and(|status| is_aborted(exchange, status));
    let (left, right) = (facts(native, side, rule), facts(other, side, rule));
    let refused = is_refused(native) && is_refused(other) && intended::in_refusal(side);
    let is_compared = |fact: &&String| match aborted(native) == aborted(other) {
        true => !(refused && fact.starts_with(RESPONSE_HEADER)),
        // Aborts are random, so only the rule is compared.
        false => **fact == format!("{RESPONSE_HEADER} {TAG}"),
    };
    let mut names: Vec<_> = left.keys().chain(right.keys()).filter(is_compared).collect();
    names.sort();
    names.dedup();
    found.extend(names.into_iter().filter(|name| left.get(*name) != right.get(*name)).map(|name| {
        let of = |facts: &Facts| facts.get(name).cloned().unwrap_or_else(|| "absent".to_owned());
        format!("{name}: {} natively, {} by the filter", of(&left), of(&right))
    }));
    found
}

fn is_aborted(exchange: &Exchange, status: u16) -> bool {
    exchange.arrivals.is_empty() && exchange.answer.as_ref().is_some_and(|answer| answer.status == status)
}

/// Whether Envoy has answered by itself that a request is a bad one.
fn is_refused(exchange: &Exchange) -> bool {
    exchange.arrivals.is_empty() && exchange.answer.as_ref().is_some_and(|answer| answer.status == 400)
}

fn facts(exchange: &Exchange, side: Side, rule: Option<&Rule>) -> Facts {
    let mut facts = Facts::new();
    let Some(answer) = &exchange.answer else {
        facts.insert("answer".to_owned(), "the connection was closed".to_owned());
        return facts;
    };
    facts.insert("status".to_owned(), answer.status.to_string());
    let is_intended = |name: &str| OF_TIME.contains(&name) || intended::in_response(side, name);
    facts.extend(lines(&answer.headers, RESPONSE_HEADER, is_intended));
    facts.extend(answer.trailers.iter().flat_map(|trailers| lines(trailers, "trailer", |_| false)));
    if answer.served_by.is_empty() {
        facts.insert("body".to_owned(), answer.body.clone());
    } else {
        facts.insert("served by".to_owned(), whoever(&answer.served_by, rule));
    }
    let mut tries: BTreeMap<String, usize> = BTreeMap::new();
    for (upstream, recorded) in &exchange.arrivals {
        let upstream = whoever(upstream, rule);
        let number = tries.entry(upstream.clone()).or_default();
        *number += 1;
        facts.extend(of_arrival(&format!("at {upstream}, try {number}"), recorded, side));
    }
    facts
}

/// An upstream; one of several where chance picks.
fn whoever(upstream: &str, rule: Option<&Rule>) -> String {
    let servers = rule.map(Rule::servers).filter(|servers| servers.len() > 1 && servers.contains(upstream));
    servers.map_or_else(|| upstream.to_owned(), |servers| servers.into_iter().collect::<Vec<_>>().join(" or "))
}

fn of_arrival(at: &str, recorded: &Recorded, side: Side) -> Facts {
    let mut facts = Facts::new();
    let texts = [
        ("method", recorded.method.clone()),
        ("path", recorded.path.clone()),
        ("authority", recorded.authority.clone()),
        ("body", format!("{:?}", recorded.body)),
    ];
    facts.extend(texts.map(|(what, text)| (format!("{at}: {what}"), text)));
    for (name, value) in &recorded.headers {
        let is_own = name == TEST_ID || OF_CHANCE.contains(&name.as_str()) || intended::in_request(side, name);
        if !is_own {
            add(&mut facts, format!("{at}: header {name}"), value);
        }
    }
    facts
}

fn lines(headers: &HeaderMap, what: &str, is_intended: impl Fn(&str) -> bool) -> Facts {
    let mut facts = Facts::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str() != SERVED_BY && !is_intended(name.as_str())) {
        add(&mut facts, format!("{what} {name}"), value.as_bytes());
    }
    facts
}

/// One line more.
fn add(facts: &mut Facts, what: String, line: &[u8]) {
    let line = line.escape_ascii();
    facts.entry(what).and_modify(|lines| *lines = format!("{lines} | {line}")).or_insert_with(|| line.to_string());
}
