//! A gRPC service whose versions answer with their names, and its clients. Both ends use tonic.

use std::{future, iter, net::SocketAddr};

use bytes::{Buf, BufMut, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use tonic::{
    Status,
    client::Grpc as ClientGrpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{MetadataMap, MetadataValue},
    server::{Grpc as ServerGrpc, ServerStreamingService, UnaryService},
    transport::{Channel, Endpoint},
};

use crate::directives::ResponseBody;

/// The unary method.
pub const GET: &str = "/e2e.Names/Get";
/// The server-streaming method.
pub const LIST: &str = "/e2e.Names/List";
/// Messages of each stream.
pub const MESSAGES: usize = 5;

/// A client with one connection.
#[derive(Debug)]
pub struct Client(ClientGrpc<Channel>);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Why not.
    pub async fn open(address: SocketAddr, authority: &str) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
        let origin = format!("http://{authority}").parse().map_err(|error| format!("{authority}: {error}"))?;
        let channel = endpoint.origin(origin).connect().await.map_err(|error| format!("connect: {error}"))?;
        Ok(Self(ClientGrpc::new(channel)))
    }

    /// A unary call: the message of the answer.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn call(&mut self, path: &'static str, metadata: &[(&'static str, &str)]) -> Result<String, Status> {
        self.unary(path, metadata).await.map(|called| called.messages.concat())
    }

    /// The same with the metadata of the answer.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn unary(&mut self, path: &'static str, metadata: &[(&'static str, &str)]) -> Result<Called, Status> {
        self.ready().await?;
        let answer = self.0.unary(request(metadata), path.parse().expect("a path"), Text).await?;
        let metadata = answer.metadata().clone();
        Ok(Called { messages: vec![answer.into_inner()], metadata })
    }

    /// A server-streaming call: every message of the answer.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn stream(&mut self, path: &'static str, metadata: &[(&'static str, &str)]) -> Result<Called, Status> {
        self.ready().await?;
        let answer = self.0.server_streaming(request(metadata), path.parse().expect("a path"), Text).await?;
        let metadata = answer.metadata().clone();
        let (mut stream, mut messages) = (answer.into_inner(), Vec::new());
        while let Some(message) = stream.message().await? {
            messages.push(message);
        }
        Ok(Called { messages, metadata })
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unavailable(format!("connection lost: {error}")))
    }
}

/// The answer to a call.
#[derive(Debug)]
pub struct Called {
    /// Every message.
    pub messages: Vec<String>,
    /// What came before them.
    pub metadata: MetadataMap,
}

fn request(metadata: &[(&'static str, &str)]) -> tonic::Request<String> {
    let mut request = tonic::Request::new(String::new());
    for (name, value) in metadata {
        request.metadata_mut().append(*name, MetadataValue::try_from(*value).expect("a metadata value"));
    }
    request
}

/// What the service of this name answers, with UNAVAILABLE at the end if it `fails`; nothing to what is no call of its
/// methods.
pub(crate) async fn answer(name: &str, fails: bool, request: Request<Full<Bytes>>) -> Option<Response<ResponseBody>> {
    let mut server = ServerGrpc::new(Text);
    let names = Names { name: name.to_owned(), fails };
    let response = match request.uri().path() {
        GET => server.unary(names, request).await,
        LIST => server.server_streaming(names, request).await,
        _ => return None,
    };
    Some(response.map(|body| body.map_err(|status| panic!("a server ends by trailers: {status}")).boxed_unsync()))
}

struct Names {
    name: String,
    fails: bool,
}

impl Names {
    fn end(&self) -> Result<(), Status> {
        if self.fails { Err(Status::unavailable("as told")) } else { Ok(()) }
    }
}

impl UnaryService<String> for Names {
    type Response = String;
    type Future = future::Ready<Result<tonic::Response<String>, Status>>;

    fn call(&mut self, _: tonic::Request<String>) -> Self::Future {
        future::ready(self.end().map(|()| tonic::Response::new(self.name.clone())))
    }
}

impl ServerStreamingService<String> for Names {
    type Response = String;
    type ResponseStream = tokio_stream::Iter<std::vec::IntoIter<Result<String, Status>>>;
    type Future = future::Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: tonic::Request<String>) -> Self::Future {
        let messages = iter::repeat_n(Ok(self.name.clone()), MESSAGES).chain(self.end().err().map(Err));
        future::ready(Ok(tonic::Response::new(tokio_stream::iter(messages.collect::<Vec<_>>()))))
    }
}

/// Messages of text.
#[derive(Debug, Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, item: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(item.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|error| Status::data_loss(error.to_string()))
    }
}
