//! The stages from a matched rule to a decision (design: precedence of what picks a version).

use std::borrow::Cow;

use crate::answer;
use crate::availability::Availability;
use crate::config::{AbortStatus, FaultAbort, FaultDelay, Mode};
use crate::cors::{self, Verdict};
use crate::decision::{Decision, Fallback, Forward, LocalReply, Outcome};
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
    /// As the client sent it.
    pub(crate) request: &'r R,
    /// As the rules see it.
    pub(crate) seen: &'r Normalised<'r, R>,
    pub(crate) route: &'t Route,
    pub(crate) port: u16,
    pub(crate) draws: &'r Draws,
    pub(crate) permissions: Permissions,
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
        if self.table.mode == Mode::Version {
            let outcome = pick.map_or(Outcome::Untouched, |(_, pick)| self.name_version(pick));
            return Decision::of(Some(self.route), outcome);
        }
        let (delay, abort) = self.faults(pick.as_ref().map(|(_, pick)| pick));
        let outcome = match (&action.kind, abort, pick) {
            (_, Some(status), pick) => {
                let steps = pick.map_or(&action.reply_headers, |(_, pick)| &pick.treatment.response_headers);
                self.reply(answer::abort(status), steps)
            }
            (Kind::Redirect(redirect), None, _) => {
                let location = answer::redirect(redirect, self.route.matcher.as_ref(), self.request, self.port);
                self.reply(location, &action.reply_headers)
            }
            (Kind::DirectResponse(response), None, _) => {
                self.reply(answer::direct_response(response), &action.reply_headers)
            }
            (Kind::Forward(_), None, Some((forwarding, pick))) => self.forward(forwarding, pick),
            (Kind::Forward(_), None, None) => Outcome::LocalReply(LocalReply::NO_RULE),
        };
        Decision { delay, abort, ..Decision::of(Some(self.route), outcome) }
    }

    /// The pick itself if it can serve, else the first of its policy's order that can; the default if none can.
    fn settle(&self, forwarding: &'t Forwarding, pick: Pick<'t>, available: &(impl Availability + ?Sized)) -> Pick<'t> {
        let unavailable = |destination: &Destination| available.unavailable(&self.cluster_of(destination));
        let (Some(policy), Some(reason)) = (pick.policy, unavailable(&pick.destination)) else { return pick };
        let candidates = || {
            let others = policy.fallback.iter().filter(|subset| pick.destination.subset.as_ref() != Some(subset));
            others.filter_map(|subset| version(forwarding, pick.destination.port, policy, subset))
        };
        let standing_in =
            candidates().find(|(destination, _)| unavailable(destination).is_none()).or_else(|| candidates().last());
        let Some((destination, treatment)) = standing_in else { return pick };
        let from = match pick.destination {
            Cow::Borrowed(destination) => destination.subset.as_deref().map(Cow::Borrowed),
            Cow::Owned(destination) => destination.subset.map(Cow::Owned),
        };
        // What the client asked for stays the beginning of the story.
        let fallback = pick.fallback.or(Some(Fallback { from, reason }));
        Pick { destination, treatment, fallback, ..pick }
    }

    /// The fault of the version that serves counts in place of the rule's of the same kind.
    fn faults(&self, pick: Option<&Pick<'t>>) -> (Option<std::time::Duration>, Option<AbortStatus>) {
        let of_version = pick.and_then(|pick| pick.policy?.fault(pick.destination.subset.as_deref()));
        let of_rule = &self.route.action.fault;
        let delay: Option<FaultDelay> = of_version.and_then(|fault| fault.delay).or(of_rule.delay);
        let abort: Option<FaultAbort> = of_version.and_then(|fault| fault.abort).or(of_rule.abort);
        let delay = delay.filter(|delay| delay.percentage.holds(self.draws.delay));
        let abort = abort.filter(|abort| abort.percentage.holds(self.draws.abort));
        (delay.map(|delay| delay.fixed_delay.min(self.table.faults.max_delay)), abort.map(|abort| abort.status))
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
        let has_alternative = pick.has_alternative();
        Outcome::Forward(Box::new(Forward {
            reason: pick.reason,
            port: pick.destination.port.unwrap_or(self.port),
            cluster: self.cluster(&pick.destination),
            destination: pick.destination,
            path: rewrite.map(|rewrite| path::rewrite(self.request.path(), self.route.matcher.as_ref(), rewrite)),
            authority: pick.treatment.authority.as_deref(),
            request_headers,
            response_headers,
            timeout: forwarding.timeout,
            retries: forwarding.retries.as_ref(),
            mirrors: mirrors.map(|mirror| self.table.cluster(mirror, self.port)).collect(),
            split: pick.split,
            fallback: pick.fallback,
            has_alternative,
        }))
    }

    /// Version mode: the version and the cookie that keeps it, nothing else.
    fn name_version(&self, pick: Pick<'t>) -> Outcome<'t> {
        let has_alternative = pick.has_alternative();
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
