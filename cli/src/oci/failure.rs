//! Why a registry did not do what it was asked, in words that say what to do.

use std::{error::Error, fmt, io, iter, time::Duration};

use oci_client::errors::{DigestError, OciDistributionError, OciEnvelope, OciErrorCode};

use super::{credentials::Credentials, excerpt::excerpt, reference::ImageUrl};

/// Why a request failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For the user.
    message: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The same request may succeed a little later.
    Transient,
    /// There is no such image.
    Absent,
    /// Who asks is not let in.
    Refused,
    /// Asking again is of no use.
    Lasting,
}

/// Who asked whom, for the words.
#[derive(Debug)]
pub(crate) struct Exchange<'e> {
    pub(crate) image: &'e ImageUrl,
    pub(crate) plain_http: bool,
    pub(crate) credentials: &'e Credentials,
    /// The URL of the service that gives tokens for the registry, where that is asked.
    pub(crate) token_service: Option<&'e str>,
}

impl Failure {
    /// A registry that answers something else than it should.
    pub(crate) fn lasting(message: String) -> Self {
        Self { message, kind: Kind::Lasting }
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        self.kind == Kind::Transient
    }

    /// Whether it is that who asks is not let in.
    pub(crate) fn is_refusal(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// Whether it is that there is no such image.
    pub(crate) fn is_absence(&self) -> bool {
        self.kind == Kind::Absent
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Exchange<'_> {
    /// What an error of the client's means here.
    pub(crate) fn failure(&self, error: &OciDistributionError) -> Failure {
        match error {
            OciDistributionError::RegistryError { envelope, .. } => self.answered(status(envelope), &words(envelope)),
            OciDistributionError::ServerError { code, message, .. } => self.answered(*code, message),
            OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
                self.answered(401, "")
            }
            OciDistributionError::RequestError(error) if error.status().is_some() => {
                self.answered(error.status().map_or(0, |status| status.as_u16()), "")
            }
            OciDistributionError::RequestError(error) => self.unanswered(error),
            OciDistributionError::IoError(error) => self.unanswered(error),
            OciDistributionError::DigestError(error) => self.mismatch(error),
            error => Failure::lasting(format!("{}: {}", self.image, excerpt(&error.to_string()))),
        }
    }

    /// Neither an answer nor progress for `limit`, nor for the time that what is on its way may take.
    pub(crate) fn silent(&self, limit: Duration, on_its_way: Duration) -> Failure {
        let all = limit.saturating_add(on_its_way);
        let why =
            if on_its_way.is_zero() { String::new() } else { format!(" and {on_its_way:?} for what is on its way") };
        let message = format!("{} has been silent for {all:?} (--timeout{why})", self.peer());
        Failure { message, kind: Kind::Transient }
    }

    /// The token service has something else to say than a token.
    pub(crate) fn without_a_token(&self) -> Failure {
        Failure::lasting(format!("{} answers without a token", self.peer()))
    }

    /// The registry names what nobody can ask as its token service.
    pub(crate) fn without_a_service(&self, realm: &str) -> Failure {
        let (host, realm) = (self.image.host(), excerpt(realm));
        Failure::lasting(format!(
            "{host} wants its clients to ask {realm:?} for a token, which is no URL of http:// or https://"
        ))
    }

    /// Whom the words are about.
    fn peer(&self) -> String {
        let host = self.image.host();
        self.token_service.map_or_else(|| host.to_owned(), |url| format!("{url} (the token service of {host})"))
    }

    /// The registry, or its token service, answered with an error: a text, or the envelope of the distribution's interface.
    pub(crate) fn answered(&self, status: u16, text: &str) -> Failure {
        let (image, host) = (self.image, self.peer());
        let text = excerpt(&serde_json::from_str(text).map_or_else(|_| text.to_owned(), |envelope| words(&envelope)));
        let behind = |before: &str| if text.is_empty() { String::new() } else { format!("{before}{text}") };
        let told = behind(": ");
        let is_nobody = self.token_service.is_some() && !self.credentials.are_secret();
        let (kind, message) = match status {
            400 if self.plain_http && text.contains("HTTPS") => {
                (Kind::Lasting, format!("{host} speaks HTTPS: leave --plain-http out"))
            }
            401 => (Kind::Refused, self.credentials.refused_by(self.image.host()) + &behind("; it says: ")),
            403 if is_nobody => {
                (Kind::Lasting, self.credentials.refused_by(self.image.host()) + &behind("; it says: "))
            }
            403 => (Kind::Lasting, format!("{image}: {host} does not allow it{told}")),
            404 if self.token_service.is_none() => (Kind::Absent, format!("{image}: {host} does not have it{told}")),
            429 | 500 | 502..=504 => (Kind::Transient, format!("{host} answers {status}{told}")),
            _ => (Kind::Lasting, format!("{image}: {host} answers {status}{told}")),
        };
        Failure { message, kind }
    }

    /// There is no whole answer.
    fn unanswered(&self, error: &(dyn Error + 'static)) -> Failure {
        let host = self.peer();
        let mut last = error;
        for cause in causes(error) {
            match cause.downcast_ref() {
                Some(rustls::Error::InvalidMessage(_)) => {
                    return Failure::lasting(format!(
                        "{host} does not speak HTTPS: --plain-http is for registries without it"
                    ));
                }
                Some(rustls::Error::InvalidCertificate(why)) => {
                    return Failure::lasting(format!(
                        "{host}: its certificate is not trusted: {why}; the authority that signed it belongs to those of this machine, or into the file that SSL_CERT_FILE names"
                    ));
                }
                _ => {}
            }
            if let Some(error) = cause.downcast_ref() {
                return self.mismatch(error);
            }
            last = cause;
        }
        Failure { message: format!("{host}: {last}"), kind: Kind::Transient }
    }

    /// What came is not what was named.
    fn mismatch(&self, error: &DigestError) -> Failure {
        let (image, host) = (self.image, self.image.host());
        Failure::lasting(match error {
            DigestError::VerificationError { expected, actual } => {
                format!("{image}: {host} was asked for {expected} and sent {actual}: nothing of it is used")
            }
            error => format!("{image}: {host}: {error}"),
        })
    }
}

/// An error and what is behind it; `io::Error` hides the first of these.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| behind(error))
}

fn behind<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(hidden) => Some(hidden),
        None => error.source(),
    }
}

