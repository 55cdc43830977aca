//! The guards of a VM, and the streams that they may see.
//!
//! A stream carries a token as a property; what it stands for never leaves the VM. Only streams whose version another may
//! replace are registered, and only where the VM has a guard.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use super::guard_context::GuardContext;
use super::presence::GuardPresence;
use crate::host::{Host, HostError};

/// The property with the token.
const PROPERTY: &str = "canary_stream";

/// The guards of a VM.
#[derive(Default)]
pub(crate) struct Guards {
    /// By the streams of the first filter.
    contexts: RefCell<HashMap<u32, Rc<GuardContext>>>,
    /// Tells this VM's tokens from those of others.
    vm: Cell<Option<u64>>,
    pub(crate) presence: GuardPresence,
}

/// What a token stands for.
pub(crate) enum Found {
    /// No stream was registered.
    Nothing,
    /// One was, in another VM.
    Elsewhere,
    /// The first filter's part.
    Here(Rc<GuardContext>),
}

/// A stream that is registered as long as it lives.
pub(crate) struct Registered {
    guards: Rc<Guards>,
    stream: u32,
}

impl Guards {
    /// Lets guards see the stream in force.
    pub(crate) fn register(
        self: &Rc<Self>,
        host: &impl Host,
        stream: u32,
        context: Rc<GuardContext>,
    ) -> Result<Registered, HostError> {
        let mut token = [0; 12];
        let (vm, number) = token.split_at_mut(8);
        vm.copy_from_slice(&self.vm(host).to_le_bytes());
        number.copy_from_slice(&stream.to_le_bytes());
        host.set_property(PROPERTY, &token)?;
        self.contexts.borrow_mut().insert(stream, context);
        Ok(Registered { guards: Rc::clone(self), stream })
    }

    /// The registration of the stream in force.
    pub(crate) fn find(&self, host: &impl Host) -> Result<Found, HostError> {
        let Some(token) = host.property(PROPERTY)? else { return Ok(Found::Nothing) };
        let own = token.strip_prefix(&self.vm(host).to_le_bytes()).and_then(|stream| stream.try_into().ok());
        let context = own.and_then(|stream| self.contexts.borrow().get(&u32::from_le_bytes(stream)).cloned());
        Ok(context.map_or(Found::Elsewhere, Found::Here))
    }

    fn vm(&self, host: &impl Host) -> u64 {
        self.vm.get().unwrap_or_else(|| {
            let vm = host.random();
            self.vm.set(Some(vm));
            vm
        })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.guards.contexts.borrow_mut().remove(&self.stream);
    }
}
