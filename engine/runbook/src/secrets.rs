//! Secrets in the operator's file: where each comes from, the servers that keep some, and the one that encrypts the journal.

use std::path::{Path, PathBuf};

use lifeboat_core::grants::{Login, Operator, SecretCommand, SecretServer, SecretSource, ServerSecret};

use crate::diagnostic::Span;
use crate::fields::{Field, Fields, at_most_args, declared_name, no_block, no_props, string};
use crate::model::Named;
use crate::operator::resolve;
use crate::report::Report;
use crate::syntax::Node;

/// How long a command or a request may take where nothing is said, and at most: ten seconds, five minutes.
const TIMEOUT_MS: u64 = 10_000;
const TIMEOUT_MS_MAX: u64 = 300_000;

/// Names that are used before it is known whether they are declared.
#[derive(Default)]
pub(crate) struct Uses {
    servers: Vec<Named>,
    logins: Vec<Named>,
    journal: Option<Named>,
    pub(crate) hooks: Vec<Named>,
}

impl Uses {
    /// Reports names that nothing declares.
    pub fn check(self, operator: &Operator, report: &mut Report) {
        for server in self.servers.iter().filter(|server| !operator.secret_servers.contains_key(&server.text)) {
            report
                .error("LB0412", server.span, format!("there is no secret-server '{}'", server.text))
                .did_you_mean(&server.text, operator.secret_servers.keys().map(String::as_str));
        }
        let names = || operator.secrets.keys().map(String::as_str);
        for used in self.logins.iter().chain(&self.journal).chain(&self.hooks) {
            match operator.secrets.get(&used.text) {
                None => {
                    report
                        .error("LB0413", used.span, format!("there is no secret '{}'", used.text))
                        .did_you_mean(&used.text, names());
                }
                Some(SecretSource::Server(_)) if self.logins.iter().any(|login| login.span == used.span) => {
                    report
                        .error("LB0414", used.span, format!("the secret '{}' comes from a secret server", used.text))
                        .help("what is needed to log in comes from a file, a variable or a command");
                }
                Some(_) => {}
            }
        }
    }
}

/// `secret "NAME" …`
pub(crate) fn secret(node: &Node, folder: &Path, operator: &mut Operator, uses: &mut Uses, report: &mut Report) {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let env = fields.string("env", report);
    let file = fields.string("file", report);
    let command = fields.one("command", report);
    let server = fields.string("server", report);
    let timeout = timeout(&mut fields, report);
    let kept = kept(&mut fields, server.clone(), node.head, report);
    fields.refuse_rest(&["env", "file", "command", "timeout", "server", "path", "field", "mount", "kv"], report);
    let source = match (env, file, command, server) {
        (Some(env), None, None, None) => Some(SecretSource::Env(env.text)),
        (None, Some(file), None, None) => resolve(&file.text, file.span, folder, report).map(SecretSource::File),
        (None, None, Some(field), None) => program(&field, timeout, report).map(SecretSource::Command),
        (None, None, None, Some(server)) => {
            uses.servers.push(server);
            kept.map(SecretSource::Server)
        }
        _ => {
            report.error("LB0404", node.head, "a secret comes from exactly one place").help(
                "write env=\"NAME\", file=\"/path\", { command \"/usr/bin/pass\" \"show\" \"x\" } or server=\"NAME\" path=\"x\" field=\"y\"; \
                 the value itself never stands in this file",
            );
            None
        }
    };
    if let (Some(name), Some(source)) = (name, source)
        && operator.secrets.insert(name.text.clone(), source).is_some()
    {
        report.error("LB0405", name.span, format!("secret '{}' is declared twice", name.text)).help("keep one of them");
    }
}

fn timeout(fields: &mut Fields<'_>, report: &mut Report) -> u64 {
    let Some((ms, span)) = fields.duration("timeout", report) else { return TIMEOUT_MS };
    if (1..=TIMEOUT_MS_MAX).contains(&ms) {
        return ms;
    }
    report.error("LB0120", span, "'timeout' is out of bounds").help("write a duration of at most 5m");
    TIMEOUT_MS
}

