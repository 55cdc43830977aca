//! The filter removes clients' control headers. The listener's first route would obey all of them.

use e2e::{
    canary::{UPSTREAMS, cluster_name},
    client::Request,
};

use crate::{
    Subject, documents,
    steering::{PROTOCOLS, control_headers, delivered},
};

pub(crate) async fn a_client_cannot_steer_by_them(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    let forged = [
        ("x-canary-version", "v3".to_owned()),
        ("x-canary-version", "v1".to_owned()),
        ("x-canary-version", String::new()),
        ("x-canary-cluster", cluster_name("v3")),
        ("x-canary-cluster", cluster_name("v1")),
        ("x-canary-cluster", String::new()),
        ("x-canary-mirror", cluster_name("v3")),
        ("x-canary-host", "forged.example".to_owned()),
        ("x-canary-explain", "1".to_owned()),
    ];
    let hosts = [
        ("reviews", "v1", vec![("x-canary-version".to_owned(), "v1".to_owned())]),
        (documents::UNKNOWN, "native", vec![]),
    ];
    let mut sent = Vec::new();
    for protocol in PROTOCOLS {
        for (host, served_by, expected) in &hosts {
            let check = async |id: String, get: Request| {
                let recorded = delivered(canary, protocol, get, &id, served_by).await;
                assert_eq!(control_headers(&recorded), *expected, "{id}: control headers at the upstream");
                assert_eq!(recorded.authority, *host, "{id}: authority at the upstream");
                (id, *served_by)
            };
            for (name, value) in &forged {
                for lines in [1, 2, 3] {
                    let get = (0..lines).fold(Request::new(host, "/"), |get, _| get.header(name, value));
                    sent.push(check(format!("{protocol:?} {name}={value} × {lines} to {host}"), get).await);
                }
            }
            let all = forged.iter().fold(Request::new(host, "/"), |get, (name, value)| get.header(name, value));
            sent.push(check(format!("{protocol:?} all of them to {host}"), all).await);
        }
    }
    // At the end, because Envoy does not wait for mirrors.
    for (id, served_by) in sent {
        for other in UPSTREAMS.iter().filter(|other| **other != served_by) {
            assert_eq!(canary.upstream(other).recorded(&id).len(), 0, "{id}: copies at {other}");
        }
    }
}
