//! The state of the emulated host, one for each thread, and its header maps.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// A header value with its name.
pub type Header = (Vec<u8>, Vec<u8>);

/// The arguments of `proxy_send_local_response`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResponse {
    /// HTTP status.
    pub status: u32,
    /// Response-code details.
    pub details: String,
    /// Headers in addition to those that the host adds.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
    /// The gRPC status. -1 if the host chooses it.
    pub grpc_status: i32,
}

/// One line of the proxy's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The level as in the ABI: 0 is trace, 5 is critical.
    pub level: u32,
    /// The message.
    pub text: String,
}

#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) value: u64,
}

/// The tick of a root context, in nanoseconds of elapsed time. A period of 0 means that it is stopped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    pub(super) period: u64,
    pub(super) next: u64,
}

#[derive(Debug, Default)]
pub(super) struct StreamState {
    pub(super) root: u32,
    pub(super) paused: bool,
    pub(super) resumed_at: Option<u64>,
    /// Whether the stream was resumed. Envoy then has no request headers until the log phase.
    pub(super) request_is_gone: bool,
    pub(super) answered_at: Option<u64>,
    pub(super) answer_is_due: bool,
    pub(super) request: Option<Vec<Header>>,
    pub(super) response: Option<Vec<Header>>,
    pub(super) in_response: bool,
    pub(super) local_response: Option<LocalResponse>,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) route_cache_clears: usize,
}

#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) running: bool,
    pub(super) last_context: u32,
    /// The current context: the one whose callback runs, or which the plugin has selected. 0 between callbacks.
    pub(super) current: u32,
    pub(super) configurations: BTreeMap<u32, Vec<u8>>,
    pub(super) streams: BTreeMap<u32, StreamState>,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The wall clock.
    pub(super) now: u64,
    /// The elapsed time, which timers use. It does not depend on the wall clock.
    pub(super) passed: u64,
    pub(super) timers: BTreeMap<u32, Timer>,
    pub(super) resumed: Vec<u32>,
    pub(super) log: Vec<LogLine>,
    pub(super) metrics: Vec<Metric>,
    pub(super) calls: BTreeMap<&'static str, usize>,
    pub(super) failures: BTreeMap<&'static str, u32>,
    pub(super) pairs_answer: Option<Vec<u8>>,
    /// Shared data by key: the value, and the number of its state.
    pub(super) shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    /// The value that another VM sets just before this one.
    pub(super) set_between: Option<Vec<u8>>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

pub(super) fn with_host<T>(act: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(act)
}

/// `None` if the thread is about to end.
pub(super) fn try_with_host<T>(act: impl FnOnce(&mut Host) -> T) -> Option<T> {
    HOST.try_with(|host| act(&mut host.borrow_mut())).ok()
}

pub(super) fn owned<N: AsRef<[u8]>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (N, V)>) -> Vec<Header> {
    headers.into_iter().map(|(name, value)| (name.as_ref().to_ascii_lowercase(), value.as_ref().to_vec())).collect()
}

impl Host {
    pub(super) fn new_context(&mut self) -> u32 {
        self.last_context = self.last_context.saturating_add(1);
        self.last_context
    }

    pub(super) fn is_context(&self, id: u32) -> bool {
        self.streams.contains_key(&id) || self.configurations.contains_key(&id)
    }

    pub(super) fn stream(&mut self) -> Option<&mut StreamState> {
        self.streams.get_mut(&self.current)
    }

    /// The root context of the current context.
    pub(super) fn root(&self) -> u32 {
        self.streams.get(&self.current).map_or(self.current, |stream| stream.root)
    }

    pub(super) fn set_timer(&mut self, period: u64) {
        let timer = Timer { period, next: self.passed.saturating_add(period) };
        self.timers.insert(self.root(), timer);
    }

    /// Lets time pass until `passed`.
    pub(super) fn pass_until(&mut self, passed: u64) {
        let by = passed.saturating_sub(self.passed);
        self.passed = self.passed.saturating_add(by);
        self.now = self.now.saturating_add(by);
    }

    /// Lets time pass until the next tick before `end`. Returns its root context, or `None`.
    pub(super) fn next_tick(&mut self, end: u64) -> Option<u32> {
        let alive = |root: &u32| self.configurations.contains_key(root);
        let running = self.timers.iter().filter(|(root, timer)| timer.period > 0 && timer.next <= end && alive(root));
        let (root, timer) = running.min_by_key(|(_, timer)| timer.next)?;
        let (root, next) = (*root, timer.next);
        self.pass_until(next);
        Some(root)
    }

    /// Restarts a timer after its callback returns, as Envoy does.
    pub(super) fn restart_timer(&mut self, root: u32) {
        if let Some(timer) = self.timers.get_mut(&root) {
            timer.next = self.passed.saturating_add(timer.period);
        }
    }

    /// The streams with a local reply that is not sent yet.
    pub(super) fn take_answers_due(&mut self) -> Vec<u32> {
        let due = self.streams.iter_mut().map(|(id, stream)| (*id, std::mem::take(&mut stream.answer_is_due)));
        due.filter(|(_, due)| *due).map(|(id, _)| id).collect()
    }

    pub(super) fn set_shared(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let state = self.shared.get(&key).map_or(1, |(_, state)| state.saturating_add(1));
        self.shared.insert(key, (value, state));
    }

    pub(super) fn property(&self, path: &[u8]) -> Option<Vec<u8>> {
        let of_stream = self.streams.get(&self.current).and_then(|stream| stream.properties.get(path));
        of_stream.or_else(|| self.properties.get(path)).cloned()
    }

    /// The header map of this type. `None` if the current stream does not have it in this phase.
    pub(super) fn map(&mut self, map_type: u32) -> Option<&mut Vec<Header>> {
        let stream = self.stream()?;
        match map_type {
            0 if !stream.in_response && !stream.request_is_gone => stream.request.as_mut(),
            2 => stream.response.as_mut(),
            _ => None,
        }
    }

    /// Changes a header map. False if there is none. Every write of a request header clears Envoy's route cache.
    pub(super) fn write(&mut self, map_type: u32, change: impl FnOnce(&mut Vec<Header>)) -> bool {
        let Some(map) = self.map(map_type) else {
            return false;
        };
        change(map);
        if let (0, Some(stream)) = (map_type, self.stream()) {
            stream.route_cache_clears = stream.route_cache_clears.saturating_add(1);
        }
        true
    }
}

/// Makes `value` the only value of a header, at the position of its first value.
pub(super) fn replace(map: &mut Vec<Header>, name: &[u8], value: &[u8]) {
    let mut value = Some(value.to_vec());
    map.retain_mut(|(key, line)| key.as_slice() != name || value.take().map(|value| *line = value).is_some());
    map.extend(value.map(|value| (name.to_vec(), value)));
}
