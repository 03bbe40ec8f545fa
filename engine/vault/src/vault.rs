//! The vault as the host sees it. Every operation runs on a thread for blocking work and opens the repository anew,
//! with the key that the password gave once: what another process wrote since is seen.

use std::any::Any;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::fs::Dir;
use lifeboat_core::ports::AttemptSink;
use lifeboat_core::{Failure, FailureKind};
use lifeboat_host::ports::{
    BoxFuture, CheckReport, Depth, ObjectStore, RestoreReport, Secret, SnapshotInfo, Vault, VaultProvider, VaultTarget,
};
use rustic_core::Credentials;
use rustic_core::repofile::MasterKey;

use crate::backend::Place;
use crate::error::{self, DAMAGED, IO, NO_REPOSITORY, fail, fail_hint};
use crate::lock::Lock;
use crate::session::{Session, explain, repository};
use crate::snapshot::{Request, info};
use crate::watch::Watch;
use crate::{check, copy, doubts, making, restore, snapshot, throttle, tree};

/// Vaults in the restic format.
#[derive(Debug, Default)]
pub struct RusticVaults;

impl RusticVaults {
    /// The provider; it has no state of its own.
    pub fn new() -> Self {
        Self
    }
}

impl VaultProvider for RusticVaults {
    fn open(&self, target: VaultTarget) -> BoxFuture<'_, Result<Arc<dyn Vault>, Failure>> {
        Box::pin(async move {
            let name = target.name;
            let store = throttle::slowed(target.store, target.upload_limit);
            open(store, target.password, target.create).await.map_err(|mut failure| {
                failure.message = format!("vault '{name}': {}", failure.message);
                failure
            })
        })
    }
}

/// Opens the vault in a store, or makes it when there is none and `create` is set. Needs a tokio runtime with timers.
///
/// # Errors
/// `LB0801` for a wrong password, `LB0802` when there is no repository, `LB0803` when it is damaged; errors of the
/// store as they are.
pub async fn open(store: Arc<dyn ObjectStore>, password: Secret, create: bool) -> Result<Arc<dyn Vault>, Failure> {
    Ok(Arc::new(open_vault(store, password, create).await?))
}

/// As [`open`], with its own type.
pub(crate) async fn open_vault(
    store: Arc<dyn ObjectStore>,
    password: Secret,
    create: bool,
) -> Result<RusticVault, Failure> {
    let place = Place::new(store, tokio::runtime::Handle::current());
    let watch = Watch::silent();
    let inside = (place.clone(), watch.clone());
    let key = blocking(watch, move || unlock(&inside.0, &inside.1, &password, create)).await?;
    Ok(RusticVault { place, key })
}

/// Finds the key that the password opens, or makes the repository.
fn unlock(place: &Place, watch: &Arc<Watch>, password: &Secret, create: bool) -> Result<MasterKey, Failure> {
    let text = std::str::from_utf8(password.expose()).map_err(|_| {
        fail(error::WRONG_PASSWORD, "the password of the vault is not text (UTF-8), and restic takes only text")
    })?;
    // Secrets from files end with a line feed; restic drops it too.
    let credentials = Credentials::password(text.trim_end_matches(['\r', '\n']));
    let repo = repository(place, watch, None)?;
    let told = |cause: &_| explain(watch, place, cause);
    if repo.config_id().map_err(|cause| told(&cause))?.is_some() {
        return Ok(repo.open(&credentials).map_err(|cause| told(&cause))?.key());
    }
    let location = place.store.location();
    if !create {
        return Err(fail_hint(
            NO_REPOSITORY,
            format!("there is no vault at {location}"),
            "a snapshot step makes it at its first run; or look whether the target names the right place",
        ));
    }
    // Two steps may be the first of a vault at once, and need not race for it as engines have to. Vaults elsewhere do not wait.
    static MAKING: Mutex<BTreeMap<String, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let turn = MAKING.lock().unwrap_or_else(PoisonError::into_inner).entry(location).or_default().clone();
    let _one_at_a_time = turn.lock().unwrap_or_else(PoisonError::into_inner);
    making::make(place, watch, &credentials)
}

