//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long anything that must happen may take. Far beyond what it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

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
