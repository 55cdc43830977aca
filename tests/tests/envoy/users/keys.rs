//! The published bucket: every Envoy version and the documented program compute the same version for a user.

use std::process::Command;

use e2e::{
    binaries::{self, EnvoyBinary},
    canary::{Canary, Delivery, UPSTREAMS},
    child,
    pages::{Page, STICKY},
};
use serde_json::json;

use super::{served_by, sticky, users};
use crate::Subject;

const USERS: usize = 1_000;

/// The salt and the weights of that program. The rule has its destinations in another order.
const WEIGHTS: [(&str, u32); 3] = [("v3", 20), ("v1", 70), ("v2", 10)];

pub(crate) async fn have_the_same_version_on_every_proxy(subject: &Subject) {
    let users = users(USERS);
    let published = by_the_program(&users);
    let others =
        binaries::envoys().expect("Envoys").into_iter().filter(|other| other.version != subject.binary.version);
    for binary in [subject.binary.clone()].iter().chain(others.last().iter()) {
        let served = by_envoy(binary, &users).await;
        for ((user, served), published) in users.iter().zip(served).zip(&published) {
            assert_eq!(served, *published, "Envoy {}: {user}", binary.version);
        }
    }
}

async fn by_envoy(binary: &EnvoyBinary, users: &[String]) -> Vec<String> {
    let canary = Canary::start(binary, Delivery::Ecds, &sticky(&WEIGHTS, json!({})), &UPSTREAMS).await;
    let _log = canary.envoy.show_log_on_panic();
    served_by(&canary, users).await
}

/// The output of the documented program: a bucket and a version in each line.
fn by_the_program(users: &[String]) -> Vec<String> {
    let program = Page::read(STICKY).program();
    let output = child::run(Command::new("python3").args(["-c", &program]), &users.join("\n"));
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("text");
    printed.lines().map(|line| line.split(' ').nth(1).expect("a version").to_owned()).collect()
}
