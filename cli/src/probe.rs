//! `canaryctl probe`: whether a server is well, for health checks in images that hold no other tool.

use std::{process::ExitCode, time::Duration};

use crate::{echo::CallUrl, http, runtime};

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The flags of `canaryctl probe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to ask for, such as http://127.0.0.1:9901/ready
    url: CallUrl,
}

impl Args {
    /// Exit code 0 if the answer's status is 2xx, 1 after any other answer, or none within 2 s.
    pub fn run(self) -> ExitCode {
        runtime::block_on(async {
            let sent = http::get(self.url.address(), self.url.authority(), &self.url.target().to_string(), LIMIT).await;
            let status = sent.map_err(|error| format!("{}: {error}", self.url))?.status();
            if status.is_success() { Ok(ExitCode::SUCCESS) } else { Err(format!("{}: {status}", self.url)) }
        })
    }
}
