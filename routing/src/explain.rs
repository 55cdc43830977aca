//! Requests and decisions as JSON, for `canaryctl explain`, fixtures and tests.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use canary_config::node::{self, Node};
use canary_config::timestamp::Timestamp;
use canary_config::vocabulary::Object;
use canary_config::{self as config, Config, ConfigErrors, Json};

use crate::acting::{HeaderChange, LocalReply, Operation};
use crate::decision::{Decision, Forward, Outcome, SplitPick, VersionValue};
use crate::difference::differences;
use crate::draws::{Draws, Fraction};
use crate::limits::RetryPolicy;
use crate::overrides::Permission;
use crate::request::Request;
use crate::table::RouteTable;

/// A request to explain, and optionally the proxy and the draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Repeated in the answer.
    pub name: Option<String>,
    /// The request itself.
    pub request: Request,
    /// `None` if the draws are open.
    pub draws: Option<Draws>,
    /// Overrides `proxy.gateways` of the configuration.
    pub gateway: Option<String>,
    /// Overrides `proxy.namespace`.
    pub source_namespace: Option<String>,
    /// Overrides `proxy.labels`.
    pub source_labels: Option<Vec<(String, String)>>,
    /// Clusters that count as missing.
    pub unavailable: Vec<String>,
    /// The expectation of a test. It does not affect the answer.
    pub expect: Option<Value>,
}

impl Question {
    /// A request without anything else.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self {
            name: None,
            request,
            draws: None,
            gateway: None,
            source_namespace: None,
            source_labels: None,
            unavailable: Vec::new(),
            expect: None,
        }
    }

    /// Reads a list of requests, or a single one.
    ///
    /// # Errors
    /// Every error in the list, each with its JSON pointer.
    pub fn read_all(document: &Value) -> Result<Vec<Self>, ConfigErrors> {
        let read = |node: &Node<'_>| {
            if document.is_object() {
                Self::read(node).into_iter().collect()
            } else {
                node.elements().filter_map(|element| Self::read(&element)).collect()
            }
        };
        node::read(&Json::from(document), read).map(|(questions, _)| questions)
    }

    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.object(&REQUEST)?;
        let text = |name| fields.get(name).and_then(|field| field.string().map(str::to_owned));
        let authority = fields.require("authority").and_then(|field| field.string().map(str::to_owned));
        let path = fields.require("path").and_then(|field| field.string().map(str::to_owned));
        let headers =
            fields.get("headers").map(|headers| headers.elements().filter_map(|pair| read_pair(&pair)).collect());
        let source = fields.get("source").map(|source| read_source(&source)).unwrap_or_default();
        let mut question = Self {
            name: text("name"),
            request: Request {
                method: text("method").unwrap_or_else(|| "GET".to_owned()).into(),
                scheme: text("scheme").unwrap_or_else(|| "http".to_owned()).into(),
                authority: Vec::new(),
                path: Vec::new(),
                headers: headers.unwrap_or_default(),
                port: fields.get("port").and_then(|port| config::port(&port)),
                claims: fields.get("claims").map(|claims| claims.value()).unwrap_or_default(),
                remote_address: source.ip,
                principal: source.principal,
                now: fields.get("now").and_then(|now| read_now(&now)),
            },
            draws: fields.get("draws").map(|draws| read_draws(&draws)),
            gateway: text("gateway"),
            source_namespace: source.namespace,
            source_labels: source.labels,
            unavailable: fields.get("unavailable").map(|list| list.strings()).unwrap_or_default(),
            expect: fields.get("expect").map(|expect| expect.value()),
        };
        fields.finish();
        question.request.authority = authority?.into();
        question.request.path = path?.into();
        Some(question)
    }

    /// The configuration for this request: `gateway` and `source` override `proxy`.
    #[must_use]
    pub fn config<'c>(&self, config: &'c Config) -> Cow<'c, Config> {
        if self.gateway.is_none() && self.source_namespace.is_none() && self.source_labels.is_none() {
            return Cow::Borrowed(config);
        }
        let mut config = config.clone();
        if let Some(gateway) = &self.gateway {
            config.proxy.gateways = vec![gateway.clone()];
        }
        config.proxy.namespace = self.source_namespace.clone().or(config.proxy.namespace);
        config.proxy.labels = self.source_labels.clone().or(config.proxy.labels);
        Cow::Owned(config)
    }

    /// The answer for this request. Missing draws count as 0.
    #[must_use]
    pub fn answer(&self, table: &RouteTable) -> Value {
        let draws = self.draws.unwrap_or_default();
        let decide = |table| self.decide(table, &draws);
        let decision = decide(table);
        let mut answer = self.describe(&decision);
        if let (Some(fields), Some(candidate)) = (answer.as_object_mut(), table.candidate(&draws)) {
            let other = decide(candidate);
            let differs = differences(&decision, &other).map(|difference| difference.as_str());
            fields.insert("differs".to_owned(), differs.collect());
            fields.insert("candidate".to_owned(), self.describe(&other));
        }
        answer
    }

    fn decide<'t>(&self, table: &'t RouteTable, draws: &Draws) -> Decision<'t> {
        self.request.decide(table, draws, &self.unavailable)
    }

    /// A decision in the published format. Absent parts are `null` or empty.
    #[must_use]
    pub fn describe(&self, decision: &Decision<'_>) -> Value {
        let request = &self.request;
        let forward = match &decision.outcome {
            Outcome::Forward(forward) => Some(forward),
            Outcome::LocalReply(_) | Outcome::Untouched => None,
        };
        let reply = match &decision.outcome {
            Outcome::LocalReply(reply) => Some(reply),
            Outcome::Forward(_) | Outcome::Untouched => None,
        };
        let outcome = match (forward, reply) {
            (Some(_), _) => "forward",
            (None, Some(_)) => "localReply",
            (None, None) => "untouched",
        };
        let destination = forward.map(|forward| forward.destination);
        let path = forward.and_then(|forward| forward.path.as_deref()).unwrap_or(&request.path);
        let authority = forward.and_then(|forward| forward.authority).map(Cow::Borrowed);
        let retry = forward.and_then(Forward::retries);
        json!({
            "name": self.name,
            "outcome": outcome,
            "route": decision.route.map(|route| &*route.name).filter(|name| !name.is_empty()),
            "rule": decision.route.map(|route| route.rule.to_string()),
            "reason": forward.map(|forward| forward.reason.as_str()),
            "host": destination.map(|destination| &*destination.host),
            "subset": destination.and_then(|destination| destination.subset.as_deref()),
            "port": forward.map(|forward| forward.port),
            "cluster": forward.map(|forward| &forward.cluster),
            "method": lossy(&request.method),
            "path": lossy(path),
            "authority": authority.unwrap_or_else(|| lossy(&request.authority)),
            "requestHeaders": forward.map_or_else(|| describe_changes(&[], None), |forward| describe_changes(&forward.request_headers, forward.version_value)),
            "responseHeaders": describe_changes(forward.map_or(&[], |forward| &forward.response_headers), None),
            "localReply": reply.map(|reply| describe_reply(reply)),
            "delayMs": decision.delay.map(millis),
            "timeoutMs": forward.and_then(Forward::timeout).map(millis),
            "retry": retry.map(describe_retries),
            "mirrors": forward.map_or(&[][..], |forward| &forward.mirrors).iter().map(|cluster| json!({"cluster": cluster})).collect::<Vec<_>>(),
            "fallback": forward.and_then(describe_fallback),
            "failover": forward.map(describe_failover).unwrap_or_default(),
            "split": forward.and_then(|forward| forward.split.as_deref()).map(describe_split),
            "permissions": {
                "version": decision.permissions.version.as_str(),
                "explain": decision.permissions.explain.as_str(),
            },
            "explanation": (decision.permissions.explain == Permission::Granted).then(|| decision.explanation()),
        })
    }
}

