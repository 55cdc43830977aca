//! How a registry wants to be asked, and the tokens that many of them take in place of a password: the token authentication of the
//! CNCF's distribution.
//!
//! The client of images does this, too, but keeps the status of a service that gives no token to itself.

use http_auth::{ChallengeRef, parser::ChallengeParser};
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use oci_client::{
    Reference, RegistryOperation, errors::OciDistributionError, secrets::RegistryAuth, token_cache::RegistryToken,
};
use reqwest::{StatusCode, Url};

use super::failure::{Exchange, Failure};

/// What a registry answers who says nothing of themselves.
#[derive(Debug)]
pub(crate) enum Challenge {
    /// Nothing.
    None,
    /// That it wants user and password with each request.
    Password,
    /// That it wants a token.
    Token(TokenService),
}

/// Who gives tokens.
#[derive(Debug)]
pub(crate) struct TokenService {
    /// As the registry writes it.
    realm: String,
    /// How the registry is called there.
    service: Option<String>,
}

impl Challenge {
    /// Asks the registry whose interface begins at `base`.
    ///
    /// # Errors
    /// When there is no answer, or one that says to come back later.
    pub(crate) async fn of(web: &reqwest::Client, base: &str) -> Result<Self, OciDistributionError> {
        let answer = web.get(base).send().await?;
        let lines = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
        if lines.is_empty() {
            if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
                answer.error_for_status()?;
            }
            return Ok(Self::None);
        }
        let mut challenges = lines.into_iter().flat_map(ChallengeParser::new).filter_map(Result::ok);
        Ok(challenges.find_map(|challenge| TokenService::of(&challenge)).map_or(Self::Password, Self::Token))
    }
}

impl TokenService {
    fn of(challenge: &ChallengeRef<'_>) -> Option<Self> {
        let parameter = |wanted: &str| {
            let mut named = challenge.params.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            named.next().map(|(_, value)| value.to_unescaped())
        };
        if !challenge.scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        Some(Self { realm: parameter("realm")?, service: parameter("service") })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.realm
    }

    /// Its host, where that is not asked by HTTPS.
    pub(crate) fn host_without_https(&self) -> Option<String> {
        let url = Url::parse(&self.realm).ok().filter(|url| url.scheme() != "https")?;
        url.host_str().map(str::to_owned)
    }

    /// A token for this image, for who asks in this exchange.
    ///
    /// # Errors
    /// When there is no such service, or it does not answer, or without a token.
    pub(crate) async fn token(
        &self,
        web: &reqwest::Client,
        image: &Reference,
        operation: &RegistryOperation,
        exchange: &Exchange<'_>,
    ) -> Result<RegistryToken, Failure> {
        let is_url = Url::parse(&self.realm).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_url {
            return Err(exchange.without_a_service(&self.realm));
        }
        let unanswered = |error: reqwest::Error| exchange.failure(&error.into());
        let actions = match operation {
            RegistryOperation::Push => "pull,push",
            RegistryOperation::Pull => "pull",
        };
        let mut query = vec![("scope", format!("repository:{}:{actions}", image.repository()))];
        query.extend(self.service.clone().map(|service| ("service", service)));
        let mut request = web.get(&self.realm).query(&query);
        if let RegistryAuth::Basic(user, password) = &exchange.credentials.auth {
            request = request.basic_auth(user, Some(password));
        }
        let answer = request.send().await.map_err(unanswered)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unanswered)?;
        if !status.is_success() {
            return Err(exchange.answered(status.as_u16(), &String::from_utf8_lossy(&body)));
        }
        // The error of the reader might quote the token.
        let token: Option<RegistryToken> = serde_json::from_slice(&body).ok();
        let token = token.filter(|token| HeaderValue::from_str(&token.bearer_token()).is_ok());
        token.ok_or_else(|| exchange.without_a_token())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::oci::{credentials::Credentials, reference::ImageUrl};

    #[tokio::test]
    async fn a_registry_that_says_to_come_back_later_does_not_let_everybody_in() {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let web = reqwest::Client::builder().no_proxy().build().unwrap();
        for (status, expected) in [
            ("200 OK", Ok("None")),
            ("404 Not Found", Ok("None")),
            ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"", Ok("Password")),
            ("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"https://a.io/token\"", Ok("Token")),
            ("429 Too Many Requests", Err(429)),
            ("503 Service Unavailable", Err(503)),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let base = format!("http://{}/v2/", listener.local_addr().unwrap());
            let registry = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
            });
            match (Challenge::of(&web, &base).await, expected) {
                (Ok(found), Ok(expected)) => assert!(format!("{found:?}").starts_with(expected), "{status}: {found:?}"),
                (Err(OciDistributionError::RequestError(error)), Err(expected)) => {
                    assert_eq!(error.status().map(|status| status.as_u16()), Some(expected), "{status}");
                }
                (found, _) => panic!("{status}: {found:?}"),
            }
            registry.join().unwrap();
        }
    }

    #[tokio::test]
    async fn a_service_that_has_no_url_is_not_asked_again() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (image, credentials): (ImageUrl, _) =
            ("oci://r.io/a:1".parse().unwrap(), Credentials::find("r.io", None).unwrap());
        for realm in ["/token", "ftp://a.io/token", "a.io", ""] {
            let service = TokenService { realm: realm.to_owned(), service: None };
            let token_service = Some(realm);
            let exchange = Exchange { image: &image, plain_http: false, credentials: &credentials, token_service };
            let (web, reference) = (reqwest::Client::new(), image.reference());
            let failure = service.token(&web, reference, &RegistryOperation::Pull, &exchange).await.unwrap_err();
            assert!(!failure.is_transient(), "{realm}: {failure}");
            let expected = format!("r.io wants its clients to ask {realm:?} for a token, which is no URL");
            assert!(failure.to_string().contains(&expected), "{realm}: {failure}");
        }
    }
}
