//! Connections that break off, or stand still.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What is on its way when a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Upload,
    Download,
}

/// What becomes of a connection then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Broken,
    /// No more data passes, and both sides stay open.
    Still,
}

/// How slow a connection is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pauses {
    /// How many bytes pass before each.
    pub(crate) after: usize,
    pub(crate) length: Duration,
}

const NO_PAUSES: Pauses = Pauses { after: usize::MAX, length: Duration::ZERO };

/// Passes connections on, and ends so many of them once so many bytes have passed in one direction. It ends with the test.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

/// More than any request or answer but those with a layer.
const BYTES: usize = 64 * 1024;

impl Relay {
    pub(crate) fn cutting(target: SocketAddr, cut: Cut, times: usize) -> Self {
        Self::start(target, cut, End::Broken, times, NO_PAUSES)
    }

    pub(crate) fn stopping(target: SocketAddr, cut: Cut, times: usize) -> Self {
        Self::start(target, cut, End::Still, times, NO_PAUSES)
    }

    /// Ends none.
    pub(crate) fn pausing(target: SocketAddr, pauses: Pauses) -> Self {
        Self::start(target, Cut::Upload, End::Broken, 0, pauses)
    }

    fn start(target: SocketAddr, cut: Cut, end: End, times: usize, pauses: Pauses) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
        let address = listener.local_addr().expect("an address");
        let left = Arc::new(AtomicUsize::new(times));
        let cuts = Arc::new(AtomicUsize::new(0));
        let relay = Self { address, cuts: Arc::clone(&cuts) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(target).expect("the registry");
                for (direction, from, to) in [(Cut::Upload, &client, &server), (Cut::Download, &server, &client)] {
                    let (from, to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
                    let (left, cuts) = (Arc::clone(&left), Arc::clone(&cuts));
                    thread::spawn(move || {
                        let mut is_still = false;
                        let _ = pass(&from, &to, pauses, || {
                            let is_cut = direction == cut && take_one(&left);
                            cuts.fetch_add(usize::from(is_cut), Ordering::Relaxed);
                            is_still = is_cut && end == End::Still;
                            is_cut
                        });
                        if is_still {
                            // Both stay open.
                            loop {
                                thread::park();
                            }
                        }
                        for stream in [from, to] {
                            let _ = stream.shutdown(Shutdown::Both);
                        }
                    });
                }
            }
        });
        relay
    }

    /// How many connections it has ended.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

fn take_one(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// Until the end, or until `is_cut` says so, which is asked once, after [`BYTES`].
fn pass(mut from: &TcpStream, mut to: &TcpStream, pauses: Pauses, is_cut: impl FnOnce() -> bool) -> io::Result<()> {
    let mut is_cut = Some(is_cut);
    let (mut buffer, mut passed) = (vec![0; 4096], 0);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let bursts = passed / pauses.after;
        passed += read;
        if passed / pauses.after > bursts {
            thread::sleep(pauses.length);
        }
        if passed > BYTES && is_cut.take().is_some_and(|is_cut| is_cut()) {
            return Ok(());
        }
        to.write_all(&buffer[..read])?;
    }
}
