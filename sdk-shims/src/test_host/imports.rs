//! The emulated imports.

use std::slice;

use super::callbacks;
use super::state::{self, Host, LocalResponse, LogLine, Metric};
use crate::host::{Pairs, encode_pairs};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const CAS_MISMATCH: u32 = 8;
const INTERNAL_FAILURE: u32 = 10;
const PLUGIN_CONFIGURATION: u32 = 7;
const HTTP_REQUEST: u32 = 0;

/// Counts the call, and carries it out unless it must fail. After a failed test the SDK's contexts may outlive the
/// host, and then the call does nothing.
fn call(name: &'static str, act: impl FnOnce(&mut Host) -> u32) -> u32 {
    let status = state::try_with_host(|host| {
        let count = host.calls.entry(name).or_default();
        *count = count.saturating_add(1);
        host.failures.get(name).copied().unwrap_or_else(|| act(host))
    });
    status.unwrap_or(INTERNAL_FAILURE)
}

/// The same for a call that returns bytes. The VM allocates memory for them, so the host must not be borrowed
/// meanwhile.
fn returning(
    name: &'static str,
    data: *mut *mut u8,
    size: *mut usize,
    act: impl FnOnce(&mut Host) -> Result<Vec<u8>, u32>,
) -> u32 {
    let mut bytes = Vec::new();
    let status = call(name, |host| match act(host) {
        Ok(value) => {
            bytes = value;
            OK
        }
        Err(status) => status,
    });
    if status == OK {
        let memory = if bytes.is_empty() { std::ptr::null_mut() } else { callbacks::allocate(bytes.len()) };
        // SAFETY: the caller passes places for a pointer and a size, and the memory was allocated for this many bytes.
        unsafe {
            data.write(memory);
            size.write(bytes.len());
            if !memory.is_null() {
                memory.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            }
        }
    }
    status
}

/// The bytes of an argument.
///
/// # Safety
/// `data` is null or valid for reads of `size` bytes.
unsafe fn bytes(data: *const u8, size: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: as above.
    unsafe { slice::from_raw_parts(data, size) }.to_vec()
}

/// A header name argument. Envoy keeps names in lower case.
///
/// # Safety
/// `data` is null or valid for reads of `size` bytes.
unsafe fn header_name(data: *const u8, size: usize) -> Vec<u8> {
    // SAFETY: as above.
    unsafe { bytes(data, size) }.to_ascii_lowercase()
}

