//! A host of the .wasm without cost of its own: its results are prepared beforehand.

use std::collections::BTreeMap;

use e2e::host_calls::{Call, Callback, HostCall};
use wasmtime::{Caller, Config, Engine, Instance, Linker, Memory, OptLevel, Store, TypedFunc, WasmParams, WasmResults};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const LEVEL_WARN: u32 = 3;
const LEVEL_ERROR: u32 = 4;
const ROOT: u32 = 1;
const FUEL: u64 = u64::MAX / 2;

/// The compiled .wasm.
pub(crate) struct Module {
    engine: Engine,
    module: wasmtime::Module,
}

#[derive(Default)]
struct Host {
    configuration: Vec<u8>,
    /// The request's header map as the host hands it out.
    headers: Vec<u8>,
    /// Since it was last asked.
    calls: Vec<HostCall>,
    /// The callback that the VM is in.
    during: Option<Callback>,
    series: u32,
    now: u64,
    /// What the last request's version header was made.
    version: Option<String>,
    /// Whether the last request went on without a delay.
    goes_on: bool,
}

/// A VM with one plugin.
pub(crate) struct Vm {
    store: Store<Host>,
    instance: Instance,
    last_context: u32,
}

impl Module {
    pub(crate) fn compile(wasm: &[u8]) -> Self {
        let mut config = Config::new();
        config.consume_fuel(true).cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&config).expect("an engine");
        let module = wasmtime::Module::new(&engine, wasm).expect("the module compiles");
        Self { engine, module }
    }
}

impl Vm {
    pub(crate) fn start(module: &Module, configuration: &str) -> Self {
        let host = Host { configuration: configuration.into(), ..Host::default() };
        let mut store = Store::new(&module.engine, host);
        store.set_fuel(FUEL).expect("fuel");
        let mut linker = Linker::new(&module.engine);
        define(&mut linker).expect("imports");
        linker.define_unknown_imports_as_traps(&module.module).expect("the other imports");
        let instance = linker.instantiate(&mut store, &module.module).expect("an instance");
        let mut vm = Self { store, instance, last_context: ROOT };
        vm.call::<_, ()>("_initialize", ()).expect("no trap");
        vm.call::<_, ()>("proxy_on_context_create", (ROOT, 0)).expect("no trap");
        let size = u32::try_from(configuration.len()).expect("a size of 32 bits");
        for (callback, size) in [("proxy_on_vm_start", 0), ("proxy_on_configure", size)] {
            assert_ne!(vm.call::<_, u32>(callback, (ROOT, size)).expect("no trap"), Some(0), "{callback} accepts");
        }
        vm
    }

    /// Serves one request from beginning to end: the instructions that it has taken.
    pub(crate) fn request(&mut self, headers: &[(String, Vec<u8>)]) -> u64 {
        self.request_within(headers, FUEL).expect("no trap")
    }

    /// The same, or a trap where it would take more than so many; then the VM cannot be used any more.
    pub(crate) fn request_within(&mut self, headers: &[(String, Vec<u8>)], most: u64) -> wasmtime::Result<u64> {
        self.last_context += 1;
        let (context, count) = (self.last_context, u32::try_from(headers.len()).expect("few headers"));
        let host = self.store.data_mut();
        host.headers = encode(headers);
        (host.version, host.goes_on) = (None, true);
        host.now += 1_000_000;
        self.store.set_fuel(most).expect("fuel");
        self.callback::<_, ()>(Callback::Create, (context, ROOT))?;
        for (phase, count) in [(Callback::RequestHeaders, count), (Callback::ResponseHeaders, 4)] {
            if self.goes_on() {
                let action = self.callback::<_, u32>(phase, (context, count, 1))?;
                self.store.data_mut().goes_on &= action.unwrap_or(0) == 0;
            }
        }
        self.callback::<_, ()>(Callback::Log, context)?;
        assert_ne!(self.callback::<_, u32>(Callback::Done, context)?, Some(0), "it is done");
        self.callback::<_, ()>(Callback::Delete, context)?;
        Ok(most - self.store.get_fuel().expect("fuel"))
    }

    /// Whether the filter forwarded the last request without a delay.
    pub(crate) fn goes_on(&self) -> bool {
        self.store.data().goes_on
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.store.data().version.as_deref()
    }

    /// Host calls since it was last asked, in their order; metrics are numbered as they come.
    pub(crate) fn take_calls(&mut self) -> Vec<HostCall> {
        let mut calls = std::mem::take(&mut self.store.data_mut().calls);
        let mut numbers = BTreeMap::new();
        for call in &mut calls {
            if let Call::Count { series } | Call::Observe { series } = &mut call.call {
                let next = u32::try_from(numbers.len()).expect("few series");
                *series = *numbers.entry(*series).or_insert(next);
            }
        }
        calls
    }

