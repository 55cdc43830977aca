//! Finds the rule that matches a request, by conditions and an index over them.

mod condition;
mod field;
mod field_regexes;
mod index;
mod rules;
mod view;

pub(crate) use condition::{Condition, Polarity, Test};
pub(crate) use field::{Field, Fields};
pub(crate) use rules::{Rules, RulesBuilder};
pub(crate) use view::{HiddenHeaders, RequestView};
