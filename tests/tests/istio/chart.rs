//! The Helm chart: its output is recorded, equals that of `canaryctl` for the same rules, passes `istioctl`, and works.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use e2e::{
    binaries,
    client::{Answer, Request},
    istio::{
        mesh::Mesh,
        proxy::Kind,
        service::Service,
        tools::Tools,
        world::{PROXY, World},
    },
    upstream::TEST_ID,
    wait,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    runbook::{self, Clients},
    starting,
};

const EXAMPLES: [&str; 4] = ["minimal", "bookinfo", "grpc-versions", "gateway"];
const RELEASE: &str = "shop";
pub(crate) const NAMESPACE: &str = "shops";
/// Without what it says of every EnvoyFilter, whatever is in it.
const ANALYZE: [&str; 5] =
    ["analyze", "--use-kube=false", "--namespace", NAMESPACE, "--suppress=IST0133=EnvoyFilter *"];

fn chart() -> PathBuf {
    binaries::workspace().join("charts/canary-filter")
}

pub(crate) fn values(example: &str) -> String {
    chart().join("examples").join(format!("{example}.yaml")).display().to_string()
}

/// `helm` with its own home folder.
pub(crate) fn helm(tools: &Tools, arguments: &[&str]) -> Result<String, String> {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folders = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"].map(|folder| (folder, home.path()));
    let command = Command::new(tools.program("helm")).args(arguments).envs(folders).current_dir(chart()).output();
    let Output { status, stdout, stderr } = command.expect("run helm");
    if status.success() {
        Ok(String::from_utf8(stdout).expect("text"))
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

/// `helm template` with these flags.
pub(crate) fn template(tools: &Tools, namespace: &str, flags: &[&str]) -> Result<String, String> {
    helm(tools, &[&["template", RELEASE, ".", "--namespace", namespace][..], flags].concat())
}

fn render(tools: &Tools, example: &str) -> String {
    let rendered = template(tools, NAMESPACE, &["--values", &values(example)]);
    rendered.unwrap_or_else(|error| panic!("{example}: {error}"))
}

pub(crate) fn objects(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

fn of_kind<'o>(objects: &'o [Value], kinds: &[&str]) -> &'o Value {
    let mut found = objects.iter().filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    match (found.next(), found.next()) {
        (Some(object), None) => object,
        (found, more) => panic!("one {kinds:?}, not {found:?} and {more:?}"),
    }
}

/// A rendered chart with the parts that repeat its rules.
struct Rendered {
    objects: Vec<Value>,
    /// The filter's document, in a file.
    document: Value,
    file: PathBuf,
    _folder: TempDir,
}

impl Rendered {
    fn new(text: &str) -> Self {
        let objects = objects(text);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("document.json");
        let plugin = of_kind(&objects, &["WasmPlugin", "TrafficExtension"]);
        let document = module(plugin)["pluginConfig"].clone();
        fs::write(&file, document.to_string()).expect("write the document");
        Self { objects, document, file, _folder: folder }
    }

    fn plugin(&self) -> &Value {
        of_kind(&self.objects, &["WasmPlugin", "TrafficExtension"])
    }

    /// What `canaryctl` prints of the document.
    fn canaryctl(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } =
            Command::new(binaries::canaryctl()).args(arguments).arg(&self.file).output().expect("run canaryctl");
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).expect("text"));
        assert!(status.success(), "canaryctl {arguments:?}: {stdout}{stderr}");
        stdout
    }

    fn rendered_by_canaryctl(&self, arguments: &[&str]) -> Vec<Value> {
        objects(&self.canaryctl(&[&["render"][..], arguments, &["--config"]].concat()))
    }
}

/// The module fields of a plugin.
fn module(plugin: &Value) -> &Value {
    plugin["spec"].get("wasm").unwrap_or(&plugin["spec"])
}

