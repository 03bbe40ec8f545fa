//! How the service is set up: the node `service` of the operator's file, read and checked.

use std::collections::BTreeMap;
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
    /// Where traces go. `None`: nowhere.
    pub traces: Option<Collector>,
    /// Where people reach the service, as `https://dr.example.net`, without a slash at the end: the beginning of links in
    /// messages. `None`: messages have no links.
    pub public_url: Option<String>,
    /// How readiness is looked at without anybody asking. `None`: it is not.
    pub readiness: Option<ReadinessLooks>,
    /// How long after a drill it is first tried again to remove what it left, in milliseconds; then later and later.
    pub leftovers_ms: u64,
}

/// How readiness is looked at without anybody asking: all good runbooks, in all modes but drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadinessLooks {
    /// The time between two looks at one runbook. At a start and after a change it is looked at once.
    pub every_ms: u64,
    /// Values for inputs that are required, by their names.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}

/// Where traces go: OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collector {
    /// Whether by TLS.
    pub tls: bool,
    /// A name or an address; one of IPv6 without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path.
    pub path: String,
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
            traces: None,
            public_url: None,
            readiness: None,
            leftovers_ms: 600_000,
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

impl Collector {
    /// The path where collectors listen if nothing else is said.
    pub const PATH: &str = "/v1/traces";

    /// Reads an address: `http://HOST:PORT/PATH` or `https://…`. The port may be left out, and the path.
    ///
    /// # Errors
    /// `LB1110` it is no such address. A name or a password in it is refused: it would be in a file that many read.
    pub fn parse(url: &str) -> Result<Self, crate::Error> {
        let bad = |why: &str| {
            crate::Error::new("LB1110", format!("'{url}' is not an address for traces: {why}"))
                .hint("write traces \"http://127.0.0.1:4318/v1/traces\"")
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no http:// or https://"))?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(bad("it is neither http nor https")),
        };
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains('#') {
            return Err(bad("there is a character in it that no address has"));
        }
        let (place, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        if place.contains('@') {
            return Err(bad("a name or a password does not belong into it"));
        }
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(|| bad("the port is not one"))?)),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(['[', ']']) {
            return Err(bad("it names no host"));
        }
        let port = match port {
            None if tls => 443,
            None => 80,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad("the port is not one"))?,
        };
        let path = match path {
            "" | "/" => Self::PATH.to_owned(),
            query if query.starts_with('?') => format!("{}{query}", Self::PATH),
            path => path.to_owned(),
        };
        Ok(Self { tls, host: host.to_owned(), port, path })
    }

    /// Host and port, as the head of a request names them.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
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

    #[test]
    fn an_address_for_traces_is_read_or_refused() {
        for (url, tls, authority, path) in [
            ("http://127.0.0.1:4318/v1/traces", false, "127.0.0.1:4318", "/v1/traces"),
            ("http://collector", false, "collector:80", "/v1/traces"),
            ("https://collector/", true, "collector:443", "/v1/traces"),
            ("http://[::1]:4318/otlp?team=dr", false, "[::1]:4318", "/otlp?team=dr"),
            ("https://[::1]?a=b", true, "[::1]:443", "/v1/traces?a=b"),
        ] {
            let read = Collector::parse(url).unwrap();
            assert_eq!((read.tls, read.authority().as_str(), read.path.as_str()), (tls, authority, path), "{url}");
        }
        for bad in [
            "",
            "127.0.0.1:4318",
            "grpc://127.0.0.1:4317",
            "http://",
            "http://:4318",
            "http://ada:secret@collector",
            "http://collector:0",
            "http://collector:99999",
            "http://[::1",
            "http://[::1]4318",
            "http://a b",
            "http://collector/#x",
            "http://collector/\r\nx: y",
        ] {
            assert_eq!(Collector::parse(bad).unwrap_err().code.0, "LB1110", "{bad}");
        }
    }
}
