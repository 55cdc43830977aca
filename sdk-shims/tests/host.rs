//! Tests the host calls on the emulated host, and the emulated host against known behaviour of Envoy.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::cell::RefCell;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use sdk_shims::host::{self, Failure, HeaderMap, HostError, LocalResponse, Metric, MetricKind, Status, encode_pairs};
use sdk_shims::test_host::{Stream, Vm};

type Step = Box<dyn FnOnce()>;

thread_local! {
    static SCRIPT: RefCell<Option<Step>> = const { RefCell::new(None) };
    static CALLBACKS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// A plugin that runs `SCRIPT` in the next callback of a stream, and records its callbacks.
struct Scripted;

fn callback(name: &'static str) {
    CALLBACKS.with_borrow_mut(|callbacks| callbacks.push(name));
    if let Some(step) = SCRIPT.take() {
        step();
    }
}

impl Context for Scripted {
    fn on_done(&mut self) -> bool {
        callback("done");
        true
    }
}

impl HttpContext for Scripted {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        callback("request");
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        callback("response");
        Action::Continue
    }

    fn on_log(&mut self) {
        callback("log");
    }
}

/// A plugin whose streams pause. Its root context runs `SCRIPT` in its next tick.
fn pausing() -> Vm {
    Vm::start(|| {
        CALLBACKS.take();
        proxy_wasm::set_root_context(|_| Box::new(Pausing));
    })
}

struct Pausing;

impl Context for Pausing {}

impl HttpContext for Pausing {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        host::set_tick_period(10).unwrap();
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        callback("response");
        Action::Continue
    }
}

impl RootContext for Pausing {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn on_tick(&mut self) {
        callback("tick");
    }
}

impl RootContext for Scripted {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }
}

fn start() -> Vm {
    Vm::start(|| {
        CALLBACKS.take();
        sdk_shims::logging::init();
        proxy_wasm::set_root_context(|_| Box::new(Scripted));
    })
}

const REPEATED: [(&str, &[u8]); 4] = [(":path", b"/"), ("x-t", b"a"), ("X-T", b"\xff"), ("empty", b"")];

/// Runs a step in the request callback of a stream that has the headers of [`REPEATED`].
fn in_request<T: 'static>(stream: &mut Stream<'_>, step: impl FnOnce() -> T + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    SCRIPT.set(Some(Box::new(move || sender.send(step()).unwrap())));
    stream.request_headers(REPEATED, true);
    receiver.try_recv().unwrap()
}

const fn status(call: &'static str, status: Status) -> HostError {
    HostError { call, failure: Failure::Status(status) }
}

const NOT_FOUND: LocalResponse<'_> = LocalResponse { status: 404, grpc_status: None, details: "no", body: b"" };

fn no_headers() -> impl Iterator<Item = (&'static [u8], &'static [u8])> + Clone {
    [].into_iter()
}

/// Calls that act on a stream or its root context.
const CALLS: [&str; 10] = [
    "proxy_get_header_map_pairs",
    "proxy_replace_header_map_value",
    "proxy_add_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_send_local_response",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_tick_period_milliseconds",
    "proxy_set_effective_context",
    "proxy_continue_stream",
    "proxy_define_metric",
];

#[test]
fn one_call_returns_every_header_value() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let map = in_request(&mut plugin.stream(), || host::request_headers().unwrap());
    let lines: Vec<_> = map.iter().collect();
    assert_eq!(lines, [(&b":path"[..], &b"/"[..]), (b"x-t", b"a"), (b"x-t", b"\xff"), (b"empty", b"")]);
    assert_eq!(vm.calls("proxy_get_header_map_pairs"), 1);
}

