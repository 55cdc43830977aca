//! Docker's credential helpers: programs that keep the passwords.
//!
//! `docker-credential-NAME get` reads the registry's host and writes `{"Username": …, "Secret": …}`
//! (docker/docker-credential-helpers). What it writes to its output may be a secret, whole or in part, and is never shown.

use std::{
    collections::HashMap,
    io::{self, Write},
    process::{Command, Output, Stdio},
};

use docker_credential::DockerCredential;
use serde::Deserialize;

use super::excerpt::excerpt;

/// What helpers write to their output where they have nothing for a host.
const NOT_FOUND: &str = "credentials not found";
/// The user of what is no password.
const TOKEN: &str = "<token>";

/// The helpers that a configuration of Docker's names.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Helpers {
    /// By host; an empty one stands for the configuration itself.
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    /// That of all other hosts.
    #[serde(default)]
    creds_store: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helpers {
    /// The helper that keeps this host's credentials, whatever else the configuration has.
    pub(crate) fn of(&self, host: &str) -> Option<Helper> {
        Helper::named(self.cred_helpers.get(host).unwrap_or(&self.creds_store))
    }
}

/// A helper's program.
#[derive(Debug)]
pub(crate) struct Helper(String);

impl Helper {
    fn named(name: &str) -> Option<Self> {
        (!name.is_empty()).then(|| Self(format!("docker-credential-{name}")))
    }

    /// What it has for a host, if anything.
    ///
    /// # Errors
    /// When it cannot be run, fails or answers something else.
    pub(crate) fn get(&self, host: &str) -> Result<Option<DockerCredential>, String> {
        let wrong = |why: String| format!("`{} get`: {why}", self.0);
        let Output { status, stdout, stderr } = self.run(host).map_err(|error| wrong(error.to_string()))?;
        if status.success() {
            // The error of the reader might quote the secret.
            let answer: Answer = serde_json::from_slice(&stdout)
                .map_err(|_| wrong("it answers something else than a user and a secret".to_owned()))?;
            return Ok(Some(if answer.username == TOKEN {
                DockerCredential::IdentityToken(answer.secret)
            } else {
                DockerCredential::UsernamePassword(answer.username, answer.secret)
            }));
        }
        if String::from_utf8_lossy(&stdout).contains(NOT_FOUND) {
            return Ok(None);
        }
        let said = excerpt(&String::from_utf8_lossy(&stderr));
        Err(wrong(if said.is_empty() {
            format!("{status}, and nothing on its standard error; `echo {host} | {} get` shows the rest", self.0)
        } else {
            format!("{status}: {said}")
        }))
    }

    fn run(&self, host: &str) -> io::Result<Output> {
        let mut child = Command::new(&self.0)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let given = child.stdin.take().map_or(Ok(()), |input| tell(input, host));
        let output = child.wait_with_output()?;
        // One that fails may do so before it has read.
        if output.status.success() { given.map(|()| output) } else { Ok(output) }
    }
}

/// Writes what a program asks for, which need not want to know it.
fn tell(mut input: impl Write, host: &str) -> io::Result<()> {
    match input.write_all(host.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_need_not_read() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        tell(writer, "r.io").unwrap();
        let read_only = std::fs::File::open("/dev/null").unwrap();
        tell(read_only, "r.io").unwrap_err();
    }
}
