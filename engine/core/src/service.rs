//! How the service is set up: the node `service` of the operator's file, read and checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The port where nothing else is said.
pub const PORT_DEFAULT: u16 = 7421;

/// The service, as the operator wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Where it listens: loopback, unless there is TLS or `plain`.
    pub listen: SocketAddr,
    /// Whether it may listen beyond this machine without TLS.
    pub plain: bool,
    /// TLS.
    pub tls: Option<ServiceTls>,
    /// Folders with runbooks, searched with all that is below them.
    pub runbooks: Vec<PathBuf>,
    /// Requests a minute of one caller: of a token, and of an address without a valid one.
    pub rate: u32,
    /// Connections at once.
    pub connections: u32,
    /// Whether metrics are given without a token.
    pub open_metrics: bool,
    /// Whether who started a run may be the only one to approve it.
    pub sole_approver: bool,
    /// How long attempts under way may take to come to their end when the service is stopped.
    pub grace_ms: u64,
    /// Where people reach the service, as `https://dr.example.net`, without a slash at the end: the beginning of links in
    /// messages. `None`: messages have no links.
    pub public_url: Option<String>,
}

/// The files of TLS (PEM). They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTls {
    /// The certificate, with those between it and its root.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates that have signed those of clients. With it, a connection without a client certificate is refused.
    pub client_ca: Option<PathBuf>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT_DEFAULT),
            plain: false,
            tls: None,
            runbooks: Vec::new(),
            rate: 600,
            connections: 256,
            open_metrics: false,
            sole_approver: false,
            grace_ms: 30_000,
            public_url: None,
        }
    }
}

impl Service {
    /// Whether it may listen where it is told to.
    ///
    /// # Errors
    /// `LB1050` beyond this machine without TLS and without the operator's word for it.
    pub fn safe(&self) -> Result<(), crate::Error> {
        if self.listen.ip().is_loopback() || self.tls.is_some() || self.plain {
            return Ok(());
        }
        let message =
            format!("the service does not listen on {} without TLS: tokens would go in the clear", self.listen);
        Err(crate::Error::new("LB1050", message)
            .hint("add tls cert=\"FILE\" key=\"FILE\" to 'service'; behind a proxy that has TLS, add plain #true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_this_machine_it_asks_for_tls_or_a_word() {
        let at = |listen: &str| Service { listen: listen.parse().unwrap(), ..Service::default() };
        assert_eq!(Service::default().safe(), Ok(()));
        assert_eq!(at("[::1]:80").safe(), Ok(()));
        assert_eq!(at("0.0.0.0:80").safe().unwrap_err().code.0, "LB1050");
        assert_eq!(at("192.0.2.1:80").safe().unwrap_err().code.0, "LB1050");
        assert_eq!(Service { plain: true, ..at("0.0.0.0:80") }.safe(), Ok(()));
        let tls = ServiceTls { cert: "c".into(), key: "k".into(), client_ca: None };
        assert_eq!(Service { tls: Some(tls), ..at("0.0.0.0:80") }.safe(), Ok(()));
    }
}
