//! A strict walk through a JSON document that knows its place and continues after an error.
//!
//! A reader asks an object for its fields by their camelCase names; both spellings are found, `null` counts as absent (as
//! in Kubernetes), and a field that its object does not declare is an error.

use std::cell::Cell;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use serde_json::Value;
use smallvec::SmallVec;

use crate::error::{ConfigErrorKind, ConfigErrors, Findings, Warning, WarningCode};
use crate::json::{Json, JsonValue, Kind, Number};
use crate::regex::{MAX_PROGRAM_TOTAL, Regex};
use crate::sorted::sorted;
use crate::vocabulary::Object;

/// A step on the way from the document's root to a value.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn write(&self, pointer: &mut String) {
        match self {
            Self::Root => {}
            Self::Key(parent, key) => {
                parent.write(pointer);
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Self::Index(parent, index) => {
                parent.write(pointer);
                let _ = write!(pointer, "/{index}");
            }
        }
    }
}

/// Reads a document, and returns what `read` makes of its root, with the warnings.
///
/// # Errors
/// Everything that `read` has reported.
pub fn read<T>(document: &Json<'_>, read: impl Fn(&Node<'_>) -> T) -> Result<(T, Vec<Warning>), ConfigErrors> {
    let findings = Findings::default();
    let found = read(&Node::root(document, &findings));
    Ok((found, findings.into_result()?))
}

/// A value of the document with its place.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    value: JsonValue<'a>,
    place: Place<'a>,
    findings: &'a Findings,
}

impl<'a> Node<'a> {
    fn root(document: &'a Json<'a>, findings: &'a Findings) -> Self {
        Self { value: document.root(), place: Place::Root, findings }
    }

    /// The value itself, for `canaryctl`. The .wasm does not use it.
    pub fn value(&self) -> Value {
        self.value.into()
    }

    /// The text, where the value is one.
    pub fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// The JSON pointer of this place.
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        self.place.write(&mut pointer);
        pointer
    }

    /// Reports an error at this place. Reading goes on.
    pub fn error(&self, kind: ConfigErrorKind) {
        self.findings.error(self.pointer(), kind);
    }

    /// Reports that the value breaks a rule, in words.
    pub fn invalid(&self, message: impl Into<String>) {
        self.error(ConfigErrorKind::Invalid(message.into()));
    }

    /// An error at another place, named by its JSON pointer.
    pub fn invalid_at(&self, pointer: impl Into<String>, message: impl Into<String>) {
        self.findings.error(pointer.into(), ConfigErrorKind::Invalid(message.into()));
    }

    /// Reports a warning at this place.
    pub fn warn(&self, code: WarningCode, message: impl Into<String>) {
        self.findings.warn(self.pointer(), code, message.into());
    }

    /// A warning about another place, named by its JSON pointer.
    pub fn warn_at(&self, pointer: String, code: WarningCode, message: String) {
        self.findings.warn(pointer, code, message);
    }

    /// Reports the first complaint of a check, if it has one.
    pub fn check(&self, result: Result<(), String>) {
        if let Err(message) = result {
            self.invalid(message);
        }
    }

    /// Counts a regex towards the document's limit. The regex that crosses the limit is an error.
    pub fn count_regex(&self, regex: &Regex) {
        if self.findings.exceeds_program_total(regex.program_size(), MAX_PROGRAM_TOTAL) {
            self.invalid(format!(
                "the regexes up to this one have more than {MAX_PROGRAM_TOTAL} instructions together, the most of a document"
            ));
        }
    }

    fn wrong_type<T>(&self, expected: &'static str) -> Option<T> {
        let found = match self.value.kind() {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Object(_) => "an object",
        };
        self.error(ConfigErrorKind::WrongType { expected, found });
        None
    }

    /// The text of a string. Any other type is reported as an error and gives `None`.
    pub fn string(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong_type("a string"))
    }

    /// The value of a boolean. Any other type is reported as an error and gives `None`.
    pub fn boolean(&self) -> Option<bool> {
        if let Kind::Bool(value) = self.value.kind() { Some(value) } else { self.wrong_type("a boolean") }
    }

    /// An integer in a range; `what` names it in the error.
    pub fn integer(&self, what: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let Some(Number::Integer(integer)) = self.value.as_number() else {
            return self.wrong_type("an integer");
        };
        let value = u32::try_from(integer).ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.invalid(format!("{what} {integer} must be in the range {}..{}", range.start(), range.end()));
        }
        value
    }

    /// The value of a number. Any other type is reported as an error and gives `None`.
    pub fn number(&self) -> Option<Number> {
        self.value.as_number().or_else(|| self.wrong_type("a number"))
    }

    /// Whether the value is a list without elements.
    pub fn is_empty_list(&self) -> bool {
        matches!(self.value.kind(), Kind::List(elements) if elements.len() == 0)
    }

    /// Whether the value is an object; that it is not is an error.
    pub fn is_object(&self) -> bool {
        matches!(self.value.kind(), Kind::Object(_)) || self.wrong_type::<()>("an object").is_some()
    }

    /// The fields of an object, which may have those that `object` names. Any other type is reported as an error and gives
    /// `None`.
    ///
    /// Call [`Fields::finish`] when all fields are read: it reports the unknown ones.
    pub fn object(&'a self, object: &'static Object) -> Option<Fields<'a>> {
        let members = self.members()?;
        let initials = members.iter().fold(0, |initials, member| initials | initial(member.key));
        Some(Fields { node: self, object, members, initials })
    }

    /// The keys and values of an object that is a map, in key order.
    pub fn entries(&'a self) -> Option<impl ExactSizeIterator<Item = (&'a str, Node<'a>)>> {
        Some(self.members()?.into_iter().map(|member| (member.key, self.child(&member))))
    }

    /// The entries of an object in the order of their keys, each key once.
    fn members(&self) -> Option<Members<'a>> {
        let Kind::Object(entries) = self.value.kind() else { return self.wrong_type("an object") };
        let mut members: Members<'a> =
            entries.map(|(key, value)| Member { key, value, is_known: Cell::new(false) }).collect();
        if !members.is_sorted_by(|left, right| left.key < right.key) {
            // Of equal keys the last counts, as in most readers of JSON.
            members.reverse();
            members = sorted(members.into_vec(), |left, right| left.key.cmp(right.key)).into();
            members.dedup_by(|earlier, kept| earlier.key == kept.key);
        }
        Some(members)
    }

    fn child(&'a self, member: &Member<'a>) -> Self {
        Node { value: member.value, place: Place::Key(&self.place, member.key), findings: self.findings }
    }

    /// The elements of a list; a `null` among them is an error, as in Istio's CRDs.
    pub fn elements(&'a self) -> impl Iterator<Item = Node<'a>> {
        let list = match self.value.kind() {
            Kind::List(elements) => Some(elements),
            _ => self.wrong_type("a list"),
        };
        list.into_iter().flatten().enumerate().filter_map(|(index, value)| {
            let element = Node { value, place: Place::Index(&self.place, index), findings: self.findings };
            if value.is_null() { element.wrong_type("a value") } else { Some(element) }
        })
    }

    /// What a reader makes of the elements of a list.
    pub fn read_each<T>(&self, mut read: impl FnMut(&Node<'_>) -> Option<T>) -> Vec<T> {
        let count = if let Kind::List(elements) = self.value.kind() { elements.len() } else { 0 };
        let mut found = Vec::with_capacity(count);
        self.visit_each(&mut |element| {
            if let Some(value) = read(element) {
                found.push(value);
            }
        });
        found
    }

    /// One copy in the .wasm for all readers.
    fn visit_each(&self, visit: &mut dyn FnMut(&Node<'_>)) {
        for element in self.elements() {
            visit(&element);
        }
    }

    /// The elements of a list of strings.
    pub fn strings(&self) -> Vec<String> {
        self.read_each(|element| element.string().map(str::to_owned))
    }

    /// An object whose values are all strings, such as labels.
    pub fn string_map(&'a self) -> Vec<(String, String)> {
        let entries = self.entries().into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.to_owned(), value.string()?.to_owned()))).collect()
    }
}

