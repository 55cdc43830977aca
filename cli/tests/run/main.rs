//! `canaryctl run` and `canaryctl render bootstrap` with a real Envoy and the real filter.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]

mod failover;
mod fields;
mod session;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use failover::FALLBACK;
use rustix::process::Signal;
use session::{Connection, Session, canaryctl, wasm};

const JASON: &str = "end-user: jason\r\n";

/// Jason gets a version of his own, everybody else v1. `{}` is that version.
const REVIEWS: &str = r#"
virtualServices:
- spec:
    hosts: [reviews]
    http:
    - match: [{headers: {end-user: {exact: jason}}}]
      route: [{destination: {host: reviews, subset: "{}"}}]
    - route: [{destination: {host: reviews, subset: v1}}]
services: [{host: reviews, ports: [9080]}]
"#;

fn reviews(version: &str) -> String {
    REVIEWS.replace("{}", version)
}

fn rename_over(file: &Path, content: &str) {
    let next = file.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, file).unwrap();
}

fn switch_symlink(file: &Path, content: &str) {
    let target = file.with_extension("target");
    let next = file.with_extension("next");
    fs::write(&target, content).unwrap();
    symlink(target, &next).unwrap();
    fs::rename(next, file).unwrap();
}

#[test]
fn a_configuration_is_carried_out_and_told() {
    let session = Session::start(&reviews("v2"), &[]);
    for part in [
        "Envoy 1.",
        "reviews v1: echo server on 127.0.0.1:",
        "cluster outbound|9080|v2|reviews.default.svc.cluster.local",
        "curl -s -H 'Host: reviews:9080' -H 'end-user: jason' http://127.0.0.1:",
    ] {
        session.says(part);
    }
    let mut client = session.connect();
    for (name, authority, path, headers, status, who, decision) in [
        (
            "header",
            "reviews:9080",
            "/reviews/1",
            JASON,
            200,
            "reviews v2",
            "GET reviews:9080/reviews/1 → v2  outbound|9080|v2|",
        ),
        ("default", "reviews", "/reviews/2", "", 200, "reviews v1", "GET reviews/reviews/2 → v1  outbound|9080|v1|"),
        ("status", "reviews", "/status/418", "", 418, "reviews v1", "GET reviews/status/418 → v1"),
        ("unknown host", "other", "/", "x-canary-cluster: x\r\n", 200, "native default", "GET other/ → -  native 200"),
        ("normalised path", "reviews", "/a/../%62//c%2Fd", "", 200, "reviews v1", "GET reviews/b//c%2Fd → v1"),
    ] {
        let answer = client.get(authority, path, headers);
        assert_eq!((answer.status, answer.who().as_str()), (status, who), "{name}");
        session.says(decision);
    }
}

#[test]
fn an_edit_is_in_force_within_a_second_on_the_same_connection() {
    type Edit = fn(&Path, &str);
    let session = Session::start(&reviews("v2"), &[]);
    let mut client = session.connect();
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v2");
    let mut took = Vec::new();
    for (name, edit, version) in [
        ("a new subset, in place", (|file, content| fs::write(file, content).unwrap()) as Edit, "v3"),
        ("renamed over", rename_over, "v4"),
        ("another target of a symlink", switch_symlink, "v5"),
        ("an old subset again", switch_symlink, "v2"),
    ] {
        let expected = format!("reviews {version}");
        let edited = Instant::now();
        edit(&session.file(), &reviews(version));
        let mut answer = client.get("reviews", "/", JASON);
        while answer.who() != expected && edited.elapsed() < session::PATIENCE {
            assert_eq!(answer.status, 200, "{name}");
            answer = client.get("reviews", "/", JASON);
        }
        assert_eq!(answer.who(), expected, "{name}");
        took.push(edited.elapsed());
    }
    // What a busy machine adds is added to one or another.
    assert!(took.iter().any(|took| *took < Duration::from_secs(1)), "{took:?}");
    let ratings = "- {hosts: [ratings], http: [{route: [{destination: {host: ratings}}]}]}\nservices:";
    assert_eq!(client.get("ratings:81", "/", "").who(), "native default");
    fs::write(session.file(), reviews("v2").replace("services:", ratings)).unwrap();
    session.says("configuration 6 in force");
    assert_eq!(client.get("ratings:81", "/", "").who(), "ratings default");
}

