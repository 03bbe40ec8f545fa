//! What is done to a vault as a whole, by a person and not by a step: forget, prune, check, repair, unlock.

use std::sync::Arc;

use lifeboat_core::Failure;
use lifeboat_host::ports::{AttemptSink, ObjectStore, Secret};

use crate::exam::{VaultReport, examine};
use crate::forget::{self, ForgetPlan};
use crate::inventory::Inventory;
use crate::keep::KeepRules;
use crate::lock::{self, Lock, LockInfo};
use crate::prune::{self, PrunePlan};
use crate::repair::{self, RepairPlan};
use crate::vault::{RusticVault, open_vault};
use crate::watch::Watch;

/// Of what stays after a prune, so many percent may be unused unless told otherwise; restic's own figure.
pub const MAX_UNUSED: u8 = 5;

/// A vault that is looked after.
pub struct Upkeep {
    vault: RusticVault,
}

impl Upkeep {
    /// Opens the vault in a store. Needs a tokio runtime with timers.
    ///
    /// # Errors
    /// As [`crate::open`], which never makes a vault here.
    pub async fn open(store: Arc<dyn ObjectStore>, password: Secret) -> Result<Self, Failure> {
        Ok(Self { vault: open_vault(store, password, false).await? })
    }

    /// What the rules keep, and what goes. Changes nothing.
    ///
    /// # Errors
    /// `LB0810` when the rules keep nothing; what the store or the vault has against it.
    pub async fn forget_plan(&self, rules: KeepRules, sink: Arc<dyn AttemptSink>) -> Result<ForgetPlan, Failure> {
        self.vault.with(Watch::new(sink), move |session| forget::plan(session, &rules, MAX_UNUSED)).await
    }

    /// Removes snapshots, if the plan is still the one with that fingerprint. Interrupted, a part of them is gone.
    ///
    /// # Errors
    /// `LB0811` when the plan is another one by now, `LB0805` when somebody works in the vault.
    pub async fn forget(&self, rules: KeepRules, fingerprint: String) -> Result<ForgetPlan, Failure> {
        self.vault.with(Watch::silent(), move |session| forget::apply(session, &rules, &fingerprint)).await
    }

    /// What a prune would delete and write anew. `max_unused` is in percent of what stays. Changes nothing.
    ///
    /// # Errors
    /// `LB0803` when the vault is damaged, so that it is not known what is needed.
    pub async fn prune_plan(&self, max_unused: u8, sink: Arc<dyn AttemptSink>) -> Result<PrunePlan, Failure> {
        self.vault
            .with(Watch::new(sink), move |session| {
                let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, false)?;
                let inventory = Inventory::load(session)?;
                Ok(prune::plan(session, &inventory, &inventory.snapshots, max_unused)?.shown)
            })
            .await
    }

    /// Frees what no snapshot needs, if the plan is still the one with that fingerprint. Interrupted at any moment, the
    /// vault is whole, and the next prune does the rest.
    ///
    /// # Errors
    /// As [`Upkeep::prune_plan`]; `LB0811` when the plan is another one by now, `LB0805` when somebody works in the vault.
    pub async fn prune(
        &self,
        max_unused: u8,
        fingerprint: String,
        sink: Arc<dyn AttemptSink>,
    ) -> Result<PrunePlan, Failure> {
        self.vault.with(Watch::new(sink), move |session| prune::apply(session, max_unused, &fingerprint)).await
    }

    /// Looks the whole vault over; with `deep`, every byte is read and hashed. Changes nothing.
    ///
    /// # Errors
    /// What the store has against it; damage is no error, but in the report.
    pub async fn check(&self, deep: bool, sink: Arc<dyn AttemptSink>) -> Result<VaultReport, Failure> {
        self.vault
            .with(Watch::new(sink), move |session| {
                let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, false)?;
                Ok(examine(session, deep)?.report)
            })
            .await
    }

    /// What a repair would do; with `deep`, every byte is read to find damage. Changes nothing.
    ///
    /// # Errors
    /// What the store has against it.
    pub async fn repair_plan(&self, deep: bool, sink: Arc<dyn AttemptSink>) -> Result<RepairPlan, Failure> {
        self.vault
            .with(Watch::new(sink), move |session| {
                let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, false)?;
                Ok(repair::plan(&examine(session, deep)?).shown)
            })
            .await
    }

    /// Mends the vault, if the plan is still the one with that fingerprint. Interrupted at any moment, nothing is lost
    /// that was not before.
    ///
    /// # Errors
    /// `LB0811` when the plan is another one by now, `LB0805` when somebody works in the vault.
    pub async fn repair(
        &self,
        deep: bool,
        fingerprint: String,
        sink: Arc<dyn AttemptSink>,
    ) -> Result<RepairPlan, Failure> {
        self.vault.with(Watch::new(sink), move |session| repair::apply(session, deep, &fingerprint)).await
    }

    /// The locks of the vault.
    ///
    /// # Errors
    /// What the store has against it.
    pub async fn locks(&self) -> Result<Vec<LockInfo>, Failure> {
        self.vault.with(Watch::silent(), lock::list).await
    }

    /// Removes the locks that nobody holds any more; gives all that were found.
    ///
    /// # Errors
    /// What the store has against it.
    pub async fn unlock(&self) -> Result<Vec<LockInfo>, Failure> {
        self.vault.with(Watch::silent(), lock::unlock).await
    }
}
