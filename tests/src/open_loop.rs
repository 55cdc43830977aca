//! Requests that come when they are due, whether or not those before are answered: what users wait, without the blind spot of
//! clients that wait for an answer before they ask again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    task::{self, JoinSet},
};

use crate::{client::Connection, rounds::Case};

/// From now until the first request is due.
const LEAD: Duration = Duration::from_millis(10);

/// Sends `requests` of a case at a `rate` in a second, each over the first connection that is free; how long each answer took from
/// when its request was due, in microseconds. The connections can be used again.
///
/// # Panics
/// If one is not answered by the upstream that has to.
pub async fn send(connections: &mut Vec<Connection>, case: &Arc<Case>, rate: u64, requests: u64) -> Vec<f64> {
    let clients = connections.len();
    let due = Arc::new(Semaphore::new(0));
    let (next, begin) = (Arc::new(AtomicU64::new(0)), Instant::now() + LEAD);
    let time_of = move |request: u64| begin + Duration::from_secs_f64(request as f64 / rate as f64);
    let mut workers = JoinSet::new();
    for mut connection in connections.drain(..) {
        let (due, next, case) = (Arc::clone(&due), Arc::clone(&next), Arc::clone(case));
        workers.spawn(async move {
            let mut took = Vec::new();
            loop {
                due.acquire().await.expect("it stays open").forget();
                let request = next.fetch_add(1, Ordering::Relaxed);
                if request >= requests {
                    return (connection, took);
                }
                case.ask(&mut connection).await;
                took.push(time_of(request).elapsed().as_secs_f64() * 1e6);
            }
        });
    }
    // A thread of its own: the runtime's timers know milliseconds only.
    let pacer = task::spawn_blocking(move || {
        for request in 0..requests {
            thread::sleep(time_of(request).saturating_duration_since(Instant::now()));
            due.add_permits(1);
        }
        due.add_permits(clients);
    });
    pacer.await.expect("the pace is kept");
    let mut all = Vec::new();
    for (connection, took) in workers.join_all().await {
        connections.push(connection);
        all.extend(took);
    }
    all
}
