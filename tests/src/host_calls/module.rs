//! Modules that make given host calls and do nothing else: without an SDK, in WebAssembly's text.

use std::{collections::BTreeMap, fmt::Write};

use super::{Call, Callback, HostCall};

/// Where texts begin; below are the places for what the host returns.
const TEXTS: usize = 1_024;
/// Where the host puts data, with room for the largest header map. Texts end before it.
const DATA: usize = 65_536;
const PAGES: usize = 4;
/// Pointer and length of what the host returns, and the clock's time.
const POINTER: usize = 512;
const LENGTH: usize = 516;
const TIME: usize = 520;
/// The numbers of the metrics.
const SERIES: usize = 600;
const MAX_SERIES: usize = 32;

/// The functions of the host and their parameters.
const IMPORTS: [(&str, &str); 12] = [
    ("proxy_get_header_map_pairs", "i32 i32 i32"),
    ("proxy_get_header_map_value", "i32 i32 i32 i32 i32"),
    ("proxy_replace_header_map_value", "i32 i32 i32 i32 i32"),
    ("proxy_add_header_map_value", "i32 i32 i32 i32 i32"),
    ("proxy_remove_header_map_value", "i32 i32 i32"),
    ("proxy_get_property", "i32 i32 i32 i32"),
    ("proxy_set_property", "i32 i32 i32 i32"),
    ("proxy_call_foreign_function", "i32 i32 i32 i32 i32 i32"),
    ("proxy_get_current_time_nanoseconds", "i32"),
    ("proxy_define_metric", "i32 i32 i32 i32"),
    ("proxy_increment_metric", "i32 i64"),
    ("proxy_record_metric", "i32 i64"),
];

/// Callbacks, and the host calls that they make.
#[derive(Debug, Clone)]
pub struct Module {
    /// Those that the module exports; those with calls must be among them.
    pub callbacks: Vec<Callback>,
    /// For each request.
    pub calls: Vec<HostCall>,
}

/// Texts in the module's memory, each once, by their place.
#[derive(Default)]
struct Texts {
    places: BTreeMap<String, usize>,
    end: usize,
}

impl Module {
    /// The least that makes the calls of a filter: the beginning and the end of a context, headers of request and response, log.
    #[must_use]
    pub fn floor(calls: &[HostCall]) -> Self {
        use Callback::{Create, Delete, Log, RequestHeaders, ResponseHeaders};
        Self { callbacks: vec![Create, RequestHeaders, ResponseHeaders, Log, Delete], calls: calls.to_vec() }
    }

    /// One that makes a call so many times when the headers of a request come.
    #[must_use]
    pub fn repeated(call: &Call, times: usize) -> Self {
        let during = Callback::RequestHeaders;
        Self { callbacks: vec![during], calls: vec![HostCall { during, call: call.clone() }; times] }
    }

    /// Its text.
    ///
    /// # Panics
    /// If a call is in a callback that it does not export, or is of another function.
    #[must_use]
    pub fn text(&self) -> String {
        let mut texts = Texts { end: TEXTS, ..Texts::default() };
        let configure = self.define_metrics(&mut texts);
        let mut functions = String::new();
        for callback in &self.callbacks {
            let calls = self.calls.iter().filter(|call| call.during == *callback);
            let body: String = calls.map(|call| instruction(&call.call, &mut texts)).collect();
            let _ = writeln!(functions, "{}", function(*callback, &body));
        }
        let exported = |call: &HostCall| self.callbacks.contains(&call.during);
        assert!(self.calls.iter().all(exported), "a call in a callback that is not exported: {self:?}");
        assert!(texts.end < DATA, "too many texts");
        let imports = IMPORTS.map(|(name, parameters)| {
            format!("  (import \"env\" \"{name}\" (func ${name} (param {parameters}) (result i32)))\n")
        });
        format!(
            "(module\n{}  (memory (export \"memory\") {PAGES})\n{}  (func (export \"proxy_abi_version_0_2_1\"))\n  \
             (func (export \"proxy_on_memory_allocate\") (param i32) (result i32) (i32.const {DATA}))\n  \
             (func (export \"proxy_on_configure\") (param i32 i32) (result i32)\n{configure}    (i32.const 1))\n{functions})\n",
            imports.concat(),
            texts.segments(),
        )
    }

