//! What Istio's own tools say of the manifests that are shipped, and of those that are rendered of the examples.

use std::{
    fs,
    path::{Path, PathBuf},
};

use e2e::{
    binaries::workspace,
    example::read_yaml,
    istio::{mesh::Mesh, world::render},
};

/// The image that whoever follows the texts puts another one for.
pub(crate) const IMAGE: &str = "oci://registry.example.com/canary-filter:0.2.0";
/// The message of `istioctl` for every EnvoyFilter.
const OF_EVERY_ENVOY_FILTER: &str = "EnvoyFilter exposes internal implementation details";
/// What the others refer to.
const SURROUNDINGS: &str = "bookinfo.yaml";
/// The manifests that go together: one kind of plugin at a time.
const SETS: [(&str, &[&str]); 3] = [
    (
        "version mode, WasmPlugin",
        &[
            "version-mode/virtualservice.yaml",
            "version-mode/wasmplugin-gateway.yaml",
            "version-mode/wasmplugin-sidecar.yaml",
            "version-mode/wasmplugin-gateway-api.yaml",
        ],
    ),
    (
        "version mode, TrafficExtension",
        &[
            "version-mode/virtualservice.yaml",
            "version-mode/trafficextension-gateway.yaml",
            "version-mode/trafficextension-sidecar.yaml",
        ],
    ),
    ("cluster mode", &["cluster-mode/envoyfilter-gateway.yaml", "cluster-mode/envoyfilter-sidecar.yaml"]),
];

/// The manifests that are shipped.
pub(crate) fn folder() -> PathBuf {
    workspace().join("envoy-configs/istio")
}

/// The complaints of `istioctl validate`, and of `istioctl analyze` with the surroundings where `files` are ours.
fn complaints(mesh: &Mesh, folder: &Path, files: &[&str], with_surroundings: bool) -> Vec<String> {
    let flags: Vec<&str> = files.iter().flat_map(|file| ["--filename", file]).collect();
    let mut said = vec![mesh.tools.istioctl(folder, &[&["validate"], flags.as_slice()].concat())];
    if with_surroundings {
        let surroundings = self::folder().join(SURROUNDINGS).display().to_string();
        let analyze = ["analyze", "--use-kube=false", "--namespace", "default", &surroundings];
        said.push(mesh.tools.istioctl(folder, &[&analyze, files].concat()));
    }
    let is_fine = |line: &str| {
        let line = line.trim();
        line.is_empty()
            || line.ends_with("is valid")
            || line.ends_with("has warnings:")
            || line.contains(OF_EVERY_ENVOY_FILTER)
            || line.contains("No validation issues found")
            || files.iter().any(|file| line == format!("- {file}"))
            || line.ends_with(SURROUNDINGS)
    };
    let mut complaints: Vec<String> = Vec::new();
    for (is_content, text) in said {
        let found: Vec<_> = text.lines().filter(|line| !is_fine(line)).map(str::to_owned).collect();
        assert!(is_content || !found.is_empty(), "istioctl fails and says nothing: {text}");
        complaints.extend(found);
    }
    complaints
}

pub(crate) async fn every_manifest_is_valid(mesh: &Mesh) {
    for (name, files) in SETS {
        assert_eq!(complaints(mesh, &folder(), files, true), [""; 0], "{name}");
    }
    for file in [SURROUNDINGS, "version-mode/httproute.yaml"] {
        assert_eq!(complaints(mesh, &folder(), &[file], false), [""; 0], "{file}");
    }
}

pub(crate) async fn what_is_rendered_of_every_example_is_valid(mesh: &Mesh) {
    let target = tempfile::tempdir().expect("a temporary folder");
    let mut files = Vec::new();
    for config in configurations(&workspace().join("envoy-configs/examples")) {
        let document = read_yaml(&config);
        let url = ["--url", IMAGE];
        let kinds: &[(&str, &[&str])] = match document["mode"].as_str() {
            Some("version") => &[("virtualservice", &[]), ("wasmplugin", &url), ("trafficextension", &url)],
            _ => &[("envoyfilter", &url)],
        };
        for (kind, flags) in kinds {
            let rendered = render(kind, &document, flags);
            let file = format!("{}-{kind}.yaml", files.len());
            fs::write(target.path().join(&file), rendered).expect("write a manifest");
            files.push((config.clone(), file));
        }
    }
    assert!(files.len() > 20, "examples: {files:?}");
    let names: Vec<&str> = files.iter().map(|(_, file)| file.as_str()).collect();
    assert_eq!(complaints(mesh, target.path(), &names, false), [""; 0], "{files:?}");
}

fn configurations(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(configurations(&path));
        } else if path.file_name().is_some_and(|name| name == "config.yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// That the tools look where the others trust them.
pub(crate) async fn what_is_wrong_is_found(mesh: &Mesh) {
    let target = tempfile::tempdir().expect("a temporary folder");
    for (name, shipped, right, wrong, complaint) in [
        (
            "a field",
            "version-mode/wasmplugin-sidecar.yaml",
            "failStrategy: FAIL_OPEN",
            "failStrateggy: x",
            "failStrateggy",
        ),
        ("a scheme", "version-mode/wasmplugin-gateway.yaml", "url: oci://", "url: ftp://", "scheme"),
        ("a subset", "version-mode/virtualservice.yaml", "subset: v2", "subset: v4", "IST0101"),
        ("a type", "cluster-mode/envoyfilter-gateway.yaml", "http.fault.v3.HTTPFault", "http.fault.v3.Fault", "Fault"),
        ("an order", "cluster-mode/envoyfilter-sidecar.yaml", "  priority: 10\n", "", "IST0151"),
    ] {
        let text = fs::read_to_string(folder().join(shipped)).expect("a manifest");
        assert!(text.contains(right), "{name}: {right:?} is in {shipped}");
        fs::write(target.path().join("wrong.yaml"), text.replace(right, wrong)).expect("write a manifest");
        let found = complaints(mesh, target.path(), &["wrong.yaml"], true);
        assert!(found.iter().any(|line| line.contains(complaint)), "{name}: no {complaint:?} in {found:?}");
    }
}
