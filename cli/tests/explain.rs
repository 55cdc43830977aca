//! `canaryctl explain` over several files, for gateways and namespaces, and as a test of a configuration.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Manifests that name no namespace, and one for a gateway.
const ROUTES: &str = "
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web, subset: v2}}]}]}
---
kind: VirtualService
metadata: {name: shop, namespace: edge}
spec: {hosts: [shop.example.com], gateways: [public], http: [{route: [{destination: {host: web, subset: v2}}]}]}
";
const VERSIONS: &str = "
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1}, {name: v2}]}
---
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
";
const DOCUMENT: &str = "policies: [{hosts: [web], namespace: edge, fallback: [v2, v1]}]\n";

fn folder(requests: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("routes.yaml", ROUTES), ("versions.yaml", VERSIONS), ("policies.yaml", DOCUMENT), ("requests.yaml", requests)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Exit code, standard output and standard error.
fn explain(folder: &TempDir, args: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canaryctl"));
    command.current_dir(folder.path()).arg("explain");
    for file in ["routes.yaml", "versions.yaml", "policies.yaml"] {
        command.args(["--config", file]);
    }
    let Output { status, stdout, stderr } = command.args(args.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn files_gateways_and_namespaces_say_where_a_request_goes() {
    let folder = folder("");
    for (row, args, code, expected) in [
        ("several files", "--namespace edge GET http://web/", 0, "to v2 of web.edge.svc.cluster.local, port 80"),
        ("a policy of another file", "--namespace edge GET http://web/", 0, "if it cannot serve: v1\n"),
        ("without a namespace", "GET http://web/", 0, "to v2 of web.default.svc.cluster.local, port 80"),
        ("no other version", "GET http://web/", 0, "if it cannot serve: 503, there is no other version"),
        (
            "rules of a gateway",
            "GET http://shop.example.com/",
            0,
            "  gateway  this proxy serves mesh; rules of edge/public take the request: --gateway",
        ),
        ("a gateway", "--gateway edge/public GET http://shop.example.com/", 0, "to v2 of web.edge.svc.cluster.local"),
        (
            "a missing cluster",
            "--gateway edge/public --unavailable outbound|80|v2|web.edge.svc.cluster.local GET http://shop.example.com/",
            0,
            "to v1 of web.edge.svc.cluster.local",
        ),
        (
            "an unknown cluster",
            "--unavailable web GET http://web/",
            1,
            "no destination has the cluster \"web\"; known here: outbound|80|v2|web.default.svc.cluster.local, ",
        ),
        ("a user in the URL", "GET http://me@web/", 2, "use -H 'authorization: …'"),
        ("a fragment", "GET http://web/#top", 2, "leave it out"),
        ("two documents", "--config policies.yaml GET http://web/", 1, "more than one configuration document"),
    ] {
        let (found, output, problems) = explain(&folder, args);
        assert_eq!(found, code, "{row}: {problems}");
        assert!((output.clone() + &problems).contains(expected), "{row}: {output}{problems}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_canaryctl"));
    let output =
        command.current_dir(folder.path()).args(["explain", "--config", "routes.yaml", "", "http://web/"]).output();
    assert!(String::from_utf8(output.unwrap().stderr).unwrap().contains("a method is needed, such as GET"));
}

#[test]
fn expectations_make_a_test_of_a_configuration() {
    let good = "- {name: the default, authority: web, path: /, expect: {subset: v2, ifUnavailable: [v1]}}\n";
    let bad = "- {authority: web, path: /, expect: {subset: v1, reason: rule}}\n";
    let args = "--namespace edge --requests requests.yaml";
    for (row, requests, code, lines) in [
        ("passed", good.to_owned(), 0, vec!["1 request(s) with expectations: 1 passed, 0 failed"]),
        (
            "failed",
            format!("{good}{bad}"),
            1,
            vec![
                "2 request(s) with expectations: 1 passed, 1 failed",
                "request 2: /subset: expected \"v1\", found \"v2\"",
            ],
        ),
        ("without", "- {authority: web, path: /}\n".to_owned(), 0, vec!["GET web/"]),
        (
            "an unknown field",
            "- {authority: web, path: /, expect: {version: v1}}\n".to_owned(),
            1,
            vec!["/0/expect/version: unknown field; known here: "],
        ),
    ] {
        let (found, output, problems) = explain(&folder(&requests), args);
        assert_eq!(found, code, "{row}: {output}{problems}");
        for line in lines {
            assert!((output.clone() + &problems).contains(line), "{row}: {output}{problems}");
        }
        assert_eq!(output.contains("expectations"), requests.contains("expect") && row != "an unknown field", "{row}");
    }
    let (code, output, _) = explain(&folder(&format!("{good}{bad}")), &format!("{args} --output json"));
    let answers: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &answers[0]["passed"], &answers[1]["passed"]), (1, &true.into(), &false.into()));
}