fn describe_fallback(forward: &Forward<'_>) -> Option<Value> {
    let fallback = forward.fallback.as_ref()?;
    let to = forward.destination.subset.as_deref();
    let mut answer = json!({"from": fallback.from, "to": to, "reason": fallback.reason.as_str()});
    if let Some(fields) = answer.as_object_mut().filter(|_| !fallback.skipped.is_empty()) {
        let skipped = fallback.skipped.iter().map(|skipped| json!([skipped.version, skipped.reason.as_str()]));
        fields.insert("skipped".to_owned(), skipped.collect());
    }
    Some(answer)
}

/// The versions that Envoy tries after the picked one.
fn describe_failover(forward: &Forward<'_>) -> Vec<Value> {
    let others = forward.failover.iter().flat_map(|failover| &failover.versions);
    others.map(|other| json!(other.destination.subset.as_deref())).collect()
}

/// Describes a split. The bucket is hexadecimal, because most JSON readers cannot hold a 64-bit number.
fn describe_split(split: &SplitPick<'_>) -> Value {
    let weights = split.weights().map(|(target, weight)| json!([target.subset.as_deref(), weight]));
    let user = split.user.as_ref();
    json!({
        "weights": weights.collect::<Vec<_>>(),
        "key": user.map(|user| user.key),
        "new": user.is_some_and(|user| user.is_new),
        "bucket": user.and_then(|user| user.bucket).map(|bucket| format!("{:016x}", bucket.to_bits())),
    })
}

