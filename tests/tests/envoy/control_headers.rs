//! Control headers are the filter's word, never the client's. The listener's first route would obey all of them.

use e2e::{
    canary::{UPSTREAMS, cluster_name},
    client::Get,
};

use crate::{
    Subject, documents,
    steering::{PROTOCOLS, TEST_ID, control_headers, delivered},
};

pub(crate) async fn a_client_cannot_steer_by_them(subject: &Subject) {
    let canary = subject.shared().await;
    let _log = canary.envoy.show_log_on_panic();
    let forged = [
        ("x-canary-version", "v3".to_owned()),
        ("x-canary-cluster", cluster_name("v3")),
        ("x-canary-mirror", cluster_name("v3")),
        ("x-canary-host", "forged.example".to_owned()),
        ("x-canary-explain", "1".to_owned()),
    ];
    let hosts = [
        ("reviews", "v1", vec![("x-canary-version".to_owned(), "v1".to_owned())]),
        (documents::UNKNOWN, "native", vec![]),
    ];
    for protocol in PROTOCOLS {
        for (name, value) in &forged {
            for (host, served_by, expected) in &hosts {
                for lines in [1, 2, 3] {
                    let id = format!("{protocol:?} {name} × {lines} to {host}");
                    let get = (0..lines).fold(Get::new(host, "/"), |get, _| get.header(name, value));
                    let recorded = delivered(canary, protocol, get, &id, served_by).await;
                    assert_eq!(control_headers(&recorded), *expected, "{id}: control headers at the upstream");
                    assert_eq!(recorded.authority, *host, "{id}: authority at the upstream");
                    for other in UPSTREAMS.iter().filter(|other| *other != served_by) {
                        assert_eq!(canary.upstream(other).recorded(TEST_ID, &id).len(), 0, "{id}: copies at {other}");
                    }
                }
            }
        }
        let id = format!("{protocol:?} the right version, and all the others");
        let all =
            forged.iter().fold(Get::new("reviews", "/").header("x-canary-version", "v1"), |get, (name, value)| {
                get.header(name, value)
            });
        let recorded = delivered(canary, protocol, all, &id, "v1").await;
        assert_eq!(control_headers(&recorded), hosts[0].2, "{id}");
    }
}
