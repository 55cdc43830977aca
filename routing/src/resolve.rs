//! The stages from a matched rule to a decision (design: precedence of what picks a version).

use std::borrow::Cow;

use crate::answer;
use crate::availability::{Availability, FallbackReason};
use crate::config::{AbortStatus, FaultAbort, FaultDelay, Mode};
use crate::cors::{self, Verdict};
use crate::decision::{Decision, Fallback, FaultScope, Forward, LocalReply, MOST_SKIPPED, Outcome, Skipped};
use crate::draws::Draws;
use crate::header_change::{self, HeaderChange, Step};
use crate::overrides::Permissions;
use crate::path;
use crate::pick::Pick;
use crate::request::RequestView;
use crate::route::{Destination, Forwarding, Kind, Route, Treatment};
use crate::table::RouteTable;
use crate::version::{HostPolicy, Normalised};

/// One request under the rule that matched it.
pub(crate) struct Resolver<'t, 'r, R> {
    pub(crate) table: &'t RouteTable,
    pub(crate) faults: FaultScope,
    /// As the client sent it.
    pub(crate) request: &'r R,
    /// As the rules see it.
    pub(crate) seen: &'r Normalised<'r, R>,
    pub(crate) route: &'t Route,
    pub(crate) port: u16,
    pub(crate) draws: &'r Draws,
    pub(crate) permissions: Permissions,
}

/// What is to be expected of a version that may stand in, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Prospect {
    /// It has shown that it can serve, or is the default.
    Able,
    /// Nothing is known of it.
    Unproven,
    /// It serves where nothing else can.
    Ejected,
    /// It cannot serve.
    Out,
}

/// Faults that are left to a guard.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Left {
    delay: bool,
    abort: bool,
}

impl Left {
    const NOTHING: Self = Self { delay: false, abort: false };
}

