//! Which upstreams take requests, as Kubernetes means it: one that is not ready is no endpoint.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use hyper::StatusCode;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{error::Elapsed, sleep, timeout},
};

use crate::{address::HostPort, echo::HEALTH, http};

/// How often each upstream is asked.
const PERIOD: Duration = Duration::from_millis(200);
/// How long it may take to answer, its name's lookup included.
const LIMIT: Duration = Duration::from_millis(500);
/// So many answers in a row have to be late before an upstream counts as not ready, as by Kubernetes's `failureThreshold`; one
/// that refuses, or says that it is not, is believed at once.
const LATE: u32 = 3;

/// By the upstream's name and port, where it is.
type Ready = BTreeMap<String, Option<SocketAddr>>;

/// The upstreams that are ready. The questions end when it and its clones are dropped.
#[derive(Clone, Debug)]
pub(super) struct Readiness {
    known: watch::Receiver<Ready>,
}

impl Readiness {
    /// Asks each of these by `GET /healthz`, once before this returns and from then on. Any answer but 503 is a yes: a server
    /// that does not know the path is ready as long as it answers.
    pub(super) async fn start(upstreams: impl Iterator<Item = &HostPort>) -> Self {
        let (sender, known) = watch::channel(Ready::new());
        let mut first = JoinSet::new();
        for upstream in upstreams.cloned() {
            let sender = sender.clone();
            first.spawn(async move {
                tell(&sender, &upstream, look(&upstream).await.unwrap_or_default());
                tokio::spawn(follow(sender, upstream));
            });
        }
        first.join_all().await;
        Self { known }
    }

    /// Where an upstream takes requests, if it does.
    pub(super) fn address(&self, upstream: &HostPort) -> Option<HostPort> {
        self.known.borrow().get(&upstream.to_string()).copied().flatten().map(HostPort::from)
    }

    /// Ready when another upstream is ready than the last time, or one no longer.
    pub(super) async fn changed(&mut self) {
        if self.known.changed().await.is_err() {
            // Without upstreams there is nobody to ask.
            std::future::pending().await
        }
    }
}

async fn follow(sender: watch::Sender<Ready>, upstream: HostPort) {
    let mut late = 0_u32;
    loop {
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = sender.closed() => return,
        }
        let seen = look(&upstream).await;
        late = if seen.is_err() { late.saturating_add(1) } else { 0 };
        if seen.is_ok() || late >= LATE {
            tell(&sender, &upstream, seen.unwrap_or_default());
        }
    }
}

fn tell(sender: &watch::Sender<Ready>, upstream: &HostPort, found: Option<SocketAddr>) {
    sender.send_if_modified(|known| {
        let before = known.insert(upstream.to_string(), found);
        before.flatten() != found
    });
}

async fn look(upstream: &HostPort) -> Result<Option<SocketAddr>, Elapsed> {
    let ask = async {
        let address = tokio::net::lookup_host((upstream.host(), upstream.port())).await.ok()?.min()?;
        // The limit around all of this comes first.
        let answer = http::get(address, &upstream.to_string(), HEALTH, LIMIT.saturating_mul(2)).await.ok()?;
        (answer.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(address)
    };
    timeout(LIMIT, ask).await
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::echo::{Echo, Server};

    #[tokio::test]
    async fn an_upstream_is_ready_until_it_says_otherwise() {
        let echo = Echo { drain: Duration::from_secs(60), ..Echo::default() };
        let server = Server::bind("127.0.0.1:0", echo).await.unwrap();
        let serving = HostPort::from(server.address());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(async move { drop(stopped.await) }));
        // The port is taken by nobody once the listener is gone.
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let absent = HostPort::from(gone);
        let mut readiness = Readiness::start([&serving, &absent].into_iter()).await;
        assert_eq!(readiness.address(&serving), Some(serving.clone()));
        assert_eq!(readiness.address(&absent), None);
        readiness.known.mark_unchanged();
        stop.send(()).unwrap();
        timeout(Duration::from_secs(30), readiness.changed()).await.unwrap();
        assert_eq!(readiness.address(&serving), None);
    }
}
