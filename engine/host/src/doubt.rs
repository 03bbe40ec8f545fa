//! Which snapshots an attempt had in its hands, and whether one of them is suspect.
//!
//! The host looks, and not the plugin: a plugin that was tampered with, or that forgot to ask, cannot pass a suspect snapshot on
//! as a good one.

use std::sync::{Arc, Mutex, PoisonError};

use lifeboat_core::taint;
use serde_json::Value;

use crate::ports::Vault;

/// More snapshots than these one step has no use for. A guest that names more is not followed, and not believed: what it names
/// behind many good ones could be the one that is suspect.
const LOOKED_MAX: usize = 64;

/// The snapshots that a guest took, proved, copied, restored or found.
#[derive(Clone, Default)]
pub struct Looked(Arc<Mutex<Seen>>);

#[derive(Clone, Default)]
struct Seen {
    /// Each in its vault, by its full id.
    snapshots: Vec<(Arc<dyn Vault>, String)>,
    /// Whether there were more than are noted.
    more: bool,
}

impl Looked {
    /// Notes one, by its full id.
    pub fn note(&self, vault: &Arc<dyn Vault>, id: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.snapshots.iter().any(|(_, known)| known == id) {
            return;
        }
        if seen.snapshots.len() < LOOKED_MAX {
            seen.snapshots.push((Arc::clone(vault), id.to_owned()));
        } else {
            seen.more = true;
        }
    }

    /// Marks the outputs of a step whose snapshots are suspect. What cannot be looked at is suspect, too.
    pub async fn mark(&self, outputs: &mut Value) {
        if let Value::Object(map) = outputs {
            taint::unmark(map);
        }
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut reasons = Vec::new();
        if seen.more {
            reasons.push(format!("the step names more than {LOOKED_MAX} snapshots, and not all were looked at"));
        }
        for (vault, id) in seen.snapshots {
            let short = id.get(..8).unwrap_or(&id);
            match vault.doubts(Some(id.clone())).await {
                Ok(found) => {
                    let of_one = found.into_values().flatten();
                    reasons.extend(of_one.map(|reason| format!("snapshot {short}: {reason}")));
                }
                Err(failure) => reasons.push(format!("snapshot {short}: it cannot be looked at: {}", failure.message)),
            }
        }
        taint::mark(outputs, reasons);
    }
}
