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
