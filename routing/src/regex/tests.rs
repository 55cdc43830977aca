//! Meaning, row by row, and cost.

#[cfg(not(target_arch = "wasm32"))]
mod beside_meta;
mod cost;
mod meaning;
mod rewriting;
