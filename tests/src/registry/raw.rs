//! The registry's own interface, for images that canaryctl does not make.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Pushes an image with layers of these kinds and contents as `canary-filter:TAG`; its digest.
///
/// # Panics
/// If it fails.
pub fn push(registry: SocketAddr, tag: &str, layers: &[(&str, &[u8])]) -> String {
    let config = push_blob(registry, "application/vnd.oci.image.config.v1+json", b"{}");
    let layers: Vec<_> = layers.iter().map(|(kind, content)| push_blob(registry, kind, content)).collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
    push_manifest(registry, tag, MANIFEST, &manifest)
}

/// Pushes an index of one image; its digest.
///
/// # Panics
/// If it fails.
#[must_use]
pub fn push_index(registry: SocketAddr, tag: &str, image: &str, size: usize) -> String {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let platform = json!({"architecture": "amd64", "os": "linux"});
    let manifests = json!([{"mediaType": MANIFEST, "digest": image, "size": size, "platform": platform}]);
    push_manifest(registry, tag, INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
}

fn push_manifest(registry: SocketAddr, tag: &str, kind: &str, manifest: &Value) -> String {
    let body = manifest.to_string();
    let path = format!("/v2/canary-filter/manifests/{tag}");
    let answer = send(registry, "PUT", &path, kind, body.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 201 "), "{path}: {answer}");
    digest(body.as_bytes())
}

fn push_blob(registry: SocketAddr, kind: &str, content: &[u8]) -> Value {
    let begun = send(registry, "POST", "/v2/canary-filter/blobs/uploads/", "application/octet-stream", b"");
    let location = begun.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place for the blob");
    let path = location.strip_prefix(&format!("http://{registry}")).unwrap_or(location);
    let digest = digest(content);
    let answer = send(registry, "PUT", &format!("{path}&digest={digest}"), "application/octet-stream", content);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    json!({"mediaType": kind, "digest": digest, "size": content.len()})
}

/// As registries name a content.
#[must_use]
pub fn digest(content: &[u8]) -> String {
    let digits: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// One request on a connection of its own; the whole answer.
fn send(registry: SocketAddr, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(registry).expect("the registry");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {registry}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
