//! `canaryctl pull`: the filter's module out of an image, as Istio's agent would take it.

use std::{
    fs::Permissions,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use oci_client::{RegistryOperation, manifest::OciImageManifest};

use super::{
    PLUGIN, accepted, digest,
    reference::ImageUrl,
    registry::{Registry, RegistryFlags},
};
use crate::{console, runtime};

/// Pull the filter out of an OCI registry, as Istio would
///
/// Takes the module out of the image by the rules of Istio's agent, and refuses what that would refuse. Manifest and layer are
/// checked against their digests, the manifest also against one in the URL (`@sha256:…`). Prints the manifest's digest.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image; with @sha256:DIGEST behind or in place of its tag, that very one
    #[arg(value_name = "oci://HOST[:PORT]/NAME:TAG")]
    image: ImageUrl,
    /// Where to write the module
    #[arg(short, long, value_name = "FILE", default_value = PLUGIN)]
    output: PathBuf,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl Args {
    /// Runs the subcommand: exit code 0 when the module is written.
    #[must_use]
    pub fn run(self) -> ExitCode {
        runtime::block_on(self.pull())
    }

    async fn pull(self) -> Result<ExitCode, String> {
        let registry = Registry::connect(&self.image, &self.registry, RegistryOperation::Pull).await?;
        let json = registry.manifest().await?;
        let manifest = accepted::manifest(&json).map_err(|why| self.refused(&why))?;
        let module = self.module(&registry, &manifest).await?;
        write(&self.output, &module).map_err(|error| format!("{}: {error}", self.output.display()))?;
        console::complain(format_args!(
            "{}: {} bytes, sha256 {}",
            self.output.display(),
            module.len(),
            digest::sha256(&module)
        ));
        console::say(digest::of(&json));
        Ok(ExitCode::SUCCESS)
    }

    async fn module(&self, registry: &Registry<'_>, manifest: &OciImageManifest) -> Result<Vec<u8>, String> {
        let mut reasons = Vec::new();
        for (kind, candidate) in accepted::candidates(manifest) {
            match candidate.and_then(|candidate| Ok((candidate, candidate.layer()?))) {
                Ok((candidate, layer)) => match candidate.module(&registry.blob(layer).await?) {
                    Ok(module) => return Ok(module),
                    Err(why) => reasons.push(format!("{kind}: {why}")),
                },
                Err(why) => reasons.push(format!("{kind}: {why}")),
            }
        }
        Err(self.refused(&reasons.join("; ")))
    }

    fn refused(&self, why: &str) -> String {
        format!("{}: Istio would refuse this image: {why}", self.image)
    }
}

/// Writes the file by a rename: whoever reads it sees all of it, or what was there before.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}
