//! The secrets of an operator's file.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::grants::{Operator, SecretSource};
use zeroize::Zeroizing;

use crate::kept::Kept;
use crate::secret::{SECRET_BYTES_MAX, Secret, Secrets};
use crate::server::Server;
use crate::{command, guard};

/// The secrets of an operator's file. Variables and files are read each time, commands and servers at most every
/// [`crate::KEPT`]. Clones share what is kept.
#[derive(Clone, Debug, Default)]
pub struct OperatorSecrets {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sources: BTreeMap<String, SecretSource>,
    servers: BTreeMap<String, Server>,
    kept: Kept,
}

impl OperatorSecrets {
    /// The secrets that this operator's file names. Where there are any, core dumps are switched off.
    pub fn new(operator: &Operator) -> Self {
        if !operator.secrets.is_empty() {
            guard::no_core_dumps();
        }
        let servers = operator.secret_servers.iter();
        let servers = servers.map(|(name, server)| (name.clone(), Server::new(name, server))).collect();
        let sources = operator.secrets.clone();
        Self { inner: Arc::new(Inner { sources, servers, kept: Kept::default() }) }
    }

    /// The names of all secrets, each with where it comes from, for a person.
    pub fn sources(&self) -> Vec<(&str, String)> {
        let said = |source: &SecretSource| match source {
            SecretSource::Env(variable) => format!("variable {variable}"),
            SecretSource::File(path) => format!("file {}", path.display()),
            SecretSource::Command(command) => format!("command {}", command.program.display()),
            SecretSource::Server(at) => format!("server {}, {}/{}, field {}", at.server, at.mount, at.path, at.field),
        };
        self.inner.sources.iter().map(|(name, source)| (name.as_str(), said(source))).collect()
    }
}

impl Secrets for OperatorSecrets {
    fn get(&self, name: &str) -> Result<Secret, Error> {
        let inner = &self.inner;
        let Some(source) = inner.sources.get(name) else {
            return Err(Error::new("LB0710", format!("there is no secret '{name}'")).hint(format!(
                "add to lifeboat.kdl: secret \"{name}\" file=\"/path/to/file\"  (or env=\"VARIABLE\", a command, or a server)"
            )));
        };
        let secret = match source {
            SecretSource::Env(variable) => from_env(name, variable)?,
            SecretSource::File(path) => from_file(name, path)?,
            SecretSource::Command(command) => match inner.kept.get(name) {
                Some(secret) => secret,
                None => {
                    let secret = command::read(name, command)?;
                    inner.kept.put(name, &secret, None);
                    secret
                }
            },
            SecretSource::Server(at) => match inner.kept.get(name) {
                Some(secret) => secret,
                None => {
                    let server = inner.servers.get(&at.server).ok_or_else(|| {
                        Error::new("LB0710", format!("there is no secret-server '{}'", at.server))
                            .hint("declare it in lifeboat.kdl")
                    })?;
                    let (secret, lease) = server.read(name, at, self)?;
                    inner.kept.put(name, &secret, lease);
                    secret
                }
            },
        };
        if secret.expose().is_empty() {
            return Err(Error::new("LB0710", format!("the secret '{name}' is empty")).hint("put a value there"));
        }
        Ok(secret)
    }

    fn rejected(&self, name: &str) {
        self.inner.kept.forget(name);
    }
}

fn from_env(name: &str, variable: &str) -> Result<Secret, Error> {
    let value = std::env::var_os(variable).ok_or_else(|| {
        let message = format!("the secret '{name}' is to come from the variable {variable}, which is not set");
        Error::new("LB0710", message).hint(format!("set {variable} in the environment of lifeboat"))
    })?;
    Ok(Secret::new(std::os::unix::ffi::OsStringExt::into_vec(value)))
}

/// The first line of a file, or all of one that is a JSON object: key files of clouds have many lines.
fn from_file(name: &str, path: &std::path::Path) -> Result<Secret, Error> {
    let fail = |cause: std::io::Error| {
        Error::new("LB0710", format!("the secret '{name}' can't be read"))
            .hint("the file has to exist, be readable by the user that runs lifeboat, and hold the secret in its first line")
            .with("path", path.display())
            .with("cause", cause)
    };
    let file = std::fs::File::open(path).map_err(fail)?;
    // Room for all of it at once, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
    file.take(SECRET_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(fail)?;
    let whole = bytes.trim_ascii();
    if whole.starts_with(b"{") && whole.ends_with(b"}") {
        return Ok(Secret::new(whole.to_vec()));
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Secret::new(line.to_vec()))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::grants::SecretCommand;

    use super::*;

    #[test]
    fn files_are_read_anew_and_only_their_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "one\r\nnot this\n").unwrap();
        let mut operator = Operator::default();
        operator.secrets.insert("s".into(), SecretSource::File(path.clone()));
        operator.secrets.insert("gone".into(), SecretSource::Env("LIFEBOAT_TEST_NO_SUCH_VARIABLE".into()));
        let secrets = OperatorSecrets::new(&operator);
        assert_eq!(secrets.get("s").unwrap().expose(), b"one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(secrets.get("s").unwrap().expose(), b"two");
        std::fs::write(&path, "{\n  \"type\": \"service_account\"\n}\n").unwrap();
        assert_eq!(secrets.get("s").unwrap().expose(), b"{\n  \"type\": \"service_account\"\n}");
        std::fs::write(&path, "{not json\nnot this\n").unwrap();
        assert_eq!(secrets.get("s").unwrap().expose(), b"{not json");
        std::fs::write(&path, "\n").unwrap();
        for name in ["s", "gone", "unknown"] {
            let error = secrets.get(name).unwrap_err();
            assert_eq!(error.code.0, "LB0710");
            assert!(error.hint.is_some());
        }
    }

    #[test]
    fn a_command_is_asked_again_when_its_value_was_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "one").unwrap();
        let args = vec![path.display().to_string()];
        let command = SecretCommand { program: "/bin/cat".into(), args, timeout_ms: 5_000 };
        let mut operator = Operator::default();
        operator.secrets.insert("c".into(), SecretSource::Command(command));
        let secrets = OperatorSecrets::new(&operator);
        assert_eq!(secrets.get("c").unwrap().expose(), b"one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(secrets.get("c").unwrap().expose(), b"one", "it is kept for a while");
        secrets.rejected("c");
        assert_eq!(secrets.get("c").unwrap().expose(), b"two");
        assert!(!format!("{secrets:?}").contains("two"));
    }

    #[test]
    fn with_a_secret_there_are_no_core_dumps() {
        let mut operator = Operator::default();
        operator.secrets.insert("s".into(), SecretSource::Env("PATH".into()));
        OperatorSecrets::new(&operator);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
        assert_eq!(limit.current, Some(0));
        let behavior = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(behavior, rustix::process::DumpableBehavior::NotDumpable);
    }
}
