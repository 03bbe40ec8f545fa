//! Secrets from the sources that the operator names. Values are read anew each time, so that rotation needs no restart.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use lifeboat_core::Error;
use lifeboat_core::grants::{Operator, SecretSource};

use crate::ports::{Secret, Secrets};

/// Bytes of one secret: a private key fits, a mistaken file does not.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The secrets of an operator's file.
#[derive(Clone, Debug, Default)]
pub struct OperatorSecrets {
    sources: BTreeMap<String, SecretSource>,
}

impl OperatorSecrets {
    /// The secrets that this operator's file names.
    pub fn new(operator: &Operator) -> Self {
        Self { sources: operator.secrets.clone() }
    }
}

impl Secrets for OperatorSecrets {
    fn get(&self, name: &str) -> Result<Secret, Error> {
        let missing = |message: String, hint: String| Err(Error::new("LB0710", message).hint(hint));
        let Some(source) = self.sources.get(name) else {
            return missing(
                format!("there is no secret '{name}'"),
                format!("add to lifeboat.kdl: secret \"{name}\" file=\"/path/to/file\"  (or env=\"VARIABLE\")"),
            );
        };
        let bytes = match source {
            SecretSource::Env(variable) => match std::env::var_os(variable) {
                Some(value) => std::os::unix::ffi::OsStringExt::into_vec(value),
                None => {
                    return missing(
                        format!("the secret '{name}' is to come from the variable {variable}, which is not set"),
                        format!("set {variable} in the environment of lifeboat"),
                    );
                }
            },
            SecretSource::File(path) => match first_line(path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    return Err(Error::new("LB0710", format!("the secret '{name}' can't be read"))
                        .hint("the file has to exist, be readable by the user that runs lifeboat, and hold the secret in its first line")
                        .with("path", path.display())
                        .with("cause", error));
                }
            },
        };
        if bytes.is_empty() {
            return missing(format!("the secret '{name}' is empty"), "put a value there".to_owned());
        }
        Ok(Secret::new(bytes))
    }
}

fn first_line(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let mut line = Vec::new();
    BufReader::new(file.take(SECRET_BYTES_MAX)).read_until(b'\n', &mut line)?;
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
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
        std::fs::write(&path, "\n").unwrap();
        for name in ["s", "gone", "unknown"] {
            let error = secrets.get(name).unwrap_err();
            assert_eq!(error.code.0, "LB0710");
            assert!(error.hint.is_some());
        }
    }
}