fn describe_reply(reply: &LocalReply<'_>) -> Value {
    let headers = reply.headers.iter().map(|(name, value)| json!([name, lossy(value)]));
    json!({
        "status": reply.status,
        "grpcStatus": reply.grpc_status,
        "headers": headers.collect::<Vec<_>>(),
        "body": lossy(&reply.body),
    })
}

/// Describes header changes. The version header of a policy is set after all others.
fn describe_changes(changes: &[HeaderChange], version: Option<VersionValue<'_>>) -> Value {
    let (mut set, mut add, mut remove) = (Vec::new(), Vec::new(), Vec::new());
    for HeaderChange { name, operation, value } in changes {
        match operation {
            Operation::Set => set.push(json!([name.as_str(), lossy(value)])),
            Operation::Add => add.push(json!([name.as_str(), lossy(value)])),
            Operation::Remove => remove.push(json!(name.as_str())),
        }
    }
    set.extend(version.map(|version| json!([version.name.as_str(), version.version])));
    json!({"set": set, "add": add, "remove": remove})
}

fn describe_retries(retries: &RetryPolicy) -> Value {
    json!({
        "attempts": retries.attempts,
        "perTryTimeoutMs": retries.per_try_timeout.map(millis),
        "retryOn": retries.retry_on,
        "statusCodes": retries.status_codes,
    })
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Reads `[name, value]`.
fn read_pair(node: &Node<'_>) -> Option<(String, Vec<u8>)> {
    let strings = node.strings();
    match strings.as_slice() {
        [name, value] => Some((name.to_ascii_lowercase(), value.clone().into())),
        _ => {
            node.invalid("a header is a pair of strings, [name, value]");
            None
        }
    }
}

/// The fields of a request.
static REQUEST: Object = Object::closed(&[
    "name",
    "method",
    "scheme",
    "authority",
    "path",
    "headers",
    "port",
    "claims",
    "now",
    "source",
    "gateway",
    "unavailable",
    "draws",
    "expect",
]);
/// The fields of `source`.
static SOURCE: Object = Object::closed(&["ip", "principal", "namespace", "labels"]);
/// The fields of `draws`.
static DRAWS: Object = Object::closed(&["split", "abort", "delay", "mirror", "candidate", "identity"]);

/// The client that sends the request.
#[derive(Default)]
struct Source {
    ip: Option<String>,
    principal: Option<String>,
    namespace: Option<String>,
    labels: Option<Vec<(String, String)>>,
}

fn read_source(node: &Node<'_>) -> Source {
    let Some(fields) = node.object(&SOURCE) else { return Source::default() };
    let text = |name| fields.get(name).and_then(|field| field.string().map(str::to_owned));
    let source = Source {
        ip: text("ip"),
        principal: text("principal"),
        namespace: text("namespace"),
        labels: fields.get("labels").map(|labels| config::labels(&labels)),
    };
    fields.finish();
    source
}

fn read_draws(node: &Node<'_>) -> Draws {
    let Some(fields) = node.object(&DRAWS) else { return Draws::default() };
    let draw = |name| fields.get(name).and_then(|draw| read_draw(&draw)).unwrap_or_default();
    let mut draws = Draws {
        split: draw("split"),
        abort: draw("abort"),
        delay: draw("delay"),
        candidate: draw("candidate"),
        identity: fields.get("identity").and_then(|identity| read_identity(&identity)),
        ..Draws::default()
    };
    if let Some(mirrors) = fields.get("mirror") {
        for (draw, mirror) in draws.mirror.iter_mut().zip(mirrors.elements()) {
            *draw = read_draw(&mirror).unwrap_or_default();
        }
    }
    fields.finish();
    draws
}

/// Reads a new user's identity, in the format of the cookie.
fn read_identity(node: &Node<'_>) -> Option<u128> {
    let identity = u128::from_str_radix(node.string()?, 16).ok();
    if identity.is_none() {
        node.invalid("an identity is up to 32 hexadecimal digits");
    }
    identity
}

fn read_now(node: &Node<'_>) -> Option<Timestamp> {
    let now = Timestamp::parse(node.string()?);
    if now.is_none() {
        node.invalid("now is an RFC 3339 time such as 2026-11-21T08:00:00Z");
    }
    now
}

fn read_draw(node: &Node<'_>) -> Option<Fraction> {
    // A float prints as the shortest decimal that reads back as the same float, so 0.9 is nine tenths.
    let draw = node.value().as_f64().and_then(|number| Fraction::parse(&number.to_string()).ok());
    if draw.is_none() {
        node.invalid("a draw is a number in [0, 1)");
    }
    draw
}
