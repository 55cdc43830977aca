//! The body of an answer.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// An answer's body, as hyper takes it.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;
