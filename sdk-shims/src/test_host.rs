//! A native emulator of a proxy-wasm host, so that `cargo test` runs the callbacks that Envoy calls.
//!
//! A test acts as Envoy ([`Vm`], [`Plugin`], [`Stream`]), and then inspects the state. All `proxy_*` imports are
//! defined here and act on the calling thread's state, so tests may run in parallel. If hosts differ, it follows Envoy
//! 1.36 to 1.40:
//! - A `get` returns the first value of a header, and the whole map has every value. `replace` leaves one. The removal
//!   of an absent header is Ok.
//! - Every write of a request header clears the route cache, even if it changes nothing.
//! - Request headers exist in the request and log phases, response headers in the response and log phases.
//! - An empty value is a null pointer.
//! - A local reply is sent after the callback returns. It goes through the response callback.
//! - A tick belongs to the root context of the current context. It restarts when its period is set, and after each run.
//!   A stream's context can be selected until the stream ends.
//! - A property that a filter sets belongs to the stream, so later filters can read it ([`Plugin::stream_after`]).
//! - Shared data is set only in the state that the caller has read, or in any state for 0.
//! - A resumed stream has no request headers until the log phase.
//!
//! ```
//! use proxy_wasm::traits::{Context, HttpContext, RootContext};
//! use proxy_wasm::types::{Action, ContextType};
//! use sdk_shims::host::{self, HeaderMap};
//! use sdk_shims::test_host::Vm;
//!
//! struct Plugin;
//! impl Context for Plugin {}
//! impl HttpContext for Plugin {
//!     fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
//!         host::replace_header(HeaderMap::Request, "x-seen", b"yes").unwrap();
//!         Action::Continue
//!     }
//! }
//! impl RootContext for Plugin {
//!     fn get_type(&self) -> Option<ContextType> { Some(ContextType::HttpContext) }
//!     fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> { Some(Box::new(Plugin)) }
//! }
//!
//! let vm = Vm::start(|| proxy_wasm::set_root_context(|_| Box::new(Plugin)));
//! let plugin = vm.plugin("{}").unwrap();
//! let mut stream = plugin.stream();
//! assert_eq!(stream.request_headers([(":path", "/")], true), Action::Continue);
//! assert_eq!(stream.request_values("x-seen"), [b"yes"]);
//! ```
#![expect(unsafe_code, reason = "the two sides of a foreign interface")]
#![expect(clippy::expect_used, reason = "a panic tells a test its error")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::types::Action;

use crate::host::LogLevel;

mod callbacks;
mod imports;
mod state;
mod unused_imports;

pub use state::{Header, LocalResponse, LogLine};
use state::{Host, StreamState, with_host};

/// One wasm VM on the calling thread. Envoy has one for each worker.
#[derive(Debug)]
pub struct Vm {
    not_send: PhantomData<*const ()>,
}

/// The plugin's configure callback returned false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected;

impl Vm {
    /// Starts a VM. `register` sets the root context, as the module's `_initialize` does.
    ///
    /// # Panics
    /// If this thread already has a VM.
    pub fn start(register: impl FnOnce()) -> Self {
        with_host(|host| {
            assert!(!host.running, "this thread has a VM already");
            // The SDK's dispatcher exists as long as the thread, so ids are never reused.
            *host = Host { running: true, last_context: host.last_context, ..Host::default() };
        });
        register();
        Self { not_send: PhantomData }
    }

