//! What is shipped: `dist/canary_filter.wasm` (`$CANARY_WASM`). It loads wherever the proxy-wasm ABI 0.2.1 is.

use std::{collections::BTreeSet, fs};

use e2e::binaries;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// What was shipped last, rounded up: growth is to be noticed. The goal is at most 1 MiB.
const LARGEST: usize = 540 * 1024;

/// What it needs of the host: functions of the ABI and of WASI that Envoy and its relatives all have. An import that comes
/// to be needed is added here by hand, after a look at the hosts.
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

/// What the host calls. It calls for every stream what is there to be called, so each of them has to be worth an entry into
/// the VM.
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
    assert_eq!(
        interface.imports.iter().collect::<Vec<_>>(),
        IMPORTS.iter().collect::<Vec<_>>(),
        "(`__wbindgen` would mean a browser's random numbers)"
    );
}

#[test]
fn exports_what_the_host_calls_and_nothing_else() {
    let interface = interface(&fs::read(binaries::wasm()).expect("read the module"));
    assert_eq!(interface.exports.iter().collect::<Vec<_>>(), EXPORTS.iter().collect::<Vec<_>>());
}

#[test]
fn is_small() {
    let size = fs::metadata(binaries::wasm()).expect("the module is there").len();
    println!("{size} bytes, {} KiB", size / 1024);
    assert!(size <= LARGEST as u64, "{size} bytes are more than {LARGEST}");
}