#[test]
fn a_request_under_way_survives_the_edit_that_drops_its_version() {
    let session = Session::start(&reviews("v2"), &[]);
    let mut client = session.connect();
    client.send("GET", "reviews", "/delay/1.5s", JASON);
    fs::write(session.file(), reviews("v3")).unwrap();
    session.says("reviews v2: gone");
    let answer = client.receive();
    assert_eq!((answer.status, answer.who().as_str()), (200, "reviews v2"));
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v3");
}

#[test]
fn a_bad_edit_is_refused_and_the_last_good_one_serves() {
    let session = Session::start(&reviews("v2"), &[]);
    let mut client = session.connect();
    let wrong_policy = reviews("v3")
        + "destinationRules: [{host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: many}}}}]\n";
    for (name, content, error) in [
        (
            "unknown field",
            reviews("v3").replace("subset: v1", "subset: v1, x: 1"),
            ": error: /virtualServices/0/spec/http/1",
        ),
        (
            "wrong policy",
            wrong_policy,
            ": error: /destinationRules/0/trafficPolicy/connectionPool/tcp/maxConnections: must",
        ),
        ("no steering", reviews("v3") + "headers: {cluster: ''}\n", ": error: /headers/cluster: "),
        ("another header", reviews("v3") + "headers: {cluster: x-other}\n", "canary.yaml: /headers: "),
        ("no YAML", "{".to_owned(), "canary.yaml:1:1: error: not valid JSON: it ends too early"),
    ] {
        fs::write(session.file(), content).unwrap();
        session.complains(error);
        let answer = client.get("reviews", "/", JASON);
        assert_eq!((answer.status, answer.who().as_str()), (200, "reviews v2"), "{name}");
    }
    fs::remove_file(session.file()).unwrap();
    session.complains("canary.yaml: error: no such file");
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v2");
    fs::write(session.file(), reviews("v3")).unwrap();
    session.says("configuration 2 in force");
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v3");
}

#[test]
fn what_envoy_refuses_is_told_and_the_last_good_one_serves() {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("canary.wasm");
    fs::copy(wasm(), &module).unwrap();
    let session = Session::start(&reviews("v2"), &["--wasm", module.to_str().unwrap()]);
    let mut client = session.connect();
    rename_over(&module, "\0asm and nothing that could be run");
    fs::write(session.file(), reviews("v3")).unwrap();
    session.complains("Envoy refused its filter configuration; its log above says why; configuration 1 stays in force");
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v2");
    fs::copy(wasm(), module.with_extension("next")).unwrap();
    fs::rename(module.with_extension("next"), &module).unwrap();
    fs::write(session.file(), reviews("v4")).unwrap();
    session.says("configuration 2 in force");
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v4");
}

#[test]
fn a_signal_leaves_neither_process_nor_file() {
    for (name, signal) in [("SIGINT", Signal::INT), ("SIGTERM", Signal::TERM), ("SIGHUP", Signal::HUP)] {
        let mut session = Session::start(&reviews("v2"), &[]);
        let addresses = [session.address("listener"), session.address("admin")];
        let mut client = session.connect();
        client.get("reviews", "/last", "");
        session.signal(signal);
        assert_eq!(session.ended().code(), Some(0), "{name}");
        session.says("GET reviews/last → v1");
        assert_eq!(session.left_over(), Vec::<std::path::PathBuf>::new(), "{name}");
        for address in addresses {
            assert!(TcpStream::connect(address).is_err(), "{name}: something listens on {address}");
        }
    }
}

