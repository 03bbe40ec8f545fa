//! The operator's file, `lifeboat.kdl`: what plugins may reach, which plugins may be loaded, where secrets come from.

use std::path::{Path, PathBuf};

use lifeboat_core::Digest;
use lifeboat_core::grants::{DirGrant, Grant, Operator};

use crate::SourceFile;
use crate::diagnostic::{Diagnostic, Span};
use crate::egress;
use crate::fields::{Fields, at_most_args, declared_name, no_block, no_props, number, string, unknown_node};
use crate::hooks;
use crate::report::Report;
use crate::secrets::{self, Uses};
use crate::service;
use crate::syntax::Node;

pub use crate::hooks::{Automatic, Hook, Intake};

/// The nodes of an operator's file.
pub const NODES: [&str; 14] = [
    "plugins",
    "pin",
    "grant",
    "drill",
    "secret",
    "secret-server",
    "journal",
    "role",
    "proxy",
    "http",
    "max-parallel",
    "hook",
    "automatic",
    "service",
];

/// Reads an operator's file. Relative paths are taken from `folder`, the folder of the file.
///
/// # Errors
/// Every mistake of the file, in the order of the text.
pub fn parse_operator(source: &SourceFile, folder: &Path) -> Result<Operator, Vec<Diagnostic>> {
    parse_all(source, folder).map(|(operator, _)| operator)
}

/// Reads what an operator's file says about alerts: who may send them, and what they may start.
///
/// # Errors
/// Every mistake of the file, in the order of the text.
pub fn parse_intake(source: &SourceFile, folder: &Path) -> Result<Intake, Vec<Diagnostic>> {
    parse_all(source, folder).map(|(_, intake)| intake)
}

fn parse_all(source: &SourceFile, folder: &Path) -> Result<(Operator, Intake), Vec<Diagnostic>> {
    let mut report = Report::new(&source.name, &source.text);
    if source.text.len() > lifeboat_core::limits::RUNBOOK_BYTES_MAX {
        report.error("LB0102", Span::default(), "the file is too large").help("an operator's file has a few lines");
        return Err(report.finish());
    }
    let parsed = crate::syntax::parse(&mut report, "drill");
    let mut operator = Operator::default();
    let mut intake = Intake::default();
    let mut uses = Uses::default();
    for node in &parsed.nodes {
        match node.name.as_str() {
            "hook" => hooks::hook(node, &mut intake, &mut uses, &mut report),
            "automatic" => hooks::automatic(node, &mut intake, &mut report),
            _ => read(node, folder, &mut operator, &mut uses, &mut report),
        }
    }
    uses.check(&operator, &mut report);
    if report.has_errors() { Err(report.finish()) } else { Ok((operator, intake)) }
}

