//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long anything that must happen may take. Far beyond what it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until `condition` gives a value.
///
/// # Panics
/// After [`PATIENCE`], naming `what` was waited for.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Answers on connections of their own, which the kernel deals out to two worker threads: so many are right by chance, at one thread that knows
/// and not at the other, once in 32,768 times.
const IN_A_ROW: usize = 16;

/// Polls until `condition` gives a value sixteen times in a row, for what every worker thread of a proxy has to know.
///
/// # Panics
/// After [`PATIENCE`], naming `what` was waited for.
pub async fn until_steady<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    until(what, async || {
        let mut value = None;
        for _ in 0..IN_A_ROW {
            value = Some(condition().await?);
        }
        value
    })
    .await
}
