//! The two kinds of image that Istio's agent unpacks, made of a module.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci_client::{
    annotations::{
        ORG_OPENCONTAINERS_IMAGE_LICENSES, ORG_OPENCONTAINERS_IMAGE_REVISION, ORG_OPENCONTAINERS_IMAGE_SOURCE,
        ORG_OPENCONTAINERS_IMAGE_VERSION,
    },
    manifest::{
        IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest,
    },
};
use serde_json::{Value, json};

use super::{MODULE_LAYER, archive, digest};

/// What Istio, and an artifact's own tools, take for the settings of a module.
const SETTINGS: &str = "application/vnd.module.wasm.config.v1+json";
/// Of this project, by the name of SPDX.
const LICENCE: &str = "Apache-2.0";

/// How the module lies in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// An image as Docker builds it FROM scratch, with plugin.wasm in its only layer
    Compat,
    /// A wasm artifact: the module as a layer of its own, and its settings
    Artifact,
}

/// What is noted on the image.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Notes {
    /// Version that is noted on the image
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    version: String,
    /// Where its source is, noted on the image
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Commit that it was built from, noted on the image
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
}

/// Bytes that a registry keeps by their digest.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// What it is to the image: `layer` or `config`.
    pub(crate) part: &'static str,
    /// The bytes.
    pub(crate) content: Bytes,
    /// Their digest, size and kind.
    pub(crate) descriptor: OciDescriptor,
}

/// An image: everything that is pushed.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The layers and the configuration.
    pub(crate) blobs: Vec<Blob>,
    /// The manifest, as JSON.
    pub(crate) manifest: Bytes,
}

impl Image {
    /// Makes the same image of the same module and notes.
    ///
    /// # Errors
    /// When the module is larger than an image can say.
    pub(crate) fn of(module: Bytes, layout: Layout, notes: &Notes) -> Result<Self, String> {
        let image = match layout {
            Layout::Compat => compat(&module, notes),
            Layout::Artifact => artifact(module, notes),
        };
        image.map_err(|error| format!("cannot make an image of it: {error}"))
    }

    /// The digest of the manifest, by which Istio and registries name the image.
    pub(crate) fn digest(&self) -> String {
        digest::of(&self.manifest)
    }

    fn new(config: Blob, layers: Vec<Blob>, notes: &Notes) -> Result<Self, std::io::Error> {
        let manifest = OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config: config.descriptor.clone(),
            layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
            annotations: Some(notes.annotations()),
            ..OciImageManifest::default()
        };
        let manifest = serde_json::to_vec(&manifest)?.into();
        let mut blobs = layers;
        blobs.push(config);
        Ok(Self { blobs, manifest })
    }
}

impl Notes {
    /// The version that is noted.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        let given = [
            (ORG_OPENCONTAINERS_IMAGE_VERSION, Some(self.version.as_str())),
            (ORG_OPENCONTAINERS_IMAGE_LICENSES, Some(LICENCE)),
            (ORG_OPENCONTAINERS_IMAGE_SOURCE, self.source.as_deref()),
            (ORG_OPENCONTAINERS_IMAGE_REVISION, self.revision.as_deref()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
    }
}

impl Blob {
    fn new(part: &'static str, media_type: &str, content: Bytes) -> Result<Self, std::io::Error> {
        let size = i64::try_from(content.len()).map_err(std::io::Error::other)?;
        let digest = digest::of(&content);
        let descriptor = OciDescriptor { media_type: media_type.to_owned(), digest, size, ..OciDescriptor::default() };
        Ok(Self { part, content, descriptor })
    }

    fn json(part: &'static str, media_type: &str, content: &Value) -> Result<Self, std::io::Error> {
        Self::new(part, media_type, content.to_string().into())
    }
}

/// <https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md>
fn compat(module: &[u8], notes: &Notes) -> Result<Image, std::io::Error> {
    let packed = archive::pack(module)?;
    // A module is for no machine in particular; this is what Istio's agent asks for where it asks.
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest::of(&packed.tar)]},
    });
    let layer = Blob::new("layer", IMAGE_LAYER_GZIP_MEDIA_TYPE, packed.gzip)?;
    Image::new(Blob::json("config", IMAGE_CONFIG_MEDIA_TYPE, &config)?, vec![layer], notes)
}

