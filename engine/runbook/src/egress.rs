//! The hosts of the operator's file: which may be spoken to over HTTP, and by which way.

use std::net::IpAddr;
use std::path::Path;

use lifeboat_core::grants::{HostGrant, Patience, Proxy};

use crate::fields::{Field, Fields, at_most_args, string};
use crate::operator::resolve;
use crate::report::Report;
use crate::syntax::Node;

const HELP: &str = "write host \"s3.example.net\" port=9000, host \"*.example.net\", or an address";

/// `host "NAME" port=… plain=… ca=… client-cert=… client-key=…` in a grant.
pub(crate) fn host(field: &Field<'_>, folder: &Path, report: &mut Report) -> Option<HostGrant> {
    let Some(arg) = field.args.first() else {
        report.error("LB0111", field.span, "'host' names no host").help(HELP);
        return None;
    };
    let written = string(arg, "host", report)?;
    let host = name(&written.text);
    if host.is_none() {
        report.error("LB0720", written.span, format!("'{}' is not a host", written.text)).help(HELP);
    }
    let mut grant = HostGrant { host: host?, port: 443, plain: false, ca: None, client: None };
    let Some(node) = field.node else { return Some(grant) };
    at_most_args(node, 1, report);
    let mut inner = Fields::new(node);
    grant.plain = inner.boolean("plain", report).is_some_and(|(plain, _)| plain);
    let port = inner.number("port", 1, 65_535, report).and_then(|port| u16::try_from(port).ok());
    grant.port = port.unwrap_or(if grant.plain { 80 } else { 443 });
    let mut path = |name: &str| {
        let path = inner.string(name, report)?;
        resolve(&path.text, path.span, folder, report)
    };
    grant.ca = path("ca");
    let client = (path("client-cert"), path("client-key"));
    inner.refuse_rest(&["port", "plain", "ca", "client-cert", "client-key"], report);
    grant.client = match client {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            let message = "a client needs both its certificate and its key";
            report.error("LB0721", field.span, message).help("write client-cert=\"c.pem\" client-key=\"k.pem\"");
            return None;
        }
    };
    if grant.plain && (grant.ca.is_some() || grant.client.is_some()) {
        let message = "certificates mean nothing without TLS";
        report.error("LB0721", field.span, message).help("leave plain=#true out, or the certificates");
        return None;
    }
    Some(grant)
}

/// The host in the one way that it is compared in; `None` where it is none.
fn name(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("*.");
    let labels: Vec<&str> = rest.unwrap_or(&lower).split('.').collect();
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    let good = labels.iter().all(|label| !label.is_empty() && label.len() < 64 && label.bytes().all(plain));
    // An ending of one label would be a whole top-level domain.
    (good && lower.len() < 254 && (rest.is_none() || labels.len() > 1)).then_some(lower)
}

/// `proxy "http://HOST:PORT" except="…"`.
pub(crate) fn proxy(node: &Node, report: &mut Report) -> Option<Proxy> {
    at_most_args(node, 1, report);
    let help = "write proxy \"http://proxy.example.net:3128\", or proxy \"none\"";
    let url = node.args.first().and_then(|arg| string(arg, "proxy", report));
    let mut fields = Fields::new(node);
    let except = fields.string("except", report).map(|list| list.text).unwrap_or_default();
    fields.refuse_rest(&["except"], report);
    let except = except.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let Some(url) = url else {
        if node.args.is_empty() {
            report.error("LB0111", node.head, "'proxy' has no value").help(help);
        }
        return None;
    };
    if url.text == "none" {
        return Some(Proxy { url: None, except });
    }
    let rest = url.text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    if rest.is_empty() || rest.contains(['/', '?', '#', ' ', '@']) {
        report
            .error("LB0722", url.span, "this is not a proxy that can be used")
            .help(format!("{help}; a proxy that asks for a password is named in the environment: HTTPS_PROXY"));
        return None;
    }
    Some(Proxy { url: Some(url.text), except })
}

