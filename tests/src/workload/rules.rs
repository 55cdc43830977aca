//! The same rules as a configuration of the filter and as native routes.

use serde_json::{Value, json};

use crate::canary::cluster_name;

/// One condition on requests.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The beginning of the path.
    prefix: String,
    /// Headers by name, with what they have to be.
    headers: Vec<(String, Is)>,
    /// The version of those that match.
    version: &'static str,
}

#[derive(Debug, Clone)]
enum Is {
    Exactly(String),
    /// A regular expression, of the whole value.
    Like(String),
}

/// Headers that the rules of [`alike`] all look at, and the values that they all want.
pub const ALIKE: [(&str, &str); 4] = [("x-1", "one"), ("x-2", "two"), ("x-3", "three"), ("x-4", "four")];
/// The header of which each of those rules wants a value of its own, its number from 1.
pub const LAST: &str = "x-5";

/// So many rules by exact users, by two headers each, and by the beginning of the path; the last one sends `jason` to v2.
#[must_use]
pub fn mixed(count: usize) -> Vec<Rule> {
    let exactly = |text: String| Is::Exactly(text);
    let rule = |number: usize| match number % 3 {
        _ if number == count - 1 => jason(),
        0 => others("/".to_owned(), vec![("end-user".to_owned(), exactly(format!("user-{number}")))]),
        1 => {
            let region = ("x-region".to_owned(), exactly(format!("region-{}", number % 50)));
            others("/".to_owned(), vec![region, ("x-tenant".to_owned(), exactly(format!("tenant-{number}")))])
        }
        _ => others(format!("/shop-{number}/"), Vec::new()),
    };
    (0..count).map(rule).collect()
}

/// So many rules by exact users; the last one sends `jason` to v2.
#[must_use]
pub fn users(count: usize) -> Vec<Rule> {
    let user = |number| others("/".to_owned(), vec![("end-user".to_owned(), Is::Exactly(format!("user-{number}")))]);
    (0..count).map(|number| if number == count - 1 { jason() } else { user(number) }).collect()
}

/// So many rules that each look at a header of their own, `x-rule-N: yes`; the last one is for v2.
#[must_use]
pub fn own_headers(count: usize) -> Vec<Rule> {
    let rule = |number| others("/".to_owned(), vec![(own_header(number), Is::Exactly("yes".to_owned()))]);
    last_to_v2((0..count).map(rule).collect())
}

/// The header that the rule of this number looks at in [`own_headers`].
#[must_use]
pub fn own_header(number: usize) -> String {
    format!("x-rule-{number}")
}

/// So many rules that differ in the last of five headers only; the last one is for v2.
#[must_use]
pub fn alike(count: usize) -> Vec<Rule> {
    let headers = |number: usize| {
        let same = ALIKE.map(|(name, value)| (name.to_owned(), Is::Exactly(value.to_owned())));
        same.into_iter().chain([(LAST.to_owned(), Is::Exactly(number.to_string()))]).collect()
    };
    last_to_v2((1..=count).map(|number| others("/reviews".to_owned(), headers(number))).collect())
}

/// So many rules by a regular expression each; the last one is for v2.
#[must_use]
pub fn regexes(count: usize) -> Vec<Rule> {
    let like = |number| Is::Like(format!("[a-z]+-(group|team)-{number}(-[a-z]+)?"));
    last_to_v2((1..=count).map(|number| others("/".to_owned(), vec![("end-user".to_owned(), like(number))])).collect())
}

fn others(prefix: String, headers: Vec<(String, Is)>) -> Rule {
    Rule { prefix, headers, version: "v3" }
}

fn jason() -> Rule {
    Rule {
        prefix: "/".to_owned(),
        headers: vec![("end-user".to_owned(), Is::Exactly("jason".to_owned()))],
        version: "v2",
    }
}

fn last_to_v2(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.last_mut().expect("a rule").version = "v2";
    rules
}

impl Rule {
    fn matched(&self) -> Value {
        let mut matched = json!({});
        if self.prefix != "/" {
            matched["uri"] = json!({"prefix": self.prefix});
        }
        for (name, is) in &self.headers {
            matched["headers"][name] = match is {
                Is::Exactly(value) => json!({"exact": value}),
                Is::Like(regex) => json!({"regex": regex}),
            };
        }
        matched
    }

    fn native(&self) -> Value {
        let header = |(name, is): &(String, Is)| {
            let matcher = match is {
                Is::Exactly(value) => json!({"exact": value}),
                Is::Like(regex) => json!({"safe_regex": {"regex": regex}}),
            };
            json!({"name": name, "string_match": matcher})
        };
        let headers: Vec<_> = self.headers.iter().map(header).collect();
        json!({
            "match": {"prefix": self.prefix, "headers": headers},
            "route": {"cluster": cluster_name(self.version), "timeout": "0s"},
        })
    }
}

/// The rules one after the other for `reviews`; v1 for everyone else.
#[must_use]
pub fn document(rules: &[Rule]) -> Value {
    document_of(&[("reviews".to_owned(), http(rules))])
}

fn http(rules: &[Rule]) -> Vec<Value> {
    let rule = |rule: &Rule| json!({"match": [rule.matched()], "route": to(rule.version)});
    rules.iter().map(rule).chain([json!({"route": to("v1")})]).collect()
}

/// One rule for all that match any of these; v1 for everyone else.
#[must_use]
pub fn document_of_one(rules: &[Rule]) -> Value {
    let matches =
        |version: &str| -> Vec<_> { rules.iter().filter(|rule| rule.version == version).map(Rule::matched).collect() };
    let http = ["v3", "v2"].map(|version| json!({"match": matches(version), "route": to(version)}));
    document_of(&[("reviews".to_owned(), http.into_iter().chain([json!({"route": to("v1")})]).collect())])
}

/// These rules for `reviews` and for as many other hosts as make `hosts`.
#[must_use]
pub fn document_of_hosts(rules: &[Rule], hosts: usize) -> Value {
    let http = http(rules);
    let names = (1..hosts).map(|number| format!("service-{number}")).chain(["reviews".to_owned()]);
    document_of(&names.map(|name| (name, http.clone())).collect::<Vec<_>>())
}

/// A document with these rules for these hosts.
#[must_use]
pub fn document_of(hosts: &[(String, Vec<Value>)]) -> Value {
    let virtual_service = |(host, http): &(String, Vec<Value>)| json!({"metadata": {"name": host, "namespace": "default"}, "spec": {"hosts": [host], "http": http}});
    let subsets = ["v1", "v2", "v3", "v4"].map(|name| json!({"name": name, "labels": {"version": name}}));
    json!({
        "virtualServices": hosts.iter().map(virtual_service).collect::<Vec<_>>(),
        "destinationRules": [{"spec": {"host": "reviews", "subsets": subsets}}],
        "services": [{"host": "reviews", "ports": [9080]}],
        "proxy": {"namespace": "default"},
    })
}

/// The same rules as a list of native routes; v1 for everyone else.
#[must_use]
pub fn native(rules: &[Rule]) -> Vec<Value> {
    let everyone = Rule { prefix: "/".to_owned(), headers: Vec::new(), version: "v1" };
    rules.iter().chain([&everyone]).map(Rule::native).collect()
}

/// A destination of a rule.
#[must_use]
pub fn to(version: &str) -> Value {
    json!([{"destination": {"host": "reviews", "subset": version}}])
}