    /// Defines a metric for each series that is counted or observed.
    fn define_metrics(&self, texts: &mut Texts) -> String {
        let metrics = self.calls.iter().filter_map(|call| match &call.call {
            Call::Count { series } => Some((*series, 0)),
            Call::Observe { series } => Some((*series, 2)),
            _ => None,
        });
        let define = |(series, kind): (u32, u32)| {
            let name = texts.place(&format!("floor_{series}"));
            format!("    (drop (call $proxy_define_metric (i32.const {kind}) {name} (i32.const {})))\n", place(series))
        };
        metrics.collect::<BTreeMap<_, _>>().into_iter().map(define).collect()
    }
}

fn function(callback: Callback, body: &str) -> String {
    let (parameters, result) = match callback {
        Callback::Create => ("i32 i32", None),
        Callback::RequestHeaders | Callback::ResponseHeaders => ("i32 i32 i32", Some(0)),
        Callback::Done => ("i32", Some(1)),
        Callback::Log | Callback::Delete => ("i32", None),
    };
    let (kind, value) =
        result.map_or_else(Default::default, |value| (" (result i32)", format!("    (i32.const {value})\n")));
    format!("  (func (export \"{}\") (param {parameters}){kind}\n{body}{value}  )", callback.export())
}

/// A call whose result is not looked at.
fn instruction(call: &Call, texts: &mut Texts) -> String {
    let returned = format!("(i32.const {POINTER}) (i32.const {LENGTH})");
    let (function, arguments) = match call {
        Call::GetHeaders { map } => ("proxy_get_header_map_pairs", format!("(i32.const {map}) {returned}")),
        Call::GetHeader { map, name } => {
            ("proxy_get_header_map_value", format!("(i32.const {map}) {} {returned}", texts.place(name)))
        }
        Call::SetHeader { map, name, value } => (
            "proxy_replace_header_map_value",
            format!("(i32.const {map}) {} {}", texts.place(name), texts.place(value)),
        ),
        Call::AddHeader { map, name, value } => {
            ("proxy_add_header_map_value", format!("(i32.const {map}) {} {}", texts.place(name), texts.place(value)))
        }
        Call::RemoveHeader { map, name } => {
            ("proxy_remove_header_map_value", format!("(i32.const {map}) {}", texts.place(name)))
        }
        Call::GetProperty { path } => ("proxy_get_property", format!("{} {returned}", texts.place(path))),
        Call::SetProperty { path, value } => {
            ("proxy_set_property", format!("{} {}", texts.place(path), texts.place(value)))
        }
        Call::ClearRouteCache => (
            "proxy_call_foreign_function",
            format!("{} (i32.const 0) (i32.const 0) {returned}", texts.place("clear_route_cache")),
        ),
        Call::ReadClock => ("proxy_get_current_time_nanoseconds", format!("(i32.const {TIME})")),
        Call::Count { series } => {
            ("proxy_increment_metric", format!("(i32.load (i32.const {})) (i64.const 1)", place(*series)))
        }
        Call::Observe { series } => {
            ("proxy_record_metric", format!("(i32.load (i32.const {})) (i64.const 1)", place(*series)))
        }
        Call::Other { function } => panic!("a module of host calls does not make {function}"),
    };
    format!("    (drop (call ${function} {arguments}))\n")
}

/// Where the number of a metric is kept.
fn place(series: u32) -> usize {
    let series = series as usize;
    assert!(series < MAX_SERIES, "at most {MAX_SERIES} series");
    SERIES + 4 * series
}

impl Texts {
    /// Pointer and length of a text.
    fn place(&mut self, text: &str) -> String {
        let end = &mut self.end;
        let place = *self.places.entry(text.to_owned()).or_insert_with(|| {
            let place = *end;
            *end += text.len();
            place
        });
        format!("(i32.const {place}) (i32.const {})", text.len())
    }

    fn segments(&self) -> String {
        let escaped = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        let segment =
            |(text, place): (&String, &usize)| format!("  (data (i32.const {place}) \"{}\")\n", escaped(text));
        self.places.iter().map(segment).collect()
    }
}
