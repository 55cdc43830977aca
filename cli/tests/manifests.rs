//! The manifests that are shipped are what their first lines print.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What people wrote, and no command.
const BY_HAND: [&str; 4] =
    ["bookinfo.yaml", "cluster-mode/rules.yaml", "version-mode/httproute.yaml", "version-mode/rules.yaml"];
const RENDERED: [&str; 9] = [
    "cluster-mode/envoyfilter-gateway.yaml",
    "cluster-mode/envoyfilter-sidecar.yaml",
    "proxy-config.yaml",
    "version-mode/trafficextension-gateway.yaml",
    "version-mode/trafficextension-sidecar.yaml",
    "version-mode/virtualservice.yaml",
    "version-mode/wasmplugin-gateway-api.yaml",
    "version-mode/wasmplugin-gateway.yaml",
    "version-mode/wasmplugin-sidecar.yaml",
];

/// The version header among those that are removed before any filter.
const NOBODYS_WISH: &str = "- remove: x-canary-decision\n              - remove: x-canary-version";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn folder() -> PathBuf {
    workspace().join("envoy-configs/istio")
}

/// The YAML files below a folder, by their paths there, in order.
fn yaml_files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            names.extend(yaml_files(&path).into_iter().map(|file| format!("{name}/{file}")));
        } else if name.ends_with(".yaml") {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[test]
fn the_shipped_manifests_are_what_their_commands_print() {
    let mut found = yaml_files(&folder());
    found.retain(|file| !BY_HAND.contains(&file.as_str()));
    assert_eq!(found, RENDERED, "rendered manifests of envoy-configs/istio");
    for file in RENDERED {
        let shipped = fs::read_to_string(folder().join(file)).unwrap();
        let first = shipped.lines().next().unwrap();
        let command = first.strip_prefix("# canaryctl ").unwrap_or_else(|| panic!("{file} begins with {first:?}"));
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_canaryctl"))
            .args(command.split(' '))
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(status.success(), "{file}: {}", String::from_utf8_lossy(&stderr));
        assert_eq!(String::from_utf8_lossy(&stderr), "", "{file}: warnings");
        let printed = String::from_utf8(stdout).unwrap();
        for (number, (printed, shipped)) in (1..).zip(printed.lines().zip(shipped.lines())) {
            assert_eq!(printed, shipped, "{file}:{number}: `make manifests` writes it anew");
        }
        assert_eq!(printed, shipped, "{file}: `make manifests` writes it anew");
    }
}

fn render(kind: &str, config: &str, flags: &[&str]) -> (bool, String, String) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/istio");
    let url: &[&str] = if flags.contains(&"--url") { &[] } else { &["--url", "registry.example.com/canary-filter:1"] };
    let output = Command::new(env!("CARGO_BIN_EXE_canaryctl"))
        .args(["render", kind, "--config", config].iter().chain(url).chain(flags))
        .current_dir(golden)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_document_says_whom_it_is_for() {
    let gateway = ["--workload", "gateway"];
    for (name, kind, config, flags, shown, hidden) in [
        (
            "rules of a mesh",
            "wasmplugin",
            "mesh.yaml",
            [].as_slice(),
            vec![
                "name: canary-sidecar",
                "namespace: shop",
                "- mode: CLIENT",
                "- mesh",
                "mode: version",
                "url: oci://reg",
                "extensions.istio.io/trafficextension/shop.canary-sidecar~istio-translated-wasmplugin",
                "context: SIDECAR_OUTBOUND",
                "default_config",
                NOBODYS_WISH,
            ],
            vec!["selector", "sha256", "imagePullSecret", "ports:\n    - number"],
        ),
        (
            "rules of a gateway",
            "wasmplugin",
            "gateway.yaml",
            &[],
            vec!["name: canary-gateway", "istio: ingressgateway", "- shop/web", "- edge/all"],
            vec!["CLIENT\n", "- mesh\n"],
        ),
        (
            "a successor",
            "trafficextension",
            "mesh.yaml",
            &["--pull-secret", "login", "--pull-policy", "Always", "--priority", "-3"],
            vec![
                "\n  wasm:\n",
                "\n    imagePullSecret: login",
                "imagePullPolicy: Always",
                "\n  priority: -3",
                "name: extensions.istio.io/trafficextension/shop.canary-sidecar\n",
            ],
            vec!["\n  url:"],
        ),
        (
            "somebody is trusted",
            "wasmplugin",
            "trusted.yaml",
            &[],
            vec!["any client picks among the versions", "default_config", "- remove: x-canary-decision"],
            vec![NOBODYS_WISH],
        ),
        (
            "proxies by their labels, in whatever order",
            "wasmplugin",
            "gateway.yaml",
            &["--selector", "tier=b", "--selector", "app=web.x", "--port", "443", "--port", "80"],
            vec![
                "  name: canary-gateway-app-web.x-tier-b-port-80-port-443\n",
                "# What is called canary-gateway-app-web.x-tier-b-port-80-port-443 in shop is",
            ],
            vec![],
        ),
        (
            "the usual gateway, said",
            "trafficextension",
            "gateway.yaml",
            &["--selector", "istio=ingressgateway"],
            vec!["  name: canary-gateway\n"],
            vec![],
        ),
        (
            "sidecars with a gateway's label",
            "envoyfilter",
            "mesh.yaml",
            &["--selector", "istio=ingressgateway"],
            vec![
                "  name: canary-sidecar-istio-ingressgateway\n",
                "# What is called canary-sidecar-istio-ingressgateway in shop is",
            ],
            vec![],
        ),
        (
            "everything said",
            "wasmplugin",
            "gateway.yaml",
            &[
                "--name",
                "c",
                "--namespace",
                "edge",
                "--selector",
                "a=b",
                "--selector",
                "c=d",
                "--gateway",
                "edge/x",
                "--port",
                "80",
                "--fail-strategy",
                "FAIL_CLOSE",
                "--sha256",
                "sha256:0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef",
            ],
            vec![
                "  name: c\n  namespace: edge\n",
                "      a: b\n      c: d\n",
                "    gateways:\n      - edge/x\n",
                "    ports:\n    - number: 80\n",
                "failStrategy: FAIL_CLOSE",
                "sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ],
            vec!["ingressgateway", "EnvoyFilter"],
        ),
        (
            "a Gateway of the Gateway API",
            "wasmplugin",
            "gateway.yaml",
            &["--target-ref", "Gateway/web"],
            vec!["group: gateway.networking.k8s.io", "kind: Gateway", "name: web", "  name: canary-gateway-web\n"],
            vec!["selector"],
        ),
        (
            "an EnvoyFilter for sidecars",
            "envoyfilter",
            "mesh.yaml",
            &[],
            vec![
                "context: SIDECAR_OUTBOUND",
                "name: web.shop.svc.cluster.local:8080",
                "domainName: web.example.com",
                "failure_policy: FAIL_OPEN",
                "default_config",
                "uri: oci://registry",
                "timeout: 30s",
                "priority: 10",
            ],
            // No fallback order, no fault filter, no retries of its own, no rewrite of the authority.
            vec![
                "upstream_http_filters",
                "failover|",
                "header_abort",
                "x-envoy-max-retries",
                "referenced-services",
                "context: GATEWAY",
            ],
        ),
        (
            "another authority for one destination",
            "envoyfilter",
            "authority.yaml",
            &[],
            vec!["upstream_http_filters", "No other EnvoyFilter may add upstream filters"],
            vec![],
        ),
        (
            "an EnvoyFilter with everything",
            "envoyfilter",
            "everything.yaml",
            &["--port", "443", "--fail-strategy", "FAIL_CLOSE", "--priority", "20"],
            vec![
                "context: GATEWAY",
                "portNumber: 443",
                "domainName: \"*.example.com\"",
                "envoyfilter.istio.io/referenced-services: audit.shop.svc.cluster.local,web.shop.svc.cluster.local",
                "failure_policy: FAIL_CLOSED",
                "name: canary-gateway-port-443-failover",
                "name: failover|outbound|8080|v2|web.shop.svc.cluster.local",
                "- outbound|8080|v1|web.shop.svc.cluster.local",
                "envoy.clusters.aggregate",
                "envoy.retry_priorities.previous_priorities",
                "num_retries: 2",
                "reset-before-request",
                "\"failover\": true",
                "header_abort",
                "name: x-envoy-max-retries",
                "priority: 20",
            ],
            vec!["SIDECAR", "x-canary-host\n", "default_config"],
        ),
        (
            "a file in the proxy",
            "envoyfilter",
            "mesh.yaml",
            &["--url", "file:///etc/canary/filter.wasm"],
            vec!["filename: /etc/canary/filter.wasm"],
            vec!["http_uri"],
        ),
        (
            "an image by its digest, without a registry",
            "wasmplugin",
            "mesh.yaml",
            &["--url", "canary-filter@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
            vec!["oci://canary-filter@sha256:0123"],
            vec![],
        ),
        ("rules for both", "wasmplugin", "both.yaml", &gateway, vec!["- default/web"], vec!["- mesh\n      labels"]),
    ] {
        let (done, text, problems) = render(kind, config, flags);
        assert!(done, "{name}: {problems}");
        for part in shown {
            assert!(text.contains(part), "{name}: no {part:?} in\n{text}");
        }
        for part in hidden {
            let object = text.split_once("---\n").unwrap().1;
            assert!(!object.contains(part), "{name}: {part:?} in\n{object}");
        }
    }
}

#[test]
fn what_istio_could_not_carry_out_is_refused() {
    for (name, kind, config, flags, error) in [
        ("mode cluster", "wasmplugin", "everything.yaml", [].as_slice(), "error: /mode: in mode cluster"),
        ("mode version", "envoyfilter", "both.yaml", &["--workload", "sidecar"], "error: /mode: in mode version"),
        ("rules for both", "wasmplugin", "both.yaml", &[], "/virtualServices: there are rules for sidecars and"),
        ("no gateway", "wasmplugin", "mesh.yaml", &["--workload", "gateway"], "names a gateway; say --gateway"),
        ("Istio's fault filter", "trafficextension", "fault_filter.yaml", &[], "/faults/delay: Istio's fault filter"),
        ("no header", "wasmplugin", "no_header.yaml", &[], "/headers/version: the routes"),
        ("nothing in it", "wasmplugin", "../empty.yaml", &[], "empty.yaml: there is no VirtualService"),
        ("an error of the document", "wasmplugin", "../wrong.yaml", &[], "/virtualServices/0/http/2/timeouts: unknown"),
        ("a secret of an EnvoyFilter", "envoyfilter", "mesh.yaml", &["--pull-secret", "x"], "--pull-secret: an Envoy"),
        ("a policy of an EnvoyFilter", "envoyfilter", "mesh.yaml", &["--pull-policy", "Always"], "--pull-policy: an"),
        ("a scheme", "wasmplugin", "mesh.yaml", &["--url", "ftp://x/y"], "not ftp://"),
        (
            "a password",
            "wasmplugin",
            "mesh.yaml",
            &["--url", "https://u:word@x/y.wasm"],
            "--url: a user's name or password",
        ),
        ("a user", "envoyfilter", "mesh.yaml", &["--url", "u@registry.example.com/x:1"], "by --pull-secret (imagePull"),
        ("a name", "wasmplugin", "mesh.yaml", &["--name", "Shop_1"], "inner hyphens"),
        ("a name's end", "wasmplugin", "mesh.yaml", &["--name", "shop-"], "inner hyphens"),
        ("a long name", "wasmplugin", "mesh.yaml", &["--name", &"x".repeat(254)], "up to 253"),
        (
            "no name of labels",
            "envoyfilter",
            "mesh.yaml",
            &["--selector", "app=Web_1"],
            "say --name: \"canary-sidecar-app-Web_1",
        ),
        ("a digest", "wasmplugin", "mesh.yaml", &["--sha256", "abc"], "64 hexadecimal digits"),
        ("a label", "wasmplugin", "mesh.yaml", &["--selector", "abc"], "not KEY=VALUE"),
        ("a waypoint", "wasmplugin", "mesh.yaml", &["--target-ref", "Service/web"], "is not Gateway/NAME"),
        (
            "labels and a Gateway",
            "wasmplugin",
            "gateway.yaml",
            &["--selector", "a=b", "--target-ref", "Gateway/web"],
            "cannot be used with",
        ),
    ] {
        let (done, text, problems) = render(kind, config, flags);
        assert!(!done && text.is_empty(), "{name}: {text}");
        assert!(problems.contains(error), "{name}: {problems}");
        assert!(!problems.contains("u:word"), "{name}: a password in {problems}");
    }
}
