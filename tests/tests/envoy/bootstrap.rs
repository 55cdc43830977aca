//! `envoy-configs/bootstrap.yaml` and `envoy-configs/ecds.yaml`, as a reader copies them.

use std::{fs, net::SocketAddr, os::unix::fs::symlink};

use e2e::{
    binaries,
    bootstrap::cluster,
    client::{self, Protocol, Request},
    envoy::Envoy,
    upstream::Upstream,
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Subject,
    steering::{PROTOCOLS, TEST_ID, control_headers},
};

/// Upstreams by the ports that the file gives their clusters.
const UPSTREAMS: [(&str, u16); 4] = [("v1", 9081), ("v2", 9082), ("v3", 9083), ("native", 9080)];
/// Its own ports, which the kernel picks here.
const LISTENING: [u16; 2] = [9901, 10000];

/// A running copy of the files for readers. Everything ends when it is dropped.
struct Copy {
    envoy: Envoy,
    address: SocketAddr,
    upstreams: Vec<Upstream>,
    _folder: TempDir,
}

impl Copy {
    /// With the bootstrap changed.
    async fn start(subject: &Subject, change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for sub_folder in ["envoy-configs", "dist"] {
            fs::create_dir(folder.path().join(sub_folder)).expect("a folder");
        }
        let read = |name: &str| fs::read_to_string(binaries::workspace().join(name)).expect(name);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect(name);
        symlink(binaries::wasm(), folder.path().join("dist/canary_filter.wasm")).expect("a link to the filter");
        write("envoy-configs/ecds.yaml", &read("envoy-configs/ecds.yaml"));

        let mut bootstrap = change(read("envoy-configs/bootstrap.yaml"));
        let mut substitute = |port: u16, actual: u16| {
            let (written, wanted) = (format!("port_value: {port}}}"), format!("port_value: {actual}}}"));
            assert_eq!(bootstrap.matches(&written).count(), 1, "{written} in bootstrap.yaml");
            bootstrap = bootstrap.replace(&written, &wanted);
        };
        let mut upstreams = Vec::new();
        for (name, port) in UPSTREAMS {
            let upstream = Upstream::start(name).await;
            substitute(port, upstream.address().port());
            upstreams.push(upstream);
        }
        for port in LISTENING {
            substitute(port, 0);
        }
        write("envoy-configs/bootstrap.yaml", &bootstrap);

        let envoy = Envoy::start(&subject.binary, folder.path(), "envoy-configs/bootstrap.yaml".as_ref()).await;
        let address = envoy.listener("http").await;
        Self { envoy, address, upstreams, _folder: folder }
    }
}

pub(crate) async fn for_readers_fails_over(subject: &Subject) {
    let without_v3 = |bootstrap: String| {
        let (written, wanted) = ("  - name: reviews-v3\n", "  - name: reviews-v3-that-comes-later\n");
        assert_eq!(bootstrap.matches(written).count(), 1, "{written} in bootstrap.yaml");
        bootstrap.replace(written, wanted)
    };
    let copy = Copy::start(subject, without_v3).await;
    let _log = copy.envoy.show_log_on_panic();
    let get = Request::new("reviews", "/").header("end-user", "test-1");
    let answer = client::send(copy.address, PROTOCOLS[0], &get).await;
    assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "the first request for a missing version");
    let [_, v2, ..] = &copy.upstreams[..] else { panic!("four upstreams") };
    assert_eq!(v2.count(), 0);
}

