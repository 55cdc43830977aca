//! A relay to the registry that can be closed.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpSocket, TcpStream},
    sync::Mutex,
    task::{JoinHandle, JoinSet},
};

/// Connections that wait to be taken.
const BACKLOG: u32 = 1024;

/// Passes connections on to the registry while it is open. Its address is its own while it is shut, too. It ends when this is dropped.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    registry: SocketAddr,
    state: Mutex<State>,
}

enum State {
    /// Bound but not listening, so that clients are refused.
    Shut(TcpSocket),
    Open(JoinHandle<()>),
    /// Between the two.
    Turning,
}

impl Gate {
    /// A closed gate.
    pub(crate) fn new(registry: SocketAddr) -> Self {
        let socket = bound((Ipv4Addr::LOCALHOST, 0).into());
        let address = socket.local_addr().expect("its address");
        Self { address, registry, state: Mutex::new(State::Shut(socket)) }
    }

    /// Opens it, unless it is open.
    pub(crate) async fn open(&self) {
        let mut state = self.state.lock().await;
        *state = match std::mem::replace(&mut *state, State::Turning) {
            State::Shut(socket) => State::Open(relay(socket, self.registry)),
            open => open,
        };
    }

    /// Refuses connections from now on, and breaks those that there are.
    pub(crate) async fn close(&self) {
        let mut state = self.state.lock().await;
        if let State::Open(relay) = &mut *state {
            relay.abort();
            let _ = relay.await;
            *state = State::Shut(bound(self.address));
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let State::Open(relay) = self.state.get_mut() {
            relay.abort();
        }
    }
}

/// A bound socket that does not listen.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Connections that have ended keep their address for a while.
    socket.set_reuseaddr(true).expect("an option of sockets");
    socket.bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    socket
}

fn relay(socket: TcpSocket, registry: SocketAddr) -> JoinHandle<()> {
    let listener = socket.listen(BACKLOG).expect("listen");
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut server = TcpStream::connect(registry).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    })
}
