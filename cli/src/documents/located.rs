//! A value with the place in the file of each of its parts.

use serde_json::{Map, Value};

/// A line and column of a text, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// A value that was read from a text.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    /// The value.
    pub(crate) value: Value,
    /// Where it is.
    pub(crate) spot: Spot,
}

impl Located {
    /// An object of its fields.
    pub(super) fn object(at: Position, fields: Vec<(String, Self)>) -> Self {
        let (mut values, mut spots) = (Map::new(), Vec::with_capacity(fields.len()));
        for (name, field) in fields {
            values.insert(name.clone(), field.value);
            spots.push((name, field.spot));
        }
        Self { value: values.into(), spot: Spot { parts: Parts::Fields(spots), ..Spot::scalar(at) } }
    }
}

/// Where a value is, and the values within it.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    /// Where the value begins.
    pub(crate) at: Position,
    /// Where its key begins, if it is a field.
    pub(crate) key: Option<Position>,
    /// The text of a boolean that is neither `true` nor `false`, such as `yes`.
    pub(crate) spelled: Option<String>,
    /// The values within it.
    pub(crate) parts: Parts,
}

/// The values within a value.
#[derive(Debug, Clone)]
pub(crate) enum Parts {
    /// It is a scalar.
    None,
    /// Elements of a list.
    List(Vec<Spot>),
    /// Fields of an object, in order.
    Fields(Vec<(String, Spot)>),
}

impl Spot {
    /// A scalar.
    pub(crate) fn scalar(at: Position) -> Self {
        Self { at, key: None, spelled: None, parts: Parts::None }
    }

    /// The value that a JSON pointer leads to, or the last one on the way that is there.
    pub(crate) fn find(&self, pointer: &str) -> &Self {
        let mut spot = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let below = match &spot.parts {
                Parts::None => None,
                Parts::List(elements) => step.parse::<usize>().ok().and_then(|index| elements.get(index)),
                Parts::Fields(fields) => fields.iter().find(|(name, _)| *name == step).map(|(_, below)| below),
            };
            let Some(below) = below else { break };
            spot = below;
        }
        spot
    }
}

/// Lines of a text, for positions of byte offsets.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    /// Offsets at which lines begin, the first is 0.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let ends =
            text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index.saturating_add(1));
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The position of a byte offset.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        Position {
            line: u64::try_from(line).unwrap_or(u64::MAX),
            column: u64::try_from(before).unwrap_or(u64::MAX).saturating_add(1),
        }
    }
}
