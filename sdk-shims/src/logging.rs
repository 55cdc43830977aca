//! Writes the `log` crate's records, and panics, to the proxy's log.

use log::{LevelFilter, Log, Metadata, Record};

use crate::host::{self, LogLevel};

struct HostLogger;

/// Sends log records of level info and above to the host, and in a VM also panic messages. May be called again.
pub fn init() {
    // A second call fails, because the logger is already set.
    let _already_set = log::set_logger(&HostLogger);
    log::set_max_level(LevelFilter::Info);
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        // An error cannot be reported, because the log itself has failed.
        let _unheard = host::log(LogLevel::Critical, &panic.to_string());
    }));
}

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // A request must not fail because the log fails.
            let _unheard = host::log(host_level(record.level()), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

const fn host_level(level: log::Level) -> LogLevel {
    match level {
        log::Level::Trace => LogLevel::Trace,
        log::Level::Debug => LogLevel::Debug,
        log::Level::Info => LogLevel::Info,
        log::Level::Warn => LogLevel::Warn,
        log::Level::Error => LogLevel::Error,
    }
}
