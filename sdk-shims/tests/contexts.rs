//! Whom the host's calls reach: contexts of several roots, ids that come and go, calls within calls.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sdk_shims::context::{Action, HttpContext, RootContext};
use sdk_shims::host::{self, HeaderMap, LocalResponse};
use sdk_shims::test_host::{Plugin, Reentry, Stream, Vm};

thread_local! {
    /// What happened, in order: the root's number, and the callback.
    static COURSE: RefCell<Vec<(u32, &'static str)>> = const { RefCell::new(Vec::new()) };
    /// What the contexts of streams have held, by address; and those that live.
    static PLACES: RefCell<BTreeSet<usize>> = const { RefCell::new(BTreeSet::new()) };
    static ALIVE: Rc<()> = Rc::new(());
}

fn note(root: u32, callback: &'static str) {
    COURSE.with_borrow_mut(|course| course.push((root, callback)));
}

fn course() -> Vec<(u32, &'static str)> {
    COURSE.take()
}

fn alive() -> usize {
    ALIVE.with(Rc::strong_count).saturating_sub(1)
}

struct Root(u32);

struct Http {
    root: u32,
    _alive: Rc<()>,
}

impl RootContext for Root {
    type Http = Http;

    fn create_http_context(&self, _: u32) -> Http {
        Http { root: self.0, _alive: ALIVE.with(Rc::clone) }
    }

    fn on_tick(&mut self) {
        note(self.0, "tick");
    }

    fn on_delete(&mut self) {
        note(self.0, "delete");
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        PLACES.with_borrow_mut(|places| places.insert(std::ptr::from_mut(self).addr()));
        note(self.root, "request");
        let answer = host::request_headers().unwrap().lines("answer").next().is_some();
        if !answer {
            return Action::Continue;
        }
        let response = LocalResponse { status: 404, grpc_status: None, details: "no", body: b"" };
        host::send_local_response(response, [].into_iter()).unwrap();
        note(self.root, "answered");
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        note(self.root, "response");
        host::replace_header(HeaderMap::Response, "x-root", self.root.to_string().as_bytes()).unwrap();
        Action::Continue
    }

    fn on_log(&mut self) {
        note(self.root, "log");
    }
}

fn start() -> Vm {
    Vm::start(|| {
        course();
        PLACES.take();
        sdk_shims::set_root_context(Root);
    })
}

fn begin<'vm>(plugin: &Plugin<'vm>) -> Stream<'vm> {
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers([(":path", "/")], true), Action::Continue);
    stream
}

#[test]
fn every_root_has_streams_of_its_own() {
    let vm = start();
    let (first, second) = (vm.plugin("").unwrap(), vm.plugin("").unwrap());
    let (mut one, mut two) = (begin(&first), begin(&second));
    for stream in [&mut two, &mut one] {
        stream.response_headers([(":status", "200")], true);
    }
    let root_of = |stream: &Stream<'_>| stream.response().into_iter().find(|(name, _)| name == b"x-root").unwrap().1;
    assert_eq!((root_of(&one), root_of(&two)), (b"1".to_vec(), b"2".to_vec()));
    drop((one, first));
    assert_eq!(
        course(),
        [(1, "request"), (2, "request"), (2, "response"), (1, "response"), (1, "log"), (1, "delete")],
        "the end of one root is none of the other's"
    );
    assert_eq!(alive(), 1);
    drop((two, second));
    assert_eq!((course(), alive()), (vec![(2, "log"), (2, "delete")], 0));
}

#[test]
fn a_stream_takes_the_place_of_one_that_has_ended() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let lasting = begin(&plugin);
    for _ in 0..10_000 {
        drop(begin(&plugin));
    }
    assert_eq!((PLACES.with_borrow(BTreeSet::len), alive()), (2, 1), "one that lasts, and all others");
    let many: Vec<_> = (0..100).map(|_| begin(&plugin)).collect();
    assert_eq!((PLACES.take().len(), alive()), (101, 101));
    drop(many);
    let again: Vec<_> = (0..100).map(|_| begin(&plugin)).collect();
    assert_eq!(PLACES.take().len(), 100);
    drop((again, lasting));
    assert_eq!(alive(), 0);
}

#[test]
fn contexts_that_nobody_knows_are_passed_over() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    for (row, id) in [("never there", 4_711), ("the greatest", u32::MAX), ("none", 0), ("a root's", 1)] {
        assert_eq!(vm.call_stream(id), [Action::Continue; 4], "{row}");
    }
    let ended = begin(&plugin).id();
    assert_eq!(vm.call_stream(ended), [Action::Continue; 4], "ended");
    let before = course();
    let stranger = vm.stream_of_unknown_root();
    assert_eq!(vm.call_stream(stranger), [Action::Continue; 4], "its root is not there");
    assert_eq!((before, course()), (vec![(1, "request"), (1, "log")], vec![]));
    drop(plugin);
    assert_eq!(course(), [(1, "delete")]);
}

#[test]
fn a_call_within_a_call_is_no_panic() {
    let vm = start();
    vm.reenter(Reentry::Response);
    let plugin = vm.plugin("").unwrap();
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers([(":path", "/"), ("answer", "yes")], true), Action::Pause);
    assert_eq!(stream.response(), [(b":status".to_vec(), b"404".to_vec())], "its own answer, unchanged");
    drop(stream);
    assert_eq!(course(), [(1, "request"), (1, "answered"), (1, "log")]);
    assert_eq!(alive(), 0);
}

#[test]
fn a_context_that_ends_within_its_callback_is_gone_when_that_returns() {
    let vm = start();
    vm.reenter(Reentry::End);
    let plugin = vm.plugin("").unwrap();
    let mut stream = plugin.stream();
    stream.request_headers([(":path", "/"), ("answer", "yes")], true);
    assert_eq!((course(), alive()), (vec![(1, "request"), (1, "answered")], 0));
    drop(stream);
    assert_eq!(course(), [], "it has ended before");
    drop(begin(&plugin));
    assert_eq!(course(), [(1, "request"), (1, "log")]);
}
