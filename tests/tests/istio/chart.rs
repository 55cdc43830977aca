//! The Helm chart: what it renders is recorded, is what `canaryctl` makes of the same rules, passes `istioctl`, and works.

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
        manifests,
        mesh::Mesh,
        proxy::Kind,
        service::Service,
        tools::Tools,
        world::{PROXY, World},
    },
    upstream::TEST_ID,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const EXAMPLES: [&str; 4] = ["minimal", "bookinfo", "grpc-versions", "gateway"];
const RELEASE: &str = "shop";
const NAMESPACE: &str = "shops";
/// Without what it says of every EnvoyFilter, whatever is in it.
const ANALYZE: [&str; 5] =
    ["analyze", "--use-kube=false", "--namespace", NAMESPACE, "--suppress=IST0133=EnvoyFilter *"];

fn chart() -> PathBuf {
    binaries::workspace().join("charts/canary-filter")
}

fn values(example: &str) -> String {
    chart().join("examples").join(format!("{example}.yaml")).display().to_string()
}

/// `helm` with a home of its own.
fn helm(tools: &Tools, arguments: &[&str]) -> Result<String, String> {
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
fn template(tools: &Tools, namespace: &str, flags: &[&str]) -> Result<String, String> {
    helm(tools, &[&["template", RELEASE, ".", "--namespace", namespace][..], flags].concat())
}

fn render(tools: &Tools, example: &str) -> String {
    let rendered = template(tools, NAMESPACE, &["--values", &values(example)]);
    rendered.unwrap_or_else(|error| panic!("{example}: {error}"))
}

fn objects(text: &str) -> Vec<Value> {
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

/// What a plugin says of its module.
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
            assert_eq!(rendered, recorded, "golden/{example}.yaml:{number}; RECORD=1 writes it anew");
        }
        assert_eq!(rendered, recorded, "golden/{example}.yaml; RECORD=1 writes it anew");
    }
    let shipped = fs::read_dir(chart().join("examples")).expect("examples").count();
    assert_eq!(shipped, EXAMPLES.len(), "an example that nobody renders");
}

