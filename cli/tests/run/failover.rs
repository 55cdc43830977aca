//! The failover clusters that `canaryctl run` writes where a policy has a fallback order.

use std::fs;

use crate::{JASON, reviews, session::Session};

pub(crate) const FALLBACK: &str = "policies: [{hosts: [reviews], fallback: [v2, v1]}]\n";
const OWN: &str = "outbound|9080|v2|reviews.default.svc.cluster.local";

#[test]
fn serve_the_first_request_for_a_version_that_is_not_there() {
    let refusing = "reviews/v2=127.0.0.1:1";
    for kind in ["aggregate", "composite"] {
        for (name, more, upstream, status) in [
            ("missing", FALLBACK, "reviews/v2=none", 200),
            ("refuses", FALLBACK, refusing, 200),
            ("missing, no fallback order", "", "reviews/v2=none", 503),
            ("refuses, no fallback order", "", refusing, 503),
        ] {
            let session = Session::start(&(reviews("v2") + more), &["--upstream", upstream, "--failover", kind]);
            let answer = session.connect().get("reviews", "/", JASON);
            assert_eq!(answer.status, status, "{name}, {kind}");
            if status == 200 {
                assert_eq!(answer.who(), "reviews v1", "{name}, {kind}");
                session.says(&format!("GET reviews/ \u{2192} v1  failover|{OWN} 200"));
            }
        }
    }
}

#[test]
fn come_and_go_with_the_order() {
    let session = Session::start(&reviews("v2"), &["--upstream", "reviews/v2=none"]);
    let mut client = session.connect();
    assert_eq!(client.get("reviews", "/", JASON).status, 503);
    fs::write(session.file(), reviews("v2") + FALLBACK).unwrap();
    session.says("configuration 2 in force");
    assert!(clusters(&session).contains("failover|"), "beside those of the versions");
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v1");
    fs::write(session.file(), reviews("v2")).unwrap();
    session.says("configuration 3 in force");
    assert_eq!(client.get("reviews", "/", JASON).status, 503);
    assert!(!clusters(&session).contains("failover|"), "nobody names it any more");
}

/// The clusters that a running `canaryctl run` has told Envoy of.
fn clusters(session: &Session) -> String {
    let folder = session.left_over().into_iter().find(|path| path.is_dir()).unwrap();
    fs::read_to_string(folder.join("cds.json")).unwrap()
}
