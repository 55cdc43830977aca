//! A project of docker-compose.yml under a name and on ports of its own, gone with its containers, network and volumes when
//! this is dropped.

use std::{
    env, fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use e2e::{
    binaries::workspace,
    client::{self, Answer, Protocol, Request},
    ports, wait,
};
use serde_json::Value;
use tempfile::TempDir;

/// The rules that a reader starts with.
pub(crate) const RULES: &str = "compose/rules";
/// Where the shipped Prometheus configuration and rules are.
pub(crate) const PROMETHEUS: &str = "compose/prometheus";
const RULES_FILE: &str = "canary.yaml";
/// What `canaryctl deliver` says of a configuration that Envoy has taken, and of one that it has not.
const TAKEN: &str = "configuration ";
const NOT_TAKEN: &str = "stays in force";

/// The running project.
#[derive(Debug)]
pub(crate) struct Project {
    name: String,
    /// `docker compose`, or `docker-compose`.
    compose: &'static [&'static str],
    /// Holds the rules, Prometheus's configuration and the files of Envoy, and is for nobody else.
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    /// The listener of Envoy.
    pub(crate) listener: SocketAddr,
    prometheus: SocketAddr,
    board: SocketAddr,
    /// How long it took until all was up.
    pub(crate) start: Duration,
}

