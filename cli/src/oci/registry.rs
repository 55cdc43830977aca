//! A registry, as the client of one image sees it: authorised, patient, and with errors in words.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use hyper::header::HeaderValue;
use oci_client::{
    Client, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor},
    secrets::RegistryAuth,
    token_cache::RegistryTokenType,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_stream::{Stream, StreamExt as _};

use super::{
    credentials::{Credentials, docker_directory},
    failure::{Exchange, Failure},
    reference::{ImageUrl, is_loopback},
    token::{Challenge, TokenService},
};
use crate::{console, flags};

/// Before each further try of a request that failed and may succeed later.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How many bytes of an upload may be handed over and not be sent: hyper takes up to 417,792, and a part more.
const HANDED_OVER: u64 = 512 * 1024;
/// How slow an upload may be, in bytes a second, for what is handed over: the registry is not silent while it takes that.
const SLOWEST_UPLOAD: u64 = 128 * 1024;
/// Who asks.
const USER_AGENT: &str = concat!("canaryctl/", env!("CARGO_PKG_VERSION"));
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
    /// How long the registry may neither answer nor take or send a byte before it is asked again, five times in all; an upload
    /// has up to 4s more, for what is on its way at 128 KiB/s
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = silence)]
    timeout: Duration,
}

fn silence(text: &str) -> Result<Duration, String> {
    let wrong = || "give a duration of more than nothing, such as 30s".to_owned();
    flags::duration(text).ok().filter(|duration| !duration.is_zero()).ok_or_else(wrong)
}