    /// Starts a plugin: a root context with its configuration. Envoy does so for every new configuration. The plugins
    /// of older ones exist until their streams end.
    ///
    /// # Errors
    /// If the plugin rejects it. Its messages are in the [log](Self::log).
    pub fn plugin(&self, configuration: impl AsRef<[u8]>) -> Result<Plugin<'_>, Rejected> {
        let id = with_host(Host::new_context);
        callbacks::context_create(id, 0);
        let plugin = Plugin { root: Rc::new(Root { id, ended: Cell::new(false) }), vm: PhantomData };
        plugin.configure(configuration).map(|()| plugin)
    }

    /// Makes every later call of an import return this status and do nothing else.
    pub fn fail(&self, import: &'static str, status: u32) {
        with_host(|host| host.failures.insert(import, status));
    }

    /// Makes every later call of `proxy_get_header_map_pairs` return these bytes.
    pub fn answer_pairs(&self, bytes: impl Into<Vec<u8>>) {
        with_host(|host| host.pairs_answer = Some(bytes.into()));
    }

    /// Undoes [`fail`](Self::fail) and [`answer_pairs`](Self::answer_pairs).
    pub fn heal(&self) {
        with_host(|host| {
            host.failures.clear();
            host.pairs_answer = None;
        });
    }

    /// Sets a property of every context.
    pub fn set_property(&self, path: &[&str], value: impl Into<Vec<u8>>) {
        with_host(|host| host.properties.insert(path.join("\0").into_bytes(), value.into()));
    }

    /// The data that the VMs with the same id share under a key.
    #[must_use]
    pub fn shared_data(&self, key: &str) -> Option<Vec<u8>> {
        with_host(|host| host.shared.get(key.as_bytes()).map(|(value, _)| value.clone()))
    }

    /// Sets shared data as another VM would.
    pub fn set_shared_data(&self, key: &str, value: impl Into<Vec<u8>>) {
        with_host(|host| host.set_shared(key.as_bytes().to_vec(), value.into()));
    }

    /// Acts as a faster VM: sets this value just before this VM's next attempt to set one under the same key.
    pub fn set_shared_data_between(&self, value: impl Into<Vec<u8>>) {
        with_host(|host| host.set_between = Some(value.into()));
    }

    /// Sets the clock, in nanoseconds since the Unix epoch. Ticks are not affected. The clock starts at 0.
    pub fn set_time(&self, nanoseconds: u64) {
        with_host(|host| host.now = nanoseconds);
    }

    /// Lets time pass, and runs the ticks of all root contexts on time.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let end = with_host(|host| host.passed.saturating_add(by));
        while let Some(root) = with_host(|host| host.next_tick(end)) {
            callbacks::tick(root);
            with_host(|host| host.restart_timer(root));
            for stream in with_host(Host::take_answers_due) {
                pass_local_response(stream);
            }
        }
        with_host(|host| host.pass_until(end));
    }

    /// The number of root contexts with a running tick. It includes ended ones, because Envoy does not stop their
    /// ticks.
    #[must_use]
    pub fn ticking(&self) -> usize {
        with_host(|host| host.timers.values().filter(|timer| timer.period > 0).count())
    }

    /// The [ids](Stream::id) of the streams that were paused and then resumed, in order.
    #[must_use]
    pub fn resumed(&self) -> Vec<u32> {
        with_host(|host| host.resumed.clone())
    }

    /// Every log line so far.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        with_host(|host| host.log.clone())
    }

    /// The log lines so far at one level.
    #[must_use]
    pub fn logged(&self, level: LogLevel) -> Vec<String> {
        with_host(|host| {
            host.log.iter().filter(|line| line.level == level as u32).map(|line| line.text.clone()).collect()
        })
    }

    /// The value of a counter or gauge, or the last value of a histogram. `None` if it was never defined.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<u64> {
        with_host(|host| host.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value))
    }

    /// The names of all metrics so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        with_host(|host| host.metrics.iter().map(|metric| metric.name.clone()).collect())
    }

    /// The number of calls of an import.
    #[must_use]
    pub fn calls(&self, import: &str) -> usize {
        with_host(|host| host.calls.get(import).copied().unwrap_or_default())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        with_host(|host| host.running = false);
    }
}

/// A root context with a configuration. It ends with its last owner: this value, or the last of its streams.
#[derive(Debug, Clone)]
pub struct Plugin<'vm> {
    root: Rc<Root>,
    vm: PhantomData<&'vm Vm>,
}

#[derive(Debug)]
struct Root {
    id: u32,
    ended: Cell<bool>,
}

impl Root {
    fn end(&self) {
        if self.ended.replace(true) || std::thread::panicking() {
            return;
        }
        callbacks::done(self.id);
        callbacks::delete(self.id);
        with_host(|host| host.configurations.remove(&self.id));
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.end();
    }
}

impl<'vm> Plugin<'vm> {
    /// Configures the same root context again.
    ///
    /// # Errors
    /// If the plugin rejects it.
    pub fn configure(&self, configuration: impl AsRef<[u8]>) -> Result<(), Rejected> {
        let configuration = configuration.as_ref().to_vec();
        let size = configuration.len();
        with_host(|host| host.configurations.insert(self.root.id, configuration));
        if callbacks::configure(self.root.id, size) { Ok(()) } else { Err(Rejected) }
    }

    /// Ends the root context before its streams. Envoy would wait for them, and another host may not.
    pub fn end(self) {
        self.root.end();
    }

    /// A new downstream request.
    #[must_use]
    pub fn stream(&self) -> Stream<'vm> {
        let id = with_host(|host| {
            let id = host.new_context();
            host.streams.insert(id, StreamState { root: self.root.id, ..StreamState::default() });
            id
        });
        callbacks::context_create(id, self.root.id);
        Stream { id, _plugin: self.clone() }
    }
}

impl<'vm> Plugin<'vm> {
    /// The same request at this plugin's filter, later in the chain. It has the properties that were set so far.
    #[must_use]
    pub fn stream_after(&self, earlier: &Stream<'_>) -> Stream<'vm> {
        let properties = earlier.with_state(|stream| stream.properties.clone());
        let stream = self.stream();
        stream.with_state(|stream| stream.properties = properties);
        stream
    }
}

/// One request and its response. Dropping it ends it as in Envoy (log, delete), in any phase: after the response, or
/// earlier if the client leaves.
#[derive(Debug)]
pub struct Stream<'vm> {
    id: u32,
    _plugin: Plugin<'vm>,
}