/// <https://github.com/solo-io/wasm/blob/master/spec/spec.md>
fn artifact(module: Bytes, notes: &Notes) -> Result<Image, std::io::Error> {
    let settings = json!({"type": "envoy_proxy", "abiVersions": ["v0-2-1"]});
    let layers = vec![Blob::json("layer", SETTINGS, &settings)?, Blob::new("layer", MODULE_LAYER, module)?];
    Image::new(Blob::json("config", SETTINGS, &settings)?, layers, notes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::oci::accepted;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn notes(source: Option<&str>, revision: Option<&str>) -> Notes {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Notes { version: "1.2.3".to_owned(), source: owned(source), revision: owned(revision) }
    }

    /// A compat image of a module.
    pub(in crate::oci) fn image_of(module: Bytes) -> Image {
        Image::of(module, Layout::Compat, &notes(None, None)).unwrap()
    }

    fn image(layout: Layout, notes: &Notes) -> Image {
        Image::of(Bytes::from_static(MODULE), layout, notes).unwrap()
    }

    #[test]
    fn both_layouts_are_those_of_their_specifications() {
        for (layout, config, layers) in [
            (Layout::Compat, IMAGE_CONFIG_MEDIA_TYPE, vec![IMAGE_LAYER_GZIP_MEDIA_TYPE]),
            (Layout::Artifact, SETTINGS, vec![SETTINGS, MODULE_LAYER]),
        ] {
            let image = image(layout, &notes(None, None));
            let manifest = accepted::manifest(&image.manifest).unwrap();
            assert_eq!(manifest.media_type.as_deref(), Some(OCI_IMAGE_MEDIA_TYPE), "{layout:?}");
            assert_eq!(manifest.config.media_type, config, "{layout:?}");
            let found: Vec<_> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
            assert_eq!(found, layers, "{layout:?}");
            for named in manifest.layers.iter().chain([&manifest.config]) {
                let blob = image.blobs.iter().find(|blob| blob.descriptor.digest == named.digest);
                let blob = blob.unwrap_or_else(|| panic!("{layout:?}: {} is not pushed", named.media_type));
                assert_eq!(digest::of(&blob.content), named.digest, "{layout:?}");
                assert_eq!(usize::try_from(named.size), Ok(blob.content.len()), "{layout:?}");
            }
        }
    }

    #[test]
    fn a_compat_image_names_its_tar() {
        let image = image(Layout::Compat, &notes(None, None));
        let config = image.blobs.iter().find(|blob| blob.part == "config").unwrap();
        let config: Value = serde_json::from_slice(&config.content).unwrap();
        let tar = digest::of(&archive::pack(MODULE).unwrap().tar);
        assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [tar]}));
    }

    #[test]
    fn the_same_module_and_notes_make_the_same_image() {
        let base = notes(None, None);
        for layout in [Layout::Compat, Layout::Artifact] {
            let digest = |notes: &Notes| image(layout, notes).digest();
            assert_eq!(digest(&base), digest(&base), "{layout:?}");
            assert_ne!(digest(&base), digest(&notes(Some("https://example.com/source"), None)), "{layout:?}");
        }
    }

    #[test]
    fn notes_are_annotations() {
        for (row, notes, expected) in [
            (
                "the least",
                notes(None, None),
                json!({"org.opencontainers.image.version": "1.2.3", "org.opencontainers.image.licenses": "Apache-2.0"}),
            ),
            (
                "all",
                notes(Some("https://example.com/source"), Some("0a1b2c")),
                json!({
                    "org.opencontainers.image.version": "1.2.3",
                    "org.opencontainers.image.licenses": "Apache-2.0",
                    "org.opencontainers.image.source": "https://example.com/source",
                    "org.opencontainers.image.revision": "0a1b2c",
                }),
            ),
        ] {
            let manifest: Value = serde_json::from_slice(&image(Layout::Compat, &notes).manifest).unwrap();
            assert_eq!(manifest["annotations"], expected, "{row}");
        }
    }
}
