//! Values that are kept for a short time, so that a step that opens ten vaults does not ask a server ten times.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::secret::Secret;

/// How long a value from a command or a server is kept, at most. A shorter lease ends it earlier.
pub const KEPT: Duration = Duration::from_secs(30);

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    values: Mutex<BTreeMap<String, (Secret, Instant)>>,
}

impl Kept {
    /// The value, while it may be used.
    pub fn get(&self, name: &str) -> Option<Secret> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(name).filter(|(_, until)| Instant::now() < *until).map(|(secret, _)| secret.clone())
    }

    /// Keeps a value; `lease`: how long it is good, where that is known.
    pub fn put(&self, name: &str, secret: &Secret, lease: Option<Duration>) {
        let time = lease.unwrap_or(KEPT).min(KEPT);
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(name.to_owned(), (secret.clone(), Instant::now() + time));
    }

    /// Forgets a value.
    pub fn forget(&self, name: &str) {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
