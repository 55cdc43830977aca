//! Turns a matched rule into a decision.

use std::borrow::Cow;

use canary_config::{AbortStatus, FaultAbort, FaultDelay, Mode};

use super::pick::Pick;
use super::resolver::Resolver;
use super::target::{RequestLimits, Version};
use crate::acting::cors::CorsResult;
use crate::acting::{
    HeaderChange, HeaderChanges, HeaderSteps, LocalReply, Operation, header_change, local_reply, path,
};
use crate::decision::{Decision, Failover, FailoverVersion, Forward, Outcome, VersionValue};
use crate::draws::Draw;
use crate::route::{ActionKind, Forwarding};

/// The parts of a [`Forward`] that exist only in cluster mode, and the changes of the response.
#[derive(Default)]
struct ForwardParts<'t> {
    path: Option<Vec<u8>>,
    authority: Option<&'t str>,
    request_headers: HeaderChanges,
    response_headers: HeaderChanges,
    failover: Option<Box<Failover<'t>>>,
    mirrors: Vec<Cow<'t, str>>,
}

impl<'t> Resolver<'t, '_> {
    pub(crate) fn resolve(&self) -> Decision<'t> {
        let action = &*self.route.action;
        let pick = match &action.kind {
            ActionKind::Forward(forwarding) => {
                self.pick(forwarding).map(|pick| (&**forwarding, self.fall_back(forwarding, pick)))
            }
            ActionKind::Redirect(_) | ActionKind::DirectResponse(_) => None,
        };
        let (delay, abort) = self.faults(pick.as_ref().map(|(_, pick)| pick));
        let aborted = pick.as_ref().filter(|_| abort.is_some()).map(|(_, pick)| pick.picked());
        let outcome = match (abort, self.table.mode()) {
            (Some(status), Mode::Cluster) => {
                let steps = pick.map_or(&action.reply_headers, |(_, pick)| &pick.version.headers.response);
                self.reply(local_reply::abort(status), steps)
            }
            (Some(status), Mode::Version) => Outcome::LocalReply(Box::new(local_reply::abort(status))),
            (None, Mode::Cluster) => self.apply_action(&action.kind, pick),
            (None, Mode::Version) => {
                pick.map_or(Outcome::Untouched, |(forwarding, pick)| self.forward_version(forwarding, pick))
            }
        };
        let permissions = self.permissions;
        Decision { route: Some(self.route), delay, abort, aborted, permissions, outcome }
    }

    /// Applies the rule's action, in cluster mode.
    fn apply_action(&self, kind: &'t ActionKind, pick: Option<(&'t Forwarding, Pick<'t>)>) -> Outcome<'t> {
        let reply_headers = &self.route.action.reply_headers;
        match (kind, pick) {
            (ActionKind::Redirect(redirect), _) => {
                let location = local_reply::redirect(redirect, self.route.matched_path, self.input.head, self.port);
                self.reply(location, reply_headers)
            }
            (ActionKind::DirectResponse(response), _) => {
                self.reply(local_reply::direct_response(response), reply_headers)
            }
            (ActionKind::Forward(_), Some((forwarding, pick))) => self.forward(forwarding, pick),
            (ActionKind::Forward(_), None) => Outcome::LocalReply(Box::new(LocalReply::NO_RULE)),
        }
    }

    /// The delay and the abort. A fault of the version that serves replaces the rule's fault of the same kind. In
    /// version mode the native route applies the rule's faults.
    fn faults(&self, pick: Option<&Pick<'t>>) -> (Option<std::time::Duration>, Option<AbortStatus>) {
        let of_version = pick.map(|pick| &pick.version.fault);
        let of_rule = Some(&self.route.action.fault).filter(|_| self.table.mode() == Mode::Cluster);
        let faults = || of_version.into_iter().chain(of_rule);
        let delay: Option<FaultDelay> = faults().find_map(|fault| fault.delay);
        let abort: Option<FaultAbort> = faults().find_map(|fault| fault.abort);
        let draw = |purpose| self.input.chance.draw(purpose);
        let delay = delay.filter(|delay| draw(Draw::Delay).is_within(delay.percentage));
        let abort = abort.filter(|abort| draw(Draw::Abort).is_within(abort.percentage));
        (delay.map(|delay| delay.fixed_delay.min(self.table.faults().max_delay)), abort.map(|abort| abort.status))
    }

    fn forward(&self, forwarding: &'t Forwarding, mut pick: Pick<'t>) -> Outcome<'t> {
        let (name, headers) = (&self.route.name, &pick.version.headers);
        let allowed = match forwarding.cors.as_ref().map_or(CorsResult::None, |cors| cors.check(self.input.head)) {
            CorsResult::Reply(reply) => return Outcome::LocalReply(Box::new(reply)),
            CorsResult::Allow(more) => more,
            CorsResult::None => Vec::new(),
        };
        let cookie = pick.cookie.take();
        let response_headers = |version: &Version| {
            let changes = version.headers.response.changes(self.view, name);
            self.with_cookie(header_change::set_on_top(changes, &allowed), cookie.as_deref())
        };
        let mirrors =
            forwarding.mirrors.iter().enumerate().filter(|(position, mirror)| {
                self.input.chance.draw(Draw::Mirror(*position)).is_within(mirror.percentage)
            });
        let parts = ForwardParts {
            path: forwarding.path.as_ref().map(|path| path::rewrite(self.input.head, self.route.matched_path, path)),
            authority: headers.authority.as_deref(),
            request_headers: headers.request.changes(self.view, name),
            response_headers: response_headers(pick.version),
            failover: self.failover(forwarding, &pick, response_headers),
            mirrors: mirrors.map(|(_, mirror)| mirror.destination.cluster(self.port)).collect(),
        };
        self.forward_to(pick, parts)
    }

    /// Version mode: sets the version and the cookie that keeps it, and nothing else.
    fn forward_version(&self, forwarding: &'t Forwarding, mut pick: Pick<'t>) -> Outcome<'t> {
        let cookie = pick.cookie.take();
        let response_headers = self.with_cookie(HeaderChanges::default(), cookie.as_deref());
        let failover = self.failover(forwarding, &pick, |_| response_headers.clone());
        self.forward_to(pick, ForwardParts { response_headers, failover, ..ForwardParts::default() })
    }

    /// The versions that Envoy tries after the picked one, each with the changes of its responses.
    fn failover(
        &self,
        forwarding: &'t Forwarding,
        pick: &Pick<'t>,
        response_headers: impl Fn(&Version) -> HeaderChanges,
    ) -> Option<Box<Failover<'t>>> {
        let cluster = pick.version.destination.named(self.port)?.failover()?;
        let others = pick.others(forwarding).filter_map(|(_, version)| {
            let destination = &version.destination;
            let cluster = destination.named(self.port)?.own();
            Some(FailoverVersion { destination, cluster, response_headers: response_headers(version) })
        });
        Some(Box::new(Failover { cluster, versions: others.collect() }))
    }

    /// Forwards to the picked version.
    #[inline]
    fn forward_to(&self, pick: Pick<'t>, parts: ForwardParts<'t>) -> Outcome<'t> {
        let destination = &pick.version.destination;
        let RequestLimits { limits, failover_failure } = pick.target.limits.of(self.input.head.method());
        Outcome::Forward(Forward {
            reason: pick.reason,
            port: destination.port.unwrap_or(self.port),
            cluster: destination.cluster(self.port),
            destination,
            path: parts.path,
            authority: parts.authority,
            request_headers: parts.request_headers,
            version_value: self.version_value(&pick),
            response_headers: parts.response_headers,
            limits: limits.as_ref(),
            failover_failure: *failover_failure,
            failover: parts.failover,
            mirrors: parts.mirrors,
            has_alternative: pick.has_alternative(),
            accrual: pick.accrual(),
            split: pick.split,
            fallback: pick.fallback,
        })
    }

    /// The version header for the upstream. It names the version that serves, so that later hops use the same one.
    fn version_value(&self, pick: &Pick<'t>) -> Option<VersionValue<'t>> {
        let header = pick.policy()?.header_for(self.input.head)?;
        Some(VersionValue { name: &header.name, version: pick.version.destination.subset.as_deref()? })
    }

    /// Adds a new user's cookie.
    fn with_cookie(&self, changes: HeaderChanges, cookie: Option<&str>) -> HeaderChanges {
        let Some(cookie) = cookie else { return changes };
        let name = self.table.set_cookie().clone();
        let mut changes = changes.to_vec();
        changes.push(HeaderChange { name, operation: Operation::Add, value: cookie.as_bytes().into() });
        changes.into()
    }

    /// Applies the rule's response operations to a local reply.
    fn reply(&self, mut reply: LocalReply<'t>, steps: &HeaderSteps) -> Outcome<'t> {
        header_change::apply(&steps.changes(self.view, &self.route.name), &mut reply.headers);
        Outcome::LocalReply(Box::new(reply))
    }
}