/// The registry of one image.
pub(crate) struct Registry<'i> {
    image: &'i ImageUrl,
    client: Client,
    /// For what the client of images does not tell: what became of a token.
    web: reqwest::Client,
    /// How long there may be no progress.
    timeout: Duration,
    /// Told of each part of a layer that goes or comes.
    progress: Arc<Notify>,
    credentials: Credentials,
    plain_http: bool,
    operation: RegistryOperation,
    /// Whether who asks is known by a token, which expires.
    has_token: bool,
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
        let wrong = |error: &dyn fmt::Display| {
            format!("cannot set up HTTPS ({error}): SSL_CERT_FILE may name a file of certificates")
        };
        let connect = CONNECT_LIMIT.min(flags.timeout);
        let client = Client::try_from(configuration(flags.plain_http, connect)).map_err(|error| wrong(&error))?;
        let web = reqwest::Client::builder().user_agent(USER_AGENT).connect_timeout(connect).build();
        let mut registry = Self {
            image,
            client,
            web: web.map_err(|error| wrong(&error))?,
            timeout: flags.timeout,
            progress: Arc::default(),
            credentials,
            plain_http: flags.plain_http,
            operation,
            has_token: false,
        };
        if flags.plain_http && registry.is_told_a_secret(image.host()) {
            console::complain(format_args!(
                "warning: --plain-http: the password for {} goes over the network in clear, for everybody on the way to read",
                image.host()
            ));
        }
        registry.has_token = registry.authorise().await?;
        Ok(registry)
    }

    /// Whether a password goes over the network to this host.
    fn is_told_a_secret(&self, host: &str) -> bool {
        self.credentials.are_secret() && !is_loopback(host)
    }

    /// Whether it is by a token, which expires.
    async fn authorise(&self) -> Result<bool, String> {
        const WHAT: &str = "asking who may do this";
        let (reference, operation) = (self.image.reference(), self.operation);
        let asked = async || Challenge::of(&self.web, &self.base()).await.map_err(|error| self.failure(&error));
        let token = match self.patiently_with(WHAT, &self.exchange(), Duration::ZERO, asked).await? {
            Challenge::None => return Ok(false),
            Challenge::Password => match &self.credentials.auth {
                RegistryAuth::Basic(user, password) => RegistryTokenType::Basic(user.clone(), password.clone()),
                _ => return Ok(false),
            },
            Challenge::Token(service) => {
                self.warn_of(&service);
                let exchange = Exchange { token_service: Some(service.url()), ..self.exchange() };
                let asked = async || service.token(&self.web, reference, &operation, &exchange).await;
                RegistryTokenType::Bearer(self.patiently_with(WHAT, &exchange, Duration::ZERO, asked).await?)
            }
        };
        // Who may push may look, and a token to look alone may be refused before the first push.
        if operation == RegistryOperation::Push {
            self.client.tokens.insert(reference, RegistryOperation::Pull, token.clone()).await;
        }
        let is_token = matches!(token, RegistryTokenType::Bearer(_));
        self.client.tokens.insert(reference, operation, token).await;
        Ok(is_token)
    }

    /// Where a registry sends its clients, who were not warned of itself, to a service without HTTPS.
    fn warn_of(&self, service: &TokenService) {
        let is_far = service.host_without_https().is_some_and(|host| self.is_told_a_secret(&host));
        let is_told_already = self.plain_http && self.is_told_a_secret(self.image.host());
        if is_far && !is_told_already {
            console::complain(format_args!(
                "warning: {} wants its password at {}: it goes over the network in clear, for everybody on the way to read",
                self.image.host(),
                service.url()
            ));
        }
    }

    /// Where the interface of registries begins.
    fn base(&self) -> String {
        let scheme = if self.plain_http { "http" } else { "https" };
        format!("{scheme}://{}/v2/", self.image.reference().resolve_registry())
    }

    /// The digest of the image's manifest, if there is one.
    pub(crate) async fn digest(&self) -> Result<Option<String>, String> {
        let (reference, auth) = (self.image.reference(), &self.credentials.auth);
        let asked = async || match self.told(self.client.fetch_manifest_digest(reference, auth)).await {
            Ok(digest) => Ok(Some(digest)),
            Err(failure) if failure.is_absence() => Ok(None),
            Err(failure) => Err(failure),
        };
        self.patiently("asking for the tag", asked).await
    }

    /// The image's manifest as it is; its digest is checked against what was asked for.
    pub(crate) async fn manifest(&self) -> Result<Bytes, String> {
        let (reference, auth) = (self.image.reference(), &self.credentials.auth);
        let asked = async || self.told(self.client.pull_manifest_raw(reference, auth, &MANIFESTS)).await;
        self.patiently("the manifest", asked).await.map(|(manifest, _digest)| manifest)
    }

    /// A blob of the image; its length and digest are checked.
    pub(crate) async fn blob(&self, descriptor: &OciDescriptor) -> Result<Bytes, String> {
        self.patiently("the layer", async || self.told(self.download(descriptor)).await).await
    }

    async fn download(&self, descriptor: &OciDescriptor) -> Result<Bytes, OciDistributionError> {
        let size = u64::try_from(descriptor.size).unwrap_or_default();
        let mut stream = self.client.pull_blob_stream(self.image.reference(), descriptor).await?;
        let mut blob = BytesMut::new();
        while let Some(part) = stream.next().await {
            self.progress.notify_one();
            blob.extend_from_slice(&part?);
            if u64::try_from(blob.len()).unwrap_or(u64::MAX) > size {
                return Err(OciDistributionError::SpecViolationError(format!(
                    "{} is longer than the {size} bytes of its descriptor",
                    descriptor.digest
                )));
            }
        }
        Ok(blob.freeze())
    }

    /// Whether the registry has a blob for this image's name.
    pub(crate) async fn has_blob(&self, digest: &str) -> Result<bool, String> {
        let asked = async || self.told(self.client.blob_exists(self.image.reference(), digest)).await;
        self.patiently("asking for a blob", asked).await
    }

    /// Uploads a blob; `parts` makes its bytes, once for each try.
    pub(crate) async fn push_blob<S>(&self, digest: &str, size: u64, parts: impl Fn() -> S) -> Result<(), String>
    where
        S: Stream<Item = Bytes> + Send + 'static,
    {
        let asked = async || {
            let progress = Arc::clone(&self.progress);
            let parts = parts().map(move |part| {
                progress.notify_one();
                Ok(part)
            });
            self.told(self.client.push_blob_stream(self.image.reference(), parts, digest, Some(size))).await
        };
        self.patiently_for("the upload", on_its_way(size), asked).await.map(drop)
    }

    /// Writes the manifest, by which the image's tag becomes this image.
    pub(crate) async fn push_manifest(&self, manifest: &Bytes) -> Result<(), String> {
        let kind = HeaderValue::from_static(OCI_IMAGE_MEDIA_TYPE);
        let reference = self.image.reference();
        let asked = async || self.told(self.client.push_manifest_raw(reference, manifest.clone(), kind.clone())).await;
        self.patiently("the manifest", asked).await.map(drop)
    }

    async fn told<T>(&self, answer: impl Future<Output = Result<T, OciDistributionError>>) -> Result<T, Failure> {
        answer.await.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &OciDistributionError) -> Failure {
        self.exchange().failure(error)
    }

    /// Asks the registry again after what may pass.
    async fn patiently<T>(&self, what: &str, ask: impl AsyncFn() -> Result<T, Failure>) -> Result<T, String> {
        self.patiently_for(what, Duration::ZERO, ask).await
    }

    /// The same, where something may be on its way for so long; and once more with another token, as the client of images swallows
    /// why it has none in place of one that has expired.
    async fn patiently_for<T>(
        &self,
        what: &str,
        on_its_way: Duration,
        ask: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, String> {
        let exchange = self.exchange();
        match self.patiently_with(what, &exchange, on_its_way, &ask).await {
            Err(failure) if failure.is_refusal() && self.has_token => {
                self.authorise().await?;
                Ok(self.patiently_with(what, &exchange, on_its_way, &ask).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn patiently_with<T>(
        &self,
        what: &str,
        exchange: &Exchange<'_>,
        on_its_way: Duration,
        ask: impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        for pause in PAUSES {
            match self.once(exchange, on_its_way, &ask).await {
                Err(failure) if failure.is_transient() => {
                    console::complain(format_args!("{what}: {failure}; trying again in {pause:?}"));
                    sleep(pause).await;
                }
                outcome => return outcome,
            }
        }
        let tries = PAUSES.len().saturating_add(1);
        let outcome = self.once(exchange, on_its_way, &ask).await;
        outcome.map_err(|failure| Failure::lasting(format!("{what}: {failure}; given up at the {tries}th try")))
    }

    async fn once<T>(
        &self,
        exchange: &Exchange<'_>,
        on_its_way: Duration,
        ask: &impl AsyncFn() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        tokio::select! {
            outcome = ask() => outcome,
            () = self.silence(self.timeout.saturating_add(on_its_way)) => Err(exchange.silent(self.timeout, on_its_way)),
        }
    }

    /// Ends when there was no progress for so long.
    async fn silence(&self, limit: Duration) {
        while timeout(limit, self.progress.notified()).await.is_ok() {}
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange { image: self.image, plain_http: self.plain_http, credentials: &self.credentials, token_service: None }
    }
}

/// How long it may take to send what is handed over of an upload of so many bytes.
fn on_its_way(size: u64) -> Duration {
    Duration::from_millis(size.min(HANDED_OVER).saturating_mul(1000).div_ceil(SLOWEST_UPLOAD))
}

fn configuration(plain_http: bool, connect_timeout: Duration) -> ClientConfig {
    ClientConfig {
        protocol: if plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
        // One PUT: what every registry has to understand.
        use_monolithic_push: true,
        connect_timeout: Some(connect_timeout),
        user_agent: USER_AGENT,
        ..ClientConfig::default()
    }
}
