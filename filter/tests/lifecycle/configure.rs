//! Configurations: accepted or rejected as a whole, with every error in the proxy's log.

use crate::fixture::{BOOKINFO, get, reviews, start};
use canary_config::Config;
use proxy_wasm::types::Action;
use sdk_shims::host::{LogLevel, encode_pairs};
use sdk_shims::test_host::{Plugin, Rejected};

#[test]
fn a_configuration_is_accepted_or_rejected_with_its_errors() {
    let accepted = |hosts, routes| vec![format!("configuration accepted (hosts: {hosts}, routes: {routes})")];
    for (row, document, errors, infos) in [
        ("Bookinfo", BOOKINFO.as_bytes(), vec![], accepted(2, 3)),
        ("nothing", b"", vec![], accepted(0, 0)),
        ("an empty object", b"{}", vec![], accepted(0, 0)),
        ("not JSON", b"mode: cluster", vec!["/: not valid JSON: expected value at line 1 column 1"], vec![]),
        ("not UTF-8", b"{\"mode\": \"\xff\"}", vec!["/: not valid JSON: invalid unicode code point at line 1 column 11"], vec![]),
        (
            "several errors",
            br#"{"nonsense": 1, "virtualServices": [{"hosts": ["a"], "http": [{"route": [{"destination": {"host": 1}}]}]}], "mode": 2}"#,
            vec!["/mode: ", "/virtualServices/0/http/0/route/0/destination/host: ", "/nonsense: unknown field"],
            vec![],
        ),
    ] {
        let vm = start();
        assert_eq!(vm.plugin(document).is_ok(), errors.is_empty(), "{row}: {:?}", vm.log());
        assert_eq!(vm.logged(LogLevel::Info), infos, "{row}");
        let logged = vm.logged(LogLevel::Error);
        assert_eq!(logged.len(), errors.len(), "{row}: {logged:?}");
        for expected in errors {
            let expected = format!("configuration rejected: {expected}");
            assert!(logged.iter().any(|line| line.starts_with(&expected)), "{row}: no {expected:?} in {logged:?}");
        }
    }
}

#[test]
fn warnings_are_logged_and_do_not_reject() {
    let document = br#"{"virtualServices": [{"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a", "subset": "v9"}}]}]}]}"#;
    let (_, warnings) = Config::from_json(document).unwrap();
    let vm = start();
    vm.plugin(document).unwrap();
    assert_eq!(vm.logged(LogLevel::Warn), warnings.iter().map(|w| format!("configuration: {w}")).collect::<Vec<_>>());
    assert!(vm.logged(LogLevel::Warn).iter().any(|line| line.contains("subset v9")));
}

#[test]
fn an_unreadable_configuration_is_rejected() {
    for status in [2, 10, 4711] {
        let vm = start();
        vm.fail("proxy_get_buffer_bytes", status);
        assert_eq!(vm.plugin(BOOKINFO).err(), Some(Rejected), "status {status}");
        let errors = vm.logged(LogLevel::Error);
        assert!(
            matches!(&errors[..], [line] if line.starts_with("configuration rejected: proxy_get_buffer_bytes: ")),
            "{errors:?}"
        );
    }
}

fn cluster_of(plugin: &Plugin<'_>, headers: &[(&str, &[u8])]) -> Vec<Vec<u8>> {
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers(get("reviews:9080", "/", headers), true), Action::Continue);
    stream.request_values("x-canary-cluster")
}

#[test]
fn after_a_rejected_configuration_the_previous_one_stays_in_force() {
    let vm = start();
    let plugin = vm.plugin(BOOKINFO).unwrap();
    let cluster = [reviews("v1").into_bytes()];
    assert_eq!(cluster_of(&plugin, &[]), cluster);
    assert_eq!(plugin.configure("{\"mode\": 1}"), Err(Rejected));
    assert_eq!(cluster_of(&plugin, &[]), cluster);
    plugin.configure("{}").unwrap();
    assert!(cluster_of(&plugin, &[]).is_empty());
}

