//! What a platform engineer has to know of every object that brings the filter into a mesh.

use super::plugin::{FailStrategy, Plugin, PullPolicy};

/// The image, its digest, and what happens without it.
pub(super) fn module(plugin: &Plugin) -> Vec<String> {
    let mut lines: Vec<&str> = Vec::new();
    if plugin.url.is_image() {
        lines.extend([
            "url: an image as `canaryctl push` makes it: one manifest, for one platform. The proxy's agent pulls it, not the",
            "kubelet, so the Pod needs a way to the registry. Update and roll back by another tag or digest here: an agent",
        ]);
        lines.push(match plugin.pull_policy {
            PullPolicy::IfNotPresent => {
                "that has a tag does not ask for it again, new Pods would get what it names by then."
            }
            PullPolicy::Always => "asks for a tag again only when this object changes, new Pods at once.",
        });
        lines.push(match plugin.sha256 {
            Some(_) => "sha256: the digest of the image's manifest, not of the .wasm.",
            None => "In production give --sha256, the digest of the image's manifest as `canaryctl push` prints it, not of the .wasm.",
        });
    } else if plugin.sha256.is_some() {
        lines.push("sha256: the digest of the .wasm itself, since it comes without an image around it.");
    }
    lines.extend(match plugin.fail_strategy {
        FailStrategy::Open => [
            "FAIL_OPEN: where the module cannot be had or has failed, requests pass as if there were no filter, and the native",
            "routes serve: at proxies that start, and at those that run once they are told of another image. With FAIL_CLOSE or",
            "FAIL_RELOAD each would be answered 403 until it is there, so have the image in the registry before its name is here.",
        ],
        FailStrategy::Close => [
            "FAIL_CLOSE: where the module cannot be had, every request is answered 403, by proxies that have run with another one,",
            "too; where a proxy starts while the document is bad, 500; after a failure of the VM, 503 until the configuration is",
            "another. With FAIL_OPEN they would pass as if there were no filter.",
        ],
        FailStrategy::Reload => [
            "FAIL_RELOAD: where the module cannot be had, every request is answered 403, by proxies that have run with another one,",
            "too; where a proxy starts while the document is bad, 500; after a failure of the VM, 503 for about a second, until a",
            "new one takes over. With FAIL_OPEN they would pass as if there were no filter.",
        ],
    });
    lines.into_iter().map(str::to_owned).collect()
}

/// What becomes of an object that is there, and how to keep it.
pub(super) fn whose_place(plugin: &Plugin) -> Vec<String> {
    vec![
        format!("What is called {} in {} is replaced when this is applied, with its rules. A proxy has one", plugin.name, plugin.namespace),
        "canary-filter, so keep all rules for these proxies in one document; other proxies take another object, by --name or by"
            .to_owned(),
        "what tells them apart: --selector or --target-ref.".to_owned(),
    ]
}

/// What somebody who may write the object can do.
pub(super) fn who_may(plugin: &Plugin) -> Vec<String> {
    vec![
        format!(
            "Whoever may write objects of this kind in {} decides where its requests go and runs code in its",
            plugin.namespace
        ),
        "proxies; in the root namespace (istio-system) that holds for the whole mesh. Keep both to platform engineers."
            .to_owned(),
    ]
}
