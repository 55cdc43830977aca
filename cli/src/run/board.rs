//! The board beside the Envoy that `run` starts.

use std::{
    future, io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::TcpListener;

use crate::{
    address::HostPort,
    board::{Board, EnvoyUrl, PORT},
};

/// Takes the board's port; without one the usual one, or another where that is taken.
///
/// # Errors
/// When the port cannot be had.
pub(super) async fn listen(port: Option<u16>) -> Result<TcpListener, String> {
    let bind = async |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let bound = match port {
        Some(port) => bind(port).await,
        None => match bind(PORT).await {
            Ok(listener) => return Ok(listener),
            Err(_) => bind(0).await,
        },
    };
    bound.map_err(|error| {
        let port = port.unwrap_or_default();
        format!("--board-port {port}: 127.0.0.1:{port} cannot be listened on: {error}; --no-board does without")
    })
}

/// Shows the Envoy with this admin interface until the process ends; gives the board's address.
pub(super) fn start(listener: TcpListener, admin: HostPort) -> io::Result<SocketAddr> {
    let board = Board::new(listener, EnvoyUrl::from(admin), None, Vec::new())?;
    let address = board.address();
    tokio::spawn(board.serve(future::pending()));
    Ok(address)
}