#[test]
fn every_status_but_ok_is_an_error_and_never_a_panic() {
    for (row, code, expected) in [
        ("NotFound", 1, Status::NotFound),
        ("BadArgument", 2, Status::BadArgument),
        ("SerializationFailure", 3, Status::SerializationFailure),
        ("ParseFailure", 4, Status::ParseFailure),
        ("Empty", 7, Status::Empty),
        ("CasMismatch", 8, Status::CasMismatch),
        ("InternalFailure", 10, Status::InternalFailure),
        ("Unimplemented", 12, Status::Unimplemented),
        ("not in the ABI", 4711, Status::Other(4711)),
    ] {
        let vm = start();
        let plugin = vm.plugin("").unwrap();
        for import in CALLS {
            vm.fail(import, code);
        }
        let mut stream = plugin.stream();
        let errors = in_request(&mut stream, || {
            [
                host::request_headers().map(drop),
                host::replace_header(HeaderMap::Request, "x-t", b"b"),
                host::add_header(HeaderMap::Request, "x-t", b"b"),
                host::remove_header(HeaderMap::Request, "x-t"),
                host::send_local_response(NOT_FOUND, no_headers()),
                sdk_shims::clock::unix_nanoseconds().map(drop),
                host::set_tick_period(1),
                host::set_effective_context(1),
                host::resume_request(),
                Metric::define(MetricKind::Counter, "c").map(drop),
            ]
        });
        let expected = CALLS.map(|call| Err(status(call, expected)));
        assert_eq!(errors, expected, "{row}");
        assert_eq!((stream.route_cache_clears(), stream.local_response()), (0, None), "{row}");
    }
}

#[test]
fn a_malformed_map_is_an_error() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    vm.answer_pairs(b"\x02\0\0\0\x01");
    let map = in_request(&mut plugin.stream(), host::request_headers);
    assert_eq!(map, Err(HostError { call: "proxy_get_header_map_pairs", failure: Failure::Malformed }));
    vm.heal();
    assert!(in_request(&mut plugin.stream(), host::request_headers).is_ok());
}

#[test]
fn outside_a_request_there_are_no_headers() {
    let vm = start();
    assert_eq!(host::request_headers(), Err(status("proxy_get_header_map_pairs", Status::BadArgument)));
    drop(vm);
}

#[test]
fn writes_act_on_all_values_and_clear_the_route_cache() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let mut stream = plugin.stream();
    in_request(&mut stream, || {
        host::replace_header(HeaderMap::Request, "x-t", b"\xfe").unwrap();
        host::replace_header(HeaderMap::Request, "x-new", b"n").unwrap();
        host::remove_header(HeaderMap::Request, "empty").unwrap();
        host::remove_header(HeaderMap::Request, "absent").unwrap();
        host::add_header(HeaderMap::Request, "x-t", b"c").unwrap();
    });
    let line = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    assert_eq!(stream.request(), [line(":path", b"/"), line("x-t", b"\xfe"), line("x-new", b"n"), line("x-t", b"c")]);
    assert_eq!(stream.route_cache_clears(), 5);
}

#[test]
fn a_local_response_carries_details_headers_and_body() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let mut stream = plugin.stream();
    in_request(&mut stream, || {
        let response = LocalResponse { status: 429, grpc_status: Some(8), details: "too_many", body: b"slow down" };
        host::send_local_response(response, [(&b"x-a"[..], &b"\xff"[..])].into_iter()).unwrap();
    });
    let sent = stream.local_response().unwrap();
    assert_eq!((sent.status, sent.details.as_str(), sent.body.as_slice()), (429, "too_many", &b"slow down"[..]));
    assert_eq!(sent.headers, [(b"x-a".to_vec(), b"\xff".to_vec())]);
    assert_eq!(sent.grpc_status, 8);
    assert_eq!(stream.response().first(), Some(&(b":status".to_vec(), b"429".to_vec())));
}

