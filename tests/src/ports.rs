//! Addresses that nobody listens on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Ports of 127.0.0.1, for programs that have to be told theirs.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn free<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address"))
}

/// An address of 127.0.0.0/8 on which these ports are free. Drawn from sixteen million, so that several runs, each with the same ports,
/// live side by side.
///
/// # Panics
/// If none of many has them.
#[must_use]
pub fn loopback(ports: &[u16]) -> Ipv4Addr {
    let draw = || Ipv4Addr::new(127, fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255));
    let is_free = |address: &Ipv4Addr| ports.iter().all(|port| TcpListener::bind((*address, *port)).is_ok());
    std::iter::repeat_with(draw).take(100).find(is_free).expect("an address of 127.0.0.0/8 with free ports")
}
