//! The service of the operator's file: where it listens, and for whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use lifeboat_core::service::{Collector, ReadinessLooks, Service, ServiceTls};

use crate::diagnostic::Span;
use crate::fields::{Field, Fields, at_most_args, no_block, no_props, string};
use crate::operator::resolve;
use crate::report::Report;
use crate::syntax::Node;
use crate::values::twice;

const FIELDS: [&str; 13] = [
    "listen",
    "plain",
    "tls",
    "runbooks",
    "rate",
    "connections",
    "open-metrics",
    "sole-approver",
    "grace",
    "traces",
    "public-url",
    "readiness",
    "leftovers",
];
/// The shortest and the longest time between two looks: at the readiness of a runbook, and at what drills left.
const LOOKS_MS: (u64, u64) = (1_000, 30 * 86_400_000);
/// The longest time that a service may take to stop: ten minutes. Whoever stops it waits.
const GRACE_MAX_MS: u64 = 10 * 60 * 1_000;

/// `service { listen "ADDRESS:PORT"; runbooks "DIR"; tls cert="…" key="…" … }`.
pub(crate) fn service(node: &Node, folder: &Path, before: Option<&Service>, report: &mut Report) -> Service {
    at_most_args(node, 0, report);
    no_props(node, report);
    if before.is_some() {
        report.error("LB0405", node.head, "'service' is declared twice").help("put all of it into one block");
    }
    let mut service = Service::default();
    let mut fields = Fields::new(node);
    if let Some(listen) = fields.string("listen", report) {
        match listen.text.parse::<SocketAddr>() {
            Ok(address) => service.listen = address,
            Err(_) => {
                report
                    .error("LB1080", listen.span, format!("'{}' is not an address to listen on", listen.text))
                    .help("write an address and a port: listen \"127.0.0.1:7421\"");
            }
        }
    }
    let flag = |name: &str, fields: &mut Fields<'_>, report: &mut Report| {
        fields.boolean(name, report).is_some_and(|(value, _)| value)
    };
    service.plain = flag("plain", &mut fields, report);
    service.open_metrics = flag("open-metrics", &mut fields, report);
    service.sole_approver = flag("sole-approver", &mut fields, report);
    service.rate = fields.number("rate", 1, 1_000_000, report).unwrap_or(service.rate);
    service.connections = fields.number("connections", 2, 100_000, report).unwrap_or(service.connections);
    if let Some((grace, span)) = fields.duration("grace", report) {
        if grace > GRACE_MAX_MS {
            report
                .error("LB0120", span, "'grace' is at most 10m")
                .help("what takes longer is asked about at the next start");
        }
        service.grace_ms = grace;
    }
    service.leftovers_ms = leftovers(&mut fields, report).unwrap_or(service.leftovers_ms);
    service.traces = traces(&mut fields, report);
    service.public_url = public_url(&mut fields, report);
    for field in fields.all("runbooks") {
        if field.args.is_empty() {
            report.error("LB0111", field.span, "'runbooks' names no folder").help("write runbooks \"DIR\"");
        }
        for arg in field.args {
            let path = string(arg, "runbooks", report);
            service.runbooks.extend(path.and_then(|path| resolve(&path.text, path.span, folder, report)));
        }
    }
    if let Some(field) = fields.one("tls", report) {
        service.tls = match field.node {
            Some(node) => tls(node, folder, report),
            None => {
                report
                    .error("LB0118", field.span, "'tls' needs its files")
                    .help("write tls cert=\"FILE\" key=\"FILE\"");
                None
            }
        };
    }
    service.readiness = fields.one("readiness", report).and_then(|field| readiness(&field, report));
    fields.refuse_rest(&FIELDS, report);
    if !report.has_errors()
        && let Err(error) = service.safe()
    {
        report.error("LB1050", node.head, error.message).help(error.hint.unwrap_or_default());
    }
    service
}

