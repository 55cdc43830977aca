//! Kills the process of a version under load. The next version serves requests that may be repeated. Of the others, only
//! those in flight are lost.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use e2e::{
    bootstrap::cluster,
    canary::{NATIVE, cluster_name},
    client::{Protocol, Request},
    failover::Failover,
    load::{Kind, Load},
    scale,
    upstream::{ECHO, VERSION_HEADER},
};
use serde_json::json;

use super::{REPORTS, assert_none_lost, assert_some_lost, native_split, reporting, start_as, start_native};
use crate::Subject;

const CONNECTIONS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(1);
const ENOUGH: u64 = 100;
const HOST: &str = "reviews";

/// An upstream in its own process, which ends when this is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(name: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_upstream"))
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an upstream");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its address");
        Self { child, address: line.trim().parse().expect("an address") }
    }
}

impl Drop for Process {
    /// SIGKILL: the kernel resets its connections.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kinds() -> Vec<(&'static str, Kind, bool)> {
    // Long enough that requests are in flight when the process is killed.
    let slow = |method: &str| Request::new(HOST, "/delay/5ms").method(method).header(ECHO, VERSION_HEADER);
    let body = |request: Request| request.body(vec![b'x'; 50_000]);
    vec![
        ("GET, HTTP/1.1", Kind::Http(Protocol::Http1, slow("GET")), true),
        ("GET, HTTP/2", Kind::Http(Protocol::Http2, slow("GET")), true),
        ("POST, HTTP/1.1", Kind::Http(Protocol::Http1, body(slow("POST"))), false),
        ("POST, HTTP/2", Kind::Http(Protocol::Http2, body(slow("POST"))), false),
        ("gRPC unary", Kind::Unary(HOST.to_owned()), false),
        ("gRPC server streaming", Kind::Stream(HOST.to_owned()), false),
    ]
}

pub(crate) async fn costs_nothing_that_may_be_repeated(subject: &Subject) {
    for failover in subject.all_failover() {
        drill(subject, *failover).await;
    }
}

async fn drill(subject: &Subject, failover: Failover) {
    let mut document = reporting(&["v2", "v1"], &["v2", "v1"]);
    document["policies"][0]["retryNext"] = json!({"on": ["reset"]});
    let canary = start_as(subject, failover, &document, &["v1", NATIVE]).await;
    let native = start_native(subject, &native_split(&[("v2", 1)]), &["v1", NATIVE]).await;
    let _log = canary.envoy.show_log_on_panic();
    let times = if subject.is_last { scale::pick(3, 10) } else { scale::pick(1, 10) };
    for time in 1..=times {
        for (is_control, proxy, reports) in [(false, &canary, REPORTS), (true, &native, &[])] {
            let v2 = Process::start("v2");
            proxy.add_clusters(&[cluster(&cluster_name("v2"), v2.address)]);
            proxy.envoy.wait_for_endpoints(&cluster_name("v2"), Some(1)).await;
            let loads: Vec<_> = kinds()
                .into_iter()
                .map(|(name, kind, repeats)| {
                    (name, Load::paced(proxy.address, kind.reporting(reports), CONNECTIONS, PAUSE), repeats)
                })
                .collect();
            for (_, load, _) in &loads {
                load.until("v2 serves", |outcome| outcome.served("v2") >= ENOUGH).await;
            }
            drop(v2);
            for (name, load, repeats) in loads {
                load.go_on_for(ENOUGH).await;
                let outcome = load.stop().await;
                let row = format!("killed, time {time}, {name}, {failover:?}");
                let failed = outcome.failures.len() as u64;
                if is_control {
                    assert_some_lost(&row, &outcome);
                } else if repeats {
                    assert_none_lost(&row, &outcome);
                } else {
                    eprintln!("{row}: {failed} of {} failed", outcome.all());
                    assert!(failed <= CONNECTIONS, "{row}: {failed} failed: {:?}", outcome.failures);
                }
            }
            proxy.add_clusters(&[]);
            proxy.envoy.wait_for_endpoints(&cluster_name("v2"), None).await;
        }
    }
    canary.envoy.assert_no_crash();
}