    /// Bytes of the VM's memory.
    pub(crate) fn memory(&mut self) -> usize {
        self.instance.get_memory(&mut self.store, "memory").expect("a memory").data_size(&self.store)
    }

    /// What a callback returns, if the module has it.
    fn callback<P: WasmParams, R: WasmResults>(&mut self, callback: Callback, with: P) -> wasmtime::Result<Option<R>> {
        self.store.data_mut().during = Some(callback);
        self.call(callback.export(), with)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, arguments: P) -> wasmtime::Result<Option<R>> {
        if self.instance.get_func(&mut self.store, name).is_none() {
            return Ok(None);
        }
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&mut self.store, name)?;
        function.call(&mut self.store, arguments).map(Some)
    }
}

/// The ABI's buffer of name-value pairs.
fn encode(pairs: &[(String, Vec<u8>)]) -> Vec<u8> {
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a size of 32 bits").to_le_bytes();
    let mut buffer = u32::try_from(pairs.len()).expect("few pairs").to_le_bytes().to_vec();
    pairs.iter().for_each(|(name, value)| buffer.extend([size(name.as_bytes()), size(value)].concat()));
    pairs.iter().for_each(|(name, value)| buffer.extend([name.as_bytes(), b"\0", value, b"\0"].concat()));
    buffer
}

fn memory(caller: &mut Caller<'_, Host>) -> Memory {
    caller.get_export("memory").and_then(wasmtime::Extern::into_memory).expect("a memory")
}

fn read(caller: &mut Caller<'_, Host>, data: u32, size: u32) -> Vec<u8> {
    let memory = memory(caller);
    memory.data(&caller)[data as usize..][..size as usize].to_vec()
}

fn write(caller: &mut Caller<'_, Host>, at: u32, bytes: &[u8]) {
    memory(caller).write(caller, at as usize, bytes).expect("within the memory");
}

/// Hands bytes out, in memory that the VM allocates for them.
fn hand_out(caller: &mut Caller<'_, Host>, bytes: &[u8], data: u32, size: u32) -> u32 {
    let length = u32::try_from(bytes.len()).expect("a size of 32 bits");
    let allocate = caller.get_export("proxy_on_memory_allocate").and_then(wasmtime::Extern::into_func);
    let allocate = allocate.expect("an allocator").typed::<u32, u32>(&caller).expect("its type");
    let place = allocate.call(&mut *caller, length).expect("memory");
    write(caller, place, bytes);
    write(caller, data, &place.to_le_bytes());
    write(caller, size, &length.to_le_bytes());
    OK
}

/// Notes a call, outside of requests too.
fn note(caller: &mut Caller<'_, Host>, call: Call) {
    let host = caller.data_mut();
    if let Some(during) = host.during {
        host.calls.push(HostCall { during, call });
    }
}

fn note_other(caller: &mut Caller<'_, Host>, function: &str) {
    note(caller, Call::Other { function: function.to_owned() });
}

fn text(caller: &mut Caller<'_, Host>, data: u32, size: u32) -> String {
    String::from_utf8_lossy(&read(caller, data, size)).into_owned()
}

/// The first value of a header of the request.
fn header(host: &Host, name: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| u32::from_le_bytes(host.headers[at..at + 4].try_into().expect("four bytes")) as usize;
    let count = number(0);
    let mut at = 4 + 8 * count;
    (0..count).find_map(|pair| {
        let (name_size, size) = (number(4 + 8 * pair), number(8 + 8 * pair));
        let (found, value) = (&host.headers[at..][..name_size], &host.headers[at + name_size + 1..][..size]);
        at += name_size + size + 2;
        (found == name).then(|| value.to_vec())
    })
}

fn property(path: &[u8]) -> Option<Vec<u8>> {
    let number = match path {
        b"xds\0upstream_host_metadata\0filter_metadata\0canary\0version" => return Some(b"v2".to_vec()),
        b"response\0code" => 200_u64,
        b"response\0flags" => 0,
        _ => return None,
    };
    Some(number.to_le_bytes().to_vec())
}

type At<'a> = Caller<'a, Host>;

fn define(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    define_headers(linker)?;
    define_properties(linker)?;
    define_metrics(linker)?;
    define_rest(linker)
}

