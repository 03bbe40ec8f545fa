//! Sentinels: a timed token, written into the folder that a target protects, through the same grants as its plugin has.

use std::path::PathBuf;

use lifeboat_core::plan::{Mode, Target};
use lifeboat_core::{Error, Failure};
use serde_json::{Value, json};

use crate::fault::to_failure;
use crate::grants::{self, Wish, allow_line};
use crate::host::Host;
use crate::stream::FileSink;

/// The name of the file, in the root of the target.
pub const SENTINEL: &str = ".lifeboat-sentinel";

impl Host {
    /// Writes the sentinel of this time into the root of a target: all at once, and durable when this returns.
    ///
    /// # Errors
    /// `LB1154` for a target that is no folder; a refusal where writing is not granted; what the file system says.
    pub async fn write_sentinel(
        &self,
        target: &Target,
        settings: &Value,
        mode: Mode,
        at_ms: u64,
        token: &str,
    ) -> Result<(), Failure> {
        let Some(root) = settings.get("root").and_then(Value::as_str).map(PathBuf::from) else {
            let message = format!("target '{}' is no folder, so no sentinel can be written into it", target.name);
            return Err(Error::new("LB1154", message).hint("name a target that has a `root`").into());
        };
        let (plugin, name) = (target.plugin.clone(), target.name.clone());
        let (inner, text) = (self.inner.clone(), json!({ "at": at_ms, "token": token }).to_string());
        let written = tokio::task::spawn_blocking(move || {
            let wish = Wish { plugin: &plugin, target: &name, mode, root: &root, makes: false };
            let granted = grants::open(&inner.operator, &wish)?;
            if !granted.write {
                let line = allow_line(&plugin, &name, &root.display().to_string(), true);
                let message = format!("'{}' is granted for reading only", root.display());
                return Err(crate::fault::refused(message, Some(format!("add to lifeboat.kdl: {line}"))));
            }
            let mut sink = FileSink::create(granted.dir, SENTINEL, true)?;
            sink.write(text.as_bytes())?;
            sink.commit().map(drop)
        });
        match written.await {
            Ok(result) => result.map_err(to_failure),
            Err(error) => Err(Failure::temporary(format!("a thread of the host died: {error}"))),
        }
    }
}
