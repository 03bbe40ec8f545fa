//! Whoever is the first of a vault, however slow, and wherever it dies: there is one key, one config, and nobody's snapshot is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "common/trouble.rs"]
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{FolderStore, MemoryStore, PASSWORD, dir, open, restic, sink};
use lifeboat_host::ports::{ObjectStore, Secret, Vault};
use trouble::Trouble;

async fn take(vault: &Arc<dyn Vault>, source: &Path) {
    vault.snapshot(dir(source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
}

/// Engines that come after so many milliseconds, and each of whose writes takes so many, make one vault; then each takes a
/// snapshot.
async fn race(store: &Arc<MemoryStore>, engines: &[(u64, u64)]) {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("readme"), "hello").unwrap();
    let opening: Vec<_> = engines
        .iter()
        .map(|(after, slow)| {
            let way = Trouble::over(store.clone() as Arc<dyn ObjectStore>);
            way.put_ms.store(*slow, Ordering::SeqCst);
            let (after, at) = (Duration::from_millis(*after), way.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                (open(at).await, way)
            })
        })
        .collect();
    for one in opening {
        let (vault, way) = one.await.unwrap();
        way.put_ms.store(0, Ordering::SeqCst);
        take(&vault, source.path()).await;
    }
    assert_eq!(store.keys("keys/").len(), 1, "{engines:?}");
    assert_eq!(store.keys("making"), Vec::<String>::new(), "{engines:?}");
    assert_eq!(open(store.clone()).await.snapshots(None).await.unwrap().len(), engines.len(), "{engines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_slow_one_of_them_is_nobody_loses_anything() {
    for engines in [
        &[(0, 1_500), (300, 0)][..],
        // The fast one is done before the slow one has written its first object.
        &[(0, 2_500), (100, 1_100)],
        // A third one comes while the first two are at it.
        &[(0, 1_200), (0, 1_200), (700, 0)],
        &[(0, 0), (0, 0), (0, 0)],
    ] {
        race(&Arc::new(MemoryStore::default()), engines).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_store_overwrites_all_the_same_the_names_of_the_keys_decide() {
    let store = Arc::new(MemoryStore::default());
    store.no_conditions.store(true, Ordering::SeqCst);
    race(&store, &[(0, 0), (0, 0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_first_one_dies_the_next_one_goes_on() {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("readme"), "hello").unwrap();
    let mut deaths = 0;
    for (change, after_effect) in (1..7).flat_map(|change| [(change, false), (change, true)]) {
        let scratch = tempfile::tempdir().unwrap();
        let way = Trouble::new(FolderStore(scratch.path().to_owned()));
        way.die_at.store(change, Ordering::SeqCst);
        way.after_effect.store(after_effect, Ordering::SeqCst);
        deaths += usize::from(lifeboat_vault::open(way, Secret::new(PASSWORD.into()), true).await.is_err());
        let vault = open(Arc::new(FolderStore(scratch.path().to_owned()))).await;
        take(&vault, source.path()).await;
        let keys = std::fs::read_dir(scratch.path().join("keys")).unwrap().count();
        assert_eq!(keys, 1, "change {change}, after its effect: {after_effect}");
        if after_effect {
            assert!(restic(scratch.path(), &["check"]).contains("no errors were found"), "change {change}");
        }
    }
    assert_eq!(
        deaths, 10,
        "the decision, its proof, the key, the config and the end of the decision, each before and after its effect"
    );
}
