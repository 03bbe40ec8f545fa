//! Removing snapshots by rules: a plan that is shown, and carried out only as it was shown. The data is freed by a prune.

use std::collections::HashSet;

use lifeboat_core::{Failure, FailureKind};
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::SnapshotFile;
use serde::Serialize;

use crate::inventory::{self, Inventory};
use crate::keep::{Group, KeepRules};
use crate::lock::Lock;
use crate::pool;
use crate::prune::{self, fingerprint, same};
use crate::session::Session;

/// What forgetting by rules would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForgetPlan {
    /// The name of exactly this plan, for the call that carries it out.
    pub fingerprint: String,
    /// The groups, each with what stays and what goes.
    pub groups: Vec<Group>,
    /// How many bytes a prune after it would free; `None` where the vault is too damaged to tell.
    pub bytes_freed_by_prune: Option<u64>,
}

impl ForgetPlan {
    /// The ids of the snapshots that go.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flat_map(|group| &group.remove).map(|fate| fate.id.as_str())
    }
}

/// Looks what the rules keep. `max_unused` is that of the prune that is reckoned with.
pub(crate) fn plan(session: &Session, rules: &KeepRules, max_unused: u8) -> Result<ForgetPlan, Failure> {
    let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, false)?;
    let inventory = Inventory::load(session)?;
    let mut plan = decide(&inventory.snapshots, rules)?;
    let gone: HashSet<&str> = plan.removed().collect();
    let stays = |snapshot: &&SnapshotFile| !gone.contains(snapshot.id.to_hex().as_str());
    let kept: Vec<SnapshotFile> = inventory.snapshots.iter().filter(stays).cloned().collect();
    plan.bytes_freed_by_prune = match prune::plan(session, &inventory, &kept, max_unused) {
        Ok(work) => Some(work.shown.bytes_freed),
        Err(failure) if failure.kind == FailureKind::Permanent => None,
        Err(failure) => return Err(failure),
    };
    Ok(plan)
}

fn decide(snapshots: &[SnapshotFile], rules: &KeepRules) -> Result<ForgetPlan, Failure> {
    let groups = rules.apply(snapshots, Timestamp::now())?;
    let mut lines: Vec<String> = Vec::new();
    for group in &groups {
        lines.extend(group.keep.iter().map(|fate| format!("keep {}\n", fate.id)));
        lines.extend(group.remove.iter().map(|fate| format!("remove {}\n", fate.id)));
    }
    lines.sort();
    Ok(ForgetPlan {
        fingerprint: fingerprint(&format!("forget\n{}", lines.concat())),
        groups,
        bytes_freed_by_prune: None,
    })
}

/// Carries a plan out, if it is the one that was shown.
pub(crate) fn apply(session: &Session, rules: &KeepRules, shown: &str) -> Result<ForgetPlan, Failure> {
    let lock = Lock::exclusive(session)?;
    let (snapshots, _) = inventory::snapshots(session)?;
    let plan = decide(&snapshots, rules)?;
    same(shown, &plan.fingerprint)?;
    lock.still_held()?;
    let keys: Vec<String> = plan.removed().map(|id| format!("snapshots/{id}")).collect();
    pool::each(&session.watch, &keys, |_, key| session.place.delete(key))?;
    Ok(plan)
}
