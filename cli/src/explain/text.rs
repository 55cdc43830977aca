//! One request's answer for people: a headline, and for each thing that may happen a line with its details below.

use std::{borrow::Cow, fmt::Write as _};

use canary_config::{Config, ControlHeaders, MESH, Mode, Pointer};
use canary_routing::{
    Decision, Forward, HeaderChange, LocalReply, Operation, Outcome, Permission, PossibleDecision, RetryPolicy,
    RouteTable, SplitPick, explain::Question,
};

use super::outage::next_versions;
use crate::{documents::Document, share::Share};

/// What happens to a request, with the odds where the question leaves chance open.
pub(crate) fn explain(document: &Document, config: &Config, question: &Question) -> String {
    let config = question.config(config);
    let table = RouteTable::compile(&config);
    let request = &question.request;
    let mut text = String::new();
    if let Some(name) = &question.name {
        let _ = write!(text, "{name}: ");
    }
    let _ = writeln!(text, "{} {}{}", lossy(&request.method), lossy(&request.authority), lossy(&request.path));
    let health = &question.unavailable;
    let possible = match question.draws {
        Some(draws) => vec![PossibleDecision { share: 1.0, decision: request.decide(&table, &draws, health) }],
        None => request.possible_decisions(&table, health),
    };
    let first = possible.first().map(|possible| &possible.decision);
    let route = first.and_then(|decision| decision.route);
    let asked = first.map(|decision| decision.permissions).unwrap_or_default();
    for (what, permission) in [("forces a version", asked.version), ("asks for an explanation", asked.explain)] {
        if permission != Permission::NotAsked {
            let _ = writeln!(text, "  client   {what}: {}", permission.as_str());
        }
    }
    if let Some(route) = route {
        let name = if route.name.is_empty() { String::new() } else { format!(" ({})", route.name) };
        let _ = writeln!(text, "  rule     {}{name}", document.origin(&route.rule.to_string()));
    }
    // With draws it is known which mirrors get a copy.
    let open = question.draws.is_none();
    let mirrors = route.filter(|_| open).map(|route| mirror_shares(&config, &route.rule)).unwrap_or_default();
    for possible in &possible {
        let _ = writeln!(text, "  {}", headline(possible, table.mode()));
        let details = match table.mode() {
            Mode::Cluster => details(&possible.decision, &mirrors),
            Mode::Version => named_version(&possible.decision, &config.headers),
        };
        for detail in details.into_iter().chain(outage_line(&config, table.mode(), question, &possible.decision)) {
            let _ = writeln!(text, "           {detail}");
        }
    }
    if route.is_none() {
        let others = other_gateways(&config, question);
        if !others.is_empty() {
            let own = config.proxy.gateways.join(", ");
            let _ = writeln!(
                text,
                "  gateway  this proxy serves {own}; rules of {} take the request: --gateway",
                others.join(", ")
            );
        }
    }
    if let (Mode::Version, Some(_)) = (table.mode(), route) {
        let _ = writeln!(text, "  mode     version: the filter only names the version, the native route does the rest");
    }
    text
}

/// What follows when the cluster cannot serve.
fn outage_line(config: &Config, mode: Mode, question: &Question, decision: &Decision<'_>) -> Option<String> {
    let (Outcome::Forward(_), Mode::Cluster) = (&decision.outcome, mode) else { return None };
    let next = next_versions(config, question, decision);
    Some(match next.as_slice() {
        [] => "if it cannot serve: 503, there is no other version".to_owned(),
        next => format!("if it cannot serve: {}", next.join(", then ")),
    })
}

/// Gateways other than the proxy's own at which a rule takes the request.
fn other_gateways(config: &Config, question: &Question) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for service in &config.virtual_services {
        let namespace = &service.metadata.namespace;
        let mesh = [MESH.to_owned()];
        for gateway in if service.gateways.is_empty() { mesh.as_slice() } else { &service.gateways } {
            let is_whole = gateway == MESH || gateway.contains('/');
            let gateway = if is_whole { gateway.clone() } else { format!("{namespace}/{gateway}") };
            if found.contains(&gateway) {
                continue;
            }
            let mut other = config.clone();
            other.proxy.gateways = vec![gateway.clone()];
            let table = RouteTable::compile(&other);
            let draws = question.draws.unwrap_or_default();
            if question.request.decide(&table, &draws, &question.unavailable).route.is_some() {
                found.push(gateway);
            }
        }
    }
    found
}

fn headline(possible: &PossibleDecision<'_>, mode: Mode) -> String {
    let share = Share(possible.share);
    let share = if share.is_all() { String::new() } else { format!("{share} ") };
    match &possible.decision.outcome {
        Outcome::Forward(forward) => format!(
            "forward  {share}to {} of {}, port {} (reason: {})",
            forward.destination.subset.as_deref().unwrap_or("(no subset)"),
            forward.destination.host,
            forward.port,
            forward.reason.as_str(),
        ),
        Outcome::LocalReply(reply) => format!("reply    {share}{} ({})", reply.status, reply.details),
        Outcome::Untouched if possible.decision.route.is_some() => {
            format!("untouched: {share}the native route answers")
        }
        Outcome::Untouched => match mode {
            Mode::Cluster => "untouched: no VirtualService takes this host, the proxy's own routes serve".to_owned(),
            Mode::Version => "untouched: no rule takes this request, the proxy's own routes serve".to_owned(),
        },
    }
}

/// What the filter does in version mode.
fn named_version(decision: &Decision<'_>, headers: &ControlHeaders) -> Vec<String> {
    let (Outcome::Forward(forward), Some(header)) = (&decision.outcome, headers.version()) else { return Vec::new() };
    vec![match &forward.destination.subset {
        Some(subset) => format!("header {header}: {subset}"),
        None => format!("no header {header}"),
    }]
}

