//! Where requests may go: hosts and ports that the operator grants, and of the addresses behind a name only those that lead
//! out of this machine and its network's own corners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use lifeboat_core::grants::{HostGrant, Lost, Operator};
use lifeboat_core::plan::Mode;

use super::url::Url;
use crate::bindings::lifeboat::plugin::types::Error as GuestError;
use crate::fault::refused;

/// What a plugin may reach for one target in one mode.
#[derive(Clone, Debug)]
pub struct Egress {
    plugin: String,
    target: String,
    mode: Mode,
    /// The granted hosts, in the order of the file.
    pub hosts: Arc<[HostGrant]>,
    lost: Arc<Lost>,
}

impl Egress {
    /// The grants that count.
    pub fn new(operator: &Operator, plugin: &str, target: &str, mode: Mode) -> Self {
        let hosts = operator
            .grants_for(mode)
            .iter()
            .filter(|grant| grant.plugin == plugin)
            .filter(|grant| grant.target.as_deref().is_none_or(|name| name == target))
            .flat_map(|grant| grant.hosts.iter().cloned())
            .collect();
        Self {
            plugin: plugin.to_owned(),
            target: target.to_owned(),
            mode,
            hosts,
            lost: Arc::new(operator.lost.clone()),
        }
    }

    /// Whether the URL may be asked for, as it is written.
    pub fn check(&self, url: &Url) -> Result<(), GuestError> {
        if self.lost.has_host(&self.target, &url.host) {
            return Err(refused(
                format!("'{}' of target '{}' is taken for lost with its site", url.host, self.target),
                None,
            ));
        }
        let literal = url.host.parse::<IpAddr>().ok();
        let granted = grant_for(&self.hosts, url).is_some();
        if granted && literal.is_none_or(|address| admits(&self.hosts, url, address)) {
            return Ok(());
        }
        let scheme = if url.tls { "" } else { " without TLS" };
        Err(self.refuse(url, &url.host, &format!("'{}' on port {}{scheme}", url.host, url.port)))
    }

    /// The refusal of an address that a granted name led to.
    pub fn refuse_addresses(&self, url: &Url, addresses: &[IpAddr]) -> GuestError {
        let first = addresses.first().map(ToString::to_string).unwrap_or_default();
        let what =
            format!("'{}' on port {}: its name leads to {first}, {}", url.host, url.port, word(addresses.first()));
        self.refuse(url, &first, &what)
    }

    fn refuse(&self, url: &Url, host: &str, what: &str) -> GuestError {
        let Self { plugin, target, mode, .. } = self;
        let message = format!("plugin '{plugin}' may not reach {what} for target '{target}' in mode {}", mode.as_str());
        let line = allow_host_line(plugin, target, host, url.port, !url.tls);
        let hint = if *mode == Mode::Drill {
            format!("in a drill only the grants inside `drill {{ }}` of lifeboat.kdl count; add there: {line}")
        } else {
            format!("add to lifeboat.kdl: {line}")
        };
        refused(message, Some(hint))
    }
}

/// The line of the operator's file that would allow it.
pub fn allow_host_line(plugin: &str, target: &str, host: &str, port: u16, plain: bool) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let usual = if plain { 80 } else { 443 };
    let port = if port == usual { String::new() } else { format!(" port={port}") };
    let plain = if plain { " plain=#true" } else { "" };
    format!("grant {} target={} {{ host {}{port}{plain} }}", quote(plugin), quote(target), quote(host))
}

/// The grant for that host, port and way; an exact name before an ending.
pub fn grant_for<'a>(hosts: &'a [HostGrant], url: &Url) -> Option<&'a HostGrant> {
    let fits = |grant: &&HostGrant| grant.port == url.port && grant.plain != url.tls;
    let named = hosts.iter().filter(fits).find(|grant| grant.host == url.host);
    let ending = |grant: &&HostGrant| {
        let rest = grant.host.strip_prefix('*').and_then(|ending| url.host.strip_suffix(ending));
        rest.is_some_and(|rest| !rest.is_empty() && url.host.parse::<IpAddr>().is_err())
    };
    named.or_else(|| hosts.iter().filter(fits).find(ending))
}

/// Whether a connection for that URL may go to that address.
pub fn admits(hosts: &[HostGrant], url: &Url, address: IpAddr) -> bool {
    let Some(kind) = inner_kind(address) else { return true };
    let literal = |grant: &HostGrant| grant.host.parse::<IpAddr>().is_ok_and(|granted| same(granted, address));
    let local = |grant: &HostGrant| kind == Inner::Loopback && grant.host == "localhost" && url.host == "localhost";
    let fits = |grant: &&HostGrant| grant.port == url.port && grant.plain != url.tls;
    hosts.iter().filter(fits).any(|grant| literal(grant) || local(grant))
}

