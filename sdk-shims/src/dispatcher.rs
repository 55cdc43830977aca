//! From the host's calls to the contexts that they are for.
//!
//! A host may call again while one of its imports runs. So no borrow of the contexts as a whole outlasts a look-up, and a
//! callback for a context whose callback is running already is passed over, as is one for a context that nobody knows: a
//! request goes on without it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::context::{Action, HttpContext, RootContext};

thread_local! {
    /// A VM is one thread.
    static PLUGINS: RefCell<Option<Rc<dyn Plugins>>> = const { RefCell::new(None) };
}

/// Says how the VM makes a root context, given its id. The contexts that the thread had before are gone.
pub fn set_root_context<R: RootContext>(new: fn(u32) -> R) {
    let before =
        PLUGINS.replace(Some(Rc::new(Contexts { new, roots: RefCell::default(), streams: RefCell::default() })));
    drop(before);
}

/// Calls the VM's plugins; without any, the answer is the default.
pub(crate) fn call<T>(default: T, callback: impl FnOnce(&dyn Plugins) -> T) -> T {
    let plugins = PLUGINS.with_borrow(Clone::clone);
    plugins.map_or(default, |plugins| callback(&*plugins))
}

/// All contexts of a VM.
pub(crate) trait Plugins {
    fn create(&self, id: u32, root: u32);
    fn configure(&self, root: u32, size: usize) -> bool;
    fn tick(&self, root: u32);
    fn request_headers(&self, id: u32, count: usize, end_of_stream: bool) -> Action;
    fn request_body(&self, id: u32, size: usize, end_of_stream: bool) -> Action;
    fn request_trailers(&self, id: u32, count: usize) -> Action;
    fn response_headers(&self, id: u32, count: usize, end_of_stream: bool) -> Action;
    fn log(&self, id: u32);
    fn delete(&self, id: u32);
}

struct Contexts<R: RootContext> {
    new: fn(u32) -> R,
    roots: RefCell<ById<Rc<RefCell<R>>>>,
    streams: RefCell<Slots<R::Http>>,
}

impl<R: RootContext> Contexts<R> {
    fn root(&self, id: u32) -> Option<Rc<RefCell<R>>> {
        self.roots.borrow().get(&id).cloned()
    }

    fn in_root<T>(&self, id: u32, default: T, callback: impl FnOnce(&mut R) -> T) -> T {
        let Some(root) = self.root(id) else { return default };
        root.try_borrow_mut().map_or(default, |mut root| callback(&mut root))
    }

    fn in_stream<T>(&self, id: u32, default: T, callback: impl FnOnce(&mut R::Http) -> T) -> T {
        let Some(slot) = self.streams.borrow().get(id) else { return default };
        let Ok(mut context) = slot.try_borrow_mut() else { return default };
        context.as_mut().map_or(default, callback)
    }
}

impl<R: RootContext> Plugins for Contexts<R> {
    fn create(&self, id: u32, root: u32) {
        if root == 0 {
            let context = Rc::new(RefCell::new((self.new)(id)));
            let before = self.roots.borrow_mut().insert(id, context);
            drop(before);
            return;
        }
        let of_root = self.root(root);
        let context = of_root.as_ref().and_then(|root| Some(root.try_borrow().ok()?.create_http_context(id)));
        match context {
            Some(context) => {
                let before = self.streams.borrow_mut().insert(id, context);
                drop(before);
            }
            None => log::error!("the host names no root context of the stream {id}: it is left alone"),
        }
    }

    fn configure(&self, root: u32, size: usize) -> bool {
        self.in_root(root, false, |root| root.on_configure(size))
    }

    fn tick(&self, root: u32) {
        self.in_root(root, (), R::on_tick);
    }

    fn request_headers(&self, id: u32, count: usize, end_of_stream: bool) -> Action {
        self.in_stream(id, Action::Continue, |stream| stream.on_http_request_headers(count, end_of_stream))
    }

    fn request_body(&self, id: u32, size: usize, end_of_stream: bool) -> Action {
        self.in_stream(id, Action::Continue, |stream| stream.on_http_request_body(size, end_of_stream))
    }

    fn request_trailers(&self, id: u32, count: usize) -> Action {
        self.in_stream(id, Action::Continue, |stream| stream.on_http_request_trailers(count))
    }

    fn response_headers(&self, id: u32, count: usize, end_of_stream: bool) -> Action {
        self.in_stream(id, Action::Continue, |stream| stream.on_http_response_headers(count, end_of_stream))
    }

    fn log(&self, id: u32) {
        self.in_stream(id, (), R::Http::on_log);
    }

    fn delete(&self, id: u32) {
        let slot = self.streams.borrow_mut().remove(id);
        match slot {
            Some(slot) => {
                // One whose callback is running is gone when that returns.
                let context = slot.try_borrow_mut().ok().and_then(|mut context| context.take());
                drop(context);
                self.streams.borrow_mut().reuse(slot);
            }
            None => {
                self.in_root(id, (), R::on_delete);
                let root = self.roots.borrow_mut().remove(&id);
                drop(root);
            }
        }
    }
}

/// The context of a stream, and its memory, which serves one stream after the other.
type Slot<T> = Rc<RefCell<Option<T>>>;

/// So many slots are kept for streams to come: what a burst of streams has needed on top is given back.
const MOST_FREE: usize = 1_024;

type ById<T> = HashMap<u32, T, BuildHasherDefault<IdHasher>>;

/// The streams' contexts by their ids.
struct Slots<T> {
    taken: ById<Slot<T>>,
    free: Vec<Slot<T>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { taken: ById::default(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    fn get(&self, id: u32) -> Option<Slot<T>> {
        self.taken.get(&id).cloned()
    }

    fn insert(&mut self, id: u32, context: T) -> Option<Slot<T>> {
        let slot = self.free.pop().unwrap_or_default();
        slot.replace(Some(context));
        self.taken.insert(id, slot)
    }

    fn remove(&mut self, id: u32) -> Option<Slot<T>> {
        self.taken.remove(&id)
    }

    /// Keeps a slot that nobody uses any more.
    fn reuse(&mut self, slot: Slot<T>) {
        if Rc::strong_count(&slot) == 1 && self.free.len() < MOST_FREE {
            self.free.push(slot);
        }
    }
}

/// Spreads ids, which the host counts up. They are no client's to choose.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, id: u32) {
        /// 2⁶⁴ by the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(FACTOR);
    }
}
