//! One request to a collector: HTTP/1.1, with TLS where the address says so. Each has a connection of its own; there are few.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use lifeboat_core::Error;
use lifeboat_core::service::Collector;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long one try may take, from the connection to the end of the answer.
const TRY_TIME: Duration = Duration::from_secs(10);
/// Waits between tries.
const WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// Bytes of an answer: it says how many spans were refused, and why.
const ANSWER_MAX: usize = 64 << 10;

/// The way to a collector.
pub(crate) struct Sender {
    to: Collector,
    tls: Option<TlsConnector>,
}

enum Failed {
    /// It may be sent again.
    Passing(String),
    /// It is no use.
    ForGood(String),
}

fn passing(cause: impl std::fmt::Display) -> Failed {
    Failed::Passing(cause.to_string())
}

/// A part of the answer: spans that were refused.
#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    partial_success: Option<Partial>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Partial {
    /// 64 bits are a text in this encoding, and a number with some collectors.
    rejected_spans: serde_json::Value,
}

impl Sender {
    /// A way to that collector. By TLS it is trusted as far as the certificates of this machine go.
    ///
    /// # Errors
    /// `LB1110` TLS cannot be set up.
    pub(crate) fn new(to: Collector) -> Result<Self, Error> {
        let tls = if to.tls { Some(connector()?) } else { None };
        Ok(Self { to, tls })
    }

    /// Sends a body, a few times if need be. How many spans the collector refused.
    ///
    /// # Errors
    /// Why none of them arrived.
    pub(crate) async fn send(&self, body: &[u8]) -> Result<u64, String> {
        let mut waits = WAITS.into_iter();
        loop {
            let tried = tokio::time::timeout(TRY_TIME, self.once(body)).await;
            let failed = tried.unwrap_or_else(|_| Err(passing("it took too long")));
            match failed {
                Ok(refused) => return Ok(refused),
                Err(Failed::ForGood(why)) => return Err(why),
                Err(Failed::Passing(why)) => match waits.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(why),
                },
            }
        }
    }

    async fn once(&self, body: &[u8]) -> Result<u64, Failed> {
        let stream = TcpStream::connect((self.to.host.as_str(), self.to.port)).await.map_err(passing)?;
        match &self.tls {
            None => self.over(stream, body).await,
            Some(tls) => {
                let name = ServerName::try_from(self.to.host.clone());
                let name = name.map_err(|cause| Failed::ForGood(cause.to_string()))?;
                self.over(tls.connect(name, stream).await.map_err(passing)?, body).await
            }
        }
    }

    async fn over<S>(&self, stream: S, body: &[u8]) -> Result<u64, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(passing)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.to.path.as_str())
            .header(header::HOST, self.to.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::copy_from_slice(body)))
            .map_err(|cause| Failed::ForGood(cause.to_string()))?;
        let result = async {
            let response = sender.send_request(request).await.map_err(passing)?;
            let status = response.status();
            let answer = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            let answer = answer.map_err(passing)?.to_bytes();
            told(status, &answer)
        };
        let result = result.await;
        connection.abort();
        result
    }
}

/// What an answer says. Which may be tried again stands in the specification of OTLP.
fn told(status: StatusCode, answer: &[u8]) -> Result<u64, Failed> {
    if status.is_success() {
        let refused = serde_json::from_slice::<Answer>(answer).unwrap_or_default().partial_success;
        let refused = refused.unwrap_or_default().rejected_spans;
        return Ok(refused.as_u64().or_else(|| refused.as_str()?.parse().ok()).unwrap_or(0));
    }
    let why = format!("the collector answers {status}");
    Err(match status.as_u16() {
        429 | 502 | 503 | 504 => Failed::Passing(why),
        _ => Failed::ForGood(why),
    })
}

fn connector() -> Result<TlsConnector, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::new("LB1110", "TLS to the collector cannot be set up").with("cause", cause))?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_the_specification_has_them() {
        let refused = |status: u16, body: &str| match told(StatusCode::from_u16(status).unwrap(), body.as_bytes()) {
            Ok(refused) => Ok(refused),
            Err(Failed::Passing(_)) => Err(true),
            Err(Failed::ForGood(_)) => Err(false),
        };
        assert_eq!(refused(200, "{}"), Ok(0));
        assert_eq!(refused(200, ""), Ok(0));
        assert_eq!(refused(200, r#"{"partialSuccess":null}"#), Ok(0));
        assert_eq!(refused(200, r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"late"}}"#), Ok(3));
        assert_eq!(refused(200, r#"{"partialSuccess":{"rejectedSpans":3}}"#), Ok(3));
        assert_eq!(refused(503, ""), Err(true));
        assert_eq!(refused(429, ""), Err(true));
        assert_eq!(refused(400, ""), Err(false));
        assert_eq!(refused(500, ""), Err(false));
    }
}
