//! A rule of mode version as native rules: one for each version that the filter can pick, and itself.

use canary_config::{Config, HttpRoute, HttpRouteDestination, VirtualService};
use serde_json::{Map, Value, json};

use crate::bootstrap::Remark;

/// A rule for each subset that the filter can pick, then the rule itself. `written` is the rule as the user wrote it.
pub(super) fn by_version(
    rule: &HttpRoute,
    service: &VirtualService,
    config: &Config,
    written: Value,
    header: &str,
) -> Vec<Value> {
    let targets = versions(rule, service, config);
    let of_version = targets
        .iter()
        .enumerate()
        .filter(|(index, version)| targets.iter().take(*index).all(|before| before.subset != version.subset));
    let rules = of_version.map(|(_, version)| {
        let mut own = written.clone();
        let target = written.pointer(&format!("/route/{}", version.index)).cloned().unwrap_or_default();
        if let Some(fields) = own.as_object_mut() {
            fields.insert("match".to_owned(), matches(&written, header, &version.subset));
            if config
                .policy_of(&version.host)
                .is_some_and(|policy| policy.after(Some(&version.subset)).next().is_some())
            {
                fields.insert("name".to_owned(), json!(name(rule, config, &version.subset)));
            }
            fields.insert("route".to_owned(), json!([version.target(target)]));
        }
        own
    });
    rules.chain([written.clone()]).collect()
}

/// What stands between the name of a rule and the version that its route is for.
const VERSION_MARK: &str = "@";
/// What stands between the name of a rule and its number over all rules, where its name alone is not its own.
const NUMBER_MARK: &str = "#";

/// The name of a rule for one version, by which the failover of its route is found: no other rule of the document has it.
fn name(rule: &HttpRoute, config: &Config, version: &str) -> String {
    let all = || config.virtual_services.iter().flat_map(|service| &service.http);
    let is_own = !rule.name.is_empty()
        && !rule.name.contains(NUMBER_MARK)
        && all().filter(|other| other.name == rule.name).count() == 1;
    let number = all().position(|other| other.at == rule.at).unwrap_or_default();
    let kind = if rule.name.is_empty() { "rule" } else { &rule.name };
    let numbered = (1..).map(|marks| format!("{kind}{}{number}", NUMBER_MARK.repeat(marks)));
    let mut bases = is_own.then(|| rule.name.clone()).into_iter().chain(numbered).map(|base| base + VERSION_MARK);
    let is_free = |base: &String| !all().any(|other| other.name.starts_with(base));
    bases.find(is_free).unwrap_or_default() + version
}

/// Whether a rule of this name is for one version.
pub(super) fn is_of_version(name: &str, version: &str) -> bool {
    name.strip_suffix(version).is_some_and(|rest| rest.ends_with(VERSION_MARK))
}

/// A subset that the filter can pick for a rule.
#[derive(Debug)]
struct PickedVersion {
    subset: String,
    host: String,
    /// The destination of the rule with this host, and with this subset if one has it.
    index: usize,
    /// Whether the rule does not name the subset: only the host's policy or an override picks it.
    is_bare: bool,
}

impl PickedVersion {
    /// The destination alone, which takes everything; what the rule does not name has none of the operations on headers of another.
    fn target(&self, mut written: Value) -> Value {
        if self.is_bare {
            let mut destination = written.get("destination").cloned().unwrap_or_default();
            if let Some(fields) = destination.as_object_mut() {
                fields.insert("subset".to_owned(), json!(self.subset));
            }
            return json!({"destination": destination});
        }
        if let Some(fields) = written.as_object_mut() {
            fields.remove("weight");
        }
        written
    }
}

/// First those that the rule names, then those that policies and overrides pick of its hosts.
fn versions(rule: &HttpRoute, service: &VirtualService, config: &Config) -> Vec<PickedVersion> {
    let host =
        |target: &HttpRouteDestination| config.destination_key(&target.destination, &service.metadata.namespace).host;
    let named = rule.route.iter().enumerate().filter_map(|(index, target)| {
        let subset = target.destination.subset.clone()?;
        Some(PickedVersion { subset, host: host(target), index, is_bare: false })
    });
    let picked = rule.route.iter().enumerate().flat_map(|(index, target)| {
        let host = host(target);
        let subsets = config.versions_picked(&host).into_iter();
        subsets.map(move |subset| PickedVersion { subset, host: host.clone(), index, is_bare: true })
    });
    named.chain(picked).collect()
}

/// Versions that the header cannot name, as it names that of another host. Where no policy names the host, nobody picks its
/// version but an override, which takes the first host that has one of the name.
pub(super) fn hidden(config: &Config) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for service in &config.virtual_services {
        for rule in &service.http {
            let versions = versions(rule, service, config);
            for (index, version) in versions.iter().enumerate().filter(|(_, version)| version.is_bare) {
                let before = versions.iter().take(index).find(|before| before.subset == version.subset);
                let is_picked = |other: &&PickedVersion| {
                    other.host != version.host
                        && (version.index < other.index || config.policy_of(&version.host).is_some())
                };
                if let Some(other) = before.filter(is_picked) {
                    let text = format!(
                        "note: {} of {} is what the version header means here: a policy or an override that picks {} of {} for this rule is not followed",
                        version.subset, other.host, version.subset, version.host
                    );
                    remarks.push(Remark::new(rule.at.to_string(), text));
                }
            }
        }
    }
    remarks
}

/// Every entry of the rule's `match`, and the version in each.
fn matches(written: &Value, header: &str, subset: &str) -> Value {
    let entries = written.get("match").and_then(Value::as_array).filter(|entries| !entries.is_empty());
    let entries = entries.cloned().unwrap_or_else(|| vec![json!({})]);
    let with_version = entries.into_iter().map(|mut entry| {
        if let Some(fields) = entry.as_object_mut() {
            let headers = fields.entry("headers").or_insert(Value::Null);
            let mut all = headers.as_object().cloned().unwrap_or_else(Map::new);
            all.insert(header.to_owned(), json!({"exact": subset}));
            *headers = Value::Object(all);
        }
        entry
    });
    with_version.collect()
}
