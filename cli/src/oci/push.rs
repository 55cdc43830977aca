//! `canaryctl push`: the filter's module into a registry, as an image.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use oci_client::RegistryOperation;
use tokio_stream::{Stream, StreamExt as _};

use super::{
    WASM_MAGIC, digest, folder,
    layout::{Blob, Image, Layout, Notes},
    reference::{ImageUrl, Target},
    registry::{Registry, RegistryFlags},
};
use crate::{console, runtime};

/// How many bytes are handed to the connection at a time.
const PART: usize = 64 * 1024;
/// How often a long upload says how far it is.
const REPORT: Duration = Duration::from_secs(1);

/// Push the filter into an OCI registry, as an image that Istio takes
///
/// Prints the digest of the image's manifest, and to standard error what happens and what a WasmPlugin needs. Who pushes is
/// what `docker login` has noted ($DOCKER_CONFIG, else ~/.docker; helpers included). An image that is there already is not
/// pushed again; a tag that names another image is moved, with a warning.
/// `oci-layout:FOLDER` writes the same image into a new folder, as an image layout of OCI, under the tag that `--version` says.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The filter's module, such as dist/canary_filter.wasm
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to push it
    #[arg(value_name = "oci://HOST[:PORT]/NAME:TAG")]
    target: Target,
    /// How the module lies in the image; Istio takes both
    #[arg(long, value_enum, default_value_t = Layout::Compat)]
    layout: Layout,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl Args {
    /// Runs the subcommand: exit code 0 when the registry has the image under its tag.
    #[must_use]
    pub fn run(self) -> ExitCode {
        runtime::block_on(self.push())
    }

    async fn push(self) -> Result<ExitCode, String> {
        match &self.target {
            Target::Registry(url) => self.push_to(url).await,
            Target::Folder(folder) => {
                let image = self.image(self.module()?)?;
                folder::write(&image, self.notes.version(), folder)
                    .map_err(|error| format!("{}: {error}", folder.display()))?;
                console::say(image.digest());
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    async fn push_to(&self, url: &ImageUrl) -> Result<ExitCode, String> {
        if url.reference().digest().is_some() {
            return Err(format!("{url}: an image is pushed to a tag; its digest is what comes of it"));
        }
        let module = self.module()?;
        let image = self.image(module.clone())?;
        let registry = Registry::connect(url, &self.registry, RegistryOperation::Push).await?;
        let (before, digest) = (registry.digest().await?, image.digest());
        if before.as_deref() == Some(&digest) {
            console::complain(format_args!("{url} is this very image already: nothing is pushed"));
        } else {
            console::complain(format_args!("pushing {} to {url}", self.file.display()));
            for blob in &image.blobs {
                upload(&registry, blob).await?;
            }
            registry.push_manifest(&image.manifest).await?;
            confirm(url, &registry, &digest).await?;
        }
        if let Some(before) = before.filter(|before| *before != digest) {
            console::complain(format_args!(
                "warning: the tag has moved from {before}: proxies that have fetched it keep that image (imagePullPolicy: \
                 IfNotPresent), and where a plugin names its sha256, proxies that start now fail to fetch it; a new tag avoids both"
            ));
        }
        tell(url, &digest, &module);
        Ok(ExitCode::SUCCESS)
    }

    fn image(&self, module: Bytes) -> Result<Image, String> {
        Image::of(module, self.layout, &self.notes).map_err(|error| format!("{}: {error}", self.file.display()))
    }

    fn module(&self) -> Result<Bytes, String> {
        let module = fs::read(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?;
        if !module.starts_with(WASM_MAGIC) {
            return Err(format!("{}: it is no WebAssembly module", self.file.display()));
        }
        Ok(module.into())
    }
}

/// That the registry keeps the image as it was pushed.
async fn confirm(url: &ImageUrl, registry: &Registry<'_>, digest: &str) -> Result<(), String> {
    let kept = registry.digest().await?;
    if kept.as_deref() == Some(digest) {
        return Ok(());
    }
    let kept = kept.as_deref().unwrap_or("nothing");
    Err(format!("{url}: {digest} was pushed, and {} has {kept}", url.host()))
}

fn tell(url: &ImageUrl, digest: &str, module: &[u8]) {
    console::complain(format_args!(
        "for a WasmPlugin, or wasm: of a TrafficExtension:\n  url: {url}\n  sha256: {}\n\
         sha256 is the manifest's digest, as Istio wants it for oci://; for a url of http(s):// it is the file's own, {}",
        digest.trim_start_matches("sha256:"),
        digest::sha256(module),
    ));
    console::say(digest);
}

async fn upload(registry: &Registry<'_>, blob: &Blob) -> Result<(), String> {
    let (name, size) = (&blob.descriptor.digest, blob.content.len());
    if registry.has_blob(name).await? {
        console::complain(format_args!("  {} {name}: is there", blob.part));
        return Ok(());
    }
    console::complain(format_args!("  {} {name}: {size} bytes", blob.part));
    registry.push_blob(name, u64::try_from(size).unwrap_or(u64::MAX), || parts(&blob.content)).await
}

/// The bytes in parts, which say how far they are, where that takes long.
fn parts(content: &Bytes) -> impl Stream<Item = Bytes> + Send + 'static {
    let (mut rest, mut parts) = (content.clone(), Vec::new());
    while !rest.is_empty() {
        parts.push(rest.split_to(PART.min(rest.len())));
    }
    let (size, mut sent, mut reported) = (content.len(), 0_usize, Instant::now());
    tokio_stream::iter(parts).map(move |part| {
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            console::complain(format_args!("    {sent} of {size} bytes"));
        }
        sent = sent.saturating_add(part.len());
        part
    })
}
