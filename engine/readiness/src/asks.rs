//! What has to be asked of the world. Nothing is changed by it.

use std::path::Path;

use lifeboat_core::Error;
use lifeboat_core::plan::{Mode, Target};
use lifeboat_core::ports::{Attempt, BoxFuture};
use serde_json::Value;

/// What a plugin says of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it has to be.
    pub ok: bool,
    /// What was looked at, and what was found.
    pub message: String,
}

/// The newest snapshot of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its id.
    pub id: String,
    /// When it was taken, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Bytes that are in it.
    pub bytes: u64,
}

/// Who is asked. Errors are rows for a person: each has a code, and none has a secret in it.
pub trait Asks: Send + Sync {
    /// Asks the plugin of a step whether it could be done now.
    fn step<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Vec<Finding>, Error>>;
    /// Whether the secret of that name can be read. It is read, and not told.
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>>;
    /// The newest snapshot of a vault, whose target has these settings; `None`: there is none.
    fn newest<'a>(
        &'a self,
        target: &'a Target,
        settings: Value,
        mode: Mode,
    ) -> BoxFuture<'a, Result<Option<Newest>, Error>>;
    /// Bytes that are free on the disk of a folder that may not be there yet; `None`: that cannot be told.
    fn free<'a>(&'a self, root: &'a Path) -> BoxFuture<'a, Option<u64>>;
}
