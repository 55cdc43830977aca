//! Valid and rejected values of the Helm chart, and its names.

use e2e::istio::{manifests, mesh::Mesh};
use serde_json::{Value, json};

use crate::chart::{NAMESPACE, helm, install, objects, template, values};

/// Wrong values are errors with their paths, before anything is rendered.
pub(crate) async fn refuses_wrong_values(mesh: &Mesh) {
    for (name, flag, value, message) in [
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
        (
            "no label's name",
            "--set-json",
            r#"versions=[{"name":"v1","tag":"1","labels":{"a b":"c"}}]"#,
            "at '/versions/0/labels': additional properties 'a b' not allowed",
        ),
        (
            "no label's name, of the Service's Pods",
            "--set-json",
            r#"service={"selector":{"a b":"c"}}"#,
            "at '/service/selector': additional properties 'a b' not allowed",
        ),
        (
            "no label's value, of the proxies' Pods",
            "--set-json",
            r#"plugin={"selector":{"a":"b c"}}"#,
            "at '/plugin/selector/a': 'b c' does not match pattern",
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
        ("another kind of failover", "--set", "failover=guard", "at '/failover': value must be one of"),
        (
            "a name that the chart could make",
            "--set-json",
            r#"rules=[{"name":"b#1@v2","match":[{"uri":{"prefix":"/b"}}],"version":"v2"}]"#,
            "rules[0].name: \"b#1@v2\": a route that the chart makes could have this name",
        ),
        ("a fallback that there is not", "--set", "fallback={v9}", "fallback: there is no version v9"),
        (
            "a known version that there is not",
            "--set-json",
            r#"versionHeader={"name":"wanted","versions":["v1","v9"]}"#,
            "versionHeader.versions: there is no version v9",
        ),
        (
            "a ramp of none",
            "--set-json",
            r#"policy={"ramp":{"subset":"v9","start":"2026-11-21T08:00:00Z","duration":"1h"}}"#,
            "policy.ramp: there is no version v9",
        ),
        (
            "a fault of none",
            "--set-json",
            r#"policy={"faults":[{"subset":"v9","fault":{"abort":{"httpStatus":500}}}]}"#,
            "policy.faults: there is no version v9",
        ),
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
            "a rule without shares",
            "--set-json",
            r#"rules=[{"match":[{}],"weights":{}}]"#,
            "at '/rules/0/weights': minProperties: got 0, want 1",
        ),
        (
            "a match of the version header",
            "--set-json",
            r#"rules=[{"match":[{},{"headers":{"X-Canary-Version-Shop":{"exact":"v1"}}}],"version":"v2"}]"#,
            "rules[0].match[1]: x-canary-version-shop is the filter's own word to the native routes",
        ),
        (
            "a match of its absence",
            "--set-json",
            r#"rules=[{"match":[{"withoutHeaders":{"x-canary-version-shop":{}}}],"version":"v2"}]"#,
            "rules[0].match[0]: x-canary-version-shop is",
        ),
        (
            "a match of its absence, in the other spelling",
            "--set-json",
            r#"rules=[{"match":[{"without_headers":{"x-canary-version-shop":{}}}],"version":"v2"}]"#,
            "rules[0].match[0]: x-canary-version-shop is",
        ),
        (
            "a version header that is turned off",
            "--set-json",
            r#"config={"headers":{"version":""}}"#,
            "config.headers.version: the native routes match this header; it cannot be turned off",
        ),
        (
            "clients that write the filter's header",
            "--set-json",
            r#"versionHeader={"name":"X-Canary-Version-shop"}"#,
            "versionHeader.name: x-canary-version-shop is the filter's own: clients' copies of it are removed",
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
            Err(error) => assert!(error.contains(message), "{name}: {error}"),
        }
    }
}