/// How long after a drill it is first tried again to remove what it left.
fn leftovers(fields: &mut Fields<'_>, report: &mut Report) -> Option<u64> {
    let (leftovers_ms, span) = fields.duration("leftovers", report)?;
    if !(LOOKS_MS.0..=LOOKS_MS.1).contains(&leftovers_ms) {
        report.error("LB0120", span, "'leftovers' is between 1s and 30d").help("ten minutes are usual");
    }
    Some(leftovers_ms)
}

/// Where traces go.
fn traces(fields: &mut Fields<'_>, report: &mut Report) -> Option<Collector> {
    let url = fields.string("traces", report)?;
    match Collector::parse(&url.text) {
        Ok(collector) => Some(collector),
        Err(error) => {
            report.error("LB1110", url.span, error.message).help(error.hint.unwrap_or_default());
            None
        }
    }
}

/// Where people reach the service, without a slash at the end.
fn public_url(fields: &mut Fields<'_>, report: &mut Report) -> Option<String> {
    let url = fields.string("public-url", report)?;
    let bare = url.text.trim_end_matches('/');
    let host = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://")).unwrap_or_default();
    if host.is_empty() || !bare.chars().all(|c| c.is_ascii_graphic() && !"?#\"<>".contains(c)) {
        report
            .error("LB0120", url.span, "this is not where a person reaches the service")
            .help("write public-url \"https://dr.example.net\"");
    }
    Some(bare.to_owned())
}

/// How readiness is looked at without anybody asking.
fn readiness(field: &Field<'_>, report: &mut Report) -> Option<ReadinessLooks> {
    let Some(node) = field.node else {
        no_interval(field.span, report);
        return None;
    };
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    let every = fields.duration("every", report);
    let mut inputs = BTreeMap::new();
    for field in fields.all("input") {
        if let Some(node) = field.node {
            no_props(node, report);
            no_block(node, report);
        }
        let [name, value] = field.args.as_slice() else {
            report
                .error("LB0111", field.span, "'input' is a name and a value")
                .help("write input \"reason\" \"a look at readiness\"");
            continue;
        };
        if let (Some(name), Some(value)) = (string(name, "input", report), string(value, "input", report))
            && inputs.insert(name.text.clone(), value.text).is_some()
        {
            twice(&name.text, name.span, report);
        }
    }
    fields.refuse_rest(&["every", "input"], report);
    let Some((every_ms, span)) = every else {
        // One that cannot be read was told.
        if !node.props.iter().any(|prop| prop.name == "every") && !node.children.iter().any(|one| one.name == "every") {
            no_interval(node.head, report);
        }
        return None;
    };
    if !(LOOKS_MS.0..=LOOKS_MS.1).contains(&every_ms) {
        report
            .error("LB0120", span, "'every' is between 1s and 30d")
            .help("to look at readiness takes its time: an hour is usual");
    }
    Some(ReadinessLooks { every_ms, inputs })
}

fn no_interval(span: Span, report: &mut Report) {
    report.error("LB0118", span, "'readiness' needs an interval").help("write readiness every=\"1h\"");
}

