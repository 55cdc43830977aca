//! The directives for an upstream in a request's path: `/status/503`, `/delay/250ms`, `/grpc-status/14`.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use canary_config::duration;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};

/// The body of an upstream's answer.
pub type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

const GRPC_STATUS: &str = "grpc-status";
/// A gRPC message without content: not compressed, no bytes.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// The directives of one path, each as `/NAME/VALUE` anywhere in it.
#[derive(Debug, Default)]
pub struct Directives {
    /// How long to wait before the answer.
    pub delay: Duration,
    status: Option<StatusCode>,
    grpc_status: Option<u16>,
}

impl Directives {
    /// Reads a path without its query.
    #[must_use]
    pub fn parse(path: &str) -> Self {
        let mut directives = Self::default();
        let mut segments = path.split('/').peekable();
        while let (Some(name), Some(value)) = (segments.next(), segments.peek()) {
            match name {
                "delay" => directives.delay = duration::parse(value).unwrap_or_default(),
                "status" => directives.status = value.parse().ok(),
                "grpc-status" => directives.grpc_status = value.parse().ok(),
                _ => {}
            }
        }
        directives
    }

    /// The answer without its headers: as a gRPC server gives it (an error is a reply of headers only, a success an empty
    /// message and trailers) or with `text` as its body.
    #[must_use]
    pub fn response(&self, text: &str) -> Response<ResponseBody> {
        let Some(code) = self.grpc_status else {
            let mut response = Response::new(body(text));
            *response.status_mut() = self.status.unwrap_or(StatusCode::OK);
            return response;
        };
        let status = HeaderValue::from(code);
        let mut response = if code == 0 {
            let trailers = HeaderMap::from_iter([(GRPC_STATUS.parse().expect("a header name"), status)]);
            let message = Full::new(Bytes::from_static(EMPTY_MESSAGE));
            Response::new(message.with_trailers(async { Some(Ok(trailers)) }).boxed_unsync())
        } else {
            let mut response = Response::new(body(""));
            response.headers_mut().insert(GRPC_STATUS, status);
            response
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

/// A body of text.
#[must_use]
pub fn body(text: &str) -> ResponseBody {
    Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed_unsync()
}