fn details(decision: &Decision<'_>, mirrors: &[Share]) -> Vec<String> {
    let mut details = Vec::new();
    if let Some(delay) = decision.delay {
        details.push(format!("after a delay of {delay:?}"));
    }
    match &decision.outcome {
        Outcome::Forward(forward) => forward_details(forward, mirrors, &mut details),
        Outcome::LocalReply(reply) => reply_details(reply, &mut details),
        Outcome::Untouched => {}
    }
    details
}

fn forward_details(forward: &Forward<'_>, mirrors: &[Share], details: &mut Vec<String>) {
    if let Some(fallback) = &forward.fallback {
        let from = fallback.from.as_ref().map_or("(no subset)".to_owned(), |from| format!("{from:?}"));
        let to = forward.destination.subset.as_deref().unwrap_or("(no subset)");
        let skipped = fallback.skipped.iter();
        let skipped =
            skipped.map(|skipped| format!("; {} cannot serve either: {}", skipped.version, skipped.reason.as_str()));
        let reason = fallback.reason.as_str();
        details.push(format!("fallback from {from} to {to:?} (reason: {reason}{})", skipped.collect::<String>()));
    }
    if let Some(split) = &forward.split {
        split_details(split, details);
    }
    details.push(format!("cluster {}", forward.cluster));
    if let Some(failover) = &forward.failover {
        let others: Vec<&str> = failover
            .versions
            .iter()
            .map(|other| other.destination.subset.as_deref().unwrap_or("(no subset)"))
            .collect();
        details.push(format!("failover to {} where it cannot be reached", others.join(", then ")));
    }
    details.extend(forward.path.as_ref().map(|path| format!("path {}", lossy(path))));
    details.extend(forward.authority.map(|authority| format!("authority {authority}")));
    details.extend(forward.timeout().map(|timeout| format!("timeout {timeout:?}")));
    details.extend(forward.retries().map(retries));
    details.extend(forward.request_headers.iter().map(|change| format!("request header {}", described(change))));
    let version = forward.version_value;
    details.extend(version.map(|value| format!("request header set {}: {}", value.name.as_str(), value.version)));
    details.extend(forward.response_headers.iter().map(|change| format!("response header {}", described(change))));
    for (index, cluster) in forward.mirrors.iter().enumerate() {
        let share = mirrors.get(index).copied().filter(|share| !share.is_all());
        details.push(match share {
            Some(share) => format!("mirror {share} to cluster {cluster}"),
            None => format!("mirror to cluster {cluster}"),
        });
    }
}

/// The user's place on the ring, and the arcs; a draw without a user shows in the shares.
fn split_details(split: &SplitPick<'_>, details: &mut Vec<String>) {
    let Some(user) = &split.user else { return };
    let weights = split.weights().map(|(target, weight)| {
        let name = target.subset.as_deref().unwrap_or(&target.host);
        (name, weight)
    });
    let weights: Vec<_> = weights.collect();
    let total = weights.iter().fold(0_u64, |total, (_, weight)| total.saturating_add(*weight));
    let arcs = weights.iter().map(|(name, weight)| match Share(*weight as f64 / total as f64) {
        _ if *weight == 0 => format!("{name} 0 %"),
        share => format!("{name} {share}"),
    });
    let arcs = arcs.collect::<Vec<_>>().join(", ");
    let key = user.key;
    details.push(match user.bucket {
        Some(bucket) => {
            let place = bucket.to_bits() as f64 / 2_f64.powi(64);
            let new = if user.is_new { "new " } else { "" };
            format!("{new}{key}: bucket {:016x} at {:.2} % of {arcs}", bucket.to_bits(), place * 100.0)
        }
        None => format!("new {key}: by chance among {arcs}"),
    });
}

fn reply_details(reply: &LocalReply<'_>, details: &mut Vec<String>) {
    details.extend(reply.grpc_status.map(|status| format!("gRPC status {status}")));
    details.extend(reply.headers.iter().map(|(name, value)| format!("header {name}: {}", lossy(value))));
    if !reply.body.is_empty() {
        details.push(format!("body {:?}", lossy(&reply.body)));
    }
}

fn retries(retries: &RetryPolicy) -> String {
    let mut text = format!("retries {} on {}", retries.attempts, retries.retry_on);
    if !retries.status_codes.is_empty() {
        let codes: Vec<String> = retries.status_codes.iter().map(u16::to_string).collect();
        let _ = write!(text, " ({})", codes.join(", "));
    }
    if let Some(timeout) = retries.per_try_timeout {
        let _ = write!(text, ", {timeout:?} for each try");
    }
    text
}

fn described(HeaderChange { name, operation, value }: &HeaderChange) -> String {
    let (name, value) = (name.as_str(), lossy(value));
    match operation {
        Operation::Set => format!("set {name}: {value}"),
        Operation::Add => format!("add {name}: {value}"),
        Operation::Remove => format!("remove {name}"),
    }
}

/// The shares of the mirrors of the rule at a JSON pointer, as far as they are above 0.
fn mirror_shares(config: &Config, rule: &Pointer) -> Vec<Share> {
    let services = config.services_in_order();
    let rules = services.iter().flat_map(|service| config.rules_of(service));
    let found = rules.map(|resolved| resolved.rule).find(|found| found.at == *rule);
    let mirrors = found.and_then(|rule| rule.mirrors.clone()).unwrap_or_default();
    let shares = mirrors.iter().map(|mirror| Share(f64::from(mirror.percentage.millionths()) / 1e6));
    shares.filter(|share| share.0 > 0.0).collect()
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
