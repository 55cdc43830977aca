//! A native emulator of a proxy-wasm host, so that `cargo test` drives the very callbacks that Envoy calls.
//!
//! It is state-based: a test acts as Envoy ([`Vm`], [`Plugin`], [`Stream`]), then looks at what became of the state. All
//! `proxy_*` imports are defined here and act on the calling thread's state, so tests may run in parallel. Where hosts
//! differ it does what Envoy 1.36 to 1.40 do:
//! - a `get` answers the first line of a header, the whole map has every line, `replace` leaves one, the removal of an
//!   absent header is Ok;
//! - every write of a request header, also one that changes nothing, clears the route cache;
//! - request headers are there in the request and log phases, response headers in the response and log phases;
//! - an empty value comes as a null pointer;
//! - a local response is sent when the callback has returned and passes through the response callback;
//! - a tick belongs to the root context of the context in force, starts anew when its period is set, and is armed again
//!   after each run; a stream's context can be put in force until its end;
//! - a property that a filter sets is one of the stream, for the filters after it as well ([`Plugin::stream_after`]);
//! - shared data is set only in the state that the caller has read, or in any for a state of 0;
//! - a stream that is continued has no request headers until the log phase.
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
//! assert_eq!(stream.request_lines("x-seen"), [b"yes"]);
//! ```
#![expect(unsafe_code, reason = "the two sides of a foreign interface")]
#![expect(clippy::expect_used, reason = "a test is told what is wrong with it by a panic")]

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

/// One wasm VM on the calling thread: what Envoy keeps for each worker.
#[derive(Debug)]
pub struct Vm {
    not_send: PhantomData<*const ()>,
}

/// The plugin's configure callback returned false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl Vm {
    /// Starts a VM. `register` is what the module's `_initialize` does: it sets the root context.
    ///
    /// # Panics
    /// If this thread has a VM already.
    pub fn start(register: impl FnOnce()) -> Self {
        with_host(|host| {
            assert!(!host.running, "this thread has a VM already");
            // The SDK's dispatcher lives as long as the thread: no id comes twice.
            *host = Host { running: true, last_context: host.last_context, ..Host::default() };
        });
        register();
        Self { not_send: PhantomData }
    }

    /// Starts a plugin: a root context with its configuration. Envoy does so for every new configuration; the plugins of
    /// older ones live on with their streams.
    ///
    /// # Errors
    /// If the plugin refuses it. Its messages are in the [log](Self::log).
    pub fn plugin(&self, configuration: impl AsRef<[u8]>) -> Result<Plugin<'_>, Refused> {
        let id = with_host(Host::new_context);
        callbacks::context_create(id, 0);
        let plugin = Plugin { root: Rc::new(Root { id, ended: Cell::new(false) }), vm: PhantomData };
        plugin.configure(configuration).map(|()| plugin)
    }

    /// Lets every later call of an import return that status and do nothing else.
    pub fn fail(&self, import: &'static str, status: u32) {
        with_host(|host| host.failures.insert(import, status));
    }

    /// Lets every later call of `proxy_get_header_map_pairs` answer these bytes.
    pub fn answer_pairs(&self, bytes: impl Into<Vec<u8>>) {
        with_host(|host| host.pairs_answer = Some(bytes.into()));
    }

    /// Ends what [`fail`](Self::fail) and [`answer_pairs`](Self::answer_pairs) began.
    pub fn heal(&self) {
        with_host(|host| {
            host.failures.clear();
            host.pairs_answer = None;
        });
    }

    /// Gives every context a property.
    pub fn set_property(&self, path: &[&str], value: impl Into<Vec<u8>>) {
        with_host(|host| host.properties.insert(path.join("\0").into_bytes(), value.into()));
    }

    /// What the VMs of the same id share under a key.
    #[must_use]
    pub fn shared_data(&self, key: &str) -> Option<Vec<u8>> {
        with_host(|host| host.shared.get(key.as_bytes()).map(|(value, _)| value.clone()))
    }

    /// Sets shared data as another VM would.
    pub fn set_shared_data(&self, key: &str, value: impl Into<Vec<u8>>) {
        with_host(|host| host.set_shared(key.as_bytes().to_vec(), value.into()));
    }

    /// Lets another VM be faster: it sets this value just before this VM's next attempt to set one under the same key.
    pub fn set_shared_data_between(&self, value: impl Into<Vec<u8>>) {
        with_host(|host| host.set_between = Some(value.into()));
    }

    /// Sets the clock, in nanoseconds since the Unix epoch; ticks do not notice. Without it the clock starts at 0.
    pub fn set_time(&self, nanoseconds: u64) {
        with_host(|host| host.now = nanoseconds);
    }

    /// Lets time pass, and the ticks of all root contexts happen on time.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let end = with_host(|host| host.passed.saturating_add(by));
        while let Some(root) = with_host(|host| host.next_tick(end)) {
            callbacks::tick(root);
            with_host(|host| host.rearm(root));
            for stream in with_host(Host::take_answers_due) {
                pass_local_response(stream);
            }
        }
        with_host(|host| host.pass_until(end));
    }

    /// How many root contexts have a running tick, those that have ended included: Envoy does not stop theirs.
    #[must_use]
    pub fn ticking(&self) -> usize {
        with_host(|host| host.timers.values().filter(|timer| timer.period > 0).count())
    }

    /// The streams that were paused and then resumed, in that order, by their [ids](Stream::id).
    #[must_use]
    pub fn resumed(&self) -> Vec<u32> {
        with_host(|host| host.resumed.clone())
    }

    /// Every line logged so far.
    #[must_use]
    pub fn log(&self) -> Vec<LogLine> {
        with_host(|host| host.log.clone())
    }

    /// The lines logged so far at one level.
    #[must_use]
    pub fn logged(&self, level: LogLevel) -> Vec<String> {
        with_host(|host| {
            host.log.iter().filter(|line| line.level == level as u32).map(|line| line.text.clone()).collect()
        })
    }

    /// The value of a counter or gauge, or the last value recorded in a histogram; `None` if it was never defined.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<u64> {
        with_host(|host| host.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value))
    }

    /// The names of all metrics that were defined so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        with_host(|host| host.metrics.iter().map(|metric| metric.name.clone()).collect())
    }

    /// How many times an import has been called.
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
    /// If the plugin refuses.
    pub fn configure(&self, configuration: impl AsRef<[u8]>) -> Result<(), Refused> {
        let configuration = configuration.as_ref().to_vec();
        let size = configuration.len();
        with_host(|host| host.configurations.insert(self.root.id, configuration));
        if callbacks::configure(self.root.id, size) { Ok(()) } else { Err(Refused) }
    }

    /// Ends the root context now, before its streams. Envoy waits for them; another host may not.
    pub fn end(self) {
        self.root.end();
    }

    /// A new request of a downstream.
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
    /// The same request at this plugin's filter, which stands later in the chain: with the properties it has by now.
    #[must_use]
    pub fn stream_after(&self, earlier: &Stream<'_>) -> Stream<'vm> {
        let properties = earlier.with_state(|stream| stream.properties.clone());
        let stream = self.stream();
        stream.with_state(|stream| stream.properties = properties);
        stream
    }
}

