//! TLS by rustls. The files are read again when they change; what cannot be used leaves the earlier ones in place.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use lifeboat_core::Error;
use lifeboat_core::service::ServiceTls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::app::App;
use crate::held::{lock, read, write};

/// TLS, as the files say now.
pub(crate) struct Tls {
    files: ServiceTls,
    config: RwLock<Arc<ServerConfig>>,
    marks: std::sync::Mutex<Vec<Option<SystemTime>>>,
}

fn unusable(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::new("LB1051", format!("'{}' cannot be used for TLS", path.display()))
        .with("cause", cause)
        .hint("it has to be PEM that this user can read: a certificate with those above it, or its key")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unusable(path, "there is no certificate in it")),
        Ok(found) => Ok(found),
        Err(cause) => Err(unusable(path, cause)),
    }
}

fn load(files: &ServiceTls) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|cause| unusable(&files.key, cause))?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| unusable(&files.cert, cause))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|cause| unusable(path, cause))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|cause| unusable(path, cause))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|cause| unusable(&files.cert, cause))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn marks(files: &ServiceTls) -> Vec<Option<SystemTime>> {
    let paths: [Option<&PathBuf>; 3] = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
    let changed = |path: &PathBuf| std::fs::metadata(path).and_then(|about| about.modified()).ok();
    paths.into_iter().flatten().map(changed).collect()
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// `LB1051` which cannot be used, and why.
    pub(crate) fn new(files: ServiceTls) -> Result<Self, Error> {
        let marks = marks(&files);
        let config = RwLock::new(Arc::new(load(&files)?));
        Ok(Self { files, config, marks: std::sync::Mutex::new(marks) })
    }

    /// Reads the files again if they changed.
    pub(crate) fn look(&self, app: &App) {
        let now = marks(&self.files);
        let mut before = lock(&self.marks);
        if *before == now {
            return;
        }
        match load(&self.files) {
            Ok(config) => {
                *write(&self.config) = Arc::new(config);
                *before = now;
                app.tls_good.store(true, Ordering::Release);
                tracing::info!("the files of TLS were read again");
            }
            // They may be half written; they are looked at again until they are good.
            Err(error) => {
                app.tls_good.store(false, Ordering::Release);
                tracing::error!("{error}");
            }
        }
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&read(&self.config));
        TlsAcceptor::from(config).accept(stream).await
    }
}
