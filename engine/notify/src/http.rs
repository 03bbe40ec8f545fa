//! One request to a webhook: over TLS, without redirects, with a bounded answer. The address may be a secret, so nothing that is
//! said of the request names more of it than the host.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use lifeboat_core::Error;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::courier::Refused;

/// Bytes of an answer that are read, and characters of it that are told.
const ANSWER_MAX: usize = 16 * 1024;
const TOLD_MAX: usize = 200;

/// A request.
pub(crate) struct Call<'a> {
    pub(crate) url: &'a str,
    pub(crate) plain: bool,
    pub(crate) ca: Option<&'a Path>,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) media_type: &'static str,
    pub(crate) letter: &'a str,
}

fn now(host: &str, cause: impl std::fmt::Display) -> Refused {
    Refused::Now(
        Error::new("LB1093", format!("the webhook at {host} did not take the message now")).with("cause", cause),
    )
}

fn for_good(host: &str, cause: impl std::fmt::Display) -> Refused {
    let error = Error::new("LB1094", format!("the webhook at {host} refused the message")).with("cause", cause);
    Refused::ForGood(error.hint("look at the channel in the operator's file, and at its secrets"))
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Posts it, and comes back when the other side has taken it.
pub(crate) async fn post(call: Call<'_>, body: String) -> Result<(), Refused> {
    // The address may be a secret: what is wrong with it is not shown.
    let uri: Uri = call.url.trim().parse().map_err(|_| for_good("its address", "this is no address"))?;
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") if call.plain || is_here(&host) => false,
        Some("http") => return Err(for_good(&host, "its address is http, and 'plain' does not allow it")),
        _ => return Err(for_good(&host, "its address is neither http nor https")),
    };
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|cause| now(&host, cause))?;
    let request = request(&call, &uri, body).map_err(|cause| for_good(&host, cause))?;
    let (status, said) = if tls {
        let name = ServerName::try_from(host.clone()).map_err(|cause| for_good(&host, cause))?;
        let config = config(call.ca).map_err(|cause| now(&host, cause))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        talk(stream.map_err(|cause| now(&host, cause))?, request).await
    } else {
        talk(stream, request).await
    }
    .map_err(|cause| now(&host, cause))?;
    let told = format!("{status}{}{said}", if said.is_empty() { "" } else { ": " });
    match status.as_u16() {
        200..=299 => Ok(()),
        // 401 to 403: a secret may be another one by the next time.
        401 | 403 | 408 | 409 | 421 | 423 | 425 | 429 | 500..=599 => Err(now(&host, told)),
        _ => Err(for_good(&host, told)),
    }
}

fn request(call: &Call<'_>, uri: &Uri, body: String) -> Result<Request<Full<Bytes>>, String> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let mut request = Request::post(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, call.media_type)
        .header(USER_AGENT, "lifeboat")
        .header("idempotency-key", call.letter);
    for (name, value) in &call.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("'{name}' is no name of a header"))?;
        let mut value =
            HeaderValue::from_str(value).map_err(|_| format!("the header {name} has signs that no header may have"))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::from(body))).map_err(|cause| cause.to_string())
}

fn config(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let fail = |cause: &dyn std::fmt::Display| format!("certificates of '{}': {cause}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|cause| fail(&cause))? {
                roots.add(certificate.map_err(|cause| fail(&cause))?).map_err(|cause| fail(&cause))?;
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

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, String), String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|cause| cause.to_string())?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|cause| cause.to_string())?;
    let status = answer.status();
    // A long answer is not needed: the status counts.
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    connection.abort();
    let said = text.chars().take(TOLD_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    Ok((status, said.trim().to_owned()))
}