/// One request and its response. It ends as in Envoy (log, delete) when it is dropped, wherever it stands then:
/// after the response, or earlier, as for a client that has gone.
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

    /// Calls the request-body callback for so many bytes, which nobody can read.
    pub fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        callbacks::request_body(self.id, size, end_of_stream)
    }

    /// Calls the request-trailers callback for so many trailers, which nobody can read.
    pub fn request_trailers(&mut self, count: usize) -> Action {
        callbacks::request_trailers(self.id, count)
    }

    /// Calls the response-headers callback. The request's headers are out of reach from here to the log phase.
    pub fn response_headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        headers: impl IntoIterator<Item = (N, V)>,
        end_of_stream: bool,
    ) -> Action {
        respond(self.id, state::owned(headers), end_of_stream)
    }

    /// Its number in this VM.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Whether the plugin has paused the request and neither resumed nor answered it.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.with_state(|stream| stream.paused && stream.local_response.is_none())
    }

    /// When, by the host's clock in nanoseconds, the paused request was resumed.
    #[must_use]
    pub fn resumed_at(&self) -> Option<u64> {
        self.with_state(|stream| stream.resumed_at)
    }

    /// When, by the host's clock in nanoseconds, the plugin answered the request.
    #[must_use]
    pub fn answered_at(&self) -> Option<u64> {
        self.with_state(|stream| stream.answered_at)
    }

    /// Gives this stream a property, before those of the [`Vm`].
    pub fn set_property(&mut self, path: &[&str], value: impl Into<Vec<u8>>) {
        self.with_state(|stream| stream.properties.insert(path.join("\0").into_bytes(), value.into()));
    }

    /// A property that the plugin or the test has given this stream.
    #[must_use]
    pub fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.with_state(|stream| stream.properties.get(path.join("\0").as_bytes()).cloned())
    }

    /// The request's header lines as they are now.
    #[must_use]
    pub fn request(&self) -> Vec<Header> {
        self.with_state(|stream| stream.request.clone().unwrap_or_default())
    }

    /// The lines of one request header as they are now.
    #[must_use]
    pub fn request_lines(&self, name: &str) -> Vec<Vec<u8>> {
        self.request().into_iter().filter(|(key, _)| key == name.as_bytes()).map(|(_, value)| value).collect()
    }

    /// The response's header lines as they are now.
    #[must_use]
    pub fn response(&self) -> Vec<Header> {
        self.with_state(|stream| stream.response.clone().unwrap_or_default())
    }

    /// The local response that the plugin has sent.
    #[must_use]
    pub fn local_response(&self) -> Option<LocalResponse> {
        self.with_state(|stream| stream.local_response.clone())
    }

    /// How many times the plugin has cleared the route cache: once for each write of a request header.
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