/// The program is given as an absolute path: what it is does not depend on who starts Lifeboat.
fn program(field: &Field<'_>, timeout_ms: u64, report: &mut Report) -> Option<SecretCommand> {
    if let Some(node) = field.node {
        no_props(node, report);
        no_block(node, report);
    }
    let mut words = field.args.iter().filter_map(|arg| string(arg, "command", report));
    let program = words.next();
    let args: Vec<Named> = words.collect();
    let program = program.filter(|program| Path::new(&program.text).is_absolute());
    if let Some(zero) = args.iter().find(|arg| arg.text.contains('\0')) {
        report.error("LB0410", zero.span, "an argument holds a NUL").help("remove it");
        return None;
    }
    let Some(program) = program.filter(|program| !program.text.contains('\0')) else {
        report
            .error("LB0410", field.span, "'command' needs a program by its absolute path")
            .help("write command \"/usr/bin/pass\" \"show\" \"x\"; each argument is a string of its own, and no shell is between");
        return None;
    };
    let args = args.into_iter().map(|arg| arg.text).collect();
    Some(SecretCommand { program: PathBuf::from(program.text), args, timeout_ms })
}

/// The fields of a secret that a server keeps. They are read in any case, so that a stray one is told.
fn kept(fields: &mut Fields<'_>, server: Option<Named>, head: Span, report: &mut Report) -> Option<ServerSecret> {
    let path = fields.string("path", report);
    let field = fields.string("field", report);
    let mount = fields.string("mount", report);
    let kv = fields.number("kv", 1, 2, report);
    let stray = path.is_some() || field.is_some() || mount.is_some() || kv.is_some();
    let Some(server) = server else {
        if stray {
            report
                .error("LB0412", head, "'path', 'field', 'mount' and 'kv' are for a secret that a server keeps")
                .help("add server=\"NAME\", or remove them");
        }
        return None;
    };
    let (Some(path), Some(field)) = (path, field) else {
        report
            .error("LB0412", head, "a secret that a server keeps needs a path and a field")
            .help("write server=\"NAME\" path=\"orders/s3\" field=\"password\"");
        return None;
    };
    let mount = mount.unwrap_or(Named { text: "secret".to_owned(), span: head });
    let ok = mounted(&mount, report) & mounted(&path, report);
    let kv = if kv == Some(1) { 1 } else { 2 };
    ok.then_some(ServerSecret { server: server.text, mount: mount.text, path: path.text, field: field.text, kv })
}

/// Whether this can stand in an address: parts of letters, digits and a few signs.
fn mounted(path: &Named, report: &mut Report) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || "-_.~@+= ".contains(c);
    let part = |part: &str| !part.is_empty() && part.chars().all(sign) && !part.chars().all(|c| c == '.');
    let good = path.text.split('/').all(part);
    if !good {
        report
            .error("LB0412", path.span, format!("'{}' is not a path on a secret server", path.text))
            .help("write parts of letters, digits and -_.~@+= with '/' between, none at the ends");
    }
    good
}

/// `secret-server "NAME" …`
pub(crate) fn server(node: &Node, folder: &Path, operator: &mut Operator, uses: &mut Uses, report: &mut Report) {
    at_most_args(node, 1, report);
    let name = declared_name(node, report);
    let mut fields = Fields::new(node);
    let address = fields.string("address", report);
    let plain = fields.boolean("plain-http", report).is_some_and(|(plain, _)| plain);
    let ca = fields.string("ca", report).and_then(|ca| resolve(&ca.text, ca.span, folder, report));
    let namespace = fields.string("namespace", report);
    let timeout_ms = timeout(&mut fields, report);
    let mut ways = Vec::new();
    for way in ["token", "approle", "jwt"] {
        if let Some(field) = fields.one(way, report) {
            ways.push(login(&field, uses, report));
        }
    }
    fields.refuse_rest(&["address", "plain-http", "ca", "namespace", "timeout", "token", "approle", "jwt"], report);
    if let Some(namespace) = &namespace {
        mounted(namespace, report);
    }
    if ways.len() != 1 {
        report
            .error("LB0413", node.head, "a secret-server needs exactly one way to log in")
            .help("write { token secret=\"NAME\" }, { approle role-id=\"…\" secret=\"NAME\" } or { jwt role=\"…\" secret=\"NAME\" }");
    }
    let address = match address {
        Some(address) => self::address(&address, plain, report),
        None => {
            report
                .error("LB0411", node.head, "a secret-server needs an address")
                .help("write address=\"https://bao.example:8200\"");
            None
        }
    };
    let login = ways.into_iter().flatten().next();
    let (Some(name), Some(address), Some(login)) = (name, address, login) else { return };
    let namespace = namespace.map(|namespace| namespace.text);
    let server = SecretServer { address, ca, namespace, login, timeout_ms };
    if operator.secret_servers.insert(name.text.clone(), server).is_some() {
        let message = format!("secret-server '{}' is declared twice", name.text);
        report.error("LB0405", name.span, message).help("keep one of them");
    }
}