impl Project {
    /// Brings everything up, with rules for Prometheus that look at seconds instead of minutes.
    pub(crate) fn up() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [listener, admin, prometheus, board] = ports::free();
        let name = format!("canary-test-{}-{}", std::process::id(), listener.port());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let variables = vec![
            ("COMPOSE_PROJECT_NAME", name.clone()),
            ("CANARY_PORT", listener.port().to_string()),
            ("CANARY_ADMIN_PORT", admin.port().to_string()),
            ("PROMETHEUS_PORT", prometheus.port().to_string()),
            ("BOARD_PORT", board.port().to_string()),
            ("CANARY_RULES", path("rules")),
            ("CANARY_PROMETHEUS", path("prometheus")),
            ("CANARY_XDS", path("xds")),
        ];
        let mut project =
            Self { name, compose: compose(), folder, variables, listener, prometheus, board, start: Duration::ZERO };
        project.open_folder("");
        copy(&workspace().join(RULES), &project.open_folder("rules"), str::to_owned);
        copy(&workspace().join(PROMETHEUS), &project.open_folder("prometheus"), in_seconds);
        project.open_folder("xds");
        let begin = Instant::now();
        let upped = project.compose(&["up", "-d"]);
        assert!(upped.status.success(), "up: {}\n{}", output_text(&upped), project.recent_logs());
        project.start = begin.elapsed();
        project
    }

    /// A folder that the containers' user may look into, and write to.
    fn open_folder(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("permissions");
        folder
    }

    /// A file of the project's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How a shell has to say `docker compose` to mean this project.
    pub(crate) fn shell(&self, command: &str) -> String {
        let exports: String = self.variables.iter().map(|(name, value)| format!("export {name}='{value}'; ")).collect();
        let command = command
            .replace("docker compose", &self.compose.join(" "))
            .replace("127.0.0.1:10000", &self.listener.to_string())
            .replace("127.0.0.1:9090", &self.prometheus.to_string())
            .replace("127.0.0.1:9902", &self.board.to_string())
            .replace(RULES, &self.path("rules").display().to_string());
        exports + &command
    }

    /// Runs a subcommand of docker compose.
    pub(crate) fn compose(&self, arguments: &[&str]) -> Output {
        let (program, rest) = self.compose.split_first().expect("a program");
        Command::new(program)
            .args(rest)
            .args(arguments)
            .current_dir(workspace())
            .envs(self.variables.iter().cloned())
            .output()
            .expect("run docker compose")
    }

    /// The identifiers of all containers, or of those of one service.
    pub(crate) fn containers(&self, service: Option<&str>) -> Vec<String> {
        let of_project = format!("label=com.docker.compose.project={}", self.name);
        let of_service = service.map(|service| format!("label=com.docker.compose.service={service}"));
        let filters =
            [Some(of_project), of_service].into_iter().flatten().flat_map(|label| ["--filter".to_owned(), label]);
        let arguments: Vec<String> = ["ps", "--all", "--quiet"].map(str::to_owned).into_iter().chain(filters).collect();
        lines(&docker(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn container(&self, service: &str) -> String {
        self.containers(Some(service)).pop().unwrap_or_else(|| panic!("no container of {service}"))
    }

    /// Does something to the container of a service: `stop`, `start`, `kill`, `restart`.
    pub(crate) fn docker(&self, verb: &str, service: &str) {
        docker(&[verb, &self.container(service)]);
    }

    /// What a service has written so far.
    pub(crate) fn log(&self, service: &str) -> Vec<String> {
        // In the order in which it was written: both streams into one pipe.
        let command = format!("exec docker logs {} 2>&1", self.container(service));
        let output = Command::new("sh").args(["-c", &command]).output().expect("run docker logs");
        assert!(output.status.success(), "{command}: {}", output_text(&output));
        lines(&output.stdout)
    }

    /// The requests with this text that a version's container says it has answered.
    pub(crate) fn recorded(&self, service: &str, text: &str) -> u64 {
        self.log(service).iter().filter(|line| line.contains(text)).count() as u64
    }

    /// Puts a document in the place of the rules, and waits until it is in force.
    pub(crate) async fn take(&self, document: &Value) {
        let text = document.to_string();
        if fs::read_to_string(self.rules()).expect("the rules") == text {
            return;
        }
        let before = self.log("rules").len();
        self.write_rules(&text);
        let said = self.word_of_rules(before).await;
        assert!(!said.contains(NOT_TAKEN), "{said}: {}", self.log("rules").join("\n"));
    }

    /// The rules as a reader finds them.
    pub(crate) fn shipped_rules() -> Value {
        e2e::example::read_yaml(&workspace().join(RULES).join(RULES_FILE))
    }

    /// The file of the rules.
    pub(crate) fn rules(&self) -> PathBuf {
        self.path("rules").join(RULES_FILE)
    }

    /// Moves another file onto the rules.
    pub(crate) fn write_rules(&self, text: &str) {
        let next = self.path("rules").join("next");
        fs::write(&next, text).expect("write the rules");
        fs::rename(next, self.rules()).expect("move the rules");
    }

    /// What becomes of an edit, said after so many lines of the log.
    pub(crate) async fn word_of_rules(&self, before: usize) -> String {
        wait::until("a word about the rules", async || {
            let is_word = |line: &String| line.starts_with(TAKEN) || line.contains(NOT_TAKEN);
            self.log("rules").into_iter().skip(before).find(is_word)
        })
        .await
    }

    /// Sends a request to Envoy's listener.
    pub(crate) async fn send(&self, request: &Request) -> Answer {
        client::send(self.listener, Protocol::Http1, request).await
    }

    /// What Prometheus says at a path of its API, below `data`.
    pub(crate) async fn ask_prometheus(&self, path: &str) -> Value {
        let answer = client::send(self.prometheus, Protocol::Http1, &Request::new("prometheus", path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        answer["data"].clone()
    }

    /// The samples of an instant query: labels and value.
    pub(crate) async fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.ask_prometheus(&format!("/api/v1/query?query={encoded}")).await;
        let samples = data["result"].as_array().unwrap_or_else(|| panic!("{expression}: {data}"));
        let value = |sample: &Value| sample["value"][1].as_str().and_then(|value| value.parse().ok());
        samples.iter().map(|sample| (sample["metric"].clone(), value(sample).expect("a number"))).collect()
    }

    /// The last log lines of the containers, to find the cause of a failure.
    pub(crate) fn recent_logs(&self) -> String {
        output_text(&self.compose(&["logs", "--tail=15"]))
    }

    /// Takes everything down, and gives what is left of it: containers, networks and volumes.
    pub(crate) fn down(&self) -> Vec<String> {
        let downed = self.compose(&["down", "--volumes", "--remove-orphans", "--timeout=5"]);
        if !downed.status.success() {
            eprintln!("down: {}", output_text(&downed));
        }
        self.left()
    }

    /// Containers, networks and volumes of this project.
    pub(crate) fn left(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let of_kind = |kind: &[&str]| lines(&docker(&[kind, &["--filter", &label]].concat()));
        let containers = of_kind(&["ps", "--all", "--format", "container {{.Names}}"]);
        let networks = of_kind(&["network", "ls", "--format", "network {{.Name}}"]);
        let volumes = of_kind(&["volume", "ls", "--format", "volume {{.Name}}"]);
        [containers, networks, volumes].concat()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if !self.left().is_empty() {
            let _ = self.down();
        }
    }
}

/// Which of the two there is; `$COMPOSE` decides where both are.
fn compose() -> &'static [&'static str] {
    let has_plugin = || run(&["compose", "version"]).status.success();
    match env::var("COMPOSE").as_deref() {
        Ok("docker-compose") => &["docker-compose"],
        Ok("docker compose") => &["docker", "compose"],
        Ok(other) if !other.is_empty() => panic!("COMPOSE={other}: give `docker compose` or `docker-compose`"),
        _ if has_plugin() => &["docker", "compose"],
        _ => &["docker-compose"],
    }
}

/// What a docker command did, which may have failed.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("run docker")
}

/// The output of a docker command.
pub(crate) fn docker(arguments: &[&str]) -> Vec<u8> {
    let output = run(arguments);
    assert!(output.status.success(), "docker {}: {}", arguments.join(" "), output_text(&output));
    output.stdout
}

fn output_text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part)).concat()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

fn copy(from: &Path, to: &Path, change: fn(&str) -> String) {
    for entry in fs::read_dir(from).expect("a folder") {
        let file = entry.expect("a file").path();
        let text = fs::read_to_string(&file).expect("a text");
        let copy = to.join(file.file_name().expect("a name"));
        fs::write(&copy, change(&text)).expect("write a copy");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).expect("permissions");
    }
}

/// Prometheus's rules with minutes shortened, so that what happens in a test is seen before it ends.
fn in_seconds(text: &str) -> String {
    [
        ("_interval: 5s", "_interval: 1s"),
        ("[5m]", "[10s]"),
        ("[10m]", "[20s]"),
        ("offset 10m", "offset 20s"),
        ("for: 2m", "for: 0s"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (minutes, seconds)| text.replace(minutes, seconds))
}
