//! What `canaryctl explain`, `validate` and `render virtualservice` print, held against files.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeSet;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn canaryctl(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_canaryctl")).args(args).current_dir(folder()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The lines of a golden file and of what was printed, the first difference named.
fn assert_same(name: &str, found: &str, file: &str) {
    let wanted = fs::read_to_string(folder().join(file)).unwrap();
    for (number, (found, wanted)) in (1..).zip(found.lines().zip(wanted.lines())) {
        assert_eq!(found, wanted, "{name}: {file}:{number}");
    }
    assert_eq!(found.lines().count(), wanted.lines().count(), "{name}: {file}: lines");
}

#[test]
fn explain_shows_everything_that_may_happen() {
    for (name, config, golden) in [
        ("cluster mode", "rules.yaml", "explain.txt"),
        ("version mode", "version_mode.yaml", "explain_version_mode.txt"),
    ] {
        let (code, found, problems) = canaryctl(&["explain", "--config", config, "--requests", "requests.yaml"]);
        assert_eq!((code, problems.as_str()), (0, ""), "{name}");
        assert_same(name, &found, golden);
    }
}

#[test]
fn explain_shows_users_their_places_and_who_is_trusted() {
    let (code, found, problems) = canaryctl(&["explain", "--config", "sticky.yaml", "--requests", "users.yaml"]);
    assert_eq!((code, problems.as_str()), (0, ""));
    assert_same("users", &found, "explain_sticky.txt");
}

#[test]
fn flags_say_who_asks_and_when() {
    let forced = ["-H", "x-canary-version: v3"];
    for (name, url, flags, shown) in [
        (
            "a trusted address",
            "http://reviews/",
            [&forced[..], &["--source-ip", "10.20.0.1:80"]].concat(),
            "reason: override",
        ),
        (
            "another address",
            "http://reviews/",
            [&forced[..], &["--source-ip", "::1"]].concat(),
            "forces a version: refused",
        ),
        ("before the ramp", "http://reviews/ramped", vec!["--now", "2026-11-20T00:00:00Z"], "forward  to v1"),
        ("after the ramp", "http://reviews/ramped", vec!["--now", "2026-11-23T00:00:00+01:00"], "forward  to v2"),
    ] {
        let (code, found, problems) =
            canaryctl(&[&["explain", "--config", "sticky.yaml", "GET", url][..], &flags].concat());
        assert_eq!((code, problems.as_str()), (0, ""), "{name}");
        assert!(found.contains(shown), "{name}: {found}");
    }
    for (name, flag, value, error) in [
        ("no address", "--source-ip", "here", "an IP address is needed"),
        ("no time", "--now", "tomorrow", "an RFC 3339 time is needed"),
    ] {
        let (code, _, problems) =
            canaryctl(&["explain", "--config", "sticky.yaml", "GET", "http://reviews/", flag, value]);
        assert!(code != 0 && problems.contains(error), "{name}: {problems}");
    }
}

#[test]
fn draws_decide_what_is_left_to_chance() {
    let fault = "http://reviews/fault";
    let rate = "http://reviews/rate";
    for (name, url, draws, shown, hidden) in [
        ("no fault", fault, vec!["delay=0.5", "abort=0.5"], "forward  to v1", "delay"),
        ("delay alone", fault, vec!["delay=0.49", "abort=0.5"], "after a delay of 1.5s", "reply"),
        ("abort alone", fault, vec!["delay=0.5", "abort=0.000009"], "reply    200", "delay"),
        ("draws not given are 0", fault, vec!["split=0.5"], "gRPC status 14", "forward"),
        ("split", rate, vec!["split=0.67"], "forward  to v2", "forward  to v1"),
        ("every mirror", rate, vec!["split=0"], "mirror to cluster outbound|80|v2", "mirror to cluster outbound|80|v1"),
        (
            "the second mirror",
            rate,
            vec!["mirror=0", "mirror=0.2"],
            "mirror to cluster outbound|80|v3",
            "outbound|80|v2",
        ),
    ] {
        let mut args = vec!["explain", "--config", "rules.yaml", "GET", url];
        args.extend(draws.iter().flat_map(|draw| ["--draw", *draw]));
        let (code, found, problems) = canaryctl(&args);
        assert_eq!((code, problems.as_str()), (0, ""), "{name}");
        assert!(found.contains(shown), "{name}: {found}");
        assert!(!found.contains(hidden), "{name}: {found}");
    }
    for (name, draws, error) in [
        ("unknown", vec!["sticky=0"], "unknown draw sticky; known: split, abort, delay, mirror"),
        ("out of range", vec!["split=1"], "in [0, 1)"),
        ("a fourth mirror", vec!["mirror=0"; 4], "mirror=… is given more than 3 times"),
    ] {
        let mut args = vec!["explain", "--config", "rules.yaml", "GET", rate];
        args.extend(draws.iter().flat_map(|draw| ["--draw", *draw]));
        let (code, _, problems) = canaryctl(&args);
        assert!(code != 0 && problems.contains(error), "{name}: {problems}");
    }
}