#[test]
fn properties() {
    let labels = encode_pairs([(&b"app"[..], &b"sleep"[..]), (b"version", b"v1")].into_iter());
    let no_labels = encode_pairs([].into_iter());
    let both = vec![("app".to_owned(), "sleep".to_owned()), ("version".to_owned(), "v1".to_owned())];
    let malformed = HostError { call: "proxy_get_property", failure: Failure::Malformed };
    for (row, name, value, namespace, expected) in [
        ("nothing is set", "OTHER", &b"x"[..], Ok(None), Ok(None)),
        ("namespace", "NAMESPACE", b"shop", Ok(Some("shop".to_owned())), Ok(None)),
        ("empty namespace", "NAMESPACE", b"", Ok(Some(String::new())), Ok(None)),
        ("namespace is no UTF-8", "NAMESPACE", b"\xff", Err(malformed), Ok(None)),
        ("labels", "LABELS", &labels, Ok(None), Ok(Some(both))),
        ("empty labels", "LABELS", &no_labels, Ok(None), Ok(Some(Vec::new()))),
        ("labels are no struct", "LABELS", b"text", Ok(None), Err(malformed)),
    ] {
        let vm = start();
        vm.set_property(&["xds", "node", "metadata", name], value);
        assert_eq!(host::node_namespace(), namespace, "{row}");
        assert_eq!(host::node_labels(), expected, "{row}");
    }
    let vm = start();
    vm.fail("proxy_get_property", 3);
    let null_inside = status("proxy_get_property", Status::SerializationFailure);
    assert_eq!(host::node_labels(), Err(null_inside));
    assert_eq!(null_inside.to_string(), "proxy_get_property: the host returned SerializationFailure");
}

#[test]
fn a_property_of_the_stream_hides_the_hosts() {
    let vm = start();
    vm.set_property(&["a", "b"], "host");
    let plugin = vm.plugin("").unwrap();
    let read = || String::from_utf8(host::property(&["a", "b"]).unwrap().unwrap()).unwrap();
    assert_eq!(in_request(&mut plugin.stream(), read), "host");
    let mut stream = plugin.stream();
    stream.set_property(&["a", "b"], "stream");
    assert_eq!(in_request(&mut stream, read), "stream");
    in_request(&mut stream, || host::set_property("own", b"v2").unwrap());
    assert_eq!(stream.property(&["own"]).unwrap(), b"v2");
}

#[test]
fn records_of_level_info_and_above_reach_the_proxys_log() {
    let vm = start();
    log::error!("e");
    log::warn!("w");
    log::info!("i");
    log::debug!("d");
    let lines: Vec<_> = vm.log().into_iter().map(|line| (line.level, line.text)).collect();
    assert_eq!(lines, [(4, "e".to_owned()), (3, "w".to_owned()), (2, "i".to_owned())]);
    assert_eq!(vm.logged(host::LogLevel::Warn), ["w"]);
    vm.fail("proxy_log", 10);
    log::error!("unheard");
    assert_eq!(vm.log().len(), 3);
}

#[test]
fn a_stream_passes_through_its_phases() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let mut stream = plugin.stream();
    stream.request_headers(REPEATED, true);
    SCRIPT.set(Some(Box::new(|| {
        assert_eq!(host::request_headers(), Err(status("proxy_get_header_map_pairs", Status::BadArgument)));
        host::replace_header(HeaderMap::Response, "x-r", b"r").unwrap();
        host::add_header(HeaderMap::Response, "x-r", b"s").unwrap();
        host::add_header(HeaderMap::Response, "x-s", b"s").unwrap();
        host::remove_header(HeaderMap::Response, "x-s").unwrap();
    })));
    stream.response_headers([(":status", "200")], true);
    assert!(SCRIPT.take().is_none());
    assert_eq!(stream.response().len(), 3);
    assert_eq!(stream.route_cache_clears(), 0, "a response header is no matter of the route");
    SCRIPT.set(Some(Box::new(|| assert!(host::request_headers().is_ok(), "readable again in the log phase"))));
    drop(stream);
    assert!(SCRIPT.take().is_none());
    drop(plugin);
    assert_eq!(CALLBACKS.take(), ["request", "response", "log", "done", "done"]);
}

#[test]
fn a_plugin_lives_as_long_as_its_streams() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let stream = plugin.stream();
    drop(plugin);
    assert!(CALLBACKS.take().is_empty());
    drop(stream);
    assert_eq!(CALLBACKS.take(), ["log", "done", "done"], "the client had gone before its request was read");
}

const TICK: Duration = Duration::from_millis(10);

fn take_callbacks() -> Vec<&'static str> {
    CALLBACKS.take()
}