fn define_headers(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "proxy_get_header_map_pairs", |mut at: At<'_>, map: u32, data: u32, size: u32| {
        note(&mut at, Call::GetHeaders { map });
        let headers = at.data().headers.clone();
        hand_out(&mut at, &headers, data, size)
    })?;
    let get = |mut at: At<'_>, map: u32, name: u32, length: u32, data: u32, size: u32| {
        let name = text(&mut at, name, length);
        let value = header(at.data(), name.as_bytes());
        note(&mut at, Call::GetHeader { map, name });
        value.map_or(NOT_FOUND, |value| hand_out(&mut at, &value, data, size))
    };
    linker.func_wrap("env", "proxy_get_header_map_value", get)?;
    let set = |mut at: At<'_>, map: u32, name: u32, length: u32, data: u32, size: u32| {
        let (name, value) = (text(&mut at, name, length), text(&mut at, data, size));
        if name == "x-canary-version" {
            at.data_mut().version = Some(value.clone());
        }
        note(&mut at, Call::SetHeader { map, name, value });
        OK
    };
    linker.func_wrap("env", "proxy_replace_header_map_value", set)?;
    let add = |mut at: At<'_>, map: u32, name: u32, length: u32, data: u32, size: u32| {
        let (name, value) = (text(&mut at, name, length), text(&mut at, data, size));
        note(&mut at, Call::AddHeader { map, name, value });
        OK
    };
    linker.func_wrap("env", "proxy_add_header_map_value", add)?;
    linker.func_wrap("env", "proxy_remove_header_map_value", |mut at: At<'_>, map: u32, name: u32, length: u32| {
        let name = text(&mut at, name, length);
        note(&mut at, Call::RemoveHeader { map, name });
        OK
    })?;
    Ok(())
}

fn define_properties(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "proxy_get_property", |mut at: At<'_>, path: u32, length: u32, data: u32, size: u32| {
        let path = text(&mut at, path, length);
        let value = property(path.as_bytes());
        note(&mut at, Call::GetProperty { path });
        value.map_or(NOT_FOUND, |value| hand_out(&mut at, &value, data, size))
    })?;
    linker.func_wrap("env", "proxy_set_property", |mut at: At<'_>, path: u32, length: u32, data: u32, size: u32| {
        let (path, value) = (text(&mut at, path, length), text(&mut at, data, size));
        note(&mut at, Call::SetProperty { path, value });
        OK
    })?;
    Ok(())
}

fn define_metrics(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "proxy_define_metric", |mut at: At<'_>, _: u32, _: u32, _: u32, id: u32| {
        note_other(&mut at, "define metric");
        let series = at.data().series + 1;
        at.data_mut().series = series;
        write(&mut at, id, &series.to_le_bytes());
        OK
    })?;
    linker.func_wrap("env", "proxy_increment_metric", |mut at: At<'_>, series: u32, _: u64| {
        note(&mut at, Call::Count { series });
        OK
    })?;
    linker.func_wrap("env", "proxy_record_metric", |mut at: At<'_>, series: u32, _: u64| {
        note(&mut at, Call::Observe { series });
        OK
    })?;
    Ok(())
}

fn define_rest(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap("env", "proxy_log", |mut at: At<'_>, level: u32, data: u32, size: u32| {
        let line = read(&mut at, data, size);
        // A configuration may be warned of, a request gives no reason to.
        let most = if at.data().during.is_some() { LEVEL_WARN } else { LEVEL_ERROR };
        assert!(level < most, "{}", String::from_utf8_lossy(&line));
        OK
    })?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", |mut at: At<'_>, time: u32| {
        note(&mut at, Call::ReadClock);
        let now = at.data().now;
        write(&mut at, time, &now.to_le_bytes());
        OK
    })?;
    let buffer = |mut at: At<'_>, _: u32, _: u32, _: u32, data: u32, size: u32| {
        let configuration = at.data().configuration.clone();
        hand_out(&mut at, &configuration, data, size)
    };
    linker.func_wrap("env", "proxy_get_buffer_bytes", buffer)?;
    let answer = |mut at: At<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| {
        note_other(&mut at, "local response");
        at.data_mut().goes_on = false;
        OK
    };
    linker.func_wrap("env", "proxy_send_local_response", answer)?;
    linker.func_wrap("env", "proxy_get_shared_data", |mut at: At<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| {
        note_other(&mut at, "shared data");
        NOT_FOUND
    })?;
    linker.func_wrap("env", "proxy_set_shared_data", |mut at: At<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| {
        note_other(&mut at, "shared data");
        OK
    })?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", |mut at: At<'_>, _: u32| {
        note_other(&mut at, "tick");
        OK
    })?;
    linker.func_wrap(
        "env",
        "proxy_call_foreign_function",
        |mut at: At<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| {
            note(&mut at, Call::ClearRouteCache);
            OK
        },
    )?;
    linker.func_wrap("wasi_snapshot_preview1", "random_get", |mut at: At<'_>, data: u32, size: u32| {
        write(&mut at, data, &vec![7; size as usize]);
        OK
    })?;
    // No variables of the environment.
    linker.func_wrap("wasi_snapshot_preview1", "environ_sizes_get", |mut at: At<'_>, number: u32, size: u32| {
        write(&mut at, number, &[0; 4]);
        write(&mut at, size, &[0; 4]);
        OK
    })?;
    linker.func_wrap("wasi_snapshot_preview1", "environ_get", |_: u32, _: u32| OK)?;
    Ok(())
}
