//! A host of the .wasm that costs nothing itself: what it is asked for is made beforehand.

use std::collections::BTreeMap;

use wasmtime::{Caller, Config, Engine, Instance, Linker, Memory, OptLevel, Store, TypedFunc, WasmParams};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const LEVEL_WARN: u32 = 3;
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
    calls: BTreeMap<&'static str, u64>,
    series: u32,
    now: u64,
    /// What the last request's version header was made.
    version: Option<String>,
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
        vm.call("_initialize", ());
        vm.call("proxy_on_context_create", (ROOT, 0));
        let size = u32::try_from(configuration.len()).expect("a size of 32 bits");
        let configure: TypedFunc<(u32, u32), u32> = vm.export("proxy_on_configure");
        assert_eq!(configure.call(&mut vm.store, (ROOT, size)).expect("no trap"), 1, "the document is accepted");
        vm
    }

    /// Serves one request from beginning to end: the instructions that it has taken.
    pub(crate) fn request(&mut self, headers: &[(&str, &str)]) -> u64 {
        self.last_context += 1;
        let (context, count) = (self.last_context, u32::try_from(headers.len()).expect("few headers"));
        let host = self.store.data_mut();
        host.headers = encode(headers);
        host.version = None;
        host.now += 1_000_000;
        self.store.set_fuel(FUEL).expect("fuel");
        self.call("proxy_on_context_create", (context, ROOT));
        for (phase, count) in [("proxy_on_request_headers", count), ("proxy_on_response_headers", 4)] {
            let phase: TypedFunc<(u32, u32, u32), u32> = self.export(phase);
            assert_eq!(phase.call(&mut self.store, (context, count, 1)).expect("no trap"), 0, "it goes on");
        }
        for end in ["proxy_on_log", "proxy_on_delete"] {
            if self.instance.get_func(&mut self.store, end).is_some() {
                self.call(end, context);
            }
        }
        FUEL - self.store.get_fuel().expect("fuel")
    }

    pub(crate) fn version(&self) -> Option<&str> {
        self.store.data().version.as_deref()
    }

    /// Calls of each import since it was last asked.
    pub(crate) fn forget_calls(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.store.data_mut().calls)
    }

    /// Bytes of the VM's memory.
    pub(crate) fn memory(&mut self) -> usize {
        self.instance.get_memory(&mut self.store, "memory").expect("a memory").data_size(&self.store)
    }

    fn call(&mut self, name: &str, arguments: impl WasmParams) {
        let function: TypedFunc<_, ()> = self.export(name);
        function.call(&mut self.store, arguments).unwrap_or_else(|trap| panic!("{name}: {trap:?}"));
    }

    fn export<P: WasmParams, R: wasmtime::WasmResults>(&mut self, name: &str) -> TypedFunc<P, R> {
        self.instance.get_typed_func(&mut self.store, name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// The ABI's buffer of name-value pairs.
fn encode(pairs: &[(&str, &str)]) -> Vec<u8> {
    let size = |text: &str| u32::try_from(text.len()).expect("a size of 32 bits").to_le_bytes();
    let mut buffer = u32::try_from(pairs.len()).expect("few pairs").to_le_bytes().to_vec();
    pairs.iter().for_each(|(name, value)| buffer.extend([size(name), size(value)].concat()));
    pairs.iter().for_each(|(name, value)| buffer.extend(format!("{name}\0{value}\0").bytes()));
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

fn count(caller: &mut Caller<'_, Host>, name: &'static str) {
    *caller.data_mut().calls.entry(name).or_default() += 1;
}

fn property(path: &[u8]) -> Option<Vec<u8>> {
    let number = match path {
        b"response\0code" => 200_u64,
        b"response\0flags" => 0,
        _ => return None,
    };
    Some(number.to_le_bytes().to_vec())
}

fn define(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    type At<'a> = Caller<'a, Host>;
    linker.func_wrap("env", "proxy_log", |mut at: At<'_>, level: u32, data: u32, size: u32| {
        let line = read(&mut at, data, size);
        assert!(level < LEVEL_WARN, "{}", String::from_utf8_lossy(&line));
        OK
    })?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", |mut at: At<'_>, time: u32| {
        count(&mut at, "clock");
        let now = at.data().now;
        write(&mut at, time, &now.to_le_bytes());
        OK
    })?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut at: At<'_>, _: u32, _: u32, _: u32, data: u32, size: u32| {
            let configuration = at.data().configuration.clone();
            hand_out(&mut at, &configuration, data, size)
        },
    )?;
    linker.func_wrap("env", "proxy_get_header_map_pairs", |mut at: At<'_>, _: u32, data: u32, size: u32| {
        count(&mut at, "header map");
        let headers = at.data().headers.clone();
        hand_out(&mut at, &headers, data, size)
    })?;
    linker.func_wrap("env", "proxy_get_property", |mut at: At<'_>, path: u32, length: u32, data: u32, size: u32| {
        count(&mut at, "get_property");
        let path = read(&mut at, path, length);
        property(&path).map_or(NOT_FOUND, |value| hand_out(&mut at, &value, data, size))
    })?;
    let set = |mut at: At<'_>, _: u32, name: u32, length: u32, data: u32, size: u32| {
        count(&mut at, "set header");
        if read(&mut at, name, length) == b"x-canary-version" {
            let value = read(&mut at, data, size);
            at.data_mut().version = Some(String::from_utf8(value).expect("the name of a version"));
        }
        OK
    };
    linker.func_wrap("env", "proxy_replace_header_map_value", set)?;
    linker.func_wrap("env", "proxy_add_header_map_value", set)?;
    linker.func_wrap("env", "proxy_remove_header_map_value", |mut at: At<'_>, _: u32, _: u32, _: u32| {
        count(&mut at, "remove header");
        OK
    })?;
    linker.func_wrap("env", "proxy_set_property", |mut at: At<'_>, _: u32, _: u32, _: u32, _: u32| {
        count(&mut at, "set_property");
        OK
    })?;
    linker.func_wrap("env", "proxy_get_shared_data", |mut at: At<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| {
        count(&mut at, "shared data");
        NOT_FOUND
    })?;
    linker.func_wrap("env", "proxy_set_shared_data", |mut at: At<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| {
        count(&mut at, "shared data");
        OK
    })?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", |mut at: At<'_>, _: u32| {
        count(&mut at, "tick");
        OK
    })?;
    linker.func_wrap("env", "proxy_define_metric", |mut at: At<'_>, _: u32, _: u32, _: u32, id: u32| {
        count(&mut at, "define metric");
        let series = at.data().series + 1;
        at.data_mut().series = series;
        write(&mut at, id, &series.to_le_bytes());
        OK
    })?;
    linker.func_wrap("env", "proxy_increment_metric", |mut at: At<'_>, _: u32, _: u64| {
        count(&mut at, "increment metric");
        OK
    })?;
    linker.func_wrap("env", "proxy_record_metric", |mut at: At<'_>, _: u32, _: u64| {
        count(&mut at, "record metric");
        OK
    })?;
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
