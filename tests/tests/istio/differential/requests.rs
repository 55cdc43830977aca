//! Requests from the boundaries of rules.

use std::{collections::BTreeSet, time::Duration};

use canary_config::{Config, HttpMatch, HttpRoute};
use e2e::{
    client::{Protocol, Request},
    grpc,
};
use fastrand::Rng;
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};

use super::near;

/// The least number of requests.
const LEAST: usize = 360;
/// How many mix several of the others.
const MIXED: usize = 60;
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "PURGE"];
const PREFLIGHT: [(&str, &str); 2] = [("origin", "http://shop.example.com"), ("access-control-request-method", "PUT")];
/// Longer than a timeout by this much.
const TOO_LATE: Duration = Duration::from_millis(200);

/// A request, and why it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// The rule that it is about, and what is special about it.
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) request: Request,
}

#[derive(Debug, Clone)]
struct Draft {
    name: String,
    protocol: Protocol,
    method: String,
    authority: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Requests for every rule that this proxy has, in an order that they keep.
pub(crate) fn generate(config: &Config, is_grpc: bool, rng: &mut Rng) -> Vec<Ask> {
    let mut drafts = Vec::new();
    for service in config.services_in_order() {
        for host in service.qualified_hosts() {
            let host = if host == "*" { "any.example.net".to_owned() } else { host.replace('*', "any") };
            let base = Draft::to(&host, is_grpc);
            for (index, rule) in service.http.iter().enumerate() {
                let base = base.named(&format!("rule {index} {}", rule.name));
                drafts.extend(of_rule(&base, rule));
            }
            drafts.extend(of_host(&base, config));
        }
    }
    let mut seen = BTreeSet::new();
    drafts.retain(|draft| draft.can_be_sent() && seen.insert(draft.content()));
    let goal = LEAST.max(drafts.len().saturating_add(MIXED));
    let plain = drafts.clone();
    let mixed = (0..).map(|number| mix(&plain, number, rng));
    let mixed = mixed.filter(|draft| draft.can_be_sent() && seen.insert(draft.content()));
    drafts.extend(mixed.take(goal.saturating_sub(drafts.len())));
    drafts.iter().map(Draft::ask).collect()
}

/// Whatever the rules of the host are.
fn of_host(base: &Draft, config: &Config) -> Vec<Draft> {
    let mut drafts = vec![base.named("as it is"), base.named("HTTP/2").over(Protocol::Http2)];
    drafts.extend(
        near::hosts(&base.authority).into_iter().map(|(why, host)| base.named(&format!("host {why}")).at(&host)),
    );
    if base.method == "GET" {
        drafts
            .extend(near::paths("/").into_iter().map(|(why, path)| base.named(&format!("path /, {why}")).path(&path)));
        drafts.extend(METHODS.iter().map(|method| base.named(&format!("method {method}")).method(method)));
        drafts.extend(["/status/503", "/status/404"].map(|path| base.named(path).path(path)));
        drafts.push(base.named("a body").method("POST").body(b"text"));
    }
    drafts.push(
        PREFLIGHT
            .iter()
            .fold(base.named("preflight").method("OPTIONS"), |draft, (name, value)| draft.line(name, value)),
    );
    drafts.extend(
        from_clients(config)
            .into_iter()
            .map(|(name, value)| base.named(&format!("client's {name}: {value}")).line(name, &value)),
    );
    let many = (0..90).fold(base.named("90 lines"), |draft, number| draft.line(&format!("x-many-{number}"), "1"));
    drafts.push(many);
    drafts
}

/// Headers by which clients might steer a proxy, and others that must make no difference.
fn from_clients(config: &Config) -> Vec<(&str, String)> {
    let destinations = config.destinations();
    let named = destinations.last().and_then(|key| Some((key, key.port?)));
    let cluster = named.map(|(key, port)| config.clusters.name(&key.host, key.subset.as_deref(), port));
    let subset = config.destination_rules.last().and_then(|rule| rule.subsets.last()).map(|subset| subset.name.clone());
    let (cluster, version) = (cluster.unwrap_or_default(), subset.unwrap_or_default());
    let control =
        config.headers.names().map(|name| (name, if name.ends_with("version") { &version } else { &cluster }));
    let others = [
        ("x-canary-decision", "mine"),
        ("x-canary-shadow", "true"),
        ("x-envoy-fault-delay-request", "1000"),
        ("x-envoy-fault-abort-request", "418"),
        ("x-envoy-fault-abort-grpc-request", "14"),
        ("x-envoy-fault-abort-request-percentage", "100"),
        ("x-envoy-original-path", "/other"),
        ("x-envoy-decorator-operation", "mine"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "other.example.com"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-http-method-override", "DELETE"),
        ("cookie", "end-user=jason; session=1"),
        ("origin", "http://shop.example.com"),
        ("accept-encoding", "gzip"),
        ("te", "trailers"),
        ("x_underscore", "1"),
    ];
    control
        .map(|(name, value)| (name, value.clone()))
        .chain(others.map(|(name, value)| (name, value.to_owned())))
        .collect()
}

fn of_rule(base: &Draft, rule: &HttpRoute) -> Vec<Draft> {
    let without = HttpMatch::default();
    let entries: Vec<&HttpMatch> = rule.matches.iter().map(AsRef::as_ref).collect();
    let entries = if entries.is_empty() { vec![&without] } else { entries };
    let mut drafts = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let met = base.named(&format!("match {index}")).meeting(entry);
        drafts.extend(around(&met, entry));
        if rule.timeout.is_some() || rule.retries.is_some() {
            let late = format!("delay/{}ms", (rule.timeout.unwrap_or_default() + TOO_LATE).as_millis());
            drafts.extend([late, "status/503".to_owned()].map(|directive| met.named(&directive).under(&directive)));
        }
        if index == 0 && met.method == "GET" {
            drafts.extend(METHODS.iter().map(|method| met.named(&format!("method {method}")).method(method)));
        }
        drafts.extend(
            near::hosts(&met.authority)
                .into_iter()
                .take(6)
                .map(|(why, host)| met.named(&format!("host {why}")).at(&host)),
        );
    }
    drafts
}

/// Each condition of an entry varied, with all others met.
fn around(met: &Draft, entry: &HttpMatch) -> Vec<Draft> {
    let mut drafts = vec![met.clone(), met.over(Protocol::Http2)];
    if let Some(uri) = &entry.uri {
        let paths = near::paths(&near::value(uri)).into_iter();
        drafts.extend(paths.map(|(why, path)| met.named(&format!("path {why}")).path(&path)));
    }
    for (headers, which) in [(&entry.headers, "header"), (&entry.without_headers, "without")] {
        for (name, matcher) in headers {
            let lines = near::lines(&near::value(matcher)).into_iter();
            drafts.extend(lines.map(|(why, lines)| {
                let draft = met.named(&format!("{which} {name} {why}")).without(name);
                lines.iter().fold(draft, |draft, line| draft.line(name, line))
            }));
            drafts.push(
                met.named(&format!("{which} {name} as a cookie"))
                    .without(name)
                    .line("cookie", format!("{name}={}", near::value(matcher))),
            );
            drafts.push(
                met.named(&format!("{which} {name} in capitals, HTTP/1"))
                    .without(name)
                    .line(&name.to_ascii_uppercase(), near::value(matcher)),
            );
        }
    }
    for (name, matcher) in &entry.query_params {
        let queries = near::queries(name, &near::value(matcher)).into_iter();
        drafts.extend(queries.map(|(why, query)| met.named(&format!("parameter {name} {why}")).query(&query)));
    }
    if let Some(method) = &entry.method {
        let value = near::value(method);
        drafts.extend(
            [other(&value), near::other_case(&value)].map(|method| met.named("another method").method(&method)),
        );
    }
    drafts
}

fn other(method: &str) -> String {
    METHODS.iter().find(|other| **other != method).map_or_else(String::new, |method| (*method).to_owned())
}

/// A request with a part of one, a part of another.
fn mix(drafts: &[Draft], number: usize, rng: &mut Rng) -> Draft {
    let mut pick = || &drafts[rng.usize(..drafts.len())];
    let [host, path, headers, more] = [pick(), pick(), pick(), pick()];
    Draft {
        name: format!("mix {number}: {} + {} + {} + {}", host.name, path.name, headers.name, more.name),
        authority: host.authority.clone(),
        path: path.path.clone(),
        headers: [headers.headers.clone(), more.headers.clone()].concat(),
        ..headers.clone()
    }
}

impl Draft {
    fn to(host: &str, is_grpc: bool) -> Self {
        let draft = Self {
            name: host.to_owned(),
            protocol: Protocol::Http1,
            method: "GET".to_owned(),
            authority: host.to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        if !is_grpc {
            return draft;
        }
        // A message without content.
        let call = draft.over(Protocol::Http2).method("POST").path(grpc::GET).body(&[0; 5]);
        call.line("content-type", "application/grpc").line("te", "trailers")
    }

    fn named(&self, what: &str) -> Self {
        Self { name: format!("{}: {what}", self.name), ..self.clone() }
    }

    fn over(&self, protocol: Protocol) -> Self {
        Self { protocol, name: format!("{}, {protocol:?}", self.name), ..self.clone() }
    }

    fn at(self, authority: &str) -> Self {
        Self { authority: authority.to_owned(), ..self }
    }

    fn method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    fn query(self, query: &str) -> Self {
        let path = self.path.split('?').next().unwrap_or_default().to_owned();
        Self { path: if query.is_empty() { path } else { format!("{path}?{query}") }, ..self }
    }

    fn under(self, segments: &str) -> Self {
        let path = format!("{}/{segments}", self.path.trim_end_matches('/'));
        Self { path, ..self }
    }

    fn body(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    fn line(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// With all that an entry wants.
    fn meeting(self, entry: &HttpMatch) -> Self {
        let mut draft = match &entry.uri {
            Some(uri) => self.path(&near::value(uri)),
            None => self,
        };
        if let Some(method) = &entry.method {
            draft = draft.method(&near::value(method));
        }
        if let Some(authority) = &entry.authority {
            draft = draft.at(&near::value(authority));
        }
        for (name, matcher) in &entry.headers {
            draft = draft.line(name, near::value(matcher));
        }
        let queries = entry.query_params.iter().map(|(name, matcher)| format!("{name}={}", near::value(matcher)));
        let query = queries.collect::<Vec<_>>().join("&");
        draft.query(&query)
    }

    /// Whether a client can say so.
    fn can_be_sent(&self) -> bool {
        let by_protocol = match self.protocol {
            Protocol::Http1 => HeaderValue::from_str(&self.authority).is_ok(),
            Protocol::Http2 => Uri::builder()
                .scheme("http")
                .authority(self.authority.as_str())
                .path_and_query(self.path.as_str())
                .build()
                .is_ok(),
        };
        let mut lines = self.headers.iter();
        by_protocol
            && self.path.parse::<Uri>().is_ok()
            && lines.all(|(name, value)| {
                HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_bytes(value).is_ok()
            })
    }

    fn content(&self) -> String {
        format!("{:?}", Self { name: String::new(), ..self.clone() })
    }

    fn ask(&self) -> Ask {
        let request = Request::new(&self.authority, &self.path).method(&self.method).body(self.body.clone());
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        Ask { name: self.name.clone(), protocol: self.protocol, request }
    }
}