/// The line that would allow a refused access, to be put into the operator's file.
pub fn grant_line(plugin: &str, target: Option<&str>, path: &Path, write: bool) -> String {
    let target = target.map(|target| format!(" target={}", quoted(target))).unwrap_or_default();
    let write = if write { " write=#true" } else { "" };
    format!("grant {}{target} {{ dir {}{write} }}", quoted(plugin), quoted(&path.to_string_lossy()))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn read(node: &Node, folder: &Path, operator: &mut Operator, uses: &mut Uses, report: &mut Report) {
    match node.name.as_str() {
        "plugins" => {
            no_props(node, report);
            no_block(node, report);
            if node.args.is_empty() {
                report.error("LB0111", node.head, "'plugins' names no folder").help("write plugins \"DIR\"");
            }
            let paths: Vec<_> = node.args.iter().filter_map(|arg| string(arg, "plugins", report)).collect();
            operator.plugin_dirs.extend(paths.iter().filter_map(|path| resolve(&path.text, path.span, folder, report)));
        }
        "pin" => pin(node, operator, report),
        "grant" => operator.grants.extend(grant(node, folder, report)),
        "drill" => {
            at_most_args(node, 0, report);
            no_props(node, report);
            for child in &node.children {
                if child.name == "grant" {
                    operator.drill_grants.extend(grant(child, folder, report));
                } else {
                    unknown_node(child, "drill", &["grant"], report);
                }
            }
        }
        "secret" => secrets::secret(node, folder, operator, uses, report),
        "secret-server" => secrets::server(node, folder, operator, uses, report),
        "journal" => secrets::journal(node, operator, uses, report),
        "role" => role(node, operator, report),
        "service" => operator.service = Some(service::service(node, folder, operator.service.as_ref(), report)),
        "proxy" => operator.proxy = egress::proxy(node, report).or(operator.proxy.take()),
        "http" => operator.http = egress::http(node, report),
        "max-parallel" => {
            at_most_args(node, 1, report);
            no_props(node, report);
            no_block(node, report);
            match node.args.first() {
                Some(arg) => operator.max_parallel = number(arg, "max-parallel", 1, 10_000, report),
                None => {
                    report.error("LB0111", node.head, "'max-parallel' has no value").help("write max-parallel 16");
                }
            }
        }
        other => {
            report
                .error("LB0401", node.name_span, format!("'{other}' means nothing in an operator's file"))
                .did_you_mean(other, NODES);
        }
    }
}

pub(crate) fn resolve(text: &str, span: Span, folder: &Path, report: &mut Report) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        report
            .error("LB0406", span, "this is not a path")
            .help("write an absolute path, or one from this file's folder");
        return None;
    }
    // Joining an absolute path gives that path.
    Some(folder.join(text))
}

fn pin(node: &Node, operator: &mut Operator, report: &mut Report) {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let digest = fields.string("digest", report);
    fields.refuse_rest(&["digest"], report);
    let Some(digest) = digest else {
        report.error("LB0118", node.head, "a pin needs a digest").help("write digest=\"blake3:...\"");
        return;
    };
    let hex = digest.text.strip_prefix("blake3:").unwrap_or_default();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        report
            .error("LB0402", digest.span, "this is not a digest")
            .help("a digest is 'blake3:' and 64 lower-case hexadecimal digits; `lifeboat plugin ls` prints it");
        return;
    }
    let Some(name) = name else { return };
    if operator.pins.insert(name.text.clone(), Digest(digest.text)).is_some() {
        report.error("LB0405", name.span, format!("plugin '{}' is pinned twice", name.text)).help("keep one pin");
    }
}

fn grant(node: &Node, folder: &Path, report: &mut Report) -> Option<Grant> {
    at_most_args(node, 1, report);
    let plugin = declared_name(node, report);
    let mut fields = Fields::new(node);
    let target = fields.string("target", report).map(|target| target.text);
    let mut dirs = Vec::new();
    let written = fields.all("dir");
    for field in &written {
        let path = field.args.first().and_then(|arg| string(arg, "dir", report));
        let Some(path) = path else {
            if field.args.is_empty() {
                report.error("LB0111", field.span, "'dir' names no folder").help("write dir \"/srv/x\" write=#true");
            }
            continue;
        };
        let mut write = false;
        if let Some(node) = field.node {
            at_most_args(node, 1, report);
            let mut inner = Fields::new(node);
            write = inner.boolean("write", report).is_some_and(|(write, _)| write);
            inner.refuse_rest(&["write"], report);
        }
        dirs.extend(resolve(&path.text, path.span, folder, report).map(|path| DirGrant { path, write }));
    }
    let hosts = fields.all("host");
    if written.is_empty() && hosts.is_empty() {
        report
            .error("LB0403", node.head, "this grant allows nothing")
            .help("add { dir \"/srv/x\" write=#true } or { host \"s3.example.net\" }");
    }
    let hosts = hosts.iter().filter_map(|field| egress::host(field, folder, report)).collect();
    fields.refuse_rest(&["target", "dir", "host"], report);
    Some(Grant { plugin: plugin?.text, target, dirs, hosts })
}