/// `RECORD=1` writes what is rendered.
pub(crate) async fn renders_what_is_recorded(mesh: &Mesh) {
    for example in EXAMPLES {
        let lint = helm(&mesh.tools, &["lint", ".", "--strict", "--values", &values(example)]);
        lint.unwrap_or_else(|error| panic!("{example}: {error}"));
        let rendered = render(&mesh.tools, example);
        let recorded = chart().join("golden").join(format!("{example}.yaml"));
        if env::var_os("RECORD").is_some_and(|record| !record.is_empty()) {
            fs::write(&recorded, &rendered).expect("record");
        }
        let recorded = fs::read_to_string(&recorded).unwrap_or_default();
        for (number, (rendered, recorded)) in (1..).zip(rendered.lines().zip(recorded.lines())) {
            assert_eq!(rendered, recorded, "golden/{example}.yaml:{number}; RECORD=1 records it again");
        }
        assert_eq!(rendered, recorded, "golden/{example}.yaml; RECORD=1 records it again");
    }
    let shipped = fs::read_dir(chart().join("examples")).expect("examples").count();
    assert_eq!(shipped, EXAMPLES.len(), "an example that nobody renders");
}

/// Rules with one name, with none, with that of the chart's own rule, with names of their matches.
const NAMES: &str = r#"rules=[
    {"match":[{"uri":{"prefix":"/a"}}],"version":"v2"},
    {"name":"b","match":[{"name":"e","uri":{"prefix":"/b"}},{"uri":{"prefix":"/c"}}],"weights":{"v1":1}},
    {"name":"b","match":[{"uri":{"prefix":"/d"}}],"version":"v1"},
    {"name":"everybody","match":[{"uri":{"prefix":"/e"}}],"version":"v3"},
    {"name":"f@v1","match":[{"uri":{"prefix":"/f"}}],"version":"v3"},
    {"name":"b#1","match":[{"uri":{"prefix":"/g"}}],"version":"v2"}
]"#;
/// Labels that say the revision of a version, or that of two.
const REVISIONS: &str = r#"versions=[
    {"name":"v1"},
    {"name":"v10","labels":{"version":"1.10"}},
    {"name":"v2","labels":{"a":"b","version":"same"}},
    {"name":"v3","labels":{"a":"c","version":"same"}},
    {"name":"v4","labels":{"app.kubernetes.io/version":"4.0","version":"x"}},
    {"name":"v5","labels":{"service.istio.io/canonical-revision":"five","version":"y"}}
]"#;
const NO_REVISIONS: &str =
    r#"versions=[{"name":"v1","labels":{"a":"1"}},{"name":"v2","labels":{"a":"2"}},{"name":"v3","labels":{"a":"3"}}]"#;