pub(crate) async fn for_readers_serves_as_it_is(subject: &Subject) {
    let Copy { address, upstreams, envoy: _envoy, _folder } = Copy::start(subject, |bootstrap| bootstrap).await;
    let decided = |version: &str, route: &str| {
        let decision = format!("version={version} reason=rule route={route}");
        [("x-canary-decision", decision), ("x-canary-version", version.to_owned())]
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec()
    };
    let rows = [
        ("jason", Request::new("reviews", "/").header("end-user", "jason"), "v2", decided("v2", "jason")),
        ("tester", Request::new("reviews", "/").header("end-user", "test-1"), "v3", decided("v3", "testers")),
        (
            "forged",
            Request::new("reviews", "/").header("end-user", "jason").header("x-canary-cluster", "default"),
            "v2",
            decided("v2", "jason"),
        ),
        ("unknown host", Request::new("elsewhere", "/"), "native", vec![]),
        (
            "unknown host, forged",
            Request::new("elsewhere", "/").header("x-canary-cluster", "reviews-v3"),
            "native",
            vec![],
        ),
    ];
    for protocol in PROTOCOLS {
        for (row, get, served_by, expected) in &rows {
            let id = format!("{protocol:?} {row}");
            let answer = client::send(address, protocol, &get.clone().header(TEST_ID, &id)).await;
            assert_eq!((answer.status, answer.served_by.as_str()), (200, *served_by), "{id}");
            let upstream = upstreams.iter().find(|upstream| upstream.name() == *served_by).expect("an upstream");
            let recorded = upstream.recorded(&id);
            let control: Vec<_> = recorded.iter().map(control_headers).collect();
            assert_eq!(control, std::slice::from_ref(expected), "{id}");
        }
        let id = format!("{protocol:?} everybody");
        let answer = client::send(address, protocol, &Request::new("reviews", "/a/../%62").header(TEST_ID, &id)).await;
        assert!(["v1", "v2"].contains(&answer.served_by.as_str()), "{id}: {answer:?}");
        let paths: Vec<_> =
            upstreams.iter().flat_map(|upstream| upstream.recorded(&id)).map(|request| request.path).collect();
        assert_eq!(paths, ["/b"], "{id}: paths are normalised");
    }
}

pub(crate) async fn for_readers_tags_spans(subject: &Subject) {
    const ENDPOINT: &str = "/api/v2/spans";
    let collector = Upstream::start("collector").await;
    collector.keep_all();
    let provider = json!({"name": "envoy.tracers.zipkin", "typed_config": {
        "@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
        "collector_cluster": "collector",
        "collector_endpoint": ENDPOINT,
        "collector_endpoint_version": "HTTP_JSON",
    }});
    let mut cluster = cluster("collector", collector.address());
    cluster.as_object_mut().expect("a cluster").remove("@type");
    let traced = |bootstrap: String| {
        let tracing = "          tracing:\n";
        assert_eq!(bootstrap.matches(tracing).count(), 1, "tracing in bootstrap.yaml");
        let bootstrap = bootstrap.replace(tracing, &format!("{tracing}            provider: {provider}\n"));
        format!("{bootstrap}  - {cluster}\n")
    };
    let readers = Copy::start(subject, traced).await;
    let _log = readers.envoy.show_log_on_panic();
    let rows = [
        (
            "jason",
            Request::new("reviews", "/jason").header("end-user", "jason"),
            [json!("v2"), json!("version=v2 reason=rule route=jason")],
        ),
        (
            "tester",
            Request::new("reviews", "/tester").header("end-user", "test-1"),
            [json!("v3"), json!("version=v3 reason=rule route=testers")],
        ),
        (
            "unknown host, forged",
            Request::new("elsewhere", "/forged")
                .header("x-canary-version", "v9")
                .header("x-canary-decision", "because"),
            [Value::Null, Value::Null],
        ),
    ];
    for (_, get, _) in &rows {
        client::send(readers.address, Protocol::Http1, get).await;
    }
    for (row, get, expected) in &rows {
        let span = wait::until(&format!("the span of {row}"), async || {
            let reports = collector.kept();
            let spans =
                reports.iter().filter_map(|report| serde_json::from_slice::<Vec<Value>>(&report.body).ok()).flatten();
            spans
                .into_iter()
                .find(|span| span["tags"]["http.url"].as_str().is_some_and(|url| url.ends_with(get.path())))
        })
        .await;
        let tags = ["canary.version", "canary.decision"].map(|tag| span["tags"][tag].clone());
        assert_eq!(&tags, expected, "{row}: {span}");
    }
}
