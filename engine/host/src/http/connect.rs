//! The way to a server: its name is resolved, each address is checked, and the connection goes to a checked one, so that a
//! second look-up cannot lead elsewhere.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use lifeboat_core::grants::HostGrant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::egress::{admits, grant_for};
use super::proxy::{Proxies, Way};
use super::tls;
use super::url::Url;

/// Bytes of a proxy's answer to `CONNECT`.
const PROXY_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NoWay {
    /// All addresses behind the name are out of bounds.
    #[error("the name leads to addresses that are not granted")]
    Refused(Vec<IpAddr>),
    /// Trying again gives the same.
    #[error("{0}")]
    Wrong(String),
    /// It may pass.
    #[error("{0}")]
    Down(String),
}

/// Makes connections, as far as these hosts are granted.
#[derive(Clone)]
pub struct Connector {
    /// The grants.
    pub hosts: Arc<[HostGrant]>,
    /// The ways out.
    pub proxies: Arc<Proxies>,
    /// For all of it: name, connection, proxy, TLS.
    pub limit: Duration,
}

impl tower_service::Service<Uri> for Connector {
    type Response = Wire;
    type Error = NoWay;
    type Future = Pin<Box<dyn Future<Output = Result<Wire, NoWay>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoWay>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let url = Url::parse(&uri.to_string()).map_err(|error| NoWay::Wrong(error.message))?;
            match tokio::time::timeout(this.limit, this.open(&url)).await {
                Ok(result) => result,
                Err(_) => Err(NoWay::Down(format!("no connection within {} ms", this.limit.as_millis()))),
            }
        })
    }
}

impl Connector {
    async fn open(&self, url: &Url) -> Result<Wire, NoWay> {
        // Checked before, too; here it gives what belongs to the grant.
        let Some(grant) = grant_for(&self.hosts, url) else { return Err(NoWay::Refused(Vec::new())) };
        let (stream, proxied) = match self.proxies.way(url) {
            Way::Direct => (self.direct(url).await?, false),
            Way::Proxy { host, port, authorization } => {
                let mut stream = tcp(&resolve(&host, port).await?).await?;
                if url.tls {
                    tunnel(&mut stream, url, authorization.as_ref().and_then(|value| value.to_str().ok())).await?;
                }
                (stream, !url.tls)
            }
        };
        if !url.tls {
            return Ok(Wire::Plain(TokioIo::new(stream), proxied));
        }
        let config = tls::config(grant.ca.clone(), grant.client.clone()).await?;
        let name = rustls::pki_types::ServerName::try_from(url.host.clone())
            .map_err(|_| NoWay::Wrong(format!("'{}' is no name that a certificate can have", url.host)))?;
        let tls = TlsConnector::from(config).connect(name, stream).await.map_err(|error| tls_failed(&error))?;
        Ok(Wire::Tls(Box::new(TokioIo::new(tls))))
    }

    async fn direct(&self, url: &Url) -> Result<TcpStream, NoWay> {
        let all = resolve(&url.host, url.port).await?;
        let good: Vec<SocketAddr> =
            all.iter().filter(|address| admits(&self.hosts, url, address.ip())).copied().collect();
        if good.is_empty() {
            return Err(NoWay::Refused(all.iter().map(SocketAddr::ip).collect()));
        }
        tcp(&good).await
    }
}

fn tls_failed(error: &io::Error) -> NoWay {
    let text = format!("no TLS: {error}");
    // What rustls itself finds wrong stays wrong; a broken connection may pass.
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(_) => NoWay::Wrong(text),
        None => NoWay::Down(text),
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, NoWay> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => Ok(found.collect()),
        Err(error) => Err(NoWay::Down(format!("the name '{host}' is not resolved: {error}"))),
    }
}

/// The first address that answers. Each gets a share of the time, so that a dead one does not use it up.
async fn tcp(addresses: &[SocketAddr]) -> Result<TcpStream, NoWay> {
    let mut last = "the name has no address".to_owned();
    for (index, address) in addresses.iter().enumerate() {
        let share = if index + 1 == addresses.len() { Duration::from_secs(60) } else { Duration::from_secs(3) };
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Requests are written whole; waiting to fill a packet only costs time.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = format!("no connection to {address}: {error}"),
            Err(_) => last = format!("no connection to {address} in time"),
        }
    }
    Err(NoWay::Down(last))
}

async fn tunnel(stream: &mut TcpStream, url: &Url, authorization: Option<&str>) -> Result<(), NoWay> {
    let down = |error: io::Error| NoWay::Down(format!("the proxy broke the connection: {error}"));
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let place = format!("{host}:{}", url.port);
    let login = authorization.map(|value| format!("Proxy-Authorization: {value}\r\n")).unwrap_or_default();
    let ask = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n");
    stream.write_all(ask.as_bytes()).await.map_err(down)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.map_err(down)?;
        head.push(byte);
        if head.len() > PROXY_HEAD_BYTES_MAX {
            return Err(NoWay::Wrong("the proxy's answer has no end".to_owned()));
        }
    }
    let line = String::from_utf8_lossy(&head);
    let line = line.lines().next().unwrap_or_default().to_owned();
    match line.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some("502" | "503" | "504") => Err(NoWay::Down(format!("the proxy answered '{line}'"))),
        _ => Err(NoWay::Wrong(format!("the proxy answered '{line}'"))),
    }
}

/// A connection.
pub enum Wire {
    /// Without TLS; and whether to a proxy.
    Plain(TokioIo<TcpStream>, bool),
    /// With TLS.
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new().proxy(matches!(self, Wire::Plain(_, true)))
    }
}

impl Read for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(io, _) => Pin::new(io).poll_read(cx, buf),
            Wire::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Plain(io, _) => Pin::new(io).poll_write(cx, buf),
            Wire::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(io, _) => Pin::new(io).poll_flush(cx),
            Wire::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(io, _) => Pin::new(io).poll_shutdown(cx),
            Wire::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