/// `http idle="60s" answer="5m" …`.
pub(crate) fn http(node: &Node, report: &mut Report) -> Patience {
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    // A patience of nothing would refuse every server.
    let mut time = |name: &str, report: &mut Report| {
        let (ms, span) = fields.duration(name, report)?;
        if ms == 0 {
            report.error("LB0120", span, format!("'{name}' is no time at all")).help("write 10s, for one");
        }
        Some(ms.max(1))
    };
    let patience = Patience {
        connect_ms: time("connect", report),
        idle_ms: time("idle", report),
        answer_ms: time("answer", report),
        pause_ms: time("pause", report),
        least: None,
        sends: None,
    };
    let least = fields.number("least", 0, u32::MAX, report);
    let patience = Patience { least, sends: fields.number("sends", 1, 100, report), ..patience };
    fields.refuse_rest(&["connect", "idle", "answer", "pause", "least", "sends"], report);
    patience
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::SourceFile;
    use crate::operator::parse_operator;

    fn parse(text: &str) -> Result<lifeboat_core::grants::Operator, Vec<&'static str>> {
        let source = SourceFile { name: "lifeboat.kdl".to_owned(), text: text.to_owned() };
        parse_operator(&source, Path::new("/etc")).map_err(|all| all.iter().map(|one| one.code).collect())
    }

    #[test]
    fn hosts_are_read_in_one_way() {
        let text = "grant \"s3\" { host \"S3.Example.net\"; host \"[::1]\" port=9000 plain=#true; host \"10.0.0.1\" plain=#true\n\
                    host \"*.a.b\" ca=\"ca.pem\" client-cert=\"/c\" client-key=\"k\" }\n\
                    drill { grant \"s3\" host=\"x\" }\nproxy \"http://p:1/\" except=\"a, .b\"";
        let operator = parse(text).unwrap();
        let hosts = &operator.grants[0].hosts;
        let short: Vec<_> = hosts.iter().map(|host| (host.host.as_str(), host.port, host.plain)).collect();
        let want = [("s3.example.net", 443, false), ("::1", 9000, true), ("10.0.0.1", 80, true), ("*.a.b", 443, false)];
        assert_eq!(short, want);
        assert_eq!(hosts[3].ca, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(hosts[3].client, Some((PathBuf::from("/c"), PathBuf::from("/etc/k"))));
        assert_eq!(operator.drill_grants[0].hosts[0].host, "x");
        let except = vec!["a".to_owned(), ".b".to_owned()];
        assert_eq!(operator.proxy, Some(Proxy { url: Some("http://p:1/".to_owned()), except }));
        assert_eq!(parse("proxy \"none\"").unwrap().proxy, Some(Proxy { url: None, except: vec![] }));
    }

    #[test]
    fn patience_is_told_in_times_and_numbers() {
        let operator = parse("http idle=\"2s\" { answer \"1m\"; pause \"5s\"; least 0; sends 3 }").unwrap();
        let want = Patience {
            connect_ms: None,
            idle_ms: Some(2_000),
            answer_ms: Some(60_000),
            pause_ms: Some(5_000),
            least: Some(0),
            sends: Some(3),
        };
        assert_eq!(operator.http, want);
        assert_eq!(parse("http idle=\"0s\""), Err(vec!["LB0120"]));
        assert_eq!(parse("http sends=0"), Err(vec!["LB0120"]));
        assert_eq!(parse("http idel=\"1s\""), Err(vec!["LB0110"]));
    }

    #[test]
    fn what_is_no_host_and_no_proxy_is_refused() {
        for bad in ["", "http://a", "a b", "*", "*.com", "a..b", "a/b", "a:1", "*.*.a"] {
            assert_eq!(parse(&format!("grant \"s3\" {{ host \"{bad}\" }}")), Err(vec!["LB0720"]), "{bad}");
        }
        for (bad, code) in [
            ("grant \"s3\" { host \"a\" client-cert=\"c\" }", "LB0721"),
            ("grant \"s3\" { host \"a\" plain=#true ca=\"c\" }", "LB0721"),
            ("grant \"s3\" { host \"a\" port=0 }", "LB0120"),
            ("grant \"s3\" { host }", "LB0111"),
            ("proxy", "LB0111"),
            ("proxy \"https://p\"", "LB0722"),
            ("proxy \"http://u:p@p\"", "LB0722"),
        ] {
            assert_eq!(parse(bad), Err(vec![code]), "{bad}");
        }
    }
}
