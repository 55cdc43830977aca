//! A registry, as the client of one image sees it: authorised, patient, and with errors in words.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::header::HeaderValue;
use oci_client::{
    Client, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor},
    token_cache::{RegistryToken, RegistryTokenType},
};
use tokio::time::sleep;
use tokio_stream::{Stream, StreamExt as _};

use super::{
    credentials::{Credentials, docker_directory},
    failure::{Exchange, Failure},
    reference::ImageUrl,
};
use crate::console;

/// Before each further try of a request that failed and may succeed later.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a registry may be silent; what is sent to it meanwhile, a layer of some 200 KB, counts as silence.
const SILENCE_LIMIT: Duration = Duration::from_secs(120);
/// What a client takes: an index, too, so that it can be refused by name.
const MANIFESTS: [&str; 4] = [
    OCI_IMAGE_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
    oci_client::manifest::IMAGE_MANIFEST_LIST_MEDIA_TYPE,
];

/// The flags of `push` and `pull` that say how to reach the registry.
#[derive(Debug, clap::Args)]
pub(crate) struct RegistryFlags {
    /// Speak HTTP to the registry instead of HTTPS, for one on this machine
    #[arg(long)]
    plain_http: bool,
}

/// The registry of one image.
pub(crate) struct Registry<'i> {
    image: &'i ImageUrl,
    client: Client,
    credentials: Credentials,
    plain_http: bool,
}

impl<'i> Registry<'i> {
    /// Finds out how the image's registry wants to be asked, and says who asks.
    ///
    /// # Errors
    /// When the credentials cannot be read, the registry cannot be reached or does not give a token.
    pub(crate) async fn connect(
        image: &'i ImageUrl,
        flags: &RegistryFlags,
        operation: RegistryOperation,
    ) -> Result<Self, String> {
        let credentials = Credentials::find(image.host(), docker_directory().as_deref())?;
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(configuration(flags.plain_http))
            .map_err(|error| format!("cannot set up HTTPS ({error}): SSL_CERT_FILE may name a file of certificates"))?;
        let registry = Self { image, client, credentials, plain_http: flags.plain_http };
        registry.patiently("asking who may do this", async || registry.authorise(operation).await).await?;
        Ok(registry)
    }

    async fn authorise(&self, operation: RegistryOperation) -> Result<(), OciDistributionError> {
        let reference = self.image.reference();
        let token = self.client.auth(reference, &self.credentials.auth, operation).await?;
        // Who may push may look, and a token to look alone may be refused before the first push.
        if let (RegistryOperation::Push, Some(token)) = (operation, token) {
            let token = RegistryTokenType::Bearer(RegistryToken::Token { token });
            self.client.tokens.insert(reference, RegistryOperation::Pull, token).await;
        }
        Ok(())
    }

    /// The digest of the image's manifest, if there is one.
    pub(crate) async fn digest(&self) -> Result<Option<String>, String> {
        let (reference, auth) = (self.image.reference(), &self.credentials.auth);
        let asked = async || match self.client.fetch_manifest_digest(reference, auth).await {
            Ok(digest) => Ok(Some(digest)),
            Err(error) if self.exchange().failure(&error).is_absence() => Ok(None),
            Err(error) => Err(error),
        };
        self.patiently("asking for the tag", asked).await
    }

    /// The image's manifest as it is; its digest is checked against what was asked for.
    pub(crate) async fn manifest(&self) -> Result<Bytes, String> {
        let (reference, auth) = (self.image.reference(), &self.credentials.auth);
        let asked = async || Ok(self.client.pull_manifest_raw(reference, auth, &MANIFESTS).await?.0);
        self.patiently("the manifest", asked).await
    }

    /// A blob of the image; its length and digest are checked.
    pub(crate) async fn blob(&self, descriptor: &OciDescriptor) -> Result<Bytes, String> {
        let size = u64::try_from(descriptor.size).unwrap_or_default();
        let asked = async || {
            let mut stream = self.client.pull_blob_stream(self.image.reference(), descriptor).await?;
            let mut blob = BytesMut::new();
            while let Some(part) = stream.next().await {
                blob.extend_from_slice(&part?);
                if u64::try_from(blob.len()).unwrap_or(u64::MAX) > size {
                    return Err(OciDistributionError::SpecViolationError(format!(
                        "{} is longer than the {size} bytes of its descriptor",
                        descriptor.digest
                    )));
                }
            }
            Ok(blob.freeze())
        };
        self.patiently("the layer", asked).await
    }

    /// Whether the registry has a blob for this image's name.
    pub(crate) async fn has_blob(&self, digest: &str) -> Result<bool, String> {
        let asked = async || self.client.blob_exists(self.image.reference(), digest).await;
        self.patiently("asking for a blob", asked).await
    }

    /// Uploads a blob; `parts` makes its bytes, once for each try.
    pub(crate) async fn push_blob<S>(&self, digest: &str, size: u64, parts: impl Fn() -> S) -> Result<(), String>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let asked = async || {
            let parts = parts().map(Ok);
            self.client.push_blob_stream(self.image.reference(), parts, digest, Some(size)).await
        };
        self.patiently("the upload", asked).await.map(drop)
    }

    /// Writes the manifest, by which the image's tag becomes this image.
    pub(crate) async fn push_manifest(&self, manifest: &Bytes) -> Result<(), String> {
        let kind = HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
        let asked =
            async || self.client.push_manifest_raw(self.image.reference(), manifest.clone(), kind.clone()).await;
        self.patiently("the manifest", asked).await.map(drop)
    }

    /// Asks again after what may pass.
    async fn patiently<T>(
        &self,
        what: &str,
        ask: impl AsyncFn() -> Result<T, OciDistributionError>,
    ) -> Result<T, String> {
        for pause in PAUSES {
            match self.once(&ask).await {
                Err(failure) if failure.is_transient() => {
                    console::complain(format_args!("{what}: {failure}; trying again in {pause:?}"));
                    sleep(pause).await;
                }
                outcome => return outcome.map_err(|failure| failure.to_string()),
            }
        }
        let tries = PAUSES.len().saturating_add(1);
        self.once(&ask).await.map_err(|failure| format!("{what}: {failure}; given up at the {tries}th try"))
    }

    async fn once<T>(&self, ask: &impl AsyncFn() -> Result<T, OciDistributionError>) -> Result<T, Failure> {
        ask().await.map_err(|error| self.exchange().failure(&error))
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange { image: self.image, plain_http: self.plain_http, credentials: &self.credentials }
    }
}

fn configuration(plain_http: bool) -> ClientConfig {
    ClientConfig {
        protocol: if plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
        // One PUT: what every registry has to understand.
        use_monolithic_push: true,
        read_timeout: Some(SILENCE_LIMIT),
        connect_timeout: Some(CONNECT_LIMIT),
        user_agent: concat!("canaryctl/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    }
}
