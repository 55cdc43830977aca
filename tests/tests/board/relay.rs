//! A port that stays while the server behind it comes and goes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// Passes connections on to an address, or closes them while there is none. It ends when this is dropped.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
    task: AbortHandle,
}

impl Relay {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen on 127.0.0.1");
        let address = listener.local_addr().expect("an address");
        let target = Arc::new(Mutex::new(None::<SocketAddr>));
        let shared = Arc::clone(&target);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let target = *shared.lock().expect("no panic");
                tokio::spawn(async move {
                    if let Some(target) = target
                        && let Ok(mut upstream) = TcpStream::connect(target).await
                    {
                        let _ = copy_bidirectional(&mut stream, &mut upstream).await;
                    }
                });
            }
        });
        Self { address, target, task: task.abort_handle() }
    }

    pub(crate) fn lead_to(&self, target: Option<SocketAddr>) {
        *self.target.lock().expect("no panic") = target;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
