//! What Istio's agent takes out of an image, by its own rules: `pkg/wasm/imagefetcher.go` of Istio 1.31.

use oci_client::manifest::{
    IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OciDescriptor,
    OciImageManifest,
};
use serde_json::Value;

use super::{MAX_MODULE, MODULE_LAYER, WASM_MAGIC, archive};

/// How many layers an artifact has.
const LAYERS_OF_ARTIFACT: usize = 2;

/// A layer that may hold the module.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Candidate<'m> {
    /// The last layer of an image: a tar+gzip with `plugin.wasm`.
    Archive(&'m OciDescriptor),
    /// A layer of an artifact: the module itself.
    Module(&'m OciDescriptor),
}

/// Reads a manifest.
///
/// # Errors
/// When it is an index, or no manifest at all.
pub(crate) fn manifest(json: &[u8]) -> Result<OciImageManifest, String> {
    let value: Value = serde_json::from_slice(json).map_err(|error| format!("its manifest is no JSON: {error}"))?;
    if value.get("manifests").is_some() {
        return Err("it is an index of images, of which Istio takes that for linux/amd64, by a digest that is not the index's; \
             push one image: `docker build` makes one with --provenance=false --sbom=false and one platform"
            .to_owned());
    }
    serde_json::from_value(value).map_err(|error| format!("its manifest is not an image's: {error}"))
}

/// The layers that the agent tries, in its order, each with the name of the kind of image; or why it does not try that kind.
pub(crate) fn candidates(manifest: &OciImageManifest) -> Vec<(&'static str, Result<Candidate<'_>, String>)> {
    if manifest.media_type.as_deref() == Some(IMAGE_MANIFEST_MEDIA_TYPE) {
        return vec![("as an image of Docker's", archive_of(manifest, IMAGE_DOCKER_LAYER_GZIP_MEDIA_TYPE))];
    }
    vec![
        ("as a compat image", archive_of(manifest, IMAGE_LAYER_GZIP_MEDIA_TYPE)),
        ("as an artifact", module_of(manifest)),
    ]
}

fn archive_of<'m>(manifest: &'m OciImageManifest, expected: &str) -> Result<Candidate<'m>, String> {
    let layer = manifest.layers.last().ok_or("it has no layer")?;
    if layer.media_type != expected {
        return Err(format!("its last layer is {}, not {expected}", layer.media_type));
    }
    Ok(Candidate::Archive(layer))
}

fn module_of(manifest: &OciImageManifest) -> Result<Candidate<'_>, String> {
    if manifest.layers.len() != LAYERS_OF_ARTIFACT {
        return Err(format!("it has {} layer(s), not {LAYERS_OF_ARTIFACT}", manifest.layers.len()));
    }
    let layer = manifest.layers.iter().find(|layer| layer.media_type == MODULE_LAYER);
    layer.map(Candidate::Module).ok_or_else(|| format!("none of its layers is {MODULE_LAYER}"))
}