/// The rules are written once: what the chart makes of them is what `canaryctl` makes of its document.
pub(crate) async fn agrees_with_canaryctl(mesh: &Mesh) {
    for example in EXAMPLES {
        let rendered = Rendered::new(&render(&mesh.tools, example));
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
        same_plugin(example, &rendered);
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
    let labels = plugin["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    flags.extend(
        labels.flat_map(|(key, value)| ["--selector".to_owned(), format!("{key}={}", value.as_str().expect("text"))]),
    );
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let printed = rendered.rendered_by_canaryctl(&flags);
    let net = |objects: &[Value]| objects.iter().find(|object| object["kind"] == "EnvoyFilter").cloned();
    for (what, own, other) in [
        ("the plugin", Some(plugin.clone()), printed.first().cloned()),
        ("its net", net(&rendered.objects), net(&printed)),
    ] {
        let said = |object: &Option<Value>| {
            object.as_ref().map(|object| (object["apiVersion"].clone(), object["spec"].clone()))
        };
        assert_eq!(said(&own), said(&other), "{example}: {what}");
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

/// Values that are wrong are told with their places, before anything is rendered.
pub(crate) async fn refuses_wrong_values(mesh: &Mesh) {
    for (name, flag, value, told) in [
        ("an unknown value", "--set", "version=v1", "additional properties 'version' not allowed"),
        ("no versions", "--set-json", "versions=[]", "at '/versions': minItems: got 0, want 1"),
        (
            "a version without a tag",
            "--set-json",
            r#"versions=[{"name":"v1"}]"#,
            "at '/versions/0': missing property 'tag'",
        ),
        (
            "an unknown field of one",
            "--set-json",
            r#"versions=[{"name":"v1","tag":"1","tags":"2"}]"#,
            "at '/versions/0': additional properties 'tags'",
        ),
        (
            "a name for two",
            "--set-json",
            r#"versions=[{"tag":"1","name":"v1"},{"tag":"2","name":"v1"}]"#,
            "versions: two of them have one name: v1, v1",
        ),
        (
            "a name that would be its place",
            "--set-json",
            r#"versions=[{"tag":"1","name":"v1"},{"tag":"2"}]"#,
            "at '/versions/1': missing property 'name'",
        ),
        (
            "a name that is a number",
            "--set-json",
            r#"versions=[{"tag":"1","name":1}]"#,
            "at '/versions/0/name': got number, want string",
        ),
        (
            "a tag that is a number",
            "--set-json",
            r#"versions=[{"tag":1.0,"name":"v1"}]"#,
            "at '/versions/0/tag': got number, want string",
        ),
        (
            "a name that is no subset's",
            "--set-json",
            r#"versions=[{"tag":"1","name":"1.0"}]"#,
            "at '/versions/0/name': '1.0' does not match pattern",
        ),
        (
            "a name that is no Deployment's",
            "--set-json",
            r#"versions=[{"tag":"1","name":"V1"}]"#,
            "at '/versions/0/name': 'V1' does not match pattern",
        ),
        (
            "the same labels for two",
            "--set-json",
            r#"versions=[{"name":"v1","tag":"1","labels":{"a":"1"}},{"name":"v2","tag":"2","labels":{"a":"1"}}]"#,
            r#"versions[0].labels: they choose the Pods of v2 as well as those of v1 ({"a":"1"})"#,
        ),
        (
            "all labels of one among those of another",
            "--set-json",
            r#"versions=[{"name":"v1","tag":"1","labels":{"a":"1","b":"1"}},{"name":"v2","tag":"2","labels":{"a":"1"}}]"#,
            r#"versions[1].labels: they choose the Pods of v1 as well as those of v2 ({"a":"1"})"#,
        ),
        (
            "a label of all",
            "--set-json",
            r#"versions=[{"name":"v1","tag":"1","labels":{"app.kubernetes.io/name":"a"}}]"#,
            "versions[0].labels: the chart sets the label app.kubernetes.io/name itself",
        ),
        (
            "no label's value",
            "--set-json",
            r#"versions=[{"name":"v1","tag":"1","labels":{"a":"b c"}}]"#,
            "at '/versions/0/labels/a': 'b c' does not match pattern",
        ),
        ("containers", "--set-json", r#"pod={"containers":[]}"#, "pod.containers: the chart sets this field"),
        (
            "secrets of the Pod's own",
            "--set-json",
            r#"pod={"imagePullSecrets":[]}"#,
            "pod.imagePullSecrets: the chart sets this field: it is a value of its own, `imagePullSecrets`",
        ),
        ("ports", "--set-json", r#"container={"ports":[]}"#, "container.ports: the chart sets this field"),
        ("another image", "--set-json", r#"container={"image":"a"}"#, "container.image: the chart sets this field"),
        ("no name of a Service", "--set", "service.name=1a", "at '/service/name': '1a' does not match pattern"),
        ("no image", "--set", "image.repository=", "at '/image/repository': minLength"),
        ("no module", "--set", "plugin.url=", "at '/plugin/url': '' does not match pattern"),
        ("a module without a scheme", "--set", "plugin.url=registry/canary:1", "at '/plugin/url'"),
        ("a digest that is none", "--set", "plugin.sha256=abc", "at '/plugin/sha256'"),
        (
            "a default that there is not",
            "--set",
            "defaultVersion=v7",
            "defaultVersion: there is no version v7; versions: v1, v2",
        ),
        ("a fallback that there is not", "--set", "fallback={v9}", "fallback: there is no version v9"),
        ("a share of none", "--set", "weights.v9=3", "weights: there is no version v9; versions: v1, v2"),
        ("a negative share", "--set", "weights.v1=-1", "at '/weights/v1': minimum: got -1, want 0"),
        ("no shares", "--set", "weights.v1=0", "weights: their sum is 0"),
        (
            "a rule for none",
            "--set-json",
            r#"rules=[{"match":[{}],"version":"v3"}]"#,
            "rules[0]: there is no version v3",
        ),
        (
            "a rule without a version",
            "--set-json",
            r#"rules=[{"match":[{}]}]"#,
            "at '/rules/0': missing property 'version'",
        ),
        (
            "a typing error in a match",
            "--set-json",
            r#"rules=[{"match":[{"header":{}}],"version":"v1"}]"#,
            "at '/rules/0/match/0': additional properties 'header'",
        ),
        ("no duration", "--set-json", r#"http={"timeout":3}"#, "at '/http/timeout': got number, want string"),
        ("no key of users", "--set-json", r#"sticky={"keys":[]}"#, "at '/sticky/keys': minItems"),
        ("a gateway without a name", "--set", "workload=gateway", "at '/gateways': minItems: got 0, want 1"),
        ("a sidecar with one", "--set", "gateways={public}", "at '/gateways': maxItems: got 1, want 0"),
        ("another kind of plugin", "--set", "plugin.kind=EnvoyFilter", "at '/plugin/kind': value must be one of"),
        ("a wrong port", "--set", "service.port=70000", "at '/service/port': maximum"),
    ] {
        match template(&mesh.tools, NAMESPACE, &["--values", &values("minimal"), flag, value]) {
            Ok(_) => panic!("{name}: {value} is taken"),
            Err(error) => assert!(error.contains(told), "{name}: {error}"),
        }
    }
}

/// Release, namespace, versions and what else has a name may look like a number or a truth value.
pub(crate) async fn takes_names_that_yaml_reads_otherwise(mesh: &Mesh) {
    let namespace = "123";
    mesh.apply(&manifests::namespace(namespace));
    for (release, service) in [("123", "reviews"), ("1e3", "on"), ("true", ""), ("null", "null")] {
        let values = json!({
            "image": {"repository": "registry.example.com/reviews"},
            "imagePullSecrets": ["1"],
            "versions": [
                {"name": "1", "tag": "1"},
                {"name": "1e3", "tag": "1.0", "labels": {"true": "false"}},
                {"name": "true", "tag": "on"},
            ],
            "defaultVersion": "1",
            "weights": {"1": 90, "1e3": 10},
            "rules": [{"match": [{"headers": {"1": {"exact": "2"}}}], "version": "true"}],
            "service": {"name": service},
            "plugin": {"url": mesh.image(), "pullSecret": "123", "selector": {"app": "0x1"}},
        });
        let told = install(mesh, release, namespace, &values);
        assert!(told.contains("has the versions 1, 1e3, true; 1 is the default"), "{release}: {told}");
    }
    for (release, told) in [("123", r#"makes it "123", which is no name of a Service"#), ("a.b", r#"makes it "a.b""#)] {
        let refused = helm(&mesh.tools, &["template", release, ".", "--values", &values("minimal")]);
        let error = refused.expect_err(release);
        assert!(error.contains("service.name: ") && error.contains(told), "{release}: {error}");
    }
}

pub(crate) async fn leaves_replicas_to_an_autoscaler(mesh: &Mesh) {
    let versions = r#"versions=[{"name":"v1","tag":"1"},{"name":"v2","tag":"1","replicas":0}]"#;
    for (name, flags, expected) in
        [("not said", &[][..], [Value::Null, json!(0)]), ("of all", &["--set", "replicas=3"], [json!(3), json!(0)])]
    {
        let minimal = values("minimal");
        let flags = [&["--values", &minimal, "--set-json", versions][..], flags].concat();
        let objects = objects(&template(&mesh.tools, NAMESPACE, &flags).expect(name));
        let deployments = objects.iter().filter(|object| object["kind"] == "Deployment");
        let replicas: Vec<_> = deployments.map(|deployment| deployment["spec"]["replicas"].clone()).collect();
        assert_eq!(replicas, expected, "{name}");
    }
}

/// What stays when a version goes is what it was.
pub(crate) async fn renames_none_when_one_goes(mesh: &Mesh) {
    let all = [("v1", "v1.0.1"), ("v2", "v1.0.2"), ("v3", "v1.0.3")];
    let rendered = |versions: &[(&str, &str)]| {
        let versions: Vec<_> = versions.iter().map(|(name, tag)| json!({"name": name, "tag": tag})).collect();
        let versions = format!("versions={}", json!(versions));
        let flags = ["--values", &values("minimal"), "--set-json", &versions, "--set", "defaultVersion=v3"];
        objects(&template(&mesh.tools, NAMESPACE, &flags).expect("a chart"))
    };
    let before = rendered(&all);
    for gone in ["v1", "v2"] {
        let left: Vec<_> = all.into_iter().filter(|(name, _)| *name != gone).collect();
        let after = rendered(&left);
        let deployments = |objects: &[Value]| -> Vec<Value> {
            let kept =
                |object: &&Value| object["kind"] == "Deployment" && object["metadata"]["labels"]["version"] != gone;
            objects.iter().filter(kept).cloned().collect()
        };
        assert_eq!(deployments(&before), deployments(&after), "without {gone}");
        assert_eq!(deployments(&after).len(), left.len(), "without {gone}");
    }
}

/// `helm upgrade --install` in the mesh: what it tells.
fn install(mesh: &Mesh, release: &str, namespace: &str, values: &Value) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).expect("write values");
    let [file, kubeconfig] = [file.as_path(), mesh.api.kubeconfig()].map(|path| path.display().to_string());
    let release = ["upgrade", "--install", release, ".", "--namespace", namespace];
    let told = helm(&mesh.tools, &[&release[..], &["--values", &file, "--kubeconfig", &kubeconfig]].concat());
    told.unwrap_or_else(|error| panic!("{error}"))
}

/// A release for versions that run, at a gateway: by header, by the version that the client names, to all others the default; and
/// where a version cannot serve, the next one does.
pub(crate) async fn works_at_a_gateway(mesh: &Mesh) {
    let world = World::start(mesh, "chart", Kind::Gateway, &["v1", "v2"]).await;
    let _log = world.proxy.envoy.show_log_on_panic();
    let values = json!({
        "deploy": false,
        "service": {"create": false, "name": world.service.name, "port": world.service.port},
        "versions": [{"name": "v1"}, {"name": "v2"}, {"name": "v3"}],
        "fallback": ["v3"],
        "rules": [
            {"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}}], "version": "v2"},
        ],
        "versionHeader": {"name": "wanted"},
        "workload": "gateway",
        "gateways": [PROXY],
        "hosts": [world.service.host()],
        "plugin": {"url": mesh.image(), "namespace": world.namespace, "selector": {"app": PROXY}},
    });
    // The chart brings its own.
    mesh.delete(&world.namespace, "destinationrule", &world.service.name);
    let told = install(mesh, RELEASE, &world.namespace, &values);
    assert!(told.contains("has the versions v1, v2, v3; v1 is the default"), "the notes: {told}");
    assert!(told.contains("With `wanted: VERSION` it names one"), "the notes: {told}");
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
    // v3 has no endpoint, which the first failure tells. Also jason's rule has a route for what serves in its place.
    for (name, request) in [
        ("everybody", request().header("wanted", "v3")),
        ("jason", request().header("wanted", "v3").header("end-user", "jason")),
    ] {
        let serves = |answer: &Answer| answer.status == 200 && answer.served_by == "v1";
        world.proxy.until(world.port(), &format!("{name}: v1 serves for v3"), &request, serves).await;
    }
    beside_another_release(mesh, &world, values).await;
    world.proxy.envoy.assert_no_crash();
}

/// Another service's release at the same gateway: neither takes the other's word from a request.
async fn beside_another_release(mesh: &Mesh, world: &World<'_>, mut values: Value) {
    let ratings = Service::start(&world.namespace, "ratings", &["v1", "v2"]).await;
    mesh.apply(&ratings.entry(&["v1", "v2"]));
    values["service"]["name"] = json!(ratings.name);
    values["hosts"] = json!([ratings.host()]);
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
}
