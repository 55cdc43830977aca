//! Compiles the rules of an object into routes.

use std::sync::Arc;

use canary_config::{HttpMatch, HttpRoute, Pointer, Proxy, Redirect, ResolvedRule, VirtualService};

use super::Compiler;
use super::condition::matched_path;
use super::policy::Policies;
use crate::matching::{Rules, RulesBuilder};
use crate::route::{Action, Route};

/// A rule with one entry of its `match`, before the conditions are compiled.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) name: Arc<str>,
    pub(super) rule: Pointer,
    pub(super) entry: Option<Arc<HttpMatch>>,
    pub(super) action: Arc<Action>,
}

impl Draft {
    pub(super) fn is_catch_all(&self) -> bool {
        self.entry.as_ref().is_none_or(|entry| entry.is_catch_all())
    }

    fn port(&self) -> Option<u16> {
        self.entry.as_ref().and_then(|entry| entry.port)
    }
}

impl Compiler<'_> {
    /// The routes of an object for this proxy, up to the first catch-all.
    pub(super) fn drafts(&mut self, service: &VirtualService, policies: &Policies) -> Vec<Draft> {
        let config = self.config;
        let mut drafts = Vec::new();
        let acts = |rule: &HttpRoute| rule.redirect.as_deref().is_none_or(Redirect::is_carried_out);
        let rules: Vec<ResolvedRule<'_>> =
            config.rules_of(service).into_iter().filter(|resolved| acts(&resolved.rule)).collect();
        let mut recent = super::action::Recent::default();
        for resolved in &rules {
            let action = self.action(resolved, policies, &mut recent);
            let rule = &*resolved.rule;
            let draft = |entry: Option<&Arc<HttpMatch>>| Draft {
                name: route_name(rule, entry.map(Arc::as_ref)),
                rule: rule.at.clone(),
                entry: entry.cloned(),
                action: Arc::clone(&action),
            };
            let selected =
                rule.matches.iter().filter(|entry| is_selected(entry, &service.metadata.namespace, &config.proxy));
            let unconditional = rule.matches.is_empty().then_some(None);
            for draft in unconditional.into_iter().chain(selected.map(Some)).map(draft) {
                let ends = draft.is_catch_all() && draft.port().is_none();
                drafts.push(draft);
                if ends {
                    return drafts;
                }
            }
        }
        drafts
    }

    /// Compiles the drafts.
    pub(super) fn rules(&mut self, drafts: &[Draft]) -> Rules {
        let mut rules = RulesBuilder::default();
        for draft in drafts {
            let entry = draft.entry.as_deref();
            let conditions = entry.map(|entry| self.conditions(entry, &mut rules)).unwrap_or_default();
            let route = Route {
                name: draft.name.clone(),
                rule: draft.rule.clone(),
                port: draft.port(),
                conditions: 0..0,
                matched_path: matched_path(entry),
                action: Arc::clone(&draft.action),
            };
            rules.push(route, conditions);
        }
        rules.build(&self.caches)
    }
}

fn route_name(rule: &HttpRoute, entry: Option<&HttpMatch>) -> Arc<str> {
    match entry.and_then(|entry| entry.name.as_deref()).filter(|name| !name.is_empty()) {
        Some(matched) => format!("{}.{matched}", rule.name).into(),
        None => rule.name.as_str().into(),
    }
}

/// Whether an entry applies to this proxy: the selectors that istiod's `sourceMatchHTTP` evaluates.
fn is_selected(entry: &HttpMatch, namespace: &str, proxy: &Proxy) -> bool {
    if !entry.gateways.is_empty() {
        return proxy.serves_any(&entry.gateways, namespace);
    }
    proxy.has_labels(&entry.source_labels)
        && entry.source_namespace.as_ref().is_none_or(|namespace| proxy.namespace.as_ref() == Some(namespace))
}
