//! Listening on the network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::connection::{Doors, drain};
use super::tls::Tls;
use crate::access::Peer;

/// How long the beginning of a TLS connection may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After a failure to take a connection (too many files are open): some time for it to pass.
const BREATH: Duration = Duration::from_millis(100);

/// Takes an address.
///
/// # Errors
/// `LB1050` it cannot be had.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|cause| {
        Error::new("LB1050", format!("the service cannot listen on {address}"))
            .with("cause", cause)
            .hint("another program may have the port; 'service { listen \"127.0.0.1:PORT\" }' names another one")
    })
}

/// Takes connections until the service is stopped.
pub(crate) async fn network(doors: Doors, listener: TcpListener, tls: Option<Arc<Tls>>) {
    let mut connections = JoinSet::new();
    loop {
        let taken = tokio::select! {
            biased;
            () = doors.stopped() => break,
            Some(_) = connections.join_next() => continue,
            taken = async { (doors.room().await, listener.accept().await) } => taken,
        };
        let (Some(permit), Ok((stream, address))) = taken else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        // Answers are small, and waiting to fill a packet only makes them late.
        let _ = stream.set_nodelay(true);
        let (doors, tls) = (doors.clone(), tls.clone());
        connections.spawn(async move {
            let peer = Peer::Network(address);
            let Some(tls) = tls else { return doors.serve(stream, peer, permit).await };
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => doors.serve(stream, peer, permit).await,
                Ok(Err(cause)) => tracing::debug!(%address, "a TLS connection did not begin: {cause}"),
                Err(_) => tracing::debug!(%address, "a TLS connection did not begin in time"),
            }
        });
    }
    drop(listener);
    drain(connections).await;
}