impl<'m> Candidate<'m> {
    /// The layer, to be fetched.
    ///
    /// # Errors
    /// When it is larger than the agent takes.
    pub(crate) fn layer(self) -> Result<&'m OciDescriptor, String> {
        let (Self::Archive(layer) | Self::Module(layer)) = self;
        match u64::try_from(layer.size) {
            Ok(..=MAX_MODULE) => Ok(layer),
            _ => Err(format!("its layer has {} bytes, more than {MAX_MODULE}", layer.size)),
        }
    }

    /// The module that the layer holds.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn module(self, layer: &[u8]) -> Result<Vec<u8>, String> {
        let module = match self {
            Self::Archive(_) => archive::unpack(layer)?,
            Self::Module(_) => layer.to_vec(),
        };
        if module.starts_with(WASM_MAGIC) {
            Ok(module)
        } else {
            Err("what it holds is no WebAssembly module".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const OCI_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    const SETTINGS: &str = "application/vnd.module.wasm.config.v1+json";

    /// A manifest whose layers have these kinds, and as digests their numbers.
    fn with_layers(media_type: Option<&str>, layers: &[&str]) -> Value {
        let descriptor = |(number, media_type): (usize, &&str)| json!({"mediaType": media_type, "digest": number.to_string(), "size": 1});
        let layers: Vec<_> = layers.iter().enumerate().map(descriptor).collect();
        let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "c", "size": 1});
        let mut manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        if let Some(media_type) = media_type {
            manifest["mediaType"] = media_type.into();
        }
        manifest
    }

    /// The layers that are tried, in order: `archive 0`, `module 1`, or why none is.
    fn tried(manifest: &OciImageManifest) -> Vec<String> {
        let tell = |(_, candidate)| match candidate {
            Ok(Candidate::Archive(layer)) => format!("archive {}", layer.digest),
            Ok(Candidate::Module(layer)) => format!("module {}", layer.digest),
            Err(why) => why,
        };
        candidates(manifest).into_iter().map(tell).collect()
    }

    #[test]
    fn layers_are_tried_by_the_rules_of_the_agent() {
        for (row, media_type, layers, expected) in [
            ("compat", Some(OCI), &[OCI_GZIP][..], &["archive 0", "it has 1 layer(s), not 2"][..]),
            ("compat without its own kind", None, &[OCI_GZIP], &["archive 0", "it has 1 layer(s), not 2"]),
            (
                "the last layer counts",
                Some(OCI),
                &[SETTINGS, DOCKER_GZIP, OCI_GZIP],
                &["archive 2", "it has 3 layer(s), not 2"],
            ),
            (
                "an artifact",
                Some(OCI),
                &[SETTINGS, MODULE_LAYER],
                &["its last layer is application/vnd.module.wasm", "module 1"],
            ),
            (
                "the other way round",
                Some(OCI),
                &[MODULE_LAYER, SETTINGS],
                &["its last layer is application/vnd.module.wasm.config", "module 0"],
            ),
            ("both kinds", Some(OCI), &[MODULE_LAYER, OCI_GZIP], &["archive 1", "module 0"]),
            ("one layer", Some(OCI), &[MODULE_LAYER], &["its last layer is", "it has 1 layer(s), not 2"]),
            (
                "three layers",
                Some(OCI),
                &[SETTINGS, SETTINGS, MODULE_LAYER],
                &["its last layer is", "it has 3 layer(s), not 2"],
            ),
            (
                "application/wasm",
                Some(OCI),
                &["application/wasm", SETTINGS],
                &["its last layer is", "none of its layers is"],
            ),
            (
                "uncompressed",
                Some(OCI),
                &["application/vnd.oci.image.layer.v1.tar"],
                &["its last layer is application/vnd.oci.image.layer.v1.tar, not", "it has 1"],
            ),
            ("zstd", Some(OCI), &["application/vnd.oci.image.layer.v1.tar+zstd"], &["its last layer is", "it has 1"]),
            ("no layers", Some(OCI), &[], &["it has no layer", "it has 0 layer(s), not 2"]),
            ("Docker's", Some(DOCKER), &[DOCKER_GZIP], &["archive 0"]),
            ("Docker's with a layer of OCI", Some(DOCKER), &[OCI_GZIP], &["its last layer is"]),
            ("Docker's is no artifact", Some(DOCKER), &[SETTINGS, MODULE_LAYER], &["its last layer is"]),
            ("OCI with a layer of Docker's", Some(OCI), &[DOCKER_GZIP], &["its last layer is", "it has 1"]),
        ] {
            let manifest = manifest(with_layers(media_type, layers).to_string().as_bytes()).unwrap();
            let found = tried(&manifest);
            let agrees = found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
            assert!(agrees, "{row}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for (row, json, expected) in [
            ("an index", r#"{"schemaVersion": 2, "manifests": []}"#, "an index of images"),
            ("no JSON", "<html>", "no JSON"),
            ("another document", r#"{"schemaVersion": 1, "fsLayers": []}"#, "not an image's"),
        ] {
            let error = manifest(json.as_bytes()).expect_err(row);
            assert!(error.contains(expected), "{row}: {error}");
        }
    }

    #[test]
    fn a_layer_holds_a_module_of_a_bearable_size() {
        let descriptor = |size| OciDescriptor { size, ..OciDescriptor::default() };
        for (size, expected) in [(1, true), (268_435_456, true), (268_435_457, false), (-1, false)] {
            assert_eq!(Candidate::Module(&descriptor(size)).layer().is_ok(), expected, "{size}");
        }
        let descriptor = descriptor(8);
        assert_eq!(
            Candidate::Module(&descriptor).module(b"\0asm\x01\0\0\0").as_deref(),
            Ok(b"\0asm\x01\0\0\0".as_slice())
        );
        let error = Candidate::Module(&descriptor).module(b"#!/bin/sh").unwrap_err();
        assert!(error.contains("no WebAssembly module"), "{error}");
    }
}
