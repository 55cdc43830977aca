//! The layer of a compat image: a gzipped tar with the module.

use std::{
    io::{self, Read as _, Write as _},
    path::Path,
};

use bytes::Bytes;
use flate2::{Compression, GzBuilder, read::MultiGzDecoder};
use tar::{Archive, Builder, EntryType, Header};

use super::{MAX_MODULE, PLUGIN};

/// A gzipped tar.
#[derive(Debug)]
pub(crate) struct Packed {
    /// The tar.
    pub(crate) tar: Vec<u8>,
    /// The same, gzipped.
    pub(crate) gzip: Bytes,
}

/// Packs a module as `plugin.wasm`: the same bytes for the same module, whoever packs it when.
///
/// # Errors
/// When the module is larger than a tar can say.
pub(crate) fn pack(module: &[u8]) -> io::Result<Packed> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_path(PLUGIN)?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    header.set_size(u64::try_from(module.len()).map_err(io::Error::other)?);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, module)?;
    let tar = builder.into_inner()?;
    // Without a time and a name; the system is "unknown" (RFC 1952, section 2.3.1).
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    encoder.write_all(&tar)?;
    let gzip = encoder.finish()?.into();
    Ok(Packed { tar, gzip })
}

/// The first file of a gzipped tar whose base name is `plugin.wasm`, in whatever folder.
///
/// # Errors
/// When it is no gzipped tar, has no such file, or is larger than the agent reads.
pub(crate) fn unpack(gzip: &[u8]) -> Result<Vec<u8>, String> {
    let wrong = |error: io::Error| format!("the layer is no tar+gzip: {error}");
    let mut archive = Archive::new(MultiGzDecoder::new(gzip).take(MAX_MODULE));
    for entry in archive.entries().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        if Path::new(&*entry.path().map_err(wrong)?).file_name().is_some_and(|name| name == PLUGIN) {
            let mut module = Vec::new();
            entry.read_to_end(&mut module).map_err(wrong)?;
            // The crate takes the end of the archive for that of a file.
            if u64::try_from(module.len()) != Ok(entry.size()) {
                return Err(format!("the layer ends within {PLUGIN}"));
            }
            return Ok(module);
        }
    }
    Err(format!("there is no {PLUGIN} in the layer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn the_same_module_is_packed_into_the_same_bytes() {
        let packed = pack(MODULE).unwrap();
        assert_eq!(packed.gzip, pack(MODULE).unwrap().gzip);
        // But for how it writes the checksum, this is what GNU tar makes: --format=ustar --owner=0 --group=0 --mtime=@0 -b 1.
        assert_eq!(digest::sha256(&packed.tar), "1ee37e8aeb625e51dfb112314371c1dd091594ca5997bf1ca25142882728757b");
        // Neither name, time nor system; the best compression.
        assert_eq!(packed.gzip.get(..10), Some(b"\x1f\x8b\x08\0\0\0\0\0\x02\xff".as_slice()));
        assert_eq!(unpack(&packed.gzip).as_deref(), Ok(MODULE));
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = Header::new_gnu();
            header.set_size(content.len().try_into().unwrap());
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn the_plugin_is_the_first_of_its_name_in_any_folder() {
        for (row, layer, expected) in [
            ("alone", gzipped(&tar_of(&[("plugin.wasm", b"1")])), Ok("1")),
            ("after others", gzipped(&tar_of(&[("LICENSE", b"0"), ("plugin.wasm", b"1")])), Ok("1")),
            ("in a folder", gzipped(&tar_of(&[("opt/x/plugin.wasm", b"1")])), Ok("1")),
            ("twice", gzipped(&tar_of(&[("a/plugin.wasm", b"1"), ("plugin.wasm", b"2")])), Ok("1")),
            ("empty", gzipped(&tar_of(&[])), Err("there is no plugin.wasm")),
            ("by another name", gzipped(&tar_of(&[("my-plugin.wasm", b"1")])), Err("there is no plugin.wasm")),
            ("not gzipped", tar_of(&[("plugin.wasm", b"1")]), Err("no tar+gzip")),
            ("not tarred", gzipped(MODULE), Err("no tar+gzip")),
            ("cut", gzipped(tar_of(&[("plugin.wasm", b"1")]).split_at(512).0), Err("ends within plugin.wasm")),
        ] {
            match (unpack(&layer), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected.as_bytes(), "{row}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{row}: {error}"),
                (found, _) => panic!("{row}: {found:?}"),
            }
        }
    }
}
