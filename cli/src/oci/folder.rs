//! An image in a folder, as the image layout of OCI, which `skopeo`, `oras` and `crane` take into a registry.

use std::{fs, io, path::Path};

use oci_client::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use serde_json::json;

use super::layout::Image;

/// By this annotation tools know the image's tag.
const TAG: &str = "org.opencontainers.image.ref.name";

/// Writes the image under a tag into a folder that is not there yet: the same files for the same image and tag.
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>
///
/// # Errors
/// When the folder is there already, or cannot be written.
pub(crate) fn write(image: &Image, tag: &str, folder: &Path) -> io::Result<()> {
    let digest = image.digest();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE,
        "manifests": [{
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "digest": digest,
            "size": image.manifest.len(),
            "annotations": {TAG: tag},
        }],
    });
    fs::create_dir(folder)?;
    let blobs = folder.join("blobs");
    fs::create_dir(&blobs)?;
    let named = image.blobs.iter().map(|blob| (&blob.descriptor.digest, &blob.content));
    for (digest, content) in named.chain([(&digest, &image.manifest)]) {
        // `sha256:HEX` is the file `sha256/HEX`.
        let file = blobs.join(digest.replacen(':', "/", 1));
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(file, content)?;
    }
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(folder.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{accepted, archive, digest, layout::tests::image_of};
    use bytes::Bytes;
    use serde_json::Value;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn the_digests_lead_from_the_index_to_the_module() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("image");
        let image = image_of(Bytes::from_static(MODULE));
        write(&image, "1.2.3", &folder).unwrap();
        let read = |digest: &str| {
            let content = fs::read(folder.join("blobs").join(digest.replace(':', "/"))).unwrap();
            assert_eq!(digest::of(&content), digest);
            content
        };
        let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!(
            (entry["annotations"][TAG].as_str(), index["manifests"].as_array().unwrap().len()),
            (Some("1.2.3"), 1)
        );
        let manifest = read(entry["digest"].as_str().unwrap());
        assert_eq!(entry["size"], manifest.len());
        let manifest = accepted::manifest(&manifest).unwrap();
        read(&manifest.config.digest);
        assert_eq!(archive::unpack(&read(&manifest.layers[0].digest)).as_deref(), Ok(MODULE));
        let layout = fs::read_to_string(folder.join("oci-layout")).unwrap();
        assert_eq!(layout, r#"{"imageLayoutVersion":"1.0.0"}"#);
        assert_eq!(write(&image, "1.2.3", &folder).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