#[test]
fn an_envoy_that_ends_by_itself_is_told() {
    let mut session = Session::start(&reviews("v2"), &[]);
    Connection::to(session.address("admin")).send("POST", "admin", "/quitquitquit", "content-length: 0\r\n");
    assert_eq!(session.ended().code(), Some(1));
    session.complains("error: Envoy ended by itself");
    assert_eq!(session.left_over(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_version_is_served_by_whom_the_user_says() {
    let mut echo = canaryctl();
    echo.args(["echo", "--listen", "127.0.0.1:0", "--service", "mine", "--version", "dev"]);
    let mut echo = Running(echo.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(echo.0.stdout.take().unwrap()), &mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap();
    let own = format!("reviews/v2={address}");
    let session = Session::start(&reviews("v2"), &["--upstream", &own, "--upstream", "reviews.default/v1=none"]);
    let mut client = session.connect();
    assert_eq!(client.get("reviews", "/", JASON).who(), "mine dev");
    assert_eq!(client.get("reviews", "/none", "").status, 503);
    session.says("GET reviews/none → v1  outbound|9080|v1|reviews.default.svc.cluster.local 503 cluster_not_found NC");
    fs::write(session.file(), reviews("v3")).unwrap();
    session.complains("the configuration has no such destination");
    assert_eq!(client.get("reviews", "/", JASON).who(), "reviews v3");
}

/// A child that is killed when this is dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command that is to fail, with nothing around it that it could find.
fn fails(command: &mut Command, directory: &Path) -> String {
    for name in ["ENVOY", "CANARY_WASM", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } =
        command.env("PATH", "").env("HOME", directory).current_dir(directory).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!status.success(), "it did not fail: {}{stderr}", String::from_utf8_lossy(&stdout));
    stderr
}

#[test]
fn a_board_stands_beside_unless_it_is_not_wanted() {
    let session = Session::start(&reviews("v2"), &["--board-port", "0"]);
    let answer = session.connect().get("reviews", "/", "");
    assert_eq!(answer.status, 200);
    let state = || Connection::to(session.address("board")).get("localhost", "/api/state?window=60", "").body;
    let begin = Instant::now();
    while state()["envoy"]["condition"] != "answers" {
        assert!(begin.elapsed() < session::PATIENCE, "{}", state());
    }
    assert_eq!(state()["envoy"]["address"], format!("http://{}", session.address("admin")));
    drop(session);
    let session = Session::start(&reviews("v2"), &["--no-board"]);
    assert!(!session.said().contains("  board "), "{}", session.said());
}

#[test]
fn what_is_missing_or_taken_is_named_before_anything_starts() {
    let envoy = envoy();
    let wasm = wasm();
    let (envoy, wasm) = (envoy.as_str(), wasm.to_str().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("good.yaml"), reviews("v2")).unwrap();
    fs::write(directory.join("bad.yaml"), "virtualServices: 1\nx: 1\n").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let complete = |config, more: &[&'static str]| {
        let mut flags = vec!["--config", config, "--envoy", envoy, "--wasm", wasm, "--port", "0", "--admin-port", "0"];
        flags.extend(more);
        flags
    };
    let on_port =
        |flag, other| vec!["--config", "good.yaml", "--envoy", envoy, "--wasm", wasm, flag, &*port, other, "0"];
    let same_port = vec!["--config", "good.yaml", "--envoy", envoy, "--wasm", wasm, "--port", "7", "--admin-port", "7"];
    for (name, flags, expected) in [
        ("Envoy", vec!["--config", "good.yaml", "--wasm", wasm], vec!["no Envoy found: get one by `make envoy`"]),
        (
            "module",
            vec!["--config", "good.yaml", "--envoy", envoy],
            vec!["no canary_filter.wasm found: build it by `make build`"],
        ),
        (
            "Envoy that is none",
            vec!["--config", "good.yaml", "--envoy", "/bin/sh", "--wasm", wasm],
            vec!["/bin/", "not an Envoy"],
        ),
        ("configuration", complete("absent.yaml", &[]), vec!["absent.yaml: error: no such file"]),
        ("directory", complete(".", &[]), vec!["--config: . is no file"]),
        (
            "errors",
            complete("bad.yaml", &[]),
            vec!["error: /virtualServices: expected a list", "error: /x: unknown field"],
        ),
        ("port", on_port("--port", "--admin-port"), vec!["error: --port ", "cannot be listened on"]),
        ("admin port", on_port("--admin-port", "--port"), vec!["error: --admin-port ", "cannot be listened on"]),
        ("one port for both", same_port, vec!["--port and --admin-port are both 7"]),
        (
            "destination",
            complete("good.yaml", &["--upstream", "reviews/v9=none"]),
            vec![
                "--upstream reviews/v9=none",
                "known: reviews.default.svc.cluster.local/v1, reviews.default.svc.cluster.local/v2",
            ],
        ),
        ("upstream", complete("good.yaml", &["--upstream", "reviews"]), vec!["give SERVICE/SUBSET=HOST:PORT"]),
        ("concurrency", complete("good.yaml", &["--concurrency", "0"]), vec!["--concurrency"]),
    ] {
        let error = fails(canaryctl().arg("run").args(flags), directory);
        for part in expected {
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}

/// The Envoy that `canaryctl run` finds.
fn envoy() -> String {
    let session = Session::start("{}", &[]);
    let line = session.says("Envoy 1.");
    line.split_once('(').unwrap().1.split_once(") with ").unwrap().0.to_owned()
}

#[test]
fn a_rendered_bootstrap_is_one_that_envoy_takes() {
    let envoy = envoy();
    let directory = tempfile::tempdir().unwrap();
    for (name, format, more) in [
        ("YAML", "yaml", ""),
        ("JSON", "json", ""),
        ("version mode", "json", "mode: version\n"),
        ("fault filter", "json", "faults: {delay: faultFilter}\n"),
        ("failover", "json", FALLBACK),
        ("failover in version mode", "json", "mode: version\npolicies: [{hosts: [reviews], fallback: [v2, v1]}]\n"),
        (
            "a version header",
            "json",
            "policies: [{hosts: [reviews], defaultSubset: v1, versionHeader: {name: x-want}}]\n",
        ),
        ("few headers", "json", "headers: {mirror: '', host: '', explain: '', version: ''}\n"),
    ] {
        fs::write(directory.path().join("canary.yaml"), reviews("v2") + more).unwrap();
        for kind in ["aggregate", "composite"] {
            let mut render = canaryctl();
            render.args(["render", "bootstrap", "--config", "canary.yaml", "--output", format, "--failover", kind]);
            let rendered = render.arg("--wasm").arg(wasm()).current_dir(directory.path()).output().unwrap();
            assert!(rendered.status.success(), "{name}: {}", String::from_utf8_lossy(&rendered.stderr));
            let file = format!("bootstrap.{format}");
            fs::write(directory.path().join(&file), rendered.stdout).unwrap();
            let mut validate = Command::new(&envoy);
            let validate = validate.args(["--mode", "validate", "-c", &file]);
            let checked = validate.current_dir(directory.path()).output().unwrap();
            assert!(checked.status.success(), "{name}, {kind}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}

#[test]
fn a_filter_that_envoy_refuses_at_the_start_is_told() {
    let envoy = envoy();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("canary.yaml"), reviews("v2")).unwrap();
    fs::write(directory.path().join("bad.wasm"), "\0asm and nothing that could be run").unwrap();
    let mut run = canaryctl();
    run.args(["run", "--config", "canary.yaml", "--wasm", "bad.wasm", "--envoy", &envoy, "--port", "0"]);
    let error = fails(run.args(["--admin-port", "0"]).env("TMPDIR", directory.path()), directory.path());
    assert!(error.contains("error: Envoy refused its filter configuration"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "something is left over");
}
