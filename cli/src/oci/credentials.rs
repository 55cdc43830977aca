//! Who pushes and pulls: what `docker login` has noted, in the configuration or with the helpers that it names.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;
use serde_json::{Map, Value};

use super::helper::Helpers;

/// The key by which Docker keeps the credentials of Docker Hub.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");

const NO_CONFIGURATION: &str = "it is no configuration of Docker (JSON)";

/// Credentials for a registry, or that there are none.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    /// As the client takes them.
    pub(crate) auth: RegistryAuth,
    /// The file in which they were looked for.
    file: Option<PathBuf>,
}

impl Credentials {
    /// Those for `host`, from `config.json` in `directory`.
    ///
    /// # Errors
    /// When the file or a helper that it names cannot be read, or holds what cannot be used here.
    pub(crate) fn find(host: &str, directory: Option<&Path>) -> Result<Self, String> {
        let none = |file| Self { auth: RegistryAuth::Anonymous, file };
        let Some(directory) = directory else { return Ok(none(None)) };
        let path = directory.join("config.json");
        let wrong = |why: &dyn fmt::Display| format!("{}: {why}", path.display());
        let configuration = match fs::read(&path) {
            Ok(configuration) => configuration,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none(Some(path))),
            Err(error) => return Err(wrong(&error)),
        };
        match look_up(&configuration, host).map_err(|why| wrong(&why))? {
            Some(DockerCredential::UsernamePassword(user, password)) => {
                Ok(Self { auth: RegistryAuth::Basic(user, password), file: Some(path) })
            }
            Some(DockerCredential::IdentityToken(_)) => Err(wrong(&format_args!(
                "for {host} it has an identity token, which cannot be used here: `docker login {host}` with a user and an access token"
            ))),
            None => Ok(none(Some(path))),
        }
    }

    /// Whether there is a password, which is not for others to read.
    pub(crate) fn are_secret(&self) -> bool {
        matches!(self.auth, RegistryAuth::Basic(..))
    }

    /// What is wrong where a registry does not let these in.
    pub(crate) fn refused_by(&self, host: &str) -> String {
        let file =
            self.file.as_ref().map_or_else(|| "~/.docker/config.json".to_owned(), |file| file.display().to_string());
        match &self.auth {
            RegistryAuth::Basic(user, _) => format!(
                "{host} refuses the user {user:?} and the password that {file} has for it: `docker login {host}` notes others"
            ),
            RegistryAuth::Anonymous | RegistryAuth::Bearer(_) => {
                format!("{host} asks who you are, and {file} has nothing for it: `docker login {host}` notes it there")
            }
        }
    }
}

/// What Docker would take for a registry: what the host's own helper has, else what the helper of all hosts has, and what is in the
/// file only where neither is named.
fn look_up(configuration: &[u8], host: &str) -> Result<Option<DockerCredential>, String> {
    let mut fields: Map<String, Value> =
        serde_json::from_slice(configuration).map_err(|_| NO_CONFIGURATION.to_owned())?;
    // Asked here, as the crate would show what they write.
    let named = ["credHelpers", "credsStore"]
        .map(|field| (field.to_owned(), fields.remove(field)))
        .into_iter()
        .filter_map(|(field, value)| Some((field, value.filter(|value| !value.is_null())?)));
    let helpers: Helpers = serde_json::from_value(Value::Object(named.collect()))
        .map_err(|error| format!("credHelpers and credsStore name helpers: {error}"))?;
    let (hub, key_of_hub) = DOCKER_HUB;
    let key = if host == hub { key_of_hub } else { host };
    let about_host = |why: &dyn fmt::Display| format!("credentials for {host}: {why}");
    if let Some(helper) = helpers.of(key) {
        return helper.get(key).map_err(|why| about_host(&why));
    }
    let rest = Value::Object(fields).to_string();
    match get_credential_from_reader(rest.as_bytes(), key) {
        Ok(credential) => Ok(Some(credential)),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(CredentialRetrievalError::ConfigReadError) => Err(NO_CONFIGURATION.to_owned()),
        Err(error) => Err(about_host(&error)),
    }
}

/// Where Docker's configuration is: `$DOCKER_CONFIG`, else `~/.docker`.
pub(crate) fn docker_directory() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_of_docker() {
        // `user:pass:word`
        let basic = || Ok(RegistryAuth::Basic("user".to_owned(), "pass:word".to_owned()));
        let anonymous = || Ok(RegistryAuth::Anonymous);
        for (row, host, config, expected) in [
            ("no file", "r.io", "", anonymous()),
            ("nothing in it", "r.io", "{}", anonymous()),
            ("by host", "r.io", r#"{"auths": {"r.io": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#, basic()),
            ("by host and port", "r.io:5000", r#"{"auths": {"r.io:5000": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#, basic()),
            ("of another port", "r.io", r#"{"auths": {"r.io:5000": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#, anonymous()),
            ("in clear", "r.io", r#"{"auths": {"r.io": {"username": "user", "password": "pass:word"}}}"#, basic()),
            ("by URL", "r.io", r#"{"auths": {"https://r.io/v1/": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#, basic()),
            (
                "Docker Hub",
                "docker.io",
                r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#,
                basic(),
            ),
            ("no JSON", "r.io", "auths:", Err("config.json: it is no configuration of Docker")),
            ("no registries", "r.io", r#"{"auths": 1}"#, Err("config.json: it is no configuration of Docker")),
            (
                "no base64",
                "r.io",
                r#"{"auths": {"r.io": {"auth": "!"}}}"#,
                Err("config.json: credentials for r.io: Unable to decode credential"),
            ),
            ("a token", "r.io", r#"{"auths": {"r.io": {"identitytoken": "x"}}}"#, Err("an identity token")),
            (
                "a helper that is not there",
                "r.io",
                r#"{"credsStore": "is-not-there"}"#,
                Err("`docker-credential-is-not-there get`: No such file"),
            ),
            (
                "a helper of one host",
                "r.io",
                r#"{"credHelpers": {"r.io": "is-not-there"}, "auths": {"r.io": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#,
                Err("`docker-credential-is-not-there get`: No such file"),
            ),
            ("a helper of another", "q.io", r#"{"credHelpers": {"r.io": "is-not-there"}}"#, anonymous()),
            (
                "a helper of all, whatever the file has",
                "r.io",
                r#"{"credsStore": "is-not-there", "auths": {"r.io": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#,
                Err("credentials for r.io: `docker-credential-is-not-there get`: No such file"),
            ),
            (
                "a helper of all but this one",
                "r.io",
                r#"{"credsStore": "is-not-there", "credHelpers": {"r.io": ""}, "auths": {"r.io": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}"#,
                basic(),
            ),
            ("no helper at all", "r.io", r#"{"credsStore": null, "credHelpers": null}"#, anonymous()),
            (
                "helpers of another type",
                "r.io",
                r#"{"credsStore": 1}"#,
                Err("config.json: credHelpers and credsStore name helpers"),
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            if !config.is_empty() {
                fs::write(directory.path().join("config.json"), config).unwrap();
            }
            match (Credentials::find(host, Some(directory.path())), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.auth, expected, "{row}"),
                (Err(error), Err(expected)) => {
                    assert!(error.contains(expected) && error.contains("config.json: "), "{row}: {error}");
                }
                (found, _) => panic!("{row}: {found:?}"),
            }
        }
    }
}
