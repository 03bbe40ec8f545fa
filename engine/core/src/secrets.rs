//! Where secrets come from. The values themselves are never part of this.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where one secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// The first line of a file, or all of one that is a JSON object.
    File(PathBuf),
    /// What a program prints.
    Command(SecretCommand),
    /// A field of a secret that a server keeps.
    Server(ServerSecret),
}

/// A program with fixed arguments that prints a secret. No shell is between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretCommand {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its arguments, as they are.
    pub args: Vec<String>,
    /// How long it may take, in milliseconds. After that it is killed.
    pub timeout_ms: u64,
}

/// A field of a secret that a server keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSecret {
    /// The name of the server.
    pub server: String,
    /// Where the engine of secrets is mounted there.
    pub mount: String,
    /// The path below the mount.
    pub path: String,
    /// The field.
    pub field: String,
    /// The version of the key-value engine: 1 or 2.
    pub kv: u8,
}

/// A server with the HTTP API of OpenBao and Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretServer {
    /// `https://HOST:PORT`, or `http://` where the operator says so or it is this machine. No slash at the end.
    pub address: String,
    /// A file of certificates in PEM that vouch for it, instead of those of the system.
    pub ca: Option<PathBuf>,
    /// The namespace that is asked.
    pub namespace: Option<String>,
    /// How Lifeboat says who it is.
    pub login: Login,
    /// How long one request may take, in milliseconds.
    pub timeout_ms: u64,
}

/// How Lifeboat says who it is. Each names a secret that does not come from a server itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Login {
    /// With a token.
    Token {
        /// The secret that holds it.
        secret: String,
    },
    /// As a role with a secret id.
    Approle {
        /// Where the method is mounted.
        mount: String,
        /// The id of the role. It is no secret.
        role_id: String,
        /// The secret that holds the secret id.
        secret: String,
    },
    /// With a signed token of somebody else, as Kubernetes gives one to each pod.
    Jwt {
        /// Where the method is mounted.
        mount: String,
        /// The role.
        role: String,
        /// The secret that holds the signed token.
        secret: String,
    },
}

impl Login {
    /// The name of the secret that is needed to log in.
    pub fn secret(&self) -> &str {
        match self {
            Self::Token { secret } | Self::Approle { secret, .. } | Self::Jwt { secret, .. } => secret,
        }
    }
}
