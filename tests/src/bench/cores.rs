//! Which cores the proxy and its load run on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Two different cores, or the only one twice.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    proxy: usize,
    load: usize,
}

/// Puts the thread back on the core of the load when it is dropped.
#[derive(Debug)]
pub struct OnProxyCore(Cores);

impl Cores {
    /// Picks them from those that this process may use, and moves the calling thread, with the threads that it starts from now
    /// on, to the core of the load.
    ///
    /// # Panics
    /// If the kernel does not let it.
    #[must_use]
    pub fn take() -> Self {
        let allowed = sched_getaffinity(None).expect("the cores of this thread");
        let mut usable = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let proxy = usable.next().expect("a core");
        let cores = Self { proxy, load: usable.next_back().unwrap_or(proxy) };
        pin(cores.load);
        cores
    }

    /// Whether proxy and load have a core each.
    #[must_use]
    pub fn are_two(self) -> bool {
        self.proxy != self.load
    }

    /// Moves the calling thread to the core of the proxy, where a process that it starts will run, until the result is dropped.
    ///
    /// # Panics
    /// If the kernel does not let it.
    #[must_use]
    pub fn proxy_core(self) -> OnProxyCore {
        pin(self.proxy);
        OnProxyCore(self)
    }
}

impl Drop for OnProxyCore {
    fn drop(&mut self) {
        pin(self.0.load);
    }
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).expect("move to a core that this process may use");
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_go_where_they_are_put() {
        // A thread of its own: the others of this test process stay where they are.
        let check = || {
            let cores = Cores::take();
            let current = || {
                let set = sched_getaffinity(None).expect("the cores of this thread");
                (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect::<Vec<_>>()
            };
            assert_eq!(current(), [cores.load]);
            let on_proxy = cores.proxy_core();
            assert_eq!(current(), [cores.proxy]);
            drop(on_proxy);
            assert_eq!(current(), [cores.load]);
        };
        thread::spawn(check).join().expect("it holds");
    }
}