fn same(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inner {
    Loopback,
    LinkLocal,
    Metadata,
    Nowhere,
}

fn word(address: Option<&IpAddr>) -> &'static str {
    match address.and_then(|address| inner_kind(*address)) {
        Some(Inner::Loopback) => "which is this machine",
        Some(Inner::LinkLocal) => "which is link-local",
        Some(Inner::Metadata) => "which is a cloud's metadata",
        Some(Inner::Nowhere) => "which is no host's address",
        None => "which is not granted",
    }
}

/// What is reached only by a literal address. Addresses of private networks are none of these: disaster recovery happens there.
fn inner_kind(address: IpAddr) -> Option<Inner> {
    match address.to_canonical() {
        IpAddr::V4(v4) => inner_v4(v4),
        IpAddr::V6(v6) => inner_v6(v6),
    }
}

fn inner_v4(v4: Ipv4Addr) -> Option<Inner> {
    // Amazon, Google, Azure and others; Azure's wire server; Alibaba; Oracle.
    const METADATA: [Ipv4Addr; 4] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    if METADATA.contains(&v4) {
        return Some(Inner::Metadata);
    }
    if v4.is_loopback() {
        return Some(Inner::Loopback);
    }
    if v4.is_link_local() {
        return Some(Inner::LinkLocal);
    }
    let [first, ..] = v4.octets();
    (first == 0 || v4.is_multicast() || first >= 240).then_some(Inner::Nowhere)
}

fn inner_v6(v6: Ipv6Addr) -> Option<Inner> {
    let segments = v6.segments();
    if v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        || v6 == Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)
    {
        return Some(Inner::Metadata);
    }
    if v6.is_loopback() {
        return Some(Inner::Loopback);
    }
    if v6.is_unicast_link_local() {
        return Some(Inner::LinkLocal);
    }
    if v6.is_unspecified() || v6.is_multicast() {
        return Some(Inner::Nowhere);
    }
    // An older address inside a newer one: compatible, NAT64, 6to4.
    let pair = match segments {
        [0, 0, 0, 0, 0, 0, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => Some((a, b)),
        _ => None,
    };
    let (a, b) = pair?;
    inner_v4(Ipv4Addr::from((u32::from(a) << 16) | u32::from(b)))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::grants::Grant;

    use super::*;
    use crate::bindings::lifeboat::plugin::types::ErrorKind;

    fn host(host: &str, port: u16, plain: bool) -> HostGrant {
        HostGrant { host: host.to_owned(), port, plain, ca: None, client: None }
    }

    fn operator(hosts: Vec<HostGrant>) -> Operator {
        let grant = Grant { plugin: "s3".into(), target: Some("b".into()), dirs: Vec::new(), hosts };
        Operator { grants: vec![grant], ..Operator::default() }
    }

    fn check(operator: &Operator, mode: Mode, url: &str) -> Result<(), GuestError> {
        Egress::new(operator, "s3", "b", mode).check(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_granted_hosts_ports_and_ways() {
        let operator =
            operator(vec![host("a.net", 443, false), host("*.b.net", 9000, true), host("127.0.0.1", 80, true)]);
        for good in ["https://A.net/x", "http://x.b.net:9000", "http://x.y.b.net:9000/", "http://127.0.0.1/"] {
            assert!(check(&operator, Mode::Failover, good).is_ok(), "{good}");
        }
        for bad in [
            "http://a.net/",
            "https://a.net:444",
            "https://xa.net",
            "http://b.net:9000",
            "https://x.b.net:9000",
            "http://evilb.net:9000",
            "https://127.0.0.1",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/",
        ] {
            let error = check(&operator, Mode::Failover, bad).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Refused, "{bad}");
        }
        let error = check(&operator, Mode::Failover, "http://c.net:8080/x?sig=1").unwrap_err();
        let line = "grant \"s3\" target=\"b\" { host \"c.net\" port=8080 plain=#true }";
        assert_eq!(error.hint.unwrap(), format!("add to lifeboat.kdl: {line}"));
        let error = check(&operator, Mode::Drill, "https://a.net/x").unwrap_err();
        assert!(error.hint.unwrap().contains("inside `drill { }`"));
    }

    #[test]
    fn inner_addresses_need_a_literal_grant() {
        let url = Url::parse("https://a.net/").unwrap();
        let inner = [
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "169.254.169.254",
            "169.254.1.1",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "168.63.129.16",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "224.0.0.1",
        ];
        let name = [host("a.net", 443, false)];
        for text in inner {
            let address: IpAddr = text.parse().unwrap();
            assert!(!admits(&name, &url, address), "{text}");
            let both = [host("a.net", 443, false), host(&address.to_string(), 443, false)];
            assert!(admits(&both, &url, address), "{text}");
        }
        for text in ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd12::1"] {
            assert!(admits(&name, &url, text.parse().unwrap()), "{text}");
        }
        let local = [host("localhost", 443, false)];
        let there = Url::parse("https://localhost/").unwrap();
        assert!(admits(&local, &there, "127.0.0.1".parse().unwrap()));
        assert!(!admits(&local, &there, "169.254.169.254".parse().unwrap()));
        assert!(!admits(&local, &url, "127.0.0.1".parse().unwrap()));
    }
}
