//! Looks at Envoy each second, whoever looks at the board.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    envoy::EnvoyUrl,
    history::{self, History},
    loaded::Loaded,
    state,
    stats::Reading,
};
use crate::documents::Document;

/// How often Envoy is asked.
const PERIOD: Duration = Duration::from_secs(1);
/// How often, at most, it is asked for all of its configuration, while something of it is not known.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// An Envoy under watch.
#[derive(Debug)]
pub(super) struct Watch {
    envoy: EnvoyUrl,
    /// Explains requests in place of what Envoy has loaded.
    config: Option<PathBuf>,
    /// The first look: by a clock that only moves forward, and in milliseconds since 1970.
    began: Instant,
    began_at: u64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    history: History,
    loaded: Loaded,
    condition: Condition,
    /// Since when it has been so, in milliseconds since the first look.
    since: u64,
}

/// How Envoy is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Condition {
    /// It has not been asked yet.
    #[default]
    Unknown,
    Answers,
    /// It answers, and shows nothing of the filter.
    WithoutFilter,
    /// It does not answer: why.
    Silent(String),
}

impl Condition {
    fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Answers => "answers",
            Self::WithoutFilter => "without-filter",
            Self::Silent(_) => "silent",
        }
    }

    fn reason(&self) -> Option<&str> {
        if let Self::Silent(reason) = self { Some(reason) } else { None }
    }
}

impl Watch {
    pub(super) fn new(envoy: EnvoyUrl, config: Option<PathBuf>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            envoy,
            config,
            began: Instant::now(),
            began_at: since.as_millis().try_into().unwrap_or_default(),
            seen: Mutex::new(Seen::default()),
        }
    }

    /// Looks each second, for ever.
    pub(super) async fn run(&self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looked: Option<Instant> = None;
        loop {
            ticks.tick().await;
            let answer = self.envoy.statistics().await;
            let at = self.now();
            self.seen().take(at, answer);
            let Some(in_force) = self.seen().lacking().filter(|_| self.config.is_none()) else {
                looked = None;
                continue;
            };
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK_PERIOD) {
                looked = Some(Instant::now());
                // Whoever asks for an explanation is told what the matter is.
                let _ = self.look_for_documents(&in_force).await;
            }
        }
    }

    /// Learns the documents in force.
    async fn look_for_documents(&self, in_force: &BTreeSet<u64>) -> Result<(), String> {
        let given = self.envoy.configurations().await?;
        self.seen().loaded.update(given, in_force);
        Ok(())
    }

    /// What there is to show of the last `window` seconds.
    pub(super) fn state(&self, window: u64) -> Value {
        let seen = self.seen();
        json!({
            "envoy": {
                "address": self.envoy.to_string(),
                "condition": seen.condition.name(),
                "reason": seen.condition.reason(),
                "since": self.began_at.saturating_add(seen.since),
            },
            "view": state::state(&seen.history, window, self.now(), self.began_at),
        })
    }

    /// The configurations to explain requests by.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn documents(&self) -> Result<Vec<Document>, String> {
        match &self.config {
            Some(file) => Document::load(&file.display().to_string()).map(|document| vec![document]),
            None => {
                let now = self.envoy.statistics().await?;
                self.look_for_documents(&history::versions(&now).into_values().collect()).await?;
                self.seen().loaded.documents()
            }
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The numbers of the documents in force, if some of these are not known.
    fn lacking(&self) -> Option<BTreeSet<u64>> {
        let in_force = self.history.versions().values().copied().collect();
        (self.condition == Condition::Answers && !self.loaded.has(&in_force)).then_some(in_force)
    }

    fn take(&mut self, at: u64, answer: Result<Reading, String>) {
        let condition = match answer {
            Ok(reading) => {
                self.history.record(at, &reading);
                if reading.has_filter() { Condition::Answers } else { Condition::WithoutFilter }
            }
            Err(reason) => {
                self.history.silence(at);
                Condition::Silent(reason)
            }
        };
        if condition.name() != self.condition.name() {
            self.since = at;
        }
        self.condition = condition;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_has_lasted_since_it_began() {
        let watch = Watch::new("http://envoy:1".parse().unwrap(), None);
        let reading =
            |name: &str| Reading::parse(json!({"stats": [{"name": name, "value": 1}]}).to_string().as_bytes()).unwrap();
        for (row, at, answer, expected) in [
            ("nobody there", 5, Err("refused"), ("silent", Some("refused"), 5)),
            ("still nobody", 6, Err("timed out"), ("silent", Some("timed out"), 5)),
            ("without the filter", 7, Ok("server.uptime"), ("without-filter", None, 7)),
            ("with it", 8, Ok("wasmcustom.canary_decision_errors_total"), ("answers", None, 8)),
            ("still", 9, Ok("wasmcustom.canary_decision_errors_total"), ("answers", None, 8)),
        ] {
            watch.seen().take(at, answer.map(reading).map_err(str::to_owned));
            let state = watch.state(60);
            let shown = (
                state["envoy"]["condition"].as_str().unwrap(),
                state["envoy"]["reason"].as_str(),
                state["envoy"]["since"].as_u64().and_then(|since| since.checked_sub(watch.began_at)).unwrap(),
            );
            assert_eq!(shown, expected, "{row}");
        }
    }
}
