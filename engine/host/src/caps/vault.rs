//! Vaults: a guest says which target and which snapshot; the bulk work is native, in the vault crate.

use std::sync::Arc;

use wasmtime::component::Resource;

use crate::bindings::lifeboat::plugin::types::ErrorKind;
use crate::bindings::lifeboat::plugin::vault::{CheckReport, Depth, Host, HostRepository, RestoreReport, SnapshotInfo};
use crate::caps::dir::Directory;
use crate::fault::{Fault, from_failure, guest_error, refused};
use crate::guest::Guest;
use crate::objects::PluginStore;
use crate::ports::{self, ObjectStore, Secret, Vault, VaultTarget};

/// What a vault says when the password is wrong: the signal to read it afresh.
const WRONG_PASSWORD: &str = "LB0801";

/// An open vault as a guest holds it.
pub struct Repository(Arc<dyn Vault>);

impl Guest {
    fn repository(&self, handle: &Resource<Repository>) -> Result<Arc<dyn Vault>, Fault> {
        Ok(Arc::clone(&self.table.get(handle)?.0))
    }

    /// The vault, with the snapshot noted as one that the step has in its hands. Its name is made a full id first.
    async fn looked_at(&mut self, handle: &Resource<Repository>, snapshot: &str) -> Result<Arc<dyn Vault>, Fault> {
        let vault = self.repository(handle)?;
        let full = snapshot.len() == 64 && snapshot.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if full {
            self.context.looked.note(&vault, snapshot);
        } else {
            let found = vault.find(snapshot.to_owned()).await.map_err(told)?;
            self.context.looked.note(&vault, &found.id);
        }
        Ok(vault)
    }
}

fn told(failure: lifeboat_core::Failure) -> Fault {
    from_failure(failure).into()
}

fn info(info: ports::SnapshotInfo) -> SnapshotInfo {
    let ports::SnapshotInfo { id, time_ms, label, tags, files, bytes, bytes_added, parent } = info;
    SnapshotInfo { id, time_ms, label, tags, files, bytes, bytes_added, parent }
}

impl Host for Guest {
    async fn open(&mut self, role: String, create: bool) -> Result<Resource<Repository>, Fault> {
        self.context.need("vault")?;
        let bound = self.context.target(&role)?.clone();
        let name = bound.target.name.clone();
        let host = Arc::clone(&self.context.host);
        let Some(secret) = bound.target.secrets.get("password").cloned() else {
            let message = format!("target '{name}' holds a vault, and names no secret for its password");
            let hint = format!("add to target \"{name}\" in the runbook: password secret=\"NAME\"");
            return Err(refused(message, Some(hint)).into());
        };
        let Some(mode) = self.context.mode else {
            return Err(refused("no vault can be opened in this call", None).into());
        };
        let Some(provider) = host.vault_provider() else {
            return Err(guest_error(ErrorKind::Permanent, "this engine was put together without vaults").into());
        };
        let upload_limit = bound.target.upload_limit();
        let password = host.secret(&secret).await.map_err(told)?;
        let plugin = host.plugin_for(&bound.target.plugin, self.context.plan.as_deref()).map_err(|e| told(e.into()))?;
        let store = PluginStore::new(&host, plugin, bound.target, bound.settings, mode).map_err(|e| told(e.into()))?;
        let store = store.making(self.context.makes);
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        let target = |password: &Secret| {
            let (name, store, password) = (name.clone(), Arc::clone(&store), password.clone());
            VaultTarget { name, store, password, create, upload_limit }
        };
        let vault = match provider.open(target(&password)).await {
            Err(failure) if failure.code.as_ref().is_some_and(|code| code.0 == WRONG_PASSWORD) => {
                // The password may have been changed since it was read: it is read afresh, and tried once more.
                host.secrets.rejected(&secret);
                let fresh = host.secret(&secret).await.map_err(told)?;
                if fresh == password {
                    return Err(told(failure));
                }
                provider.open(target(&fresh)).await.map_err(told)?
            }
            opened => opened.map_err(told)?,
        };
        Ok(self.table.push(Repository(vault))?)
    }
}

impl HostRepository for Guest {
    async fn snapshot(
        &mut self,
        at: Resource<Repository>,
        source: Resource<Directory>,
        label: String,
        tags: Vec<String>,
    ) -> Result<SnapshotInfo, Fault> {
        let (vault, folder) = (self.repository(&at)?, self.directory(&source)?);
        let display = folder.display.display().to_string();
        let made = vault.snapshot(folder.dir, display, label, tags, self.voice.clone()).await.map_err(told)?;
        self.context.looked.note(&vault, &made.id);
        Ok(info(made))
    }

    async fn snapshots(&mut self, at: Resource<Repository>, tag: Option<String>) -> Result<Vec<SnapshotInfo>, Fault> {
        let (vault, by_tag) = (self.repository(&at)?, tag.is_some());
        let list = vault.snapshots(tag).await.map_err(told)?;
        // By its tag a step finds the snapshot that an earlier attempt made.
        if let Some(newest) = list.last().filter(|_| by_tag) {
            self.context.looked.note(&vault, &newest.id);
        }
        Ok(list.into_iter().map(info).collect())
    }

    async fn find(&mut self, at: Resource<Repository>, snapshot: String) -> Result<SnapshotInfo, Fault> {
        let vault = self.repository(&at)?;
        let found = vault.find(snapshot).await.map_err(told)?;
        self.context.looked.note(&vault, &found.id);
        Ok(info(found))
    }

    async fn check(&mut self, at: Resource<Repository>, snapshot: String, depth: Depth) -> Result<CheckReport, Fault> {
        let depth = match depth {
            Depth::Index => ports::Depth::Index,
            Depth::Data => ports::Depth::Data,
            Depth::Restore => ports::Depth::Restore,
        };
        let vault = self.looked_at(&at, &snapshot).await?;
        let report = vault.check(snapshot, depth, self.voice.clone()).await.map_err(told)?;
        let ports::CheckReport { files, bytes, problems } = report;
        Ok(CheckReport { files, bytes, problems })
    }

    async fn restore(
        &mut self,
        at: Resource<Repository>,
        snapshot: String,
        into: Resource<Directory>,
    ) -> Result<RestoreReport, Fault> {
        let folder = self.directory(&into)?;
        folder.need_write()?;
        let vault = self.looked_at(&at, &snapshot).await?;
        let report = vault.restore(snapshot, folder.dir, self.voice.clone()).await.map_err(told)?;
        Ok(RestoreReport { files: report.files, bytes: report.bytes })
    }

    async fn copy_to(
        &mut self,
        at: Resource<Repository>,
        snapshot: String,
        other: Resource<Repository>,
        tags: Vec<String>,
    ) -> Result<SnapshotInfo, Fault> {
        let (from, to) = (self.looked_at(&at, &snapshot).await?, self.repository(&other)?);
        from.copy_to(snapshot, to, tags, self.voice.clone()).await.map(info).map_err(told)
    }

    async fn forget(&mut self, at: Resource<Repository>, snapshot: String) -> Result<(), Fault> {
        self.repository(&at)?.forget(snapshot).await.map_err(told)
    }

    async fn drop(&mut self, at: Resource<Repository>) -> wasmtime::Result<()> {
        self.table.delete(at)?;
        Ok(())
    }
}
