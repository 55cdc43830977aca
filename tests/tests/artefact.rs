//! What is shipped: `dist/canary_filter.wasm` (`$CANARY_WASM`). It loads wherever the proxy-wasm ABI 0.2.1 is.

use std::{collections::BTreeSet, fs};

use e2e::binaries;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, Validator, WasmFeatures};

/// Bytes.
const MAX_SIZE: usize = 1024 * 1024;

/// What the V8 of every Envoy from 1.36 on takes, and no more: the Makefile's `WASM_FEATURES`, and bulk memory.
const FEATURES: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::BULK_MEMORY);

/// What the filter calls: functions of the ABI and of WASI that Envoy and its relatives all have. Before you add one, look at
/// the hosts.
const IMPORTS: [&str; 23] = [
    "env.proxy_add_header_map_value",
    "env.proxy_continue_stream",
    "env.proxy_define_metric",
    "env.proxy_get_buffer_bytes",
    "env.proxy_get_current_time_nanoseconds",
    "env.proxy_get_header_map_pairs",
    "env.proxy_get_property",
    "env.proxy_get_shared_data",
    "env.proxy_increment_metric",
    "env.proxy_log",
    "env.proxy_record_metric",
    "env.proxy_remove_header_map_value",
    "env.proxy_replace_header_map_value",
    "env.proxy_send_local_response",
    "env.proxy_set_effective_context",
    "env.proxy_set_property",
    "env.proxy_set_shared_data",
    "env.proxy_set_tick_period_milliseconds",
    "wasi_snapshot_preview1.environ_get",
    "wasi_snapshot_preview1.environ_sizes_get",
    "wasi_snapshot_preview1.fd_write",
    "wasi_snapshot_preview1.proc_exit",
    "wasi_snapshot_preview1.random_get",
];

/// What the SDK's traits refer to and the filter never calls. They are functions of the same ABI.
const UNUSED_IMPORTS: [&str; 17] = [
    "env.proxy_call_foreign_function",
    "env.proxy_close_stream",
    "env.proxy_dequeue_shared_queue",
    "env.proxy_done",
    "env.proxy_enqueue_shared_queue",
    "env.proxy_get_header_map_value",
    "env.proxy_get_status",
    "env.proxy_grpc_call",
    "env.proxy_grpc_cancel",
    "env.proxy_grpc_close",
    "env.proxy_grpc_send",
    "env.proxy_grpc_stream",
    "env.proxy_http_call",
    "env.proxy_register_shared_queue",
    "env.proxy_resolve_shared_queue",
    "env.proxy_set_buffer_bytes",
    "env.proxy_set_header_map_pairs",
];

/// What the host calls. It enters the VM for each callback that is exported, so the Makefile's `UNUSED_CALLBACKS` removes the
/// others of the SDK.
///
/// | exported | why |
/// |---|---|
/// | `proxy_on_context_create`, `proxy_on_delete` | a context for each stream |
/// | `proxy_on_request_headers`, `proxy_on_response_headers` | the decision, and what it does to the response |
/// | `proxy_on_request_body`, `proxy_on_request_trailers` | they wait while a request is delayed |
/// | `proxy_on_log` | metrics and health, at the end of a request |
/// | `proxy_on_configure`, `proxy_on_tick` | of the root context |
const EXPORTS: [&str; 13] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_log",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
];

#[derive(Default)]
struct Interface {
    imports: BTreeSet<String>,
    other_imports: Vec<String>,
    exports: BTreeSet<String>,
}

fn interface(wasm: &[u8]) -> Interface {
    let mut interface = Interface::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.expect("a WebAssembly module") {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.expect("an import");
                    let name = format!("{}.{}", import.module, import.name);
                    match import.ty {
                        TypeRef::Func(_) => _ = interface.imports.insert(name),
                        _ => interface.other_imports.push(name),
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.expect("an export");
                    if matches!(export.kind, ExternalKind::Func | ExternalKind::Memory) {
                        interface.exports.insert(export.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    interface
}

#[test]
fn imports_only_what_every_host_has() {
    let interface = interface(&fs::read(binaries::wasm()).expect("read the module"));
    assert_eq!(interface.other_imports, [""; 0], "memories, tables, globals");
    let expected: BTreeSet<_> = IMPORTS.iter().chain(&UNUSED_IMPORTS).collect();
    assert_eq!(
        interface.imports.iter().collect::<Vec<_>>(),
        expected.into_iter().collect::<Vec<_>>(),
        "(`__wbindgen` would mean a browser's random numbers)"
    );
}

#[test]
fn exports_what_the_host_calls_and_nothing_else() {
    let interface = interface(&fs::read(binaries::wasm()).expect("read the module"));
    assert_eq!(interface.exports.iter().collect::<Vec<_>>(), EXPORTS.iter().collect::<Vec<_>>());
}

#[test]
fn uses_only_what_every_v8_takes() {
    let wasm = fs::read(binaries::wasm()).expect("read the module");
    let validated = Validator::new_with_features(FEATURES).validate_all(&wasm);
    validated.unwrap_or_else(|error| panic!("an instruction beyond WASM_FEATURES: {error}"));
}

#[test]
fn is_small() {
    let size = fs::metadata(binaries::wasm()).expect("the module is there").len();
    println!("{size} bytes, {} KiB", size / 1024);
    assert!(size <= MAX_SIZE as u64, "{size} bytes are more than {MAX_SIZE}");
}