/// A scheme, a host, a port. Without TLS only this machine is asked, unless the operator says otherwise.
fn address(address: &Named, plain: bool, report: &mut Report) -> Option<String> {
    let text = address.text.trim_end_matches('/');
    let split = text.strip_prefix("https://").map(|rest| (true, rest));
    let split = split.or_else(|| text.strip_prefix("http://").map(|rest| (false, rest)));
    let good = |rest: &str| {
        let sign = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        !rest.is_empty() && rest.chars().all(sign) && rest.parse::<Authority>().is_ok()
    };
    let Some((tls, rest)) = split.filter(|(_, rest)| good(rest)) else {
        report
            .error("LB0411", address.span, format!("'{}' is not the address of a server", address.text))
            .help("write https://HOST:PORT, without a path");
        return None;
    };
    let host = rest.parse::<Authority>().map(|authority| authority.host).unwrap_or_default();
    let loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if !tls && !plain && !loopback {
        report
            .error("LB0411", address.span, "secrets would travel in the clear")
            .help("write https://…; or plain-http=#true where the way to that server is safe by other means");
        return None;
    }
    Some(text.to_owned())
}

/// The host of `HOST` or `HOST:PORT`.
struct Authority {
    host: String,
}

impl std::str::FromStr for Authority {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(())?;
                host.parse::<std::net::Ipv6Addr>().map_err(drop)?;
                (format!("[{host}]"), port)
            }
            None => {
                let at = text.find(':').unwrap_or(text.len());
                let (host, port) = text.split_at(at);
                (host.to_owned(), port)
            }
        };
        let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        if host.is_empty() || !port_ok { Err(()) } else { Ok(Self { host }) }
    }
}

fn login(field: &Field<'_>, uses: &mut Uses, report: &mut Report) -> Option<Login> {
    let Some(node) = field.node else {
        report
            .error("LB0413", field.span, "a way to log in is a node and names a secret")
            .help("write { token secret=\"NAME\" }; the token itself never stands in this file");
        return None;
    };
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    let secret = fields.string("secret", report);
    let made = match node.name.as_str() {
        "token" => {
            fields.refuse_rest(&["secret"], report);
            secret.clone().map(|secret| Login::Token { secret: secret.text })
        }
        "approle" => {
            let role = fields.string("role-id", report);
            let mount = method(&mut fields, "approle", node.head, report);
            fields.refuse_rest(&["secret", "role-id", "mount"], report);
            secret.clone().zip(role).zip(mount).map(|((secret, role), mount)| Login::Approle {
                mount,
                role_id: role.text,
                secret: secret.text,
            })
        }
        _ => {
            let role = fields.string("role", report);
            let mount = method(&mut fields, "kubernetes", node.head, report);
            fields.refuse_rest(&["secret", "role", "mount"], report);
            secret.clone().zip(role).zip(mount).map(|((secret, role), mount)| Login::Jwt {
                mount,
                role: role.text,
                secret: secret.text,
            })
        }
    };
    uses.logins.extend(secret);
    if made.is_none() {
        let form = match node.name.as_str() {
            "token" => "token secret=\"NAME\"",
            "approle" => "approle role-id=\"…\" secret=\"NAME\"",
            _ => "jwt role=\"…\" secret=\"NAME\"",
        };
        report.error("LB0413", node.head, format!("'{}' is not complete", node.name)).help(format!("write {form}"));
    }
    made
}

fn method(fields: &mut Fields<'_>, default: &str, head: Span, report: &mut Report) -> Option<String> {
    let mount = fields.string("mount", report).unwrap_or(Named { text: default.to_owned(), span: head });
    mounted(&mount, report).then_some(mount.text)
}