fn role(node: &Node, operator: &mut Operator, report: &mut Report) {
    no_props(node, report);
    no_block(node, report);
    let mut words = node.args.iter().filter_map(|arg| string(arg, "role", report)).map(|word| word.text);
    let Some(name) = words.next() else {
        report
            .error("LB0111", node.head, "'role' has no name")
            .help("write role \"incident-commander\" \"ada\" \"grace\"");
        return;
    };
    let people: Vec<String> = words.collect();
    if people.is_empty() {
        report
            .error("LB0111", node.head, format!("nobody has the role '{name}'"))
            .help("name the people: role \"incident-commander\" \"ada\" \"grace\"");
    } else if operator.roles.insert(name.clone(), people).is_some() {
        report
            .error("LB0405", node.head, format!("role '{name}' is declared twice"))
            .help("put all people into one line");
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::grants::SecretSource;

    use super::*;

    fn parse(text: &str) -> Result<Operator, Vec<Diagnostic>> {
        let source = SourceFile { name: "lifeboat.kdl".to_owned(), text: text.to_owned() };
        parse_operator(&source, Path::new("/etc/lifeboat"))
    }

    #[test]
    fn a_file_with_everything_is_read() {
        let digest = format!("blake3:{}", "a1".repeat(32));
        let text = format!(
            "plugins \"plugins\"\npin \"fs\" digest=\"{digest}\"\n\
             grant \"fs\" target=\"orders\" {{ dir \"/srv\" write=#true; dir \"data\" }}\n\
             drill {{ grant \"fs\" {{ dir \"/scratch\" write=#true }} }}\n\
             secret \"vault-password\" env=\"X\"\nsecret \"other\" file=\"p\"\nrole \"lead\" \"ada\" \"bo\"\nmax-parallel 16\n"
        );
        let operator = parse(&text).unwrap();
        assert_eq!(operator.plugin_dirs, [PathBuf::from("/etc/lifeboat/plugins")]);
        assert_eq!(operator.pins["fs"].0, digest);
        assert_eq!(operator.grants[0].target.as_deref(), Some("orders"));
        let dirs: Vec<_> = operator.grants[0].dirs.iter().map(|d| (d.path.to_str().unwrap(), d.write)).collect();
        assert_eq!(dirs, [("/srv", true), ("/etc/lifeboat/data", false)]);
        assert_eq!(operator.drill_grants[0].dirs[0].path, PathBuf::from("/scratch"));
        assert_eq!(operator.secrets["vault-password"], SecretSource::Env("X".to_owned()));
        assert_eq!(operator.secrets["other"], SecretSource::File(PathBuf::from("/etc/lifeboat/p")));
        assert_eq!(operator.max_parallel, Some(16));
        assert_eq!(operator.roles_of("bo"), Some(vec!["lead".to_owned()]));
        assert_eq!((operator.roles_of("cy"), Operator::default().roles_of("bo")), (Some(vec![]), None));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let text = "grnat \"fs\" { }\npin \"fs\" digest=\"md5:1\"\ngrant \"fs\"\nsecret \"s\"\nmax-parallel 0\n\
                    grant \"fs\" { dir \"\" }\nsecret \"a\" env=\"X\"\nsecret \"a\" env=\"Y\"\nrole \"x\"\nrole \"y\" \"a\"\nrole \"y\" \"b\"\n";
        let codes: Vec<_> = parse(text).unwrap_err().iter().map(|d| d.code).collect();
        assert_eq!(codes, ["LB0401", "LB0402", "LB0403", "LB0404", "LB0120", "LB0406", "LB0405", "LB0111", "LB0405"]);
    }

    #[test]
    fn the_line_that_would_allow_it_allows_it() {
        let line = grant_line("fs", Some("orders"), Path::new("/srv/a \"b\""), true);
        assert_eq!(line, "grant \"fs\" target=\"orders\" { dir \"/srv/a \\\"b\\\"\" write=#true }");
        let operator = parse(&line).unwrap();
        assert_eq!(operator.grants[0].dirs[0].path, PathBuf::from("/srv/a \"b\""));
        assert!(operator.grants[0].dirs[0].write);
    }
}