#[test]
fn a_version_gives_way_to_another_and_it_is_told() {
    let v2 = "outbound|9080|v2|reviews.default.svc.cluster.local";
    let v3 = "outbound|9080|v3|reviews.default.svc.cluster.local";
    for (name, header, unavailable, shown) in [
        ("all are there", None, vec![], "forward  to v2 of reviews"),
        ("one is missing", None, vec![v2], r#"fallback from "v2" to "v3" (reason: missing-cluster)"#),
        (
            "two are missing",
            None,
            vec![v2, v3],
            r#"fallback from "v2" to "v1" (reason: missing-cluster; v3 cannot serve either: missing-cluster)"#,
        ),
        ("another is missing", None, vec![v3], "forward  to v2 of reviews"),
        (
            "a version that is none",
            Some("version: v9"),
            vec![],
            r#"fallback from "v9" to "v1" (reason: unknown-version)"#,
        ),
    ] {
        let mut args = vec!["explain", "--config", "fallback.yaml", "GET", "http://reviews:9080/"];
        args.extend(header.iter().flat_map(|header| ["-H", *header]));
        args.extend(unavailable.iter().flat_map(|cluster| ["--unavailable", *cluster]));
        let (code, found, problems) = canaryctl(&args);
        assert_eq!((code, problems.as_str()), (0, ""), "{name}");
        assert!(found.contains(shown), "{name}: {found}");
        assert_eq!(found.contains("fallback from"), shown.contains("fallback from"), "{name}: {found}");
    }
    let args = ["explain", "--config", "fallback.yaml", "--requests", "requests.yaml", "--unavailable", v2];
    let (code, _, problems) = canaryctl(&args);
    assert!(code != 0 && problems.contains("cannot be used with"), "a list says it for each request: {problems}");
}

fn render(config: &str) -> [&str; 8] {
    ["render", "bootstrap", "--output", "json", "--wasm", "/etc/canary_filter.wasm", "--config", config]
}

/// The chain of HTTP filters of a bootstrap, without the document.
fn http_filters(bootstrap: &str) -> String {
    let bootstrap: Value = serde_json::from_str(bootstrap).unwrap();
    let chain = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let mut filters = bootstrap.pointer(chain).cloned().unwrap();
    *filters.pointer_mut("/0/typed_config/config/configuration/value").unwrap() = "(the document)".into();
    format!("{filters:#}\n")
}

#[test]
fn a_bootstrap_has_failover_clusters_where_a_policy_has_a_fallback_order() {
    for (name, config, flags, kind) in [
        ("by default", "fallback.yaml", vec![], Some("envoy.clusters.aggregate")),
        ("from Envoy 1.40 on", "fallback.yaml", vec!["--failover", "composite"], Some("envoy.clusters.composite")),
        ("no fallback order", "rules.yaml", vec![], None),
    ] {
        let (code, found, problems) = canaryctl(&[render(config).as_slice(), &flags].concat());
        assert_eq!(code, 0, "{name}: {problems}");
        let bootstrap: Value = serde_json::from_str(&found).unwrap();
        let clusters = bootstrap.pointer("/static_resources/clusters").and_then(Value::as_array).unwrap();
        let kinds: BTreeSet<_> =
            clusters.iter().filter_map(|cluster| cluster.pointer("/cluster_type/name")?.as_str()).collect();
        assert_eq!(kinds, kind.into_iter().collect(), "{name}");
        assert_eq!(found.contains(r#"\"failover\": true"#), kind.is_some(), "{name}: the filter is told");
        assert_same(name, &http_filters(&found), "bootstrap/http_filters.json");
    }
}

#[test]
fn validate_tells_errors_and_what_is_not_carried_out() {
    for (name, args, expected_code, lines) in [
        (
            "not carried out",
            vec!["validate", "streams.yaml"],
            0,
            vec![
                "note: Gateway gateway: /: kind Gateway is skipped",
                "streams.yaml:7:8: warning: VirtualService db: /spec/tls: accepted, but not carried out: an HTTP filter sees HTTP requests only",
                "streams.yaml:6:8: warning: VirtualService db: /spec/tcp: accepted, but not carried out: an HTTP filter sees HTTP requests only",
                ": warning: VirtualService db: /spec/http/0/match/0/statPrefix: accepted, but not carried out: ",
                ": warning: VirtualService db: /spec/http/0/retries/backoff: accepted, but not carried out: ",
                ": warning: VirtualService db: /spec/http/1: virtualService rule not used: ",
            ],
        ),
        (
            "warnings as errors",
            vec!["validate", "--strict", "streams.yaml"],
            1,
            vec![": warning: VirtualService db: /spec/tcp: "],
        ),
        (
            "errors, all at once",
            vec!["validate", "wrong.yaml"],
            1,
            vec![
                "error: /virtualServices/0/http/0/fault/delay/fixedDelay: ",
                "error: /virtualServices/0/http/0/fault/abort/httpStatus: ",
                "error: /virtualServices/0/http/0/mirrorPercentage/value: ",
                "error: /virtualServices/0/http/1: HTTP route cannot contain both route and redirect",
                "error: /virtualServices/0/http/1/redirect",
                "error: /virtualServices/0/http/2/rewrite",
                "error: /virtualServices/0/http/2/timeouts: unknown field",
            ],
        ),
    ] {
        let (code, found, _) = canaryctl(&args);
        assert_eq!(code, expected_code, "{name}: {found}");
        for line in lines {
            assert!(found.contains(line), "{name}: no {line:?} in\n{found}");
        }
    }
}

#[test]
fn virtual_services_for_version_mode_are_printed_whole() {
    for name in ["manifest", "unchanged"] {
        let config = format!("virtual_services/{name}.yaml");
        let golden = format!("virtual_services/{name}.rendered.yaml");
        let (code, found, problems) = canaryctl(&["render", "virtualservice", "--config", &config]);
        assert_eq!(code, 0, "{name}: {problems}");
        assert_eq!(problems.contains("note: mode is cluster"), name == "manifest", "{name}: {problems}");
        assert_same(name, &found, &golden);
        let (code, found, problems) = canaryctl(&["validate", &golden]);
        assert_eq!(code, 0, "{name}: {found}{problems}");
    }
    for (name, config, error) in [
        ("nothing to print", "requests.yaml", "requests.yaml:1:1: error: /: expected an object"),
        ("errors", "wrong.yaml", "error: /virtualServices/0/http/2/timeouts: unknown field"),
        ("nothing in it", "empty.yaml", "empty.yaml: there is no VirtualService in it"),
        ("no file", "absent.yaml", "absent.yaml: error: no such file"),
    ] {
        let (code, found, problems) = canaryctl(&["render", "virtualservice", "--config", config]);
        assert_eq!((code, found.as_str()), (1, ""), "{name}");
        assert!(problems.contains(error), "{name}: {problems}");
    }
}

#[test]
fn an_exported_object_is_printed_without_what_the_api_server_has_written() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests/data/exported.yaml");
    let (code, found, problems) = canaryctl(&["render", "virtualservice", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{problems}");
    assert!(found.contains("name: reviews\n"), "{found}");
    for written in ["uid", "resourceVersion", "creationTimestamp", "generation", "annotations", "status"] {
        assert!(!found.contains(written), "{written} is left out:\n{found}");
    }
}

#[test]
fn a_file_for_ecds_holds_the_document() {
    let args = ["render", "ecds", "--config", "rules.yaml", "--wasm", "/etc/canary.wasm", "--output"];
    let config = |text: &str| -> Value { serde_saphyr::from_str(text).unwrap() };
    for format in ["yaml", "json"] {
        let (code, found, problems) = canaryctl(&[&args[..], &[format]].concat());
        assert_eq!(code, 0, "{format}: {problems}");
        let file = config(&found);
        let filter = file.pointer("/resources/0/typed_config/config").unwrap();
        assert_eq!(filter.pointer("/vm_config/code/local/filename").unwrap(), "/etc/canary.wasm", "{format}");
        let document = filter.pointer("/configuration/value").and_then(Value::as_str).unwrap();
        assert!(document.contains("\"virtualServices\""), "{format}: {document}");
        assert_eq!(serde_json::from_str::<Value>(document).unwrap(), config(document), "{format}");
    }
    let (code, found, problems) = canaryctl(&["render", "ecds", "--config", "wrong.yaml", "--wasm", "x.wasm"]);
    assert_eq!((code, found.as_str()), (1, ""), "{problems}");
    assert!(problems.contains("error: /virtualServices/0/http/2/timeouts: unknown field"), "{problems}");
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, found, problems) = canaryctl(&["completions", shell]);
        assert_eq!(code, 0, "{shell}: {problems}");
        assert!(["validate", "trafficextension"].iter().all(|name| found.contains(name)), "{shell}");
    }
}

#[test]
fn the_version_names_its_commit() {
    let (code, found, _) = canaryctl(&["--version"]);
    let version = concat!("canaryctl ", env!("CARGO_PKG_VERSION"));
    assert!(code == 0 && found.starts_with(version), "{found}");
    let has_git = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.git").exists();
    assert_eq!(found.trim().ends_with(')'), has_git, "{found}");
}
