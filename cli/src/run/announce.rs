//! What `run` tells about what it started.

use std::net::SocketAddr;

use super::{
    examples::examples,
    rollout::{Rollout, Served},
    session::{Interfaces, Session},
};
use canary_config::Mode;

use crate::{
    bootstrap::{NATIVE_CLUSTER, Plan, check_upstreams},
    console,
};

/// Everything there is to know once Envoy serves.
pub(super) fn started(
    session: &Session<'_>,
    plan: &Plan,
    rollout: &Rollout<'_>,
    listener: SocketAddr,
    interfaces: Interfaces,
) {
    console::say(format_args!("{} with {}", session.envoy, session.wasm.display()));
    console::say(format_args!("  listener  http://{listener}"));
    console::say(format_args!("  admin     http://{}", interfaces.admin));
    if let Some(board) = interfaces.board {
        console::say(format_args!("  board     http://{board}"));
    }
    if let (Mode::Version, Some(header)) = (plan.native.mode, plan.native.headers.version()) {
        console::say(format_args!(
            "  mode      version: the filter picks the version and names it in {header}; the routes here follow that and do \
             nothing else. Rewrites, headers, faults, mirrors, timeouts and retries are for the native routes to carry out: \
             `canaryctl render virtualservice` prints Istio's"
        ));
    }
    notes(plan, &[], rollout);
    rollout.served().iter().for_each(served);
    console::say(format_args!(
        "  {NATIVE_CLUSTER}: echo server on {}, for hosts that the configuration does not know",
        session.native.address
    ));
    let examples = examples(&plan.config);
    if !examples.is_empty() {
        console::say("try:");
    }
    for example in examples {
        console::say(format_args!("  {}", example.curl(listener)));
    }
    console::say("configuration 1 in force; edits of the file are followed, Ctrl-C ends");
}

/// What an edit changed about who serves what.
pub(super) fn changes(before: &[Served], now: &[Served]) {
    let gone = before.iter().filter(|old| now.iter().all(|new| new.version.key() != old.version.key()));
    for Served { version, .. } in gone {
        console::say(format_args!("  {} {}: gone", version.service(), version.name()));
    }
    now.iter().filter(|new| !before.contains(new)).for_each(served);
}

/// Who serves a version, under which clusters.
fn served(Served { version, by, echo }: &Served) {
    let by = match by {
        Some(address) if *echo => format!("echo server on {address}"),
        Some(address) => address.to_string(),
        None => "nobody, its cluster is left out".to_owned(),
    };
    let clusters = version.clusters.join(", ");
    console::say(format_args!("  {} {}: {by}, cluster {clusters}", version.service(), version.name()));
}

/// What the user should know about a configuration that was accepted, and does not know yet.
pub(super) fn notes(plan: &Plan, known: &[String], rollout: &Rollout<'_>) {
    plan.notes.iter().filter(|note| !known.contains(note)).for_each(console::complain);
    if rollout.names_others() {
        return;
    }
    if let Err(error) = check_upstreams(&plan.versions, rollout.upstreams()) {
        console::complain(format_args!("warning: {error}"));
    }
}