fn tls(node: &Node, folder: &Path, report: &mut Report) -> Option<ServiceTls> {
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    let mut path = |name: &str, report: &mut Report| {
        let path = fields.string(name, report)?;
        resolve(&path.text, path.span, folder, report)
    };
    let (cert, key, client_ca) = (path("cert", report), path("key", report), path("client-ca", report));
    fields.refuse_rest(&["cert", "key", "client-ca"], report);
    match (cert, key) {
        (Some(cert), Some(key)) => Some(ServiceTls { cert, key, client_ca }),
        _ => {
            report
                .error("LB0118", node.head, "'tls' needs a certificate and its key")
                .help("write tls cert=\"FILE\" key=\"FILE\"");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::SourceFile;
    use crate::operator::parse_operator;

    fn parse(text: &str) -> Result<Option<Service>, Vec<&'static str>> {
        let source = SourceFile { name: "lifeboat.kdl".to_owned(), text: text.to_owned() };
        let read = parse_operator(&source, Path::new("/etc"));
        read.map(|operator| operator.service).map_err(|all| all.iter().map(|one| one.code).collect())
    }

    #[test]
    fn a_service_is_read_and_what_is_left_out_is_as_it_is_by_itself() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("service"), Ok(Some(Service::default())));
        let text = "service {\n listen \"0.0.0.0:443\"\n runbooks \"books\" \"/srv/more\"\n tls cert=\"c.pem\" key=\"/k.pem\" client-ca=\"ca.pem\"\n\
                    rate 60\n connections 10\n open-metrics #true\n sole-approver #true\n grace \"1m\"\n\
                    traces \"http://127.0.0.1:4318\"\n leftovers \"1h\"\n readiness every=\"1h\" { input \"reason\" \"a look\" }\n}";
        let service = parse(text).unwrap().unwrap();
        assert_eq!(service.listen.to_string(), "0.0.0.0:443");
        assert_eq!(service.runbooks, [PathBuf::from("/etc/books"), PathBuf::from("/srv/more")]);
        let tls = service.tls.unwrap();
        assert_eq!((tls.cert, tls.key), (PathBuf::from("/etc/c.pem"), PathBuf::from("/k.pem")));
        assert_eq!(tls.client_ca, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!((service.rate, service.connections, service.grace_ms), (60, 10, 60_000));
        assert_eq!(service.traces.unwrap().authority(), "127.0.0.1:4318");
        assert!(service.open_metrics && service.sole_approver && !service.plain);
        let inputs = BTreeMap::from([("reason".to_owned(), "a look".to_owned())]);
        assert_eq!(service.leftovers_ms, 3_600_000);
        assert_eq!(service.readiness, Some(ReadinessLooks { every_ms: 3_600_000, inputs }));
    }

    #[test]
    fn what_is_not_a_service_is_refused() {
        for (bad, code) in [
            ("service { listen \"localhost:80\" }", "LB1080"),
            ("service { listen \"127.0.0.1\" }", "LB1080"),
            ("service { listen \"0.0.0.0:80\" }", "LB1050"),
            ("service { tls cert=\"c\" }", "LB0118"),
            ("service { tls \"c\" cert=\"c\" key=\"k\" }", "LB0112"),
            ("service { public-url \"dr.example.net\" }", "LB0120"),
            ("service tls=#true", "LB0110"),
            ("service { rate 0 }", "LB0120"),
            ("service { connections 1 }", "LB0120"),
            ("service { grace \"1h\" }", "LB0120"),
            ("service { runbooks }", "LB0111"),
            ("service { rates 1 }", "LB0109"),
            ("service { plain \"yes\" }", "LB0113"),
            ("service { traces \"127.0.0.1:4318\" }", "LB1110"),
            ("service { traces #true }", "LB0113"),
            ("service\nservice", "LB0405"),
            ("service { leftovers \"1ms\" }", "LB0120"),
            ("service { leftovers #true }", "LB0113"),
            ("service { readiness }", "LB0118"),
            ("service { readiness \"1h\" }", "LB0118"),
            ("service { readiness every=\"1ms\" }", "LB0120"),
            ("service { readiness every=\"31d\" }", "LB0120"),
            ("service { readiness every=\"soon\" }", "LB0117"),
            ("service { readiness every=\"1h\" { input \"reason\" } }", "LB0111"),
            ("service { readiness every=\"1h\" { input \"a\" \"b\"; input \"a\" \"c\" } }", "LB0119"),
            ("service { readiness every=\"1h\" often=#true }", "LB0110"),
        ] {
            assert_eq!(parse(bad).unwrap_err()[0], code, "{bad}");
        }
        assert!(parse("service { listen \"0.0.0.0:80\"; plain #true }").is_ok());
    }
}
