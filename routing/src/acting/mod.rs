//! Changes of a request and its response.

pub(crate) mod cors;
mod format;
pub(crate) mod header_change;
pub(crate) mod local_reply;
pub(crate) mod path;

pub(crate) use cors::CorsRules;
pub(crate) use format::{Format, FormatPart};
pub use header_change::{HeaderChange, HeaderChanges, Operation};
pub(crate) use header_change::{HeaderPolicy, HeaderStep, HeaderSteps};
pub use local_reply::LocalReply;
pub(crate) use path::{MatchedPath, PathRewrite};
