//! One operation on a vault: its repository, its watch, its place.

use std::sync::Arc;

use lifeboat_core::Failure;
use rustic_core::repofile::{MasterKey, SnapshotFile, SnapshotId};
use rustic_core::{
    Credentials, IndexedFullStatus, OpenStatus, Repository, RepositoryBackends, RepositoryOptions, RusticError,
};

use crate::backend::{ObjectBackend, Place};
use crate::cipher::Cipher;
use crate::error::{self, NO_SNAPSHOT, fail_hint};
use crate::making::Making;
use crate::watch::{Bars, Watch};

/// An opened repository, for one operation.
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) watch: Arc<Watch>,
    pub(crate) cipher: Cipher,
    pub(crate) repo: Repository<OpenStatus>,
}

/// The repository of a place, not opened yet; with its key, where that is known.
pub(crate) fn repository(
    place: &Place,
    watch: &Arc<Watch>,
    key: Option<&MasterKey>,
) -> Result<Repository<()>, Failure> {
    let (cipher, making) = (key.and_then(Cipher::new), Making::default());
    let backend = Arc::new(ObjectBackend { place: place.clone(), watch: watch.clone(), cipher, making });
    // A cache would be a second state outside of the data folder; vaults are mostly written.
    let options = RepositoryOptions::default().no_cache(true);
    Repository::new_with_progress(&options, &RepositoryBackends::new(backend, None), Bars(watch.clone()))
        .map_err(|cause| explain(watch, place, &cause))
}

/// What we noted ourselves, or what the library says.
pub(crate) fn explain(watch: &Watch, place: &Place, cause: &RusticError) -> Failure {
    watch.take_failure().unwrap_or_else(|| error::from_rustic(cause, &place.store.location()))
}

impl Session {
    /// Opens the repository again with the key that the password gave.
    pub(crate) fn open(place: &Place, key: &MasterKey, watch: Arc<Watch>) -> Result<Self, Failure> {
        watch.go_on()?;
        let repo = repository(place, &watch, Some(key))?
            .open(&Credentials::Masterkey(key.clone()))
            .map_err(|cause| explain(&watch, place, &cause))?;
        Self::of(place.clone(), watch, repo)
    }

    /// The session of a repository that is open.
    pub(crate) fn of(place: Place, watch: Arc<Watch>, repo: Repository<OpenStatus>) -> Result<Self, Failure> {
        let cipher = Cipher::new(&repo.key())
            .ok_or_else(|| error::fail(error::DAMAGED, format!("the key of {} is damaged", place.store.location())))?;
        Ok(Self { place, watch, cipher, repo })
    }

    /// What went wrong, in our words.
    pub(crate) fn explain(&self, cause: &RusticError) -> Failure {
        explain(&self.watch, &self.place, cause)
    }

    /// The repository with its whole index in memory.
    pub(crate) fn indexed(&self) -> Result<Repository<IndexedFullStatus>, Failure> {
        self.again()?.to_indexed().map_err(|cause| self.explain(&cause))
    }

    /// The repository opened once more: the library's steps from open to indexed take it over.
    pub(crate) fn again(&self) -> Result<Repository<OpenStatus>, Failure> {
        let key = self.repo.key();
        repository(&self.place, &self.watch, Some(&key))?
            .open(&Credentials::Masterkey(key))
            .map_err(|cause| self.explain(&cause))
    }

    /// All snapshots that can be read, oldest first. One that is damaged does not hide the others.
    pub(crate) fn snapshots(&self) -> Result<Vec<SnapshotFile>, Failure> {
        let mut found = Vec::new();
        let stream = self.repo.stream_files::<SnapshotFile>().map_err(|cause| self.explain(&cause))?;
        for item in stream {
            match item {
                Ok((id, mut snapshot)) => {
                    snapshot.id = id;
                    found.push(snapshot);
                }
                Err(cause) => {
                    let failure = self.explain(&cause);
                    if failure.kind != lifeboat_core::FailureKind::Permanent {
                        return Err(failure);
                    }
                    self.watch.log("warn", &format!("a snapshot cannot be read: {}", failure.message));
                }
            }
        }
        found.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.id.cmp(&b.id)));
        Ok(found)
    }

    /// The snapshot of a full id, a unique beginning of one, or `latest`.
    pub(crate) fn find(&self, wanted: &str) -> Result<SnapshotFile, Failure> {
        if wanted == "latest" {
            return self.snapshots()?.pop().ok_or_else(|| self.none("the vault has no snapshot yet", &[]));
        }
        let plain = !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ids: Vec<SnapshotId> = self.repo.list().map_err(|cause| self.explain(&cause))?.collect();
        let wanted_lower = wanted.to_ascii_lowercase();
        let mut matching = ids.iter().filter(|id| plain && id.to_hex().as_str().starts_with(&wanted_lower));
        match (matching.next(), matching.next()) {
            (Some(id), None) => {
                let mut snapshot: SnapshotFile = self.repo.get_file(id).map_err(|cause| self.explain(&cause))?;
                snapshot.id = *id;
                Ok(snapshot)
            }
            (Some(_), Some(_)) => Err(self.none(&format!("more than one snapshot begins with '{wanted}'"), &[])),
            _ => {
                let newest = self.snapshots().unwrap_or_default();
                Err(self.none(&format!("there is no snapshot '{wanted}'"), &newest))
            }
        }
    }

    fn none(&self, message: &str, newest: &[SnapshotFile]) -> Failure {
        let ids: Vec<String> = newest.iter().rev().take(5).map(|snapshot| short(&snapshot.id)).collect();
        let hint = if ids.is_empty() {
            "'lifeboat snapshots VAULT' lists what is there".to_owned()
        } else {
            format!("the newest are {}; 'lifeboat snapshots VAULT' lists all", ids.join(", "))
        };
        fail_hint(NO_SNAPSHOT, format!("{message} in {}", self.place.store.location()), hint)
    }
}

/// The first eight digits, as restic shows them.
pub(crate) fn short(id: &SnapshotId) -> String {
    id.to_hex().as_str().get(..8).unwrap_or_default().to_owned()
}