/// Helm takes a value that is null out of the values together with the chart's default: nothing would be left to render.
pub(crate) async fn refuses_null_where_something_has_to_be_said(mesh: &Mesh) {
    for value in [
        "deploy",
        "workload",
        "failover",
        "service",
        "service.create",
        "service.port",
        "service.portName",
        "image",
        "image.repository",
        "image.pullPolicy",
        "plugin.kind",
        "plugin.pullPolicy",
        "plugin.failStrategy",
    ] {
        match template(&mesh.tools, NAMESPACE, &["--values", &values("minimal"), "--set", &format!("{value}=null")]) {
            Ok(_) => panic!("{value}: null is taken"),
            Err(error) => assert!(error.contains(&format!(": {value}: null takes")), "{value}: {error}"),
        }
    }
}

/// A section whose entries are all commented out is null.
pub(crate) async fn takes_null_for_what_may_be_empty(mesh: &Mesh) {
    let minimal = values("minimal");
    let rendered = |flags: &[&str]| {
        let text = template(&mesh.tools, NAMESPACE, &[&["--values", &minimal][..], flags].concat());
        let objects = objects(&text.unwrap_or_else(|error| panic!("{flags:?}: {error}")));
        objects.into_iter().map(without_empty).collect::<Vec<_>>()
    };
    let expected = rendered(&[]);
    for null in [
        "defaultVersion=null",
        "fallback=null",
        "weights=null",
        "rules=null",
        "versionHeader=null",
        "sticky=null",
        "policy=null",
        "http=null",
        "config=null",
        r#"config={"headers":null}"#,
        r#"config={"headers":{"version":null}}"#,
        r#"config={"overrides":null}"#,
        r#"config={"overrides":{"from":null}}"#,
        "service.name=null",
        "service.targetPort=null",
        "service.selector=null",
        "imagePullSecrets=null",
        "container=null",
        "pod=null",
        "gateways=null",
        "hosts=null",
        "destinationRule=null",
        "destinationRule.trafficPolicy=null",
        "plugin.sha256=null",
        "plugin.pullSecret=null",
        "plugin.namespace=null",
        "plugin.selector=null",
    ] {
        assert_eq!(rendered(&["--set-json", null]), expected, "{null}");
    }
}

fn without_empty(value: Value) -> Value {
    let says_something = |value: &Value| !value.is_null() && value.as_object().is_none_or(|fields| !fields.is_empty());
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, without_empty(value)));
            Value::Object(fields.filter(|(_, value)| says_something(value)).collect())
        }
        Value::Array(parts) => Value::Array(parts.into_iter().map(without_empty).collect()),
        other => other,
    }
}

/// A chart may be packaged as a build of a version, whose `+` no label takes.
pub(crate) async fn labels_a_build_of_a_version(mesh: &Mesh) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().display().to_string();
    helm(&mesh.tools, &["package", ".", "--version", "0.2.0+abc", "--destination", &folder]).expect("a package");
    let package = format!("{folder}/canary-filter-0.2.0+abc.tgz");
    let text = helm(&mesh.tools, &["template", "shop", &package, "--values", &values("minimal")]).expect("a chart");
    for object in objects(&text) {
        assert_eq!(object["metadata"]["labels"]["helm.sh/chart"], "canary-filter-0.2.0_abc", "{}", object["kind"]);
    }
}

/// Release, namespace, versions and other names may look like numbers or booleans.
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
        let message = install(mesh, release, namespace, &values);
        assert!(message.contains("has the versions 1, 1e3, true; 1 is the default"), "{release}: {message}");
    }
    for (release, message) in
        [("123", r#"makes it "123", which is no name of a Service"#), ("a.b", r#"makes it "a.b""#)]
    {
        let refused = helm(&mesh.tools, &["template", release, ".", "--values", &values("minimal")]);
        let error = refused.expect_err(release);
        assert!(error.contains("service.name: ") && error.contains(message), "{release}: {error}");
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

/// The rest does not change when a version is removed.
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
