//! One request to a secret server: over TLS, within a deadline, with a bounded answer.
//!
//! The bytes that are kept here are wiped when they are dropped. The buffers of TLS and HTTP below are freed without that;
//! core dumps are off because of it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// Bytes of an answer: a secret of 64 KiB in JSON, with what stands around it.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `https://HOST:PORT` or `http://HOST:PORT`.
    pub address: String,
    /// Certificates that vouch for it, instead of those of the system.
    pub ca: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A request.
pub(crate) struct Ask {
    pub method: Method,
    /// From the slash on.
    pub path: String,
    pub headers: Vec<(&'static str, Zeroizing<Vec<u8>>)>,
    pub body: Zeroizing<Vec<u8>>,
}

/// What came back.
pub(crate) struct Answer {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
}

impl Place {
    /// Sends a request. Otherwise the reason, for a person, without anything that was sent.
    pub fn send(&self, ask: Ask) -> Result<Answer, String> {
        // Whoever asks may be on the threads of an engine, where waiting in another one is forbidden.
        std::thread::scope(|scope| {
            scope.spawn(|| self.block(ask)).join().unwrap_or_else(|_| Err("the request broke off".to_owned()))
        })
    }

    fn block(&self, ask: Ask) -> Result<Answer, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| format!("no thread for it: {cause}"))?;
        runtime.block_on(async {
            let answer = tokio::time::timeout(self.timeout, self.exchange(ask)).await;
            answer.unwrap_or_else(|_| Err(format!("no answer within {} ms", self.timeout.as_millis())))
        })
    }

    async fn exchange(&self, ask: Ask) -> Result<Answer, String> {
        let (tls, authority) = match self.address.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err("its address is neither http nor https".to_owned()),
        };
        let (host, port) = split(authority, if tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(|cause| cause.to_string())?;
        if !tls {
            return talk(stream, authority, ask).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|cause| cause.to_string())?;
        let connector = TlsConnector::from(Arc::new(self.config()?));
        let stream = connector.connect(name, stream).await.map_err(|cause| cause.to_string())?;
        talk(stream, authority, ask).await
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                let fail = |cause: &dyn std::fmt::Display| format!("certificates of '{}': {cause}", path.display());
                for certificate in CertificateDer::pem_file_iter(path).map_err(|cause| fail(&cause))? {
                    let certificate = certificate.map_err(|cause| fail(&cause))?;
                    roots.add(certificate).map_err(|cause| fail(&cause))?;
                }
            }
            // Some of the system's may be of a kind that is not understood; the others count.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        if roots.is_empty() {
            return Err("there is no certificate to trust".to_owned());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|cause| cause.to_string())?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// The host without brackets, and the port.
fn split(authority: &str, default: u16) -> (&str, u16) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap_or(default)),
        _ => (authority, default),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    (if bare.parse::<IpAddr>().is_ok() { bare } else { host }, port)
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    authority: &str,
    ask: Ask,
) -> Result<Answer, String> {
    let said = |cause: hyper::Error| cause.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    // It ends with the runtime, which is this request's own.
    tokio::spawn(connection);
    let mut request = Request::builder().method(ask.method).uri(ask.path).header(HOST, authority);
    for (name, value) in ask.headers {
        let value = HeaderValue::from_maybe_shared(Bytes::from_owner(value));
        let mut value =
            value.map_err(|_| format!("the value for the header {name} has signs that no header may have"))?;
        value.set_sensitive(true);
        request = request.header(HeaderName::from_static(name), value);
    }
    let request = request.body(Full::new(Bytes::from_owner(ask.body))).map_err(|cause| cause.to_string())?;
    let mut answer = sender.send_request(request).await.map_err(said)?;
    let mut body = Zeroizing::new(Vec::with_capacity(ANSWER_BYTES_MAX));
    while let Some(frame) = answer.body_mut().frame().await {
        let Ok(data) = frame.map_err(said)?.into_data() else { continue };
        if body.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(format!("its answer has more than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&data);
    }
    Ok(Answer { status: answer.status().as_u16(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_split() {
        assert_eq!(split("bao:8200", 443), ("bao", 8200));
        assert_eq!(split("bao.example", 443), ("bao.example", 443));
        assert_eq!(split("[::1]:8200", 443), ("::1", 8200));
        assert_eq!(split("[::1]", 80), ("::1", 80));
    }
}
