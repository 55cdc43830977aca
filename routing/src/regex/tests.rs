//! Meaning, row by row, and cost.

mod cost;
mod meaning;
mod rewriting;
