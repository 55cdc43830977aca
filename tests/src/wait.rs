//! Waits for conditions, never for a time.

use std::time::{Duration, Instant};

/// The time limit of every wait. Far more than needed on a busy machine.
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
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} without success: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The kernel spreads connections over two worker threads. If only one of them has a change, this number of right answers in a row
/// occurs once in 32,768 times.
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
