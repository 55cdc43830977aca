//! The SDK's dispatcher on the emulated host: contexts of several roots, one VM after another, and the order of
//! callbacks.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use sdk_shims::host::{self, HeaderMap, LocalResponse};
use sdk_shims::test_host::{Plugin, Stream, Vm};

thread_local! {
    /// The callbacks in order, each with the number of its root. The first root of a VM is 1.
    static COURSE: RefCell<Vec<(usize, &'static str)>> = const { RefCell::new(Vec::new()) };
    static ROOTS: RefCell<usize> = const { RefCell::new(0) };
    static ALIVE: Rc<()> = Rc::new(());
}

fn note(root: usize, callback: &'static str) {
    COURSE.with_borrow_mut(|course| course.push((root, callback)));
}

fn course() -> Vec<(usize, &'static str)> {
    COURSE.take()
}

/// The number of stream contexts.
fn alive() -> usize {
    ALIVE.with(Rc::strong_count).saturating_sub(1)
}

struct Root(usize);

struct Http {
    root: usize,
    _alive: Rc<()>,
}

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http { root: self.0, _alive: ALIVE.with(Rc::clone) }))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        note(self.0, "delete");
    }
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        note(self.root, "request");
        let answer = host::request_headers().unwrap().iter().any(|(name, _)| name == b"answer");
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
        ROOTS.set(0);
        proxy_wasm::set_root_context(|_| {
            let number = ROOTS.with_borrow_mut(|roots| {
                *roots = roots.saturating_add(1);
                *roots
            });
            Box::new(Root(number))
        });
    })
}

fn begin<'vm>(plugin: &Plugin<'vm>) -> Stream<'vm> {
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers([(":path", "/")], true), Action::Continue);
    stream
}

#[test]
fn every_root_has_streams_of_its_own() {
    for round in ["the first VM", "another VM of the same thread"] {
        let vm = start();
        let (first, second) = (vm.plugin("").unwrap(), vm.plugin("").unwrap());
        let (mut one, mut two) = (begin(&first), begin(&second));
        for stream in [&mut two, &mut one] {
            stream.response_headers([(":status", "200")], true);
        }
        let root_of =
            |stream: &Stream<'_>| stream.response().into_iter().find(|(name, _)| name == b"x-root").unwrap().1;
        assert_eq!((root_of(&one), root_of(&two)), (b"1".to_vec(), b"2".to_vec()), "{round}");
        drop((one, first));
        assert_eq!(
            course(),
            [(1, "request"), (2, "request"), (2, "response"), (1, "response"), (1, "log"), (1, "delete")],
            "{round}: the end of one root is none of the other's"
        );
        assert_eq!(alive(), 1, "{round}");
        drop((two, second));
        assert_eq!((course(), alive()), (vec![(2, "log"), (2, "delete")], 0), "{round}");
    }
}

#[test]
fn no_context_outlives_its_stream() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let lasting = begin(&plugin);
    for _ in 0..10_000 {
        drop(begin(&plugin));
    }
    assert_eq!(alive(), 1);
    drop(lasting);
    assert_eq!(alive(), 0);
}

#[test]
fn a_local_response_passes_through_when_its_callback_has_returned() {
    let vm = start();
    let plugin = vm.plugin("").unwrap();
    let mut stream = plugin.stream();
    assert_eq!(stream.request_headers([(":path", "/"), ("answer", "yes")], true), Action::Pause);
    assert_eq!(stream.response().last(), Some(&(b"x-root".to_vec(), b"1".to_vec())));
    drop(stream);
    assert_eq!(course(), [(1, "request"), (1, "answered"), (1, "response"), (1, "log")]);
}
