//! TLS: rustls, with the roots that this machine trusts, or those that the operator names for a host.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::connect::NoWay;

/// The settings for a host. Files are read anew for each connection, so that certificates may be renewed at any time.
pub async fn config(ca: Option<PathBuf>, client: Option<(PathBuf, PathBuf)>) -> Result<Arc<ClientConfig>, NoWay> {
    static USUAL: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if ca.is_none()
        && client.is_none()
        && let Some(config) = USUAL.get()
    {
        return Ok(Arc::clone(config));
    }
    let usual = ca.is_none() && client.is_none();
    let made = tokio::task::spawn_blocking(move || make(ca.as_deref(), client.as_ref())).await;
    let config = Arc::new(made.map_err(|error| NoWay::Down(format!("no TLS: {error}")))??);
    Ok(if usual { Arc::clone(USUAL.get_or_init(|| config)) } else { config })
}

fn make(ca: Option<&Path>, client: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig, NoWay> {
    let wrong = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
        NoWay::Wrong(format!("{what} '{}' can't be used: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in certificates(path).map_err(|error| wrong("the authority", path, &error))? {
                roots.add(certificate).map_err(|error| wrong("the authority", path, &error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a root certificate of this machine can't be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| NoWay::Wrong(format!("no TLS: {error}")))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = client else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate).map_err(|error| wrong("the certificate", certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("the key", key, &error))?;
    builder.with_client_auth_cert(chain, secret).map_err(|error| wrong("the certificate", certificate, &error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)?.collect();
    found.and_then(|list| if list.is_empty() { Err(rustls::pki_types::pem::Error::NoItemsFound) } else { Ok(list) })
}