impl<'t, R: RequestView> Resolver<'t, '_, R> {
    pub(crate) fn resolve(&self, available: &(impl Availability + ?Sized)) -> Decision<'t> {
        let action = &self.route.action;
        let pick = match &action.kind {
            Kind::Forward(forwarding) => {
                self.pick(forwarding).map(|pick| (forwarding.as_ref(), self.settle(forwarding, pick, available)))
            }
            Kind::Redirect(_) | Kind::DirectResponse(_) => None,
        };
        let left = pick.as_ref().map_or(Left::NOTHING, |(forwarding, pick)| self.left_to_guard(forwarding, pick));
        let (delay, abort) = self.faults(pick.as_ref().map(|(_, pick)| pick));
        let (delay, abort) = (delay.filter(|_| self.holds(left.delay)), abort.filter(|_| self.holds(left.abort)));
        let aborted = pick.as_ref().filter(|_| abort.is_some()).map(|(_, pick)| pick.picked());
        let outcome = match (abort, self.table.mode) {
            (Some(status), Mode::Cluster) => {
                let steps = pick.map_or(&action.reply_headers, |(_, pick)| &pick.treatment.response_headers);
                self.reply(answer::abort(status), steps)
            }
            (Some(status), Mode::Version) => Outcome::LocalReply(answer::abort(status)),
            (None, Mode::Cluster) => self.act(&action.kind, pick),
            (None, Mode::Version) => pick.map_or(Outcome::Untouched, |(_, pick)| self.name_version(pick)),
        };
        let leaves_faults = self.faults == FaultScope::BeforeGuard && left != Left::NOTHING;
        Decision { delay, abort, aborted, leaves_faults, ..Decision::of(Some(self.route), outcome) }
    }

    /// What the rule asks for, in cluster mode.
    fn act(&self, kind: &'t Kind, pick: Option<(&'t Forwarding, Pick<'t>)>) -> Outcome<'t> {
        let reply_headers = &self.route.action.reply_headers;
        match (kind, pick) {
            (Kind::Redirect(redirect), _) => {
                let location = answer::redirect(redirect, self.route.matcher.as_deref(), self.request, self.port);
                self.reply(location, reply_headers)
            }
            (Kind::DirectResponse(response), _) => self.reply(answer::direct_response(response), reply_headers),
            (Kind::Forward(_), Some((forwarding, pick))) => self.forward(forwarding, pick),
            (Kind::Forward(_), None) => Outcome::LocalReply(LocalReply::NO_RULE),
        }
    }

    /// The pick itself if it can serve, else the first with the best prospects of its policy's order; where none can serve,
    /// the first of them that is merely ejected, else the default.
    fn settle(&self, forwarding: &'t Forwarding, pick: Pick<'t>, available: &(impl Availability + ?Sized)) -> Pick<'t> {
        let Some(policy) = pick.policy else { return pick };
        let Some(reason) = self.unavailable(&pick.destination, policy, available) else { return pick };
        let candidates = || {
            let others = policy.fallback.iter().filter(|subset| pick.destination.subset.as_ref() != Some(subset));
            others.filter_map(|subset| version(forwarding, pick.destination.port, policy, subset))
        };
        let judged = candidates().map(|version| (self.prospect(&version.0, policy, available), version));
        let standing_in = match judged.min_by_key(|(prospect, _)| *prospect) {
            Some((Prospect::Able | Prospect::Unproven, able)) => Some(able),
            Some(_) | None if reason == FallbackReason::Ejected => None,
            Some((Prospect::Ejected, ejected)) => Some(ejected),
            Some((Prospect::Out, _)) => candidates().last(),
            None => None,
        };
        let Some((destination, treatment)) = standing_in else { return pick };
        let tried = candidates().map(|(other, _)| other).take_while(|other| *other != destination);
        // What the client asked for stays the beginning of the story.
        let picked = pick.fallback.is_some().then(|| pick.destination.clone());
        let skipped = picked.into_iter().chain(tried).filter_map(|other| {
            let reason = self.unavailable(&other, policy, available).unwrap_or(FallbackReason::Unproven);
            Some(Skipped { version: subset(other)?, reason })
        });
        let skipped = skipped.take(MOST_SKIPPED).collect();
        let fallback = match pick.fallback {
            Some(asked) => Fallback { skipped, ..asked },
            None => Fallback { from: subset(pick.destination), reason, skipped },
        };
        Pick { destination, treatment, fallback: Some(fallback), ..pick }
    }

    fn prospect(
        &self,
        destination: &Destination,
        policy: &HostPolicy,
        available: &(impl Availability + ?Sized),
    ) -> Prospect {
        let is_default = || destination.subset.as_deref() == policy.default_subset();
        match self.unavailable(destination, policy, available) {
            None if is_default() || available.is_proven(&self.cluster_of(destination)) => Prospect::Able,
            None => Prospect::Unproven,
            Some(FallbackReason::Ejected) => Prospect::Ejected,
            Some(_) => Prospect::Out,
        }
    }

    /// Why a version cannot serve this request. A policy without failure accrual ejects nothing; a version on trial serves
    /// its share.
    fn unavailable(
        &self,
        destination: &Destination,
        policy: &HostPolicy,
        available: &(impl Availability + ?Sized),
    ) -> Option<FallbackReason> {
        let cluster = self.cluster_of(destination);
        let reason = available.unavailable(&cluster)?;
        let is_served = reason == FallbackReason::Ejected
            && policy
                .accrual
                .as_ref()
                .is_none_or(|accrual| accrual.trial.percentage.holds(self.draws.trial) && available.may_try(&cluster));
        (!is_served).then_some(reason)
    }

    /// The fault of the version that serves counts in place of the rule's of the same kind; in version mode the rule's is
    /// for the native route.
    fn faults(&self, pick: Option<&Pick<'t>>) -> (Option<std::time::Duration>, Option<AbortStatus>) {
        let of_version = pick.and_then(|pick| pick.policy?.fault(pick.destination.subset.as_deref()));
        let of_rule = Some(&self.route.action.fault).filter(|_| self.table.mode == Mode::Cluster);
        let faults = || of_version.into_iter().chain(of_rule);
        let delay: Option<FaultDelay> = faults().find_map(|fault| fault.delay);
        let abort: Option<FaultAbort> = faults().find_map(|fault| fault.abort);
        let delay = delay.filter(|delay| delay.percentage.holds(self.draws.delay));
        let abort = abort.filter(|abort| abort.percentage.holds(self.draws.abort));
        (delay.map(|delay| delay.fixed_delay.min(self.table.faults.max_delay)), abort.map(|abort| abort.status))
    }

    /// What a guard carries out where there is one: a fault that some version of the host has of its own, and an abort that
    /// comes after such a delay.
    fn left_to_guard(&self, forwarding: &Forwarding, pick: &Pick<'t>) -> Left {
        let Some(policy) = pick.policy else { return Left::NOTHING };
        // An abort goes before a preflight's answer, but neither is for a version to give.
        let is_answered_here = || {
            if self.table.mode == Mode::Version {
                return false;
            }
            let verdict = forwarding.cors.as_ref().map(|policy| cors::check(policy, self.request));
            matches!(verdict, Some(Verdict::Reply(_)))
        };
        let delay = policy.has_delays();
        let abort = delay || policy.has_aborts();
        // At the guard the version that serves may be the last of the order.
        let may_move = self.faults == FaultScope::AtGuard || pick.has_alternative();
        if !abort || !may_move || is_answered_here() {
            return Left::NOTHING;
        }
        Left { delay, abort }
    }

    /// Whether the decision is to hold a fault that is left to a guard or not.
    fn holds(&self, left: bool) -> bool {
        match self.faults {
            FaultScope::All => true,
            FaultScope::BeforeGuard => !left,
            FaultScope::AtGuard => left,
            FaultScope::Nothing => false,
        }
    }

    fn forward(&self, forwarding: &'t Forwarding, pick: Pick<'t>) -> Outcome<'t> {
        let name = &self.route.name;
        let mut response_headers = header_change::changes(&pick.treatment.response_headers, self.seen, name);
        match forwarding.cors.as_ref().map_or(Verdict::None, |policy| cors::check(policy, self.request)) {
            Verdict::Reply(reply) => return Outcome::LocalReply(reply),
            Verdict::Allow(headers) => header_change::set_on_top(&mut response_headers, headers),
            Verdict::None => {}
        }
        let mut request_headers = header_change::changes(&pick.treatment.request_headers, self.seen, name);
        request_headers.extend(self.tell_version(&pick));
        response_headers.extend(pick.set_cookie());
        let drawn = forwarding.mirrors.iter().zip(self.draws.mirror);
        let mirrors =
            drawn.filter(|(mirror, draw)| mirror.percentage.holds(*draw)).map(|(mirror, _)| &mirror.destination);
        let rewrite = forwarding.path.as_ref();
        let (has_alternative, accrual) = (pick.has_alternative(), pick.accrual());
        Outcome::Forward(Box::new(Forward {
            reason: pick.reason,
            port: pick.destination.port.unwrap_or(self.port),
            cluster: self.cluster(&pick.destination),
            destination: pick.destination,
            path: rewrite.map(|rewrite| path::rewrite(self.request.path(), self.route.matcher.as_deref(), rewrite)),
            authority: pick.treatment.authority.as_deref(),
            request_headers,
            response_headers,
            timeout: forwarding.timeout,
            retries: forwarding.retries.as_deref(),
            mirrors: mirrors.map(|mirror| self.table.cluster(mirror, self.port)).collect(),
            split: pick.split,
            fallback: pick.fallback,
            has_alternative,
            accrual,
        }))
    }

    /// Version mode: the version and the cookie that keeps it, nothing else.
    fn name_version(&self, pick: Pick<'t>) -> Outcome<'t> {
        let (has_alternative, accrual) = (pick.has_alternative(), pick.accrual());
        Outcome::Forward(Box::new(Forward {
            reason: pick.reason,
            port: pick.destination.port.unwrap_or(self.port),
            cluster: self.cluster(&pick.destination),
            request_headers: self.tell_version(&pick).into_iter().collect(),
            response_headers: pick.set_cookie().into_iter().collect(),
            destination: pick.destination,
            split: pick.split,
            path: None,
            authority: None,
            timeout: None,
            retries: None,
            mirrors: Vec::new(),
            fallback: pick.fallback,
            has_alternative,
            accrual,
        }))
    }

    /// The version header that goes upstream names the version that serves, so that later hops agree.
    fn tell_version(&self, pick: &Pick<'t>) -> Option<HeaderChange<'t>> {
        let name = pick.policy?.header_for(self.request)?;
        let version = pick.destination.subset.clone()?;
        Some(HeaderChange::Set(name, Cow::Owned(version.into_bytes())))
    }

    /// A local reply with the rule's response operations.
    fn reply(&self, mut reply: LocalReply<'t>, steps: &'t [Step]) -> Outcome<'t> {
        header_change::apply(header_change::changes(steps, self.seen, &self.route.name), &mut reply.headers);
        Outcome::LocalReply(reply)
    }

    fn cluster(&self, destination: &Cow<'t, Destination>) -> Cow<'t, str> {
        match destination {
            Cow::Borrowed(destination) => self.table.cluster(destination, self.port),
            Cow::Owned(destination) => Cow::Owned(self.cluster_of(destination).into_owned()),
        }
    }

    fn cluster_of<'d>(&self, destination: &'d Destination) -> Cow<'d, str>
    where
        't: 'd,
    {
        self.table.cluster(destination, self.port)
    }
}

fn subset(destination: Cow<'_, Destination>) -> Option<Cow<'_, str>> {
    match destination {
        Cow::Borrowed(destination) => destination.subset.as_deref().map(Cow::Borrowed),
        Cow::Owned(destination) => destination.subset.map(Cow::Owned),
    }
}

/// A version of a host under a rule: one of the rule's own destinations, else a bare one on the port of the destination
/// in whose place it stands.
pub(crate) fn version<'t>(
    forwarding: &'t Forwarding,
    port: Option<u16>,
    policy: &'t HostPolicy,
    subset: &str,
) -> Option<(Cow<'t, Destination>, &'t Treatment)> {
    if let Some(own) = forwarding.destinations.iter().find(|target| target.is(&policy.host, subset)) {
        return Some((Cow::Borrowed(&own.destination), &own.treatment));
    }
    let bare = policy.destination(subset)?;
    let destination = if bare.port == port {
        Cow::Borrowed(bare)
    } else {
        Cow::Owned(Destination { port, cluster: None, ..bare.clone() })
    };
    Some((destination, &forwarding.treatment))
}
