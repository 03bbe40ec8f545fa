//! Who may send alerts, as the operator's file says, and how they are known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_alerts::{Scheme, Signed, Source, verify};
use lifeboat_core::Error;
use tokio::time::Instant;

use super::refused;
use crate::held::lock;

/// How long a secret is used before it is read again: a changed one counts within that time.
const KEPT: Duration = Duration::from_secs(30);

/// Something that may send alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// How what it sends is read.
    pub source: Source,
    /// How it signs; `None`: it shows a token of the service.
    pub key: Option<HookKey>,
}

/// How a hook signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookKey {
    /// The name of its secret.
    pub secret: String,
    /// What is signed.
    pub scheme: Scheme,
    /// How far the time of a signature may be from now, in milliseconds.
    pub window_ms: u64,
}

/// Reads secrets. May take long, and is called where that does no harm.
pub trait HookSecrets: Send + Sync + 'static {
    /// A secret by its name.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn read(&self, name: &str) -> Result<Vec<u8>, Error>;
}

/// A secret, and when it was read.
type Kept = (Instant, Arc<Vec<u8>>);

/// All that may send alerts, by name: the last part of the address.
#[derive(Default)]
pub struct Hooks {
    hooks: BTreeMap<String, Hook>,
    secrets: Option<Arc<dyn HookSecrets>>,
    kept: Mutex<BTreeMap<String, Kept>>,
}

impl Hooks {
    /// These hooks.
    pub fn new(hooks: BTreeMap<String, Hook>, secrets: Arc<dyn HookSecrets>) -> Self {
        Self { hooks, secrets: Some(secrets), kept: Mutex::default() }
    }

    /// The hook of that name.
    pub(crate) fn find(&self, name: &str) -> Option<&Hook> {
        self.hooks.get(name)
    }

    /// Checks the signature of a body.
    ///
    /// # Errors
    /// `LB1013`, `LB1014` it does not hold; `LB1031` the secret cannot be read.
    pub(crate) async fn verify(&self, key: &HookKey, header: &str, body: &[u8], now_ms: u64) -> Result<Signed, Error> {
        let secret = self.secret(&key.secret).await?;
        verify(key.scheme, &[secret.as_slice()], header, body, now_ms, key.window_ms).map_err(refused)
    }

    async fn secret(&self, name: &str) -> Result<Arc<Vec<u8>>, Error> {
        let kept = lock(&self.kept).get(name).cloned();
        if let Some((at, secret)) = &kept
            && at.elapsed() < KEPT
        {
            return Ok(Arc::clone(secret));
        }
        let unread = |cause: String| {
            Error::new("LB1031", "the secret of this hook cannot be read, so nobody can be known by it")
                .with("cause", cause)
                .hint("'lifeboat doctor' tells of each secret whether it can be read")
        };
        let Some(secrets) = self.secrets.clone() else { return Err(unread("there are no secrets".to_owned())) };
        let wanted = name.to_owned();
        let read = tokio::task::spawn_blocking(move || secrets.read(&wanted)).await;
        match read.map_err(|cause| unread(cause.to_string()))? {
            Ok(bytes) => {
                let secret = Arc::new(bytes);
                let mut kept = lock(&self.kept);
                kept.insert(name.to_owned(), (Instant::now(), Arc::clone(&secret)));
                Ok(secret)
            }
            // What names the secret is for the operator, and not for who sends.
            Err(error) => {
                tracing::error!("the secret of a hook cannot be read: {error}");
                Err(unread(error.code.to_string()))
            }
        }
    }
}
