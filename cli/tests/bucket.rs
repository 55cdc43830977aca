//! The documented program for buckets, run by python3, against the filter's own decisions.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "test code")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use canary_config::Config;
use canary_routing::{AllHealthy, Draws, Outcome, Request, RouteTable, sticky};
use serde_json::json;

/// As in the program's last lines.
const SALT: &str = "reviews-2026-11";

/// The only Python of `docs/reference/sticky.md`.
fn program() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/sticky.md")).unwrap();
    let mut programs = page.split("```python\n").skip(1);
    let program = programs.next().expect("the page has a program").split("```").next().unwrap().to_owned();
    assert_eq!(programs.count(), 0, "the page has one program");
    program
}

/// 1,000 keys of every length up to 99 bytes, of any bytes but those that end lines or are blanks around a header's value.
fn keys() -> Vec<Vec<u8>> {
    let byte = |seed: usize, place: usize| {
        let mixed = (seed.wrapping_mul(31).wrapping_add(place)).wrapping_mul(2_654_435_761) >> 7;
        b'!'.max(u8::try_from(mixed % 256).unwrap())
    };
    let keys = (0..1_000).map(|seed| (0..=seed % 99).map(|place| byte(seed, place)).collect());
    keys.collect()
}

#[test]
fn the_documented_program_computes_the_same_buckets_and_versions() {
    let weights = [("v1", 70), ("v2", 10), ("v3", 20)];
    let route =
        weights.map(|(subset, weight)| json!({"destination": {"host": "reviews", "subset": subset}, "weight": weight}));
    let (config, _) = Config::read(&json!({
        "virtualServices": [{"hosts": ["reviews"], "http": [{"route": route}]}],
        "policies": [{"hosts": ["reviews"], "defaultSubset": "v1",
            "sticky": {"keys": [{"header": "x-user-id"}], "salt": SALT}}]}))
    .unwrap();
    let table = RouteTable::compile(&config);
    let keys = keys();

    let mut python = Command::new("python3")
        .args(["-c", &program()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    python.stdin.take().unwrap().write_all(&keys.join(b"\n".as_slice())).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), keys.len());

    for (key, line) in keys.iter().zip(&lines) {
        let request = Request::get("http://reviews/").with_header("x-user-id", key);
        let decision = request.decide(&table, &Draws::default(), &AllHealthy);
        let Outcome::Forward(forward) = decision.outcome else { panic!("{key:?}") };
        let bucket = sticky::bucket(SALT, key).to_bits();
        let expected = format!("{bucket:016x} {}", forward.destination.subset.as_deref().unwrap());
        assert_eq!(**line, expected, "{key:?}");
    }
    for (version, _) in weights {
        assert!(lines.iter().any(|line| line.ends_with(version)), "nobody has {version}");
    }
}
