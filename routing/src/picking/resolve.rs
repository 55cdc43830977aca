//! The stages from a matched rule to a decision (design: precedence of what picks a version).

use std::borrow::Cow;

use canary_config::{AbortStatus, FaultAbort, FaultDelay, Mode};

use super::pick::Pick;
use super::resolver::Resolver;
use super::target::{RequestLimits, Version};
use crate::acting::cors::Verdict;
use crate::acting::{
    HeaderChange, HeaderChanges, HeaderSteps, LocalReply, Operation, header_change, local_reply, path,
};
use crate::decision::{Decision, Failover, Forward, Other, Outcome, VersionValue};
use crate::draws::Draw;
use crate::route::{Forwarding, Kind};

/// The parts of a [`Forward`] that only cluster mode has, and the changes of the response.
#[derive(Default)]
struct Way<'t> {
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
            Kind::Forward(forwarding) => {
                self.pick(forwarding).map(|pick| (&**forwarding, self.fall_back(forwarding, pick)))
            }
            Kind::Redirect(_) | Kind::DirectResponse(_) => None,
        };
        let (delay, abort) = self.faults(pick.as_ref().map(|(_, pick)| pick));
        let aborted = pick.as_ref().filter(|_| abort.is_some()).map(|(_, pick)| pick.picked());
        let outcome = match (abort, self.table.mode()) {
            (Some(status), Mode::Cluster) => {
                let steps = pick.map_or(&action.reply_headers, |(_, pick)| &pick.version.headers.response);
                self.reply(local_reply::abort(status), steps)
            }
            (Some(status), Mode::Version) => Outcome::LocalReply(Box::new(local_reply::abort(status))),
            (None, Mode::Cluster) => self.act(&action.kind, pick),
            (None, Mode::Version) => {
                pick.map_or(Outcome::Untouched, |(forwarding, pick)| self.name_version(forwarding, pick))
            }
        };
        let permissions = self.permissions;
        Decision { route: Some(self.route), delay, abort, aborted, permissions, outcome }
    }

    /// What the rule asks for, in cluster mode.
    fn act(&self, kind: &'t Kind, pick: Option<(&'t Forwarding, Pick<'t>)>) -> Outcome<'t> {
        let reply_headers = &self.route.action.reply_headers;
        match (kind, pick) {
            (Kind::Redirect(redirect), _) => {
                let location = local_reply::redirect(redirect, self.route.matched_path, self.input.head, self.port);
                self.reply(location, reply_headers)
            }
            (Kind::DirectResponse(response), _) => self.reply(local_reply::direct_response(response), reply_headers),
            (Kind::Forward(_), Some((forwarding, pick))) => self.forward(forwarding, pick),
            (Kind::Forward(_), None) => Outcome::LocalReply(Box::new(LocalReply::NO_RULE)),
        }
    }

    /// The fault of the version that serves counts in place of the rule's of the same kind; in version mode the rule's is
    /// for the native route.
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
        let allowed = match forwarding.cors.as_ref().map_or(Verdict::None, |cors| cors.check(self.input.head)) {
            Verdict::Reply(reply) => return Outcome::LocalReply(Box::new(reply)),
            Verdict::Allow(more) => more,
            Verdict::None => Vec::new(),
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
        let way = Way {
            path: forwarding.path.as_ref().map(|path| path::rewrite(self.input.head, self.route.matched_path, path)),
            authority: headers.authority.as_deref(),
            request_headers: headers.request.changes(self.view, name),
            response_headers: response_headers(pick.version),
            failover: self.failover(forwarding, &pick, response_headers),
            mirrors: mirrors.map(|(_, mirror)| mirror.destination.cluster(self.port)).collect(),
        };
        self.to_version(pick, way)
    }

    /// Version mode: the version and the cookie that keeps it, nothing else.
    fn name_version(&self, forwarding: &'t Forwarding, mut pick: Pick<'t>) -> Outcome<'t> {
        let cookie = pick.cookie.take();
        let response_headers = self.with_cookie(HeaderChanges::default(), cookie.as_deref());
        let failover = self.failover(forwarding, &pick, |_| response_headers.clone());
        self.to_version(pick, Way { response_headers, failover, ..Way::default() })
    }

    /// The versions that Envoy tries after the one that was picked, each with the changes of its responses.
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
            Some(Other { destination, cluster, response_headers: response_headers(version) })
        });
        Some(Box::new(Failover { cluster, others: others.collect() }))
    }

    /// The way to the version that was picked.
    #[inline]
    fn to_version(&self, pick: Pick<'t>, way: Way<'t>) -> Outcome<'t> {
        let destination = &pick.version.destination;
        let RequestLimits { limits, left_failed } = pick.target.limits.of(self.input.head.method());
        Outcome::Forward(Forward {
            reason: pick.reason,
            port: destination.port.unwrap_or(self.port),
            cluster: destination.cluster(self.port),
            destination,
            path: way.path,
            authority: way.authority,
            request_headers: way.request_headers,
            version_value: self.version_value(&pick),
            response_headers: way.response_headers,
            limits: limits.as_ref(),
            left_failed: *left_failed,
            failover: way.failover,
            mirrors: way.mirrors,
            has_alternative: pick.has_alternative(),
            accrual: pick.accrual(),
            split: pick.split,
            fallback: pick.fallback,
        })
    }

    /// The version header that goes upstream names the version that serves, so that later hops agree.
    fn version_value(&self, pick: &Pick<'t>) -> Option<VersionValue<'t>> {
        let header = pick.policy()?.header_for(self.input.head)?;
        Some(VersionValue { name: &header.name, version: pick.version.destination.subset.as_deref()? })
    }

    /// What makes a new user keep the version.
    fn with_cookie(&self, changes: HeaderChanges, cookie: Option<&str>) -> HeaderChanges {
        let Some(cookie) = cookie else { return changes };
        let name = self.table.set_cookie().clone();
        let mut changes = changes.to_vec();
        changes.push(HeaderChange { name, operation: Operation::Add, value: cookie.as_bytes().into() });
        changes.into()
    }

    /// A local reply with the rule's response operations.
    fn reply(&self, mut reply: LocalReply<'t>, steps: &HeaderSteps) -> Outcome<'t> {
        header_change::apply(&steps.changes(self.view, &self.route.name), &mut reply.headers);
        Outcome::LocalReply(Box::new(reply))
    }
}
