//! A decision as one line of ASCII, for a response header.

use canary_config::AbortStatus;

use crate::decision::{Decision, Forward, Outcome, SplitPick};
use crate::overrides::Permission;

/// The most bytes of an explanation.
pub const MAX_EXPLANATION: usize = 1024;

/// The end of an explanation that was truncate.
const ELLIPSIS: &str = "...";

impl Decision<'_> {
    /// The decision and its reasons as `name=value`, joined by `; `: printable ASCII, at most [`MAX_EXPLANATION`]
    /// bytes. Other bytes, and `;` and `%` in a value, are written as `%XX`. It names the place of a sticky key, and
    /// never the key's value.
    #[must_use]
    pub fn explanation(&self) -> String {
        let mut text = String::new();
        let mut say = |name: &str, value: &str| {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            value.bytes().for_each(|byte| push(&mut text, byte));
        };
        if let Some(route) = self.route {
            say("route", if route.name.is_empty() { "-" } else { &route.name });
            say("rule", &route.rule.to_string());
        }
        match &self.outcome {
            Outcome::Untouched => say("outcome", "untouched"),
            Outcome::LocalReply(reply) => {
                say("outcome", "localReply");
                say("reply", &format!("{} {}", reply.status, reply.details));
            }
            Outcome::Forward(forward) => explain_forward(forward, &mut say),
        }
        if let Some(delay) = self.delay {
            say("delay", &format!("{}ms", delay.as_millis()));
        }
        match self.abort {
            Some(AbortStatus::Http(status)) => say("abort", &status.to_string()),
            Some(AbortStatus::Grpc(status)) => say("abort", &format!("grpc {status}")),
            None => {}
        }
        if self.permissions.version != Permission::NotAsked {
            say("override", self.permissions.version.as_str());
        }
        if let Outcome::Forward(forward) = &self.outcome
            && !forward.mirrors.is_empty()
        {
            say("mirrors", &forward.mirrors.join(","));
        }
        truncate(text)
    }
}

fn explain_forward(forward: &Forward<'_>, say: &mut impl FnMut(&str, &str)) {
    say("outcome", "forward");
    say("reason", forward.reason.as_str());
    say("version", forward.destination.subset.as_deref().unwrap_or("-"));
    if let Some(fallback) = &forward.fallback {
        let mut steps = format!("from {} {}", fallback.from.as_deref().unwrap_or("-"), fallback.reason.as_str());
        for skipped in &fallback.skipped {
            steps.push_str(&format!(", {} {}", skipped.version, skipped.reason.as_str()));
        }
        say("fallback", &steps);
    }
    if let Some(split) = &forward.split {
        explain_split(split, say);
    }
    say("cluster", &forward.cluster);
}

fn explain_split(split: &SplitPick<'_>, say: &mut impl FnMut(&str, &str)) {
    if let Some(user) = &split.user {
        let new = if user.is_new { "new " } else { "" };
        say("key", &format!("{new}{}", user.key));
        if let Some(bucket) = user.bucket {
            say("bucket", &format!("{:016x}", bucket.to_bits()));
        }
    }
    let weights =
        split.weights().map(|(target, weight)| format!("{}:{weight}", target.subset.as_deref().unwrap_or("-")));
    say("weights", &weights.collect::<Vec<_>>().join(","));
}

fn push(text: &mut String, byte: u8) {
    match byte {
        b' '..=b'~' if !b";%".contains(&byte) => text.push(byte.into()),
        _ => text.push_str(&format!("%{byte:02X}")),
    }
}

/// Cuts a text at any byte, because it is ASCII.
fn truncate(mut text: String) -> String {
    if text.len() > MAX_EXPLANATION {
        text.truncate(MAX_EXPLANATION.saturating_sub(ELLIPSIS.len()));
        text.push_str(ELLIPSIS);
    }
    text
}
