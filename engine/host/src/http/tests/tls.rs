//! TLS with an authority of the operator's, a client that shows who it is, and the way over a proxy.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_core::grants::{HostGrant, Operator, Proxy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::place::{Place, ask, caller_with, quick, say};
use crate::bindings::lifeboat::plugin::types::ErrorKind;
use crate::http::Hub;
use crate::http::proxy::{Proxies, Way};
use crate::http::url::Url;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/http/tests").join(name)
}

/// A server that only speaks to clients of the test's authority.
fn serve() -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(file("server-key.pem")).unwrap(),
        )
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                answer(StreamOwned::new(ServerConnection::new(config).unwrap(), stream.unwrap()))
            });
        }
    });
    port
}

fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecure").and_then(|()| stream.flush());
        }
    }
}

fn granted(port: u16, ca: Option<&str>, client: bool) -> Vec<HostGrant> {
    let client = client.then(|| (file("client.pem"), file("client-key.pem")));
    vec![HostGrant { host: "127.0.0.1".into(), port, plain: false, ca: ca.map(file), client }]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_authority_and_a_client_s_certificate() {
    let port = serve();
    let url = format!("https://127.0.0.1:{port}/");
    let (caller, _) = caller_with(granted(port, Some("ca.pem"), true), &[]);
    let got = caller.exchange(ask("GET", &url)).await.unwrap();
    assert_eq!(got.whole(100).await.unwrap(), b"secure");
    for (ca, client, why) in
        [(None, true, "UnknownIssuer"), (Some("ca.pem"), false, ""), (Some("none.pem"), true, "none.pem")]
    {
        let (caller, _) = caller_with(granted(port, ca, client), &[]);
        let broken = caller.exchange(ask("GET", &url)).await.err().unwrap();
        assert!(broken.error.message.starts_with("LB0723") && broken.error.message.contains(why), "{broken:?}");
    }
    // Neither without TLS, where only TLS is granted.
    let plain = caller.exchange(ask("GET", &format!("http://127.0.0.1:{port}/"))).await.err().unwrap();
    assert_eq!(plain.error.kind, ErrorKind::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_go_over_the_proxy_and_this_machine_does_not() {
    let proxy = Place::new(|_, request, stream| match request.split(' ').next().unwrap() {
        "CONNECT" => say(stream, "403 Forbidden", "", ""),
        _ => say(stream, "200 OK", "", "by proxy"),
    });
    let host = |name: &str, plain| HostGrant {
        host: name.into(),
        port: if plain { 80 } else { 443 },
        plain,
        ca: None,
        client: None,
    };
    let (mut caller, _) = caller_with(vec![host("far.example", true), host("safe.example", false)], &[]);
    let way = Proxy { url: Some(format!("http://127.0.0.1:{}", proxy.port)), except: Vec::new() };
    let operator = Operator { proxy: Some(way.clone()), ..Operator::default() };
    caller.hub = Arc::new(Hub::new(&operator, quick()));
    let got = caller.exchange(ask("GET", "http://far.example/x")).await.unwrap();
    assert_eq!(got.whole(100).await.unwrap(), b"by proxy");
    assert!(proxy.seen()[0].starts_with("GET http://far.example/x HTTP/1.1\r\n"), "{}", proxy.seen()[0]);
    let broken = caller.exchange(ask("GET", "https://safe.example/x?sig=SECRET")).await.err().unwrap();
    assert!(broken.error.message.contains("the proxy answered 'HTTP/1.1 403 Forbidden'"), "{broken:?}");
    assert!(
        proxy.seen()[1].starts_with("CONNECT safe.example:443 HTTP/1.1\r\n") && !proxy.seen()[1].contains("SECRET")
    );
    let local = Url::parse("http://127.0.0.1:1/").unwrap();
    assert!(matches!(Proxies::new(Some(&way)).way(&local), Way::Direct));
}
