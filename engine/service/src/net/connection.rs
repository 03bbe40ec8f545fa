//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use super::stall::Stall;
use crate::access::Peer;
use crate::app::App;
use crate::metrics::Metrics;

/// How long the head of a request may take, and how long a connection may be idle between two.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Bytes of the head of a request.
const HEAD_MAX: usize = 32 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// How long connections have to come to their end when the service is stopped.
const DRAIN: Duration = Duration::from_secs(5);

/// What every connection shares.
#[derive(Clone)]
pub(crate) struct Doors {
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Counts a connection until it is dropped.
struct Counted(Arc<Metrics>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.disconnected();
    }
}

impl Doors {
    pub(crate) fn new(app: &App, router: Router) -> Self {
        let room = usize::try_from(app.settings.connections.max(1)).unwrap_or(usize::MAX);
        let room = Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS)));
        Self { router, metrics: Arc::clone(&app.metrics), room, stopping: app.stopping.subscribe() }
    }

    /// Room for one more connection. While there is none, those who come wait in the system's queue.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// Ready when the service is being stopped.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // A service that is gone is stopped, too.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Answers what comes over a connection until it ends.
    pub(crate) async fn serve<S>(self, io: S, peer: Peer, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.metrics.connected();
        let counted = Counted(Arc::clone(&self.metrics));
        let router = self.router.clone();
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let mut router = router.clone();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            async move { Ok::<_, Infallible>(router.call(request).await.unwrap_or_else(|never| match never {})) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(Stall::new(io)), service);
        tokio::pin!(connection);
        // What is wrong with a connection is the other end's to see; it is no fault of the service.
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopped() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(cause) = ended {
            tracing::debug!("a connection ended: {cause}");
        }
        drop((counted, permit));
    }
}

/// Waits for connections to come to their end, and cuts those that do not.
pub(crate) async fn drain(mut connections: JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        connections.shutdown().await;
    }
}