const fn ok_or(status: u32, done: bool) -> u32 {
    if done { OK } else { status }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(level: u32, data: *const u8, size: usize) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let text = String::from_utf8_lossy(&unsafe { bytes(data, size) }).into_owned();
    call("proxy_log", |host| {
        host.log.push(LogLine { level, text });
        OK
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    // SAFETY: the ABI's contract of a place for the result.
    call("proxy_get_current_time_nanoseconds", |host| unsafe {
        time.write(host.now);
        OK
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    buffer_type: u32,
    start: usize,
    max_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    returning("proxy_get_buffer_bytes", data, size, |host| match host.configurations.get(&host.current) {
        Some(configuration) if buffer_type == PLUGIN_CONFIGURATION => {
            Ok(configuration.iter().skip(start).take(max_size).copied().collect())
        }
        _ => Err(NOT_FOUND),
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_pairs(map_type: u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    returning("proxy_get_header_map_pairs", data, size, |host| {
        if let Some(answer) = host.pairs_answer.clone() {
            return Ok(answer);
        }
        let map = host.map(map_type).ok_or(BAD_ARGUMENT)?;
        Ok(encode_pairs(map.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_replace_header_map_value(
    map_type: u32,
    key_data: *const u8,
    key_size: usize,
    value_data: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let (name, value) = unsafe { (header_name(key_data, key_size), bytes(value_data, value_size)) };
    call("proxy_replace_header_map_value", |host| {
        ok_or(BAD_ARGUMENT, host.write(map_type, |map| state::replace(map, &name, &value)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_add_header_map_value(
    map_type: u32,
    key_data: *const u8,
    key_size: usize,
    value_data: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let line = unsafe { (header_name(key_data, key_size), bytes(value_data, value_size)) };
    call("proxy_add_header_map_value", |host| ok_or(BAD_ARGUMENT, host.write(map_type, |map| map.push(line))))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_remove_header_map_value(map_type: u32, key_data: *const u8, key_size: usize) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let name = unsafe { header_name(key_data, key_size) };
    call("proxy_remove_header_map_value", |host| {
        ok_or(BAD_ARGUMENT, host.write(map_type, |map| map.retain(|(key, _)| *key != name)))
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_property(
    path_data: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let path = unsafe { bytes(path_data, path_size) };
    returning("proxy_get_property", data, size, |host| host.property(&path).ok_or(NOT_FOUND))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_property(
    path_data: *const u8,
    path_size: usize,
    value_data: *const u8,
    value_size: usize,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let (path, value) = unsafe { (bytes(path_data, path_size), bytes(value_data, value_size)) };
    call("proxy_set_property", |host| {
        ok_or(NOT_FOUND, host.stream().map(|stream| stream.properties.insert(path, value)).is_some())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    key_data: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    cas: *mut u32,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let key = unsafe { bytes(key_data, key_size) };
    returning("proxy_get_shared_data", data, size, |host| {
        let (value, state) = host.shared.get(&key).ok_or(NOT_FOUND)?;
        // SAFETY: the ABI's contract of a place for the result.
        unsafe { cas.write(*state) };
        Ok(value.clone())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_shared_data(
    key_data: *const u8,
    key_size: usize,
    value_data: *const u8,
    value_size: usize,
    cas: u32,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let (key, value) = unsafe { (bytes(key_data, key_size), bytes(value_data, value_size)) };
    call("proxy_set_shared_data", |host| {
        if let Some(between) = host.set_between.take() {
            host.set_shared(key.clone(), between);
        }
        let is_current = cas == 0 || host.shared.get(&key).is_some_and(|(_, state)| *state == cas);
        if is_current {
            host.set_shared(key, value);
        }
        ok_or(CAS_MISMATCH, is_current)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_send_local_response(
    status: u32,
    details_data: *const u8,
    details_size: usize,
    body_data: *const u8,
    body_size: usize,
    headers_data: *const u8,
    headers_size: usize,
    grpc_status: i32,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let (details, body, headers) =
        unsafe { (bytes(details_data, details_size), bytes(body_data, body_size), bytes(headers_data, headers_size)) };
    call("proxy_send_local_response", |host| {
        let now = host.now;
        let (Some(stream), Ok(headers)) = (host.stream(), Pairs::parse(headers)) else {
            return BAD_ARGUMENT;
        };
        let details = String::from_utf8_lossy(&details).into_owned();
        let headers = state::owned(&headers);
        stream.answered_at = Some(now);
        stream.answer_is_due = true;
        stream.local_response = Some(LocalResponse { status, details, headers, body, grpc_status });
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context_id: u32) -> u32 {
    call("proxy_set_effective_context", |host| {
        let known = host.is_context(context_id);
        if known {
            host.current = context_id;
        }
        ok_or(BAD_ARGUMENT, known)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> u32 {
    call("proxy_set_tick_period_milliseconds", |host| {
        host.set_timer(u64::from(period).saturating_mul(1_000_000));
        OK
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(stream_type: u32) -> u32 {
    call("proxy_continue_stream", |host| {
        let (now, id) = (host.now, host.current);
        let Some(stream) = host.stream().filter(|_| stream_type == HTTP_REQUEST) else {
            return BAD_ARGUMENT;
        };
        stream.request_is_gone = true;
        if std::mem::take(&mut stream.paused) {
            stream.resumed_at = Some(now);
            host.resumed.push(id);
        }
        OK
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_define_metric(
    _metric_type: u32,
    name_data: *const u8,
    name_size: usize,
    id: *mut u32,
) -> u32 {
    // SAFETY: the ABI's contract of pointer and size.
    let name = String::from_utf8_lossy(&unsafe { bytes(name_data, name_size) }).into_owned();
    call("proxy_define_metric", |host| {
        let known = host.metrics.iter().position(|metric| metric.name == name);
        let index = known.unwrap_or_else(|| {
            host.metrics.push(Metric { name, value: 0 });
            host.metrics.len().saturating_sub(1)
        });
        // SAFETY: the ABI's contract of a place for the result.
        unsafe { id.write(u32::try_from(index).unwrap_or(u32::MAX)) };
        OK
    })
}

fn metric(name: &'static str, id: u32, act: impl FnOnce(&mut u64)) -> u32 {
    call(name, |host| {
        let metric = usize::try_from(id).ok().and_then(|index| host.metrics.get_mut(index));
        ok_or(NOT_FOUND, metric.map(|metric| act(&mut metric.value)).is_some())
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, recorded: u64) -> u32 {
    metric("proxy_record_metric", id, |value| *value = recorded)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> u32 {
    metric("proxy_increment_metric", id, |value| *value = value.saturating_add_signed(offset))
}
