//! Requests worth trying, derived from a configuration: one for each rule, proven to reach it.

use canary_config::{Config, HttpMatch, MESH, Pointer, StringMatch, VirtualService, host};
use canary_routing::{AllHealthy, Decision, Outcome, Request, RouteTable};

use crate::share::Share;

/// How many examples are enough.
const MOST: usize = 5;

/// A `curl` line and what answers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Example {
    request: Request,
    /// The versions with their shares, such as `v1 90 %, v2 10 %`.
    answer: String,
}

impl Example {
    /// The command line for a listener at `address`.
    pub(super) fn curl(&self, address: impl std::fmt::Display) -> String {
        let mut line = "curl -s".to_owned();
        if self.request.method != b"GET" {
            line.push_str(&format!(" -X {}", quoted(&text(&self.request.method))));
        }
        line.push_str(&format!(" -H {}", quoted(&format!("Host: {}", text(&self.request.authority)))));
        for (name, value) in &self.request.headers {
            // curl sends a header without a value only when it ends in a semicolon.
            let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {}", text(value)) };
            line.push_str(&format!(" -H {}", quoted(&header)));
        }
        let url = format!("http://{address}{}", text(&self.request.path));
        let url = if url.contains(|c: char| !c.is_ascii_alphanumeric() && !":/.-_~".contains(c)) {
            quoted(&url)
        } else {
            url
        };
        format!("{line} {url}  # {}", self.answer)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// As a word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Examples for the rules in order, at most five: those whose matches can be turned into a request.
pub(super) fn examples(config: &Config) -> Vec<Example> {
    let table = RouteTable::compile(config);
    let mut found: Vec<Example> = Vec::new();
    for service in &config.virtual_services {
        let Some(authority) = authority(config, service) else { continue };
        for rule in &service.http {
            let any = HttpMatch::default();
            let matches =
                if rule.matches.is_empty() { vec![&any] } else { rule.matches.iter().map(AsRef::as_ref).collect() };
            let requests = matches.into_iter().filter_map(|entry| request(&authority, entry));
            let example = requests.filter_map(|request| example(&table, request, &rule.at)).next();
            found.extend(example.filter(|example| !found.contains(example)));
        }
    }
    found.truncate(MOST);
    found
}

/// The example of a request, if the rule at `rule` takes it.
fn example(table: &RouteTable, request: Request, rule: &Pointer) -> Option<Example> {
    let mut answers = Vec::new();
    for possible in request.possible_decisions(table, &AllHealthy) {
        if possible.decision.route.is_none_or(|route| route.rule != *rule) {
            return None;
        }
        answers.push(Share(possible.share).after(&answer(&possible.decision)?));
    }
    Some(Example { request, answer: answers.join(", ") })
}

/// `reviews v2`, `status 500`, and after which delay. `None` where the proxy's own routes answer.
fn answer(decision: &Decision<'_>) -> Option<String> {
    let answer = match &decision.outcome {
        Outcome::Forward(forward) => {
            let service = forward.destination.host.split('.').next().unwrap_or_default();
            match &forward.destination.subset {
                Some(subset) => format!("{service} {subset}"),
                None => service.to_owned(),
            }
        }
        Outcome::LocalReply(reply) => format!("status {}", reply.status),
        Outcome::Untouched => return None,
    };
    Some(match decision.delay {
        Some(delay) => format!("{answer} after {delay:?}"),
        None => answer,
    })
}

/// The first host of an object as a client would write it, with the service's only port.
fn authority(config: &Config, service: &VirtualService) -> Option<String> {
    let in_mesh = service.gateways.is_empty() || service.gateways.iter().any(|gateway| gateway == MESH);
    let name = service.hosts.first()?;
    let fqdn = host::qualify(name, &service.metadata.namespace);
    let port = config.only_port(&fqdn).filter(|port| *port != 80).map(|port| format!(":{port}")).unwrap_or_default();
    let name = match name.strip_prefix('*') {
        Some("") => "example.com".to_owned(),
        Some(suffix) => format!("any{suffix}"),
        None if in_mesh => name.clone(),
        None => fqdn,
    };
    Some(name + &port)
}

/// A request that an entry of `match` takes. `None` where a regex or a matcher of the authority would have to be solved.
fn request(authority: &str, entry: &HttpMatch) -> Option<Request> {
    if entry.authority.is_some() || entry.scheme.is_some() {
        return None;
    }
    let authority = match entry.port {
        Some(port) => format!("{}:{port}", authority.split(':').next().unwrap_or(authority)),
        None => authority.to_owned(),
    };
    let mut path = entry.uri.as_ref().map_or(Some("/".to_owned()), |uri| value(uri, "/"))?;
    for (index, (name, matcher)) in entry.query_params.iter().enumerate() {
        let joint = if index == 0 { '?' } else { '&' };
        path.push_str(&format!("{joint}{name}={}", value(matcher, "1")?));
    }
    let mut request = Request::get(&format!("http://{authority}"));
    request.path = path.into_bytes();
    if let Some(method) = &entry.method {
        request.method = value(method, "GET")?.into_bytes();
    }
    for (name, matcher) in &entry.headers {
        request = request.with_header(name, value(matcher, "1")?);
    }
    Some(request)
}

/// A value that satisfies a matcher; `any` where all do.
fn value(matcher: &StringMatch, any: &str) -> Option<String> {
    match matcher {
        StringMatch::Exact(text) => Some(text.clone()),
        StringMatch::Prefix(prefix) if prefix.is_empty() => Some(any.to_owned()),
        StringMatch::Prefix(prefix) => Some(prefix.clone()),
        StringMatch::Present => Some(any.to_owned()),
        // Often a plain word, or a word among anything, as in `^(.*?;)?(user=jason)(;.*)?$`.
        StringMatch::Regex(regex) => {
            let word = regex.as_str().trim_start_matches('^').trim_end_matches('$');
            let word = word.replace("(.*?;)?", "").replace("(;.*)?", "").replace(".*", "").replace(['(', ')'], "");
            regex.is_match(word.as_bytes()).then_some(word)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lines(document: Value) -> Vec<String> {
        let (config, _) = Config::read(&document).unwrap();
        examples(&config).iter().map(|example| example.curl("127.0.0.1:10000")).collect()
    }

    #[test]
    fn every_rule_that_can_be_reached_has_an_example() {
        let route = |subset: &str| json!([{"destination": {"host": "reviews", "subset": subset}}]);
        let split = json!([
            {"destination": {"host": "reviews", "subset": "v1"}, "weight": 2},
            {"destination": {"host": "reviews", "subset": "v2"}, "weight": 1},
        ]);
        let rules = json!([
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": route("v2")},
            {"match": [{"headers": {"cookie": {"regex": "^(.*?;)?(user=it's)(;.*)?$"}}}], "route": route("v3")},
            {"match": [{"uri": {"prefix": "/api"}, "method": {"exact": "POST"}, "queryParams": {"v": {"exact": "3"}}}],
             "route": route("v3")},
            {"match": [{"uri": {"prefix": "/api/v2"}, "method": {"exact": "POST"}, "queryParams": {"v": {"exact": "3"}}}],
             "route": route("v4")},
            {"match": [{"uri": {"regex": "/[a-z]+"}}], "route": route("v5")},
            {"route": split},
        ]);
        let services = json!([{"host": "reviews", "ports": [9080]}]);
        let document = json!({"virtualServices": [{"hosts": ["reviews"], "http": rules}], "services": services});
        assert_eq!(
            lines(document),
            [
                "curl -s -H 'Host: reviews:9080' -H 'end-user: jason' http://127.0.0.1:10000/  # reviews v2",
                r"curl -s -H 'Host: reviews:9080' -H 'cookie: user=it'\''s' http://127.0.0.1:10000/  # reviews v3",
                "curl -s -X 'POST' -H 'Host: reviews:9080' 'http://127.0.0.1:10000/api?v=3'  # reviews v3",
                "curl -s -H 'Host: reviews:9080' http://127.0.0.1:10000/  # reviews v1 66.67 %, reviews v2 33.33 %",
            ]
        );
    }

    #[test]
    fn hosts_are_written_as_a_client_writes_them() {
        let route = json!([{"route": [{"destination": {"host": "web.shop.svc.cluster.local"}}]}]);
        let gateway = |hosts: Value| json!({"hosts": hosts, "gateways": ["shop/gw"], "http": route});
        let proxy = json!({"gateways": ["shop/gw"]});
        for (name, document, expected) in [
            (
                "wildcard",
                json!({"virtualServices": [gateway(json!(["*.shop.io"]))], "proxy": proxy}),
                vec!["curl -s -H 'Host: any.shop.io' http://127.0.0.1:10000/  # web"],
            ),
            (
                "any host",
                json!({"virtualServices": [gateway(json!(["*"]))], "proxy": proxy}),
                vec!["curl -s -H 'Host: example.com' http://127.0.0.1:10000/  # web"],
            ),
            (
                "short host at a gateway",
                json!({"virtualServices": [gateway(json!(["web"]))], "proxy": proxy}),
                vec!["curl -s -H 'Host: web.default.svc.cluster.local' http://127.0.0.1:10000/  # web"],
            ),
            ("not this proxy's", json!({"virtualServices": [gateway(json!(["web"]))]}), vec![]),
            ("nothing", json!({}), vec![]),
        ] {
            assert_eq!(lines(document), expected, "{name}");
        }
    }
}