#[test]
fn a_tick_belongs_to_the_root_context_and_restarts_after_each_run() {
    let vm = pausing();
    let (plugin, other) = (vm.plugin("").unwrap(), vm.plugin("").unwrap());
    vm.advance(10 * TICK);
    assert!(take_callbacks().is_empty(), "no tick was asked for");
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers(REPEATED, true), Action::Pause);
    assert_eq!(vm.ticking(), 1);
    vm.advance(TICK - Duration::from_nanos(1));
    assert!(take_callbacks().is_empty());
    vm.advance(Duration::from_nanos(1) + 3 * TICK);
    assert_eq!(take_callbacks(), ["tick"; 4]);
    vm.advance(TICK / 2);
    plugin.stream().request_headers(REPEATED, true);
    vm.advance(TICK / 2);
    assert!(take_callbacks().is_empty(), "the tick restarted after it was set again");
    SCRIPT.set(Some(Box::new(|| host::set_tick_period(0).unwrap())));
    vm.advance(10 * TICK);
    assert_eq!((take_callbacks(), vm.ticking()), (vec!["tick"], 0));
    other.stream().request_headers(REPEATED, true);
    other.end();
    vm.advance(TICK);
    assert_eq!((take_callbacks(), vm.ticking()), (vec![], 1), "Envoy does not stop the tick of a root that has ended");
}

#[test]
fn a_tick_can_act_on_a_stream_until_it_ends() {
    let vm = pausing();
    let plugin = vm.plugin("").unwrap();
    let (mut resumed, mut answered, mut gone) = (plugin.stream(), plugin.stream(), plugin.stream());
    for stream in [&mut resumed, &mut answered, &mut gone] {
        stream.request_headers(REPEATED, true);
        assert!(stream.is_paused());
    }
    let [resumed_id, answered_id, gone_id] = [&resumed, &answered, &gone].map(Stream::id);
    drop(gone);
    take_callbacks();
    SCRIPT.set(Some(Box::new(move || {
        host::set_effective_context(resumed_id).unwrap();
        host::replace_header(HeaderMap::Request, "x-t", b"late").unwrap();
        host::resume_request().unwrap();
        assert_eq!(host::request_headers(), Err(status("proxy_get_header_map_pairs", Status::BadArgument)));
        host::set_effective_context(answered_id).unwrap();
        host::send_local_response(NOT_FOUND, no_headers()).unwrap();
        let ended = status("proxy_set_effective_context", Status::BadArgument);
        assert_eq!(host::set_effective_context(gone_id), Err(ended));
    })));
    vm.advance(TICK);
    assert_eq!(take_callbacks(), ["tick", "response"], "the answer passes through the response callback");
    assert_eq!(resumed.request_values("x-t"), [b"late"]);
    assert_eq!((vm.resumed(), resumed.resumed_at(), resumed.answered_at()), (vec![resumed_id], Some(10_000_000), None));
    assert_eq!((answered.resumed_at(), answered.answered_at()), (None, Some(10_000_000)));
    assert!(!resumed.is_paused() && !answered.is_paused());
    assert_eq!(answered.local_response().unwrap().status, 404);
}

#[test]
fn metrics_are_shown_under_their_names() {
    let vm = start();
    let counter = Metric::define(MetricKind::Counter, "requests_total").unwrap();
    let gauge = Metric::define(MetricKind::Gauge, "version").unwrap();
    let histogram = Metric::define(MetricKind::Histogram, "milliseconds").unwrap();
    assert_eq!(
        ["requests_total", "version", "milliseconds", "none"].map(|name| vm.metric(name)),
        [Some(0), Some(0), Some(0), None]
    );
    counter.increment().unwrap();
    counter.increment().unwrap();
    gauge.record(1 << 52).unwrap();
    histogram.record(7).unwrap();
    assert_eq!(
        ["requests_total", "version", "milliseconds"].map(|name| vm.metric(name)),
        [Some(2), Some(1 << 52), Some(7)]
    );
    vm.fail("proxy_increment_metric", 10);
    vm.fail("proxy_record_metric", 2);
    assert_eq!(counter.increment(), Err(status("proxy_increment_metric", Status::InternalFailure)));
    assert_eq!(gauge.record(1), Err(status("proxy_record_metric", Status::BadArgument)));
}