/// Runs blocking work. If the future is dropped the work is told to stop; a panic of the library is a failure.
async fn blocking<T: Send + 'static>(
    watch: Arc<Watch>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    struct Abandon(Arc<Watch>);
    impl Drop for Abandon {
        fn drop(&mut self) {
            self.0.abandon();
        }
    }
    let _guard = Abandon(watch);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(fail(DAMAGED, format!("the vault is damaged in a way that is not understood: {text}")))
        }
        Err(_) => Err(error::cancelled()),
    }
}

/// An open vault.
pub(crate) struct RusticVault {
    place: Place,
    key: MasterKey,
}

impl RusticVault {
    /// One operation with a session of its own.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        watch: Arc<Watch>,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (place, key) = (self.place.clone(), self.key.clone());
        blocking(watch.clone(), move || work(&Session::open(&place, &key, watch)?)).await
    }
}

/// A handle of our own on the folder.
fn handle(dir: &Dir) -> Result<OwnedFd, Failure> {
    // Not a duplicate: those share their place in the list of entries with the one that was handed over.
    rustix::fs::openat(dir.as_fd(), ".", crate::source::OPEN_DIR, rustix::fs::Mode::empty())
        .map_err(|cause| fail(IO, format!("cannot open the folder: {cause}")))
}

impl Vault for RusticVault {
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn snapshot(
        &self,
        source: Arc<Dir>,
        display: String,
        label: String,
        tags: Vec<String>,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<SnapshotInfo, Failure>> {
        Box::pin(self.with(Watch::new(sink), move |session| {
            snapshot::take(session, Request { source: handle(&source)?, display, label, tags })
        }))
    }

    fn snapshots(&self, tag: Option<String>) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, Failure>> {
        Box::pin(self.with(Watch::silent(), move |session| {
            let mut found = session.snapshots()?;
            found.retain(|snapshot| tag.as_ref().is_none_or(|tag| snapshot.tags.contains(tag)));
            Ok(found.iter().map(info).collect())
        }))
    }

    fn find(&self, wanted: String) -> BoxFuture<'_, Result<SnapshotInfo, Failure>> {
        Box::pin(self.with(Watch::silent(), move |session| {
            let found = session.find(&wanted)?;
            let mut told = info(&found);
            if found.summary.is_none() {
                // An old restic does not record counts; the trees have them.
                let repo = session.indexed()?;
                let listing = tree::list(session, &repo, &found, |_, failure| Err(failure))?;
                (told.files, told.bytes) = listing.totals();
            }
            Ok(told)
        }))
    }

    fn check(
        &self,
        snapshot: String,
        depth: Depth,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<CheckReport, Failure>> {
        Box::pin(self.with(Watch::new(sink), move |session| check::check(session, &session.find(&snapshot)?, depth)))
    }

    fn restore(
        &self,
        snapshot: String,
        into: Arc<Dir>,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<RestoreReport, Failure>> {
        Box::pin(self.with(Watch::new(sink), move |session| {
            restore::restore(session, &session.find(&snapshot)?, handle(&into)?)
        }))
    }

    fn copy_to(
        &self,
        snapshot: String,
        other: Arc<dyn Vault>,
        tags: Vec<String>,
        sink: Arc<dyn AttemptSink>,
    ) -> BoxFuture<'_, Result<SnapshotInfo, Failure>> {
        Box::pin(async move {
            let other = other.as_any().downcast::<Self>().map_err(|_| Failure {
                kind: FailureKind::Permanent,
                ..fail(IO, "snapshots can be copied between vaults of the restic format only")
            })?;
            let watch = Watch::new(sink);
            self.with(watch.clone(), move |from| {
                let to = Session::open(&other.place, &other.key, watch)?;
                copy::copy(from, &to, &from.find(&snapshot)?, &tags)
            })
            .await
        })
    }

    fn doubts(&self, snapshot: Option<String>) -> BoxFuture<'_, Result<BTreeMap<String, Vec<String>>, Failure>> {
        Box::pin(self.with(Watch::silent(), move |session| doubts::find(session, snapshot.as_deref())))
    }

    fn forget(&self, snapshot: String) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.with(Watch::silent(), move |session| {
            let found = session.find(&snapshot)?;
            let _lock = Lock::shared(&session.place, &session.cipher, &session.watch, true)?;
            session.repo.delete_snapshots(&[found.id]).map_err(|cause| session.explain(&cause))
        }))
    }
}