/// `journal encrypt="NAME"`
pub(crate) fn journal(node: &Node, operator: &mut Operator, uses: &mut Uses, report: &mut Report) {
    at_most_args(node, 0, report);
    let mut fields = Fields::new(node);
    let encrypt = fields.string("encrypt", report);
    fields.refuse_rest(&["encrypt"], report);
    let Some(encrypt) = encrypt else {
        report.error("LB0111", node.head, "'journal' says nothing").help("write journal encrypt=\"SECRET\"");
        return;
    };
    if operator.journal_secret.replace(encrypt.text.clone()).is_some() {
        report.error("LB0405", node.head, "'journal' is declared twice").help("keep one of them");
    }
    uses.journal = Some(encrypt);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;
    use crate::operator::parse_operator;

    fn parse(text: &str) -> Result<Operator, Vec<&'static str>> {
        let source = SourceFile { name: "lifeboat.kdl".to_owned(), text: text.to_owned() };
        parse_operator(&source, Path::new("/etc/lifeboat"))
            .map_err(|found| found.iter().map(|diagnostic| diagnostic.code).collect())
    }

    #[test]
    fn secrets_of_all_kinds_are_read() {
        let operator = parse(
            "secret \"t\" file=\"token\"\nsecret \"c\" { command \"/bin/pass\" \"show\" \"a b\"; timeout \"2s\" }\n\
             secret \"k\" server=\"bao\" path=\"orders/s3\" field=\"password\"\n\
             secret \"o\" server=\"old\" path=\"x\" field=\"y\" mount=\"kv/one\" kv=1\n\
             secret-server \"bao\" address=\"https://bao.example:8200/\" namespace=\"dr\" { ca \"ca.pem\"; token secret=\"t\" }\n\
             secret-server \"old\" address=\"http://127.0.0.1:8200\" timeout=\"3s\" { approle role-id=\"r\" secret=\"c\" mount=\"a\" }\n\
             secret-server \"pod\" address=\"http://[::1]\" { jwt role=\"dr\" secret=\"t\" }\n\
             journal encrypt=\"k\"\n",
        )
        .unwrap();
        let args = vec!["show".to_owned(), "a b".to_owned()];
        let command = SecretCommand { program: "/bin/pass".into(), args, timeout_ms: 2_000 };
        assert_eq!(operator.secrets["c"], SecretSource::Command(command));
        let SecretSource::Server(kept) = &operator.secrets["k"] else { panic!() };
        assert_eq!((kept.mount.as_str(), kept.kv), ("secret", 2));
        let SecretSource::Server(old) = &operator.secrets["o"] else { panic!() };
        assert_eq!((old.mount.as_str(), old.kv), ("kv/one", 1));
        let bao = &operator.secret_servers["bao"];
        assert_eq!(bao.address, "https://bao.example:8200");
        assert_eq!(bao.ca.as_deref(), Some(Path::new("/etc/lifeboat/ca.pem")));
        let old = &operator.secret_servers["old"];
        assert_eq!((old.timeout_ms, old.login.secret()), (3_000, "c"));
        assert!(matches!(&operator.secret_servers["pod"].login, Login::Jwt { mount, .. } if mount == "kubernetes"));
        assert_eq!(operator.journal_secret.as_deref(), Some("k"));
    }

    #[test]
    fn each_mistake_has_its_code() {
        let server = "secret \"t\" file=\"f\"\nsecret-server \"s\" address=\"https://h\" { token secret=\"t\" }\n";
        for (text, codes) in [
            ("secret \"a\" { command \"pass\" }", &["LB0410"][..]),
            ("secret \"a\" { command }", &["LB0410"]),
            ("secret \"a\" env=\"X\" path=\"y\"", &["LB0412"]),
            ("secret \"a\" server=\"s\" path=\"y\" field=\"z\"", &["LB0412"]),
            ("secret \"a\" { command \"/bin/x\"; timeout \"1h\" }", &["LB0120"]),
            ("journal encrypt=\"none\"", &["LB0413"]),
            ("journal", &["LB0111"]),
            (&format!("{server}secret \"a\" server=\"s\" path=\"../y\" field=\"z\""), &["LB0412"]),
            (&format!("{server}secret \"a\" server=\"s\" path=\"y\""), &["LB0412"]),
            ("secret-server \"s\" address=\"https://h\"", &["LB0413"]),
            ("secret-server \"s\" address=\"https://h\" { token secret=\"none\" }", &["LB0413"]),
            ("secret-server \"s\" address=\"https://h\" { approle secret=\"none\" }", &["LB0413", "LB0413"]),
            (
                "secret \"t\" file=\"f\"\nsecret-server \"s\" address=\"http://bao:8200\" { token secret=\"t\" }",
                &["LB0411"],
            ),
            (
                "secret \"t\" file=\"f\"\nsecret-server \"s\" address=\"https://h/v1\" { token secret=\"t\" }",
                &["LB0411"],
            ),
            (
                &format!(
                    "{server}secret \"a\" server=\"s\" path=\"y\" field=\"z\"\nsecret-server \"u\" address=\"https://h\" {{ token secret=\"a\" }}"
                ),
                &["LB0414"],
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), codes, "{text}");
        }
        let plain = "secret \"t\" file=\"f\"\nsecret-server \"s\" address=\"http://bao:8200\" plain-http=#true { token secret=\"t\" }";
        assert!(parse(plain).is_ok());
    }
}