impl Stream<'_> {
    /// Calls the request-headers callback. A local response that it sends passes through the response callback.
    pub fn request_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: impl IntoIterator<Item = (N, V)>,
        end_of_stream: bool,
    ) -> Action {
        let headers = state::owned(headers);
        let count = headers.len();
        self.with_state(|stream| stream.request = Some(headers));
        let action = callbacks::request_headers(self.id, count, end_of_stream);
        self.with_state(|stream| stream.paused = action == Action::Pause && !stream.answer_is_due);
        if self.with_state(|stream| std::mem::take(&mut stream.answer_is_due)) {
            pass_local_response(self.id);
        }
        action
    }

    /// Calls the request-body callback for this number of bytes. The bytes cannot be read.
    pub fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        callbacks::request_body(self.id, size, end_of_stream)
    }

    /// Calls the request-trailers callback for this number of trailers. The trailers cannot be read.
    pub fn request_trailers(&mut self, count: usize) -> Action {
        callbacks::request_trailers(self.id, count)
    }

    /// Calls the response-headers callback. The request's headers do not exist from here to the log phase.
    pub fn response_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: impl IntoIterator<Item = (N, V)>,
        end_of_stream: bool,
    ) -> Action {
        respond(self.id, state::owned(headers), end_of_stream)
    }

    /// The id of the stream in this VM.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether the plugin has paused the request, and has neither resumed nor answered it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.with_state(|stream| stream.paused && stream.local_response.is_none())
    }

    /// When the paused request was resumed, by the host's clock in nanoseconds.
    #[must_use]
    pub fn resumed_at(&self) -> Option<u64> {
        self.with_state(|stream| stream.resumed_at)
    }

    /// When the plugin answered the request, by the host's clock in nanoseconds.
    #[must_use]
    pub fn answered_at(&self) -> Option<u64> {
        self.with_state(|stream| stream.answered_at)
    }

    /// Sets a property of this stream. It takes precedence over those of the [`Vm`].
    pub fn set_property(&mut self, path: &[&str], value: impl Into<Vec<u8>>) {
        self.with_state(|stream| stream.properties.insert(path.join("\0").into_bytes(), value.into()));
    }

    /// A property of this stream that the plugin or the test has set.
    #[must_use]
    pub fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.with_state(|stream| stream.properties.get(path.join("\0").as_bytes()).cloned())
    }

    /// The request's headers now.
    #[must_use]
    pub fn request(&self) -> Vec<Header> {
        self.with_state(|stream| stream.request.clone().unwrap_or_default())
    }

    /// The values of one request header now.
    #[must_use]
    pub fn request_values(&self, name: &str) -> Vec<Vec<u8>> {
        self.request().into_iter().filter(|(key, _)| key == name.as_bytes()).map(|(_, value)| value).collect()
    }

    /// The response's headers now.
    #[must_use]
    pub fn response(&self) -> Vec<Header> {
        self.with_state(|stream| stream.response.clone().unwrap_or_default())
    }

    /// The local reply of the plugin.
    #[must_use]
    pub fn local_response(&self) -> Option<LocalResponse> {
        self.with_state(|stream| stream.local_response.clone())
    }

    /// How often the plugin has cleared the route cache: once for each write of a request header.
    #[must_use]
    pub fn route_cache_clears(&self) -> usize {
        self.with_state(|stream| stream.route_cache_clears)
    }

    fn with_state<T>(&self, act: impl FnOnce(&mut StreamState) -> T) -> T {
        with_stream(self.id, act)
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.with_state(|stream| stream.request_is_gone = false);
        callbacks::log(self.id);
        callbacks::done(self.id);
        callbacks::delete(self.id);
        with_host(|host| host.streams.remove(&self.id));
    }
}

fn respond(stream: u32, headers: Vec<Header>, end_of_stream: bool) -> Action {
    let count = headers.len();
    with_stream(stream, |stream| {
        stream.response = Some(headers);
        stream.in_response = true;
    });
    let action = callbacks::response_headers(stream, count, end_of_stream);
    with_stream(stream, |stream| stream.in_response = false);
    action
}

fn pass_local_response(stream: u32) {
    if let Some(local) = with_stream(stream, |stream| stream.local_response.clone()) {
        let status = (b":status".to_vec(), local.status.to_string().into_bytes());
        respond(stream, std::iter::once(status).chain(local.headers).collect(), local.body.is_empty());
    }
}

fn with_stream<T>(id: u32, act: impl FnOnce(&mut StreamState) -> T) -> T {
    with_host(|host| act(host.streams.get_mut(&id).expect("a stream's state lives as long as the stream")))
}