#[test]
fn a_stream_keeps_the_configuration_of_its_start() {
    let everything_to_v2 = BOOKINFO.replace("v1\"}}]}]}", "v2\"}}]}]}");
    assert_ne!(everything_to_v2, BOOKINFO);
    for (row, same_root) in [("the same root context again", true), ("a new root context, as Envoy does", false)] {
        let vm = start();
        let first = vm.plugin(BOOKINFO).unwrap();
        let mut stream = first.stream();
        let second =
            if same_root { first.configure(&everything_to_v2).map(|()| first) } else { vm.plugin(&everything_to_v2) };
        stream.request_headers(get("reviews:9080", "/", &[]), true);
        assert_eq!(stream.request_values("x-canary-version"), [b"v1"], "{row}");
        assert_eq!(cluster_of(&second.unwrap(), &[]), [reviews("v2").into_bytes()], "{row}");
        stream.response_headers([(":status", "200")], true);
        drop(stream);
        assert!(vm.logged(LogLevel::Error).is_empty(), "{row}");
    }
}

#[test]
fn two_plugins_of_one_vm_are_independent() {
    let vm = start();
    let renamed = BOOKINFO.replacen('{', r#"{"headers": {"cluster": "x-other"},"#, 1);
    let (plain, renamed) = (vm.plugin(BOOKINFO).unwrap(), vm.plugin(renamed).unwrap());
    let (mut one, mut other) = (plain.stream(), renamed.stream());
    one.request_headers(get("reviews:9080", "/", &[]), true);
    other.request_headers(get("reviews:9080", "/", &[("end-user", b"jason")]), true);
    assert_eq!(one.request_values("x-canary-cluster"), [reviews("v1").into_bytes()]);
    assert_eq!(other.request_values("x-other"), [reviews("v2").into_bytes()]);
    assert!(one.request_values("x-other").is_empty() && other.request_values("x-canary-cluster").is_empty());
}

#[test]
fn the_node_metadata_completes_the_proxys_identity() {
    let by_source = |proxy: &str| {
        let rule = |condition: &str, subset: &str| {
            format!(
                r#"{{"match": [{condition}], "route": [{{"destination": {{"host": "reviews", "subset": "{subset}"}}}}]}}"#
            )
        };
        let rules = [
            rule(r#"{"sourceLabels": {"app": "sleep"}, "sourceNamespace": "shop"}"#, "both"),
            rule(r#"{"sourceLabels": {"app": "sleep"}}"#, "labels"),
            rule(r#"{"sourceNamespace": "shop"}"#, "namespace"),
            rule(r#"{"uri": {"prefix": "/"}}"#, "neither"),
        ];
        format!(
            r#"{{"proxy": {proxy}, "virtualServices": [{{"metadata": {{"name": "reviews", "namespace": "shop"}},
            "spec": {{"hosts": ["reviews"], "http": [{}]}}}}]}}"#,
            rules.join(",")
        )
    };
    for (row, proxy, namespace, labels, expected) in [
        ("both from the node", "{}", "shop", Some("sleep"), "both"),
        ("other values", "{}", "other", Some("other"), "neither"),
        ("the configuration wins", r#"{"namespace": "other", "labels": {}}"#, "shop", Some("sleep"), "neither"),
        ("the document's namespace, the node's labels", r#"{"namespace": "other"}"#, "shop", Some("sleep"), "labels"),
        ("the document's labels, the node's namespace", r#"{"labels": {}}"#, "shop", Some("sleep"), "namespace"),
        ("no labels", "{}", "shop", None, "namespace"),
    ] {
        let vm = start();
        vm.set_property(&["xds", "node", "metadata", "NAMESPACE"], namespace);
        if let Some(app) = labels {
            let labels = encode_pairs([(&b"app"[..], app.as_bytes())].into_iter());
            vm.set_property(&["xds", "node", "metadata", "LABELS"], labels);
        }
        let plugin = vm.plugin(by_source(proxy)).unwrap();
        let mut stream = plugin.stream();
        stream.request_headers(get("reviews.shop", "/", &[]), true);
        assert_eq!(stream.request_values("x-canary-version"), [expected.as_bytes()], "{row}");
    }
}

#[test]
fn unreadable_node_metadata_is_a_warning() {
    let vm = start();
    vm.fail("proxy_get_property", 3);
    vm.plugin(BOOKINFO).unwrap();
    let expected = ["namespace", "labels"].map(|what| {
        format!(
            "configuration: the node metadata does not say the proxy's {what} \
             (proxy_get_property: the host returned SerializationFailure); set /proxy/{what}"
        )
    });
    assert_eq!(vm.logged(LogLevel::Warn), expected);
}
