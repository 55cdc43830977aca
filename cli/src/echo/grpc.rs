//! Answers to gRPC calls: a `google.protobuf.StringValue` and the status OK.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Response,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

use super::body::Body;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The field `value` of a StringValue: number 1, of the wire type with a length.
const VALUE: u8 = 0x0a;

/// Whether the request is a gRPC call, by its content type.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = kind.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| rest.first().is_none_or(|next| matches!(next, b'+' | b';')))
}

/// A reply of one message and the status OK.
pub(super) fn reply(text: &[u8]) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let message = Full::new(framed(&string_value(text))).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(message.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn string_value(text: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(VALUE);
    let mut length = text.len();
    while length >= 0x80 {
        // Seven bits at a time, the lowest first; the eighth says that more follow.
        message.put_u8(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    message.put_u8(u8::try_from(length).unwrap_or_default());
    message.put_slice(text);
    message.freeze()
}

/// As gRPC over HTTP/2 wants it: not compressed, the length in 4 bytes, the message.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_content_type() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=1", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_call(&headers), expected, "{kind:?}");
        }
    }

    #[test]
    fn messages_are_framed_as_protobuf_and_grpc_say() {
        for (length, head) in [
            (0, vec![0, 0, 0, 0, 2, 0x0a, 0]),
            (127, vec![0, 0, 0, 0, 129, 0x0a, 127]),
            (128, vec![0, 0, 0, 0, 131, 0x0a, 0x80, 1]),
            (300, vec![0, 0, 0, 1, 47, 0x0a, 0xac, 2]),
        ] {
            let text = vec![b'x'; length];
            assert_eq!(framed(&string_value(&text)), [head, text].concat(), "{length}");
        }
    }
}
