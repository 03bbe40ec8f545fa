//! TLS: files that change, certificates of clients, and what comes without.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use lifeboat_core::service::{Service, ServiceTls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bench::{Bench, Wish, call_over, until};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn put(folder: &Path, name: &str) {
    // The name is changed at once, as those do who renew certificates.
    for (from, to) in [(format!("{name}.pem"), "cert.pem"), (format!("{name}.key"), "key.pem")] {
        std::fs::copy(file(&from), folder.join("new")).unwrap();
        std::fs::rename(folder.join("new"), folder.join(to)).unwrap();
    }
}

fn wish(folder: &TempDir, client_ca: bool) -> Wish {
    let tls = ServiceTls {
        cert: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
        client_ca: client_ca.then(|| file("ca.pem")),
    };
    Wish { settings: Service { tls: Some(tls), ..Service::default() }, ..Wish::default() }
}

async fn connect(bench: &Bench, client: bool) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = if client {
        let certificate = CertificateDer::from_pem_file(file("client.pem")).unwrap();
        builder
            .with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_file(file("client.key")).unwrap())
            .unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let stream = TcpStream::connect(bench.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

fn is(stream: &TlsStream<TcpStream>, name: &str) -> bool {
    let shown = &stream.get_ref().1.peer_certificates().unwrap()[0];
    *shown == CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap()
}

#[tokio::test]
async fn the_files_are_read_again_and_bad_ones_leave_the_good_in_place() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "first");
    let bench = Bench::with(wish(&folder, false)).await;
    let token = bench.admin().await;
    let stream = connect(&bench, false).await.unwrap();
    assert!(is(&stream, "first"));
    let answer = call_over(TokioIo::new(stream), "GET", "/v1/me", &token, &[], None).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");

    put(folder.path(), "second");
    until(Duration::from_secs(10), || async { is(&connect(&bench, false).await.unwrap(), "second") }).await;
    std::fs::write(folder.path().join("key.pem"), "half a key").unwrap();
    let ready = || async {
        let io = TokioIo::new(connect(&bench, false).await.unwrap());
        call_over(io, "GET", "/readyz", "", &[], None).await.status
    };
    until(Duration::from_secs(10), || async { ready().await == 503 }).await;
    assert!(is(&connect(&bench, false).await.unwrap(), "second"), "what was good is used on");
    put(folder.path(), "first");
    until(Duration::from_secs(10), || async { ready().await == 200 }).await;

    let plain = TcpStream::connect(bench.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(plain)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("/healthz").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    assert!(sender.send_request(request).await.is_err(), "without TLS there is no answer");
}

#[tokio::test]
async fn with_certificates_of_clients_nobody_else_gets_in() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "first");
    let bench = Bench::with(wish(&folder, true)).await;
    let token = bench.admin().await;
    let stream = connect(&bench, true).await.unwrap();
    let io = TokioIo::new(stream);
    assert_eq!(call_over(io, "GET", "/v1/me", &token, &[], None).await.status, 200);
    let io = TokioIo::new(connect(&bench, true).await.unwrap());
    assert_eq!(call_over(io, "GET", "/v1/me", "", &[], None).await.status, 401, "a certificate is no token");
    // TLS 1.3 tells a client that it is refused only when it reads.
    if let Ok(stream) = connect(&bench, false).await {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("/healthz").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        assert!(sender.send_request(request).await.is_err());
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_keep_the_service_from_its_start() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "first");
    for (name, bytes) in [("cert.pem", "no certificate"), ("key.pem", "no key")] {
        put(folder.path(), "first");
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let error = Bench::try_with(wish(&folder, false)).await.err().unwrap();
        assert_eq!(error.code.0, "LB1051");
        assert!(error.message.contains(name), "{error}");
    }
    put(folder.path(), "first");
    std::fs::copy(file("second.key"), folder.path().join("key.pem")).unwrap();
    assert_eq!(
        Bench::try_with(wish(&folder, false)).await.err().unwrap().code.0,
        "LB1051",
        "a key of another certificate"
    );
}
