//! Free addresses.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// Below those that the kernel picks for whoever asks for any (`net.ipv4.ip_local_port_range`), so that nobody gets one of these in
/// the time between its choice and its use.
const CHOSEN: Range<u16> = 20_000..32_000;

/// Ports of 127.0.0.1, for programs that have to be told theirs.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn free<const N: usize>() -> [SocketAddr; N] {
    // Each is given to one only; another run begins elsewhere.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(fastrand::u16(..)));
    let size = CHOSEN.end - CHOSEN.start;
    let draw = || (Ipv4Addr::LOCALHOST, CHOSEN.start + NEXT.fetch_add(1, Ordering::Relaxed) % size).into();
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    [(); N].map(|()| std::iter::repeat_with(draw).take(CHOSEN.len()).find(is_free).expect("a free port"))
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