/// The status that stands for what a registry says; the client has dropped the real one.
fn status(envelope: &OciEnvelope) -> u16 {
    match envelope.errors.first().map(|error| &error.code) {
        Some(OciErrorCode::Unauthorized) => 401,
        Some(OciErrorCode::Denied) => 403,
        Some(OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::BlobUnknown) => 404,
        Some(OciErrorCode::Toomanyrequests) => 429,
        _ => 400,
    }
}

fn words(envelope: &OciEnvelope) -> String {
    envelope.errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use oci_client::secrets::RegistryAuth;

    use super::*;

    fn server(code: u16, message: &str) -> OciDistributionError {
        OciDistributionError::ServerError { code, url: "https://r.io/v2/".to_owned(), message: message.to_owned() }
    }

    fn registry(envelope: &str) -> OciDistributionError {
        OciDistributionError::RegistryError { envelope: serde_json::from_str(envelope).unwrap(), url: String::new() }
    }

    #[test]
    fn errors_are_told_by_what_can_be_done() {
        let image = "oci://r.io/a:1".parse().unwrap();
        let credentials = Credentials::find("r.io", None).unwrap();
        let denied = r#"{"errors": [{"code": "DENIED", "message": "no write"}]}"#;
        let cut = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        let tampered =
            || DigestError::VerificationError { expected: "sha256:a".to_owned(), actual: "sha256:b".to_owned() };
        for (row, plain_http, error, kind, expected) in [
            ("busy", false, server(503, "come back"), Kind::Transient, "r.io answers 503: come back"),
            ("too many", false, server(429, ""), Kind::Transient, "r.io answers 429"),
            ("broken", false, server(500, ""), Kind::Transient, "r.io answers 500"),
            ("not made for it", false, server(501, ""), Kind::Lasting, "oci://r.io/a:1: r.io answers 501"),
            ("denied, as text", false, server(403, denied), Kind::Lasting, "r.io does not allow it: no write"),
            ("denied", false, registry(denied), Kind::Lasting, "r.io does not allow it: no write"),
            ("nobody", false, server(401, ""), Kind::Refused, "r.io asks who you are"),
            ("nobody, as text", false, server(401, denied), Kind::Refused, "notes it there; it says: no write"),
            (
                "what a terminal would obey",
                false,
                OciDistributionError::SpecViolationError("a\u{1b}[2J\n".to_owned() + &"b".repeat(1000)),
                Kind::Lasting,
                "a [2J bbb",
            ),
            (
                "absent",
                false,
                registry(r#"{"errors": [{"code": "NAME_UNKNOWN"}]}"#),
                Kind::Absent,
                "r.io does not have it",
            ),
            ("nothing said", false, registry(r#"{"errors": []}"#), Kind::Lasting, "r.io answers 400"),
            ("HTTPS there", true, server(400, "sent to HTTPS port"), Kind::Lasting, "leave --plain-http out"),
            ("HTTPS said by chance", false, server(400, "sent to HTTPS port"), Kind::Lasting, "answers 400: sent to"),
            ("cut", false, OciDistributionError::IoError(cut), Kind::Transient, "r.io: reset by peer"),
            (
                "tampered",
                false,
                OciDistributionError::DigestError(tampered()),
                Kind::Lasting,
                "sha256:a and sent sha256:b",
            ),
            (
                "tampered, in a stream",
                false,
                OciDistributionError::IoError(io::Error::other(tampered())),
                Kind::Lasting,
                "sha256:a and sent sha256:b",
            ),
        ] {
            let exchange = Exchange { image: &image, plain_http, credentials: &credentials, token_service: None };
            let failure = exchange.failure(&error);
            assert_eq!(failure.kind, kind, "{row}: {failure}");
            assert!(failure.to_string().contains(expected), "{row}: {failure}");
            assert!(failure.to_string().len() < 500, "{row}: {failure}");
        }
    }

    #[test]
    fn what_a_token_service_answers_is_told_as_such() {
        let image = "oci://r.io/a:1".parse().unwrap();
        let nobody = Credentials::find("r.io", None).unwrap();
        let mut user = nobody.clone();
        user.auth = RegistryAuth::Basic("user".to_owned(), "password".to_owned());
        let token_service = Some("https://auth.io/token");
        for (status, credentials, kind, expected) in [
            (401, &nobody, Kind::Refused, "r.io asks who you are"),
            (401, &user, Kind::Refused, "notes others; it says: oh"),
            (403, &nobody, Kind::Lasting, "r.io asks who you are"),
            (
                403,
                &user,
                Kind::Lasting,
                "oci://r.io/a:1: https://auth.io/token (the token service of r.io) does not allow it: oh",
            ),
            (404, &nobody, Kind::Lasting, "https://auth.io/token (the token service of r.io) answers 404: oh"),
            (429, &nobody, Kind::Transient, "https://auth.io/token (the token service of r.io) answers 429: oh"),
            (503, &nobody, Kind::Transient, "https://auth.io/token (the token service of r.io) answers 503: oh"),
        ] {
            let exchange = Exchange { image: &image, plain_http: false, credentials, token_service };
            for text in ["oh\n", r#"{"errors": [{"code": "DENIED", "message": "oh"}]}"#] {
                let failure = exchange.answered(status, text);
                assert_eq!(failure.kind, kind, "{status}: {failure}");
                assert!(failure.to_string().contains(expected), "{status}: {failure}");
            }
        }
    }
}
