//! What the servers here have in common: connections are taken, served, and let come to their end.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::net::TcpListener;

/// How long requests under way may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait before accepting again when the system is out of file descriptors and the like.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Envoy passes on up to 100 headers by default, and more where it is told so; hyper's own limit is 100.
const MAX_HEADERS: usize = 1024;
/// Bytes of headers taken over HTTP/2; hyper's own limit of 16 KiB is below what Envoy passes on.
const MAX_HEADER_BYTES: u32 = 1024 * 1024;

/// Serves HTTP/1.1 and HTTP/2 with prior knowledge until `stop` is ready, then answers what is under way (10 s at most).
pub(crate) async fn serve<A, F, B>(listener: TcpListener, answer: A, stop: impl Future<Output = ()>)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_headers(MAX_HEADERS);
    builder.http2().max_header_list_size(MAX_HEADER_BYTES);
    tokio::pin!(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answered = answer(request);
            async move { Ok::<_, Infallible>(answered.await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        tokio::spawn(graceful.watch(connection));
    }
    drop(listener);
    // Whoever is not done by then is cut off, as the caller's process ends or forgets this server.
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}