/// The chart and `canaryctl` render the same from the same rules.
pub(crate) async fn agrees_with_canaryctl(mesh: &Mesh) {
    let whole = EXAMPLES.map(|example| (example, &[][..]));
    let with_more = [
        (
            "minimal",
            &["--set-json", r#"config={"headers":{"version":"X-A","cluster":"X-B","host":"X-C","mirror":"X-D"}}"#][..],
        ),
        ("minimal", &["--set-json", r#"config={"headers":{"cluster":"","host":"","mirror":""}}"#][..]),
        ("minimal", &["--set-json", r#"config={"overrides":{"from":[{"cidr":"10.0.0.0/8"}]}}"#][..]),
        ("minimal", &["--set", "plugin.failStrategy=FAIL_CLOSE"][..]),
        ("minimal", &["--set-json", r#"versions=[{"name":"v1","tag":"1"}]"#][..]),
        ("gateway", &["--set", "failover=composite"][..]),
        ("bookinfo", &["--set-json", r#"http={"retries":{"attempts":0}}"#][..]),
        ("bookinfo", &["--set-json", r#"http={"retries":{"attempts":1}}"#][..]),
        (
            "bookinfo",
            &[
                "--set-json",
                r#"http={"retries":{"attempts":40,"retry_on":"503,reset"}}"#,
                "--set",
                "failover=composite",
            ][..],
        ),
        ("bookinfo", &["--set-json", r#"versionHeader={"name":"Wanted"}"#][..]),
        ("bookinfo", &["--set-json", r#"versionHeader={"name":"Wanted","protocols":["http"]}"#][..]),
        ("bookinfo", &["--set-json", NAMES][..]),
        ("bookinfo", &["--set-json", REVISIONS][..]),
        ("bookinfo", &["--set-json", NO_REVISIONS][..]),
    ];
    for (example, flags) in whole.into_iter().chain(with_more) {
        let text = template(&mesh.tools, NAMESPACE, &[&["--values", &values(example)][..], flags].concat());
        let rendered = Rendered::new(&text.unwrap_or_else(|error| panic!("{example}: {error}")));
        let example = [&[example][..], flags].concat().join(" ");
        rendered.canaryctl(&["validate", "--strict"]);
        let own = of_kind(&rendered.objects, &["VirtualService"]);
        let printed = rendered.rendered_by_canaryctl(&["virtualservice"]);
        let native = of_kind(&printed, &["VirtualService"]);
        assert_eq!(own["spec"], native["spec"], "{example}: the routes");
        for field in ["name", "namespace"] {
            assert_eq!(own["metadata"][field], native["metadata"][field], "{example}: the routes' {field}");
        }
        let rule = of_kind(&rendered.objects, &["DestinationRule"]);
        for field in ["host", "subsets"] {
            let known = &rendered.document["destinationRules"][0]["spec"][field];
            assert_eq!(rule["spec"][field], *known, "{example}: {field} of the DestinationRule");
        }
        same_plugin(&example, &rendered);
    }
}

fn same_plugin(example: &str, rendered: &Rendered) {
    let plugin = rendered.plugin();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let module = module(plugin);
    let kind = text(&plugin["kind"]).expect("a kind").to_lowercase();
    let workload = if plugin["spec"].get("match").is_some() { "sidecar" } else { "gateway" };
    let mut flags = vec![kind, "--workload".to_owned(), workload.to_owned()];
    for (flag, value) in [
        ("--name", &plugin["metadata"]["name"]),
        ("--namespace", &plugin["metadata"]["namespace"]),
        ("--url", &module["url"]),
        ("--sha256", &module["sha256"]),
        ("--pull-secret", &module["imagePullSecret"]),
        ("--pull-policy", &module["imagePullPolicy"]),
        ("--fail-strategy", &module["failStrategy"]),
    ] {
        flags.extend(text(value).into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    let is_composite = rendered.objects.iter().any(|object| {
        object.pointer("/spec/configPatches/0/patch/value/cluster_type/name")
            == Some(&json!("envoy.clusters.composite"))
    });
    if is_composite {
        flags.extend(["--failover", "composite"].map(str::to_owned));
    }
    let labels = plugin["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    flags.extend(
        labels.flat_map(|(key, value)| ["--selector".to_owned(), format!("{key}={}", value.as_str().expect("text"))]),
    );
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let printed = rendered.rendered_by_canaryctl(&flags);
    for kind in ["EnvoyFilter", "WasmPlugin", "TrafficExtension"] {
        let said = |objects: &[Value]| -> Vec<Value> {
            let of_kind = objects.iter().filter(|object| object["kind"] == kind);
            let said = of_kind.map(|object| {
                let metadata = &object["metadata"];
                json!([object["apiVersion"], metadata["name"], metadata["namespace"], object["spec"]])
            });
            said.collect()
        };
        assert_eq!(said(&rendered.objects), said(&printed), "{example}: {kind}");
    }
}

pub(crate) async fn passes_istioctl(mesh: &Mesh) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for example in EXAMPLES {
        let text = render(&mesh.tools, example);
        let file = format!("{example}.yaml");
        fs::write(folder.path().join(&file), &text).expect("write");
        let (is_valid, said) = mesh.tools.istioctl(folder.path(), &["validate", "--filename", &file]);
        assert!(is_valid, "{example}: {said}");
        add_surroundings(&folder.path().join(&file), &text);
        let (is_clean, said) = mesh.tools.istioctl(folder.path(), &[&ANALYZE[..], &[&file]].concat());
        assert!(is_clean && said.contains("No validation issues found"), "{example}: {said}");
    }
    let file = folder.path().join("bookinfo.yaml");
    let planted = fs::read_to_string(&file).expect("read").replace("subset: v3", "subset: v4");
    fs::write(&file, planted).expect("write");
    let (is_clean, said) = mesh.tools.istioctl(folder.path(), &[&ANALYZE[..], &["bookinfo.yaml"]].concat());
    assert!(!is_clean && said.contains("IST0101"), "a subset that there is not: {said}");
}

/// The Gateways that the rules name, which the chart does not make.
fn add_surroundings(file: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(file).expect("open");
    let objects = objects(text);
    let spec = &of_kind(&objects, &["VirtualService"])["spec"];
    for gateway in spec["gateways"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let Some((namespace, name)) = gateway.split_once('/') else { continue };
        let server = json!({"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": spec["hosts"]});
        let gateway = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"selector": {"istio": "ingressgateway"}, "servers": [server]},
        });
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": "istio-system", "name": name, "labels": {"istio": "ingressgateway"}},
            "spec": {"containers": [{"name": "istio-proxy", "image": "proxy"}]},
        });
        write!(file, "\n---\n{gateway}\n---\n{pod}\n").expect("write");
    }
}

/// `helm upgrade --install` in the mesh: what it tells.
pub(crate) fn install(mesh: &Mesh, release: &str, namespace: &str, values: &Value) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).expect("write values");
    let [file, kubeconfig] = [file.as_path(), mesh.api.kubeconfig()].map(|path| path.display().to_string());
    let release = ["upgrade", "--install", release, ".", "--namespace", namespace];
    let notes = helm(&mesh.tools, &[&release[..], &["--values", &file, "--kubeconfig", &kubeconfig]].concat());
    notes.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) async fn works_at_a_gateway(mesh: &Mesh) {
    works(mesh, "chart", Kind::Gateway).await;
    works(mesh, "chart-sidecar", Kind::Sidecar).await;
}

/// A release for versions that run: by header, by the version that the client names, to all others the default; and where a version
/// cannot serve, the next one does.
async fn works(mesh: &Mesh, namespace: &str, kind: Kind) {
    let world = World::start(mesh, namespace, kind, &["v1", "v2"]).await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let mut values = json!({
        "deploy": false,
        "service": {"create": false, "name": world.service.name, "port": world.service.port},
        "versions": [{"name": "v1"}, {"name": "v2"}, {"name": "v3"}],
        "fallback": ["v3"],
        "rules": [
            {"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}}], "version": "v2"},
        ],
        "versionHeader": {"name": "wanted"},
        "plugin": {"url": mesh.image(), "namespace": world.namespace, "selector": {"app": PROXY}},
    });
    if kind == Kind::Gateway {
        values["workload"] = json!("gateway");
        values["gateways"] = json!([PROXY]);
        values["hosts"] = json!([world.service.host()]);
    }
    // The chart brings its own.
    mesh.delete(&world.namespace, "destinationrule", &world.service.name);
    let notes = install(mesh, RELEASE, &world.namespace, &values);
    assert!(notes.contains("has the versions v1, v2, v3; v1 is the default"), "the notes: {notes}");
    assert!(notes.contains("With `wanted: VERSION` it names one"), "the notes: {notes}");
    let request = || world.request("/");
    let is_v2 = |answer: &Answer| answer.status == 200 && answer.served_by == "v2";
    world.proxy.until(world.port(), "v2 is picked", &request().header("wanted", "v2"), is_v2).await;
    for (name, header, value, version) in [
        ("by header", "end-user", "jason", "v2"),
        ("named", "wanted", "v2", "v2"),
        ("named, and unknown", "wanted", "v9", "v1"),
        ("all others", "x-nothing", "1", "v1"),
    ] {
        let answer = world.send(&request().header(header, value)).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, version), "{name}");
    }
    // v3 has no endpoint: v1 serves from the first request on, and gets its name. Also jason's rule has a route for it.
    for (name, request) in [
        ("everybody", request().header("wanted", "v3")),
        ("jason", request().header("wanted", "v3").header("end-user", "jason")),
    ] {
        let answer = world.send(&request.header(TEST_ID, name)).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{name}: v1 serves for v3");
        let recorded = world.service.version("v1").recorded(name);
        assert_eq!(recorded.len(), 1, "{name}");
        for header in ["wanted", "x-canary-version-reviews"] {
            assert_eq!(recorded[0].texts(header), ["v1"], "{name}: {header}");
        }
    }
    beside_another_release(mesh, &world, values).await;
    world.proxy.envoy.assert_no_crash();
}

/// Another service's release at the same gateway. Neither removes the other's header from a request.
async fn beside_another_release(mesh: &Mesh, world: &World<'_>, mut values: Value) {
    let ratings = Service::start(&world.namespace, "ratings", &["v1", "v2"]).await;
    mesh.apply(&ratings.entry(&["v1", "v2"]));
    values["service"]["name"] = json!(ratings.name);
    if world.kind == Kind::Gateway {
        values["hosts"] = json!([ratings.host()]);
    }
    install(mesh, "other", &world.namespace, &values);
    let of_ratings = || Request::new(&ratings.host(), "/");
    let serves = |answer: &Answer| answer.status == 200 && answer.served_by == "v2";
    world.proxy.until(world.port(), "v2 of ratings", &of_ratings().header("wanted", "v2"), serves).await;
    for (name, request, service, header) in [
        ("the first", world.request("/"), &world.service, "x-canary-version-reviews"),
        ("the second", of_ratings(), &ratings, "x-canary-version-ratings"),
    ] {
        let answer = world.send(&request.header("wanted", "v2").header(TEST_ID, name)).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v2"), "{name}");
        let recorded = service.version("v2").recorded(name);
        assert_eq!(recorded.len(), 1, "{name}");
        assert_eq!(recorded[0].texts(header), ["v2"], "{name}");
    }
    for (name, request, service) in [
        ("the first without v3", world.request("/"), &world.service),
        ("the second without v3", of_ratings(), &ratings),
    ] {
        let answer = world.send(&request.header("wanted", "v3").header(TEST_ID, name)).await;
        assert_eq!((answer.status, answer.served_by.as_str()), (200, "v1"), "{name}");
        assert_eq!(service.version("v1").recorded(name).len(), 1, "{name}: the release's own service");
    }
}

/// The upgrades by which the chart's README lets a version come and go, under load. There is no kubelet: what a Deployment would do to
/// endpoints is done to those of the ServiceEntry, when `--wait` would have waited for it.
pub(crate) async fn upgrades_lose_nothing(mesh: &Mesh) {
    let world = runbook::start(mesh, "chart-upgrades").await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let mut values = json!({
        "image": {"repository": "registry.example.com/reviews"},
        "service": {"create": false, "name": world.service.name, "port": world.service.port},
        "versions": [{"name": "v1", "tag": "1.0.0"}],
        "workload": "gateway",
        "gateways": [PROXY],
        "hosts": [world.service.host()],
        "plugin": {"url": mesh.image(), "namespace": world.namespace, "selector": {"app": PROXY}},
    });
    let upgrade = async |values: &Value| {
        let before = starting::update_count(&world.proxy).await;
        install(mesh, RELEASE, &world.namespace, values);
        wait::until("the document", async || (starting::update_count(&world.proxy).await > before).then_some(())).await;
    };
    let clients = Clients::start(&world, async || {
        mesh.delete(&world.namespace, "destinationrule", &world.service.name);
        mesh.apply(&world.service.entry(&["v1"]));
        upgrade(&values).await;
    })
    .await;
    clients.go_on().await;
    let v2 = runbook::cluster(&world, "v2");

    values["versions"] = json!([{"name": "v1", "tag": "1.0.0"}, {"name": "v2", "tag": "2.0.0"}]);
    upgrade(&values).await;
    mesh.apply(&world.service.entry(&["v1", "v2"]));
    world.proxy.envoy.wait_for_endpoints(&v2, Some(1)).await;
    clients.go_on().await;
    values["weights"] = json!({"v1": 50, "v2": 50});
    upgrade(&values).await;
    clients.until_served("v2").await;

    // Another image changes only the Deployment. The proxies get nothing.
    let before = starting::update_count(&world.proxy).await;
    values["versions"][1]["tag"] = json!("2.0.1");
    install(mesh, RELEASE, &world.namespace, &values);
    clients.go_on().await;
    assert_eq!(starting::update_count(&world.proxy).await, before, "another image is another document");

    values["weights"] = json!({"v1": 100});
    upgrade(&values).await;
    clients.until_gone("v2").await;
    values["versions"] = json!([{"name": "v1", "tag": "1.0.0"}]);
    upgrade(&values).await;
    world.proxy.envoy.wait_for_endpoints(&v2, None).await;
    mesh.apply(&world.service.entry(&["v1"]));
    clients.go_on().await;
    for (protocol, outcome) in clients.stop().await {
        runbook::print("upgrades of the chart", protocol, &outcome);
        assert!(outcome.failures.is_empty(), "{protocol:?}: {:?}", outcome.failures.first());
        assert!(outcome.served("v2") > 0, "{protocol:?}: {:?}", outcome.served_by);
    }
}