/// The entries of an object; most have few.
type Members<'a> = SmallVec<[Member<'a>; 4]>;

#[derive(Debug)]
struct Member<'a> {
    key: &'a str,
    value: JsonValue<'a>,
    /// It has been read.
    is_known: Cell<bool>,
}

/// The fields of an object, asked for by name.
#[derive(Debug)]
pub struct Fields<'a> {
    node: &'a Node<'a>,
    object: &'static Object,
    members: Members<'a>,
    /// The [`initial`] letters of the keys: most fields that a reader asks for are not there.
    initials: u64,
}

impl<'a> Fields<'a> {
    /// The object itself, for errors about it as a whole.
    pub fn node(&self) -> &'a Node<'a> {
        self.node
    }

    /// The field, in either spelling; `null` is absent.
    pub fn get(&self, name: &'static str) -> Option<Node<'a>> {
        debug_assert!(self.object.names.contains(&name), "{name} is not declared in the vocabulary");
        if self.initials & initial(name) == 0 {
            return None;
        }
        let mut found = self.members.iter().filter(|member| spells(member.key, name));
        let member = found.next()?;
        member.is_known.set(true);
        if let Some(other) = found.next() {
            other.is_known.set(true);
            self.node.error(ConfigErrorKind::DuplicateField(name));
        }
        (!member.value.is_null()).then(|| self.node.child(member))
    }

    /// The field, whose absence is an error.
    pub fn require(&self, name: &'static str) -> Option<Node<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.node.error(ConfigErrorKind::Missing(name));
        }
        found
    }

    /// Fields that are valid and that a filter cannot carry out.
    pub fn not_carried_out(&self, names: &[&'static str], why: &str) {
        for field in names.iter().filter_map(|name| self.get(name)) {
            field.warn(WarningCode::NotCarriedOut, format!("accepted, but not carried out: {why}"));
        }
    }

    /// Fields of an earlier release, which are none any more.
    pub fn removed(&self, names: &[&str], why: &str) {
        for member in self.members.iter().filter(|member| names.contains(&member.key)) {
            member.is_known.set(true);
            self.node.child(member).invalid(why);
        }
    }

    /// Reports every unknown field, unless the object is open.
    pub fn finish(self) {
        if self.object.is_open {
            return;
        }
        for member in self.members.iter().filter(|member| !member.is_known.get()) {
            self.node.child(member).error(ConfigErrorKind::UnknownField(self.object.names));
        }
    }
}

/// The bit of a name's first letter, which is the same in both spellings.
fn initial(name: &str) -> u64 {
    let letter = name.bytes().next().unwrap_or_default();
    1_u64.wrapping_shl(letter.into())
}

/// Whether `key` is `name` in camelCase or in the proto's snake_case.
fn spells(key: &str, name: &str) -> bool {
    // The proto's spelling of a name is never the shorter one.
    if key.len() <= name.len() {
        return key == name;
    }
    let mut key = key.bytes();
    let matched = name.bytes().all(|expected| match expected {
        b'A'..=b'Z' => key.next() == Some(b'_') && key.next() == Some(expected.to_ascii_lowercase()),
        _ => key.next() == Some(expected),
    });
    matched && key.next().is_none()
}
