//! What is in a vault already is not sent again: after a kill, after a failure, and by a second transfer. And packs go
//! side by side, as many as there is room for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "common/trouble.rs"]
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{FolderStore, MemoryStore, assert_same_tree, dir, folder_vault, noise, open, restic, sink};
use lifeboat_host::ports::Depth;
use trouble::Trouble;

/// A source of some packs: three files that do not compress.
fn make_source(path: &Path, mib: usize) -> u64 {
    std::fs::create_dir_all(path.join("db")).unwrap();
    for file in 0..4 {
        std::fs::write(path.join(format!("db/{file}")), noise(mib << 18, file)).unwrap();
    }
    (mib << 20) as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_snapshot_goes_on_with_the_packs_that_arrived() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, repo) = (scratch.path().join("src"), scratch.path().join("repo"));
    let bytes = make_source(&source, 160);
    folder_vault(&repo).await;
    let store = Trouble::new(FolderStore(repo.clone()));
    let vault = open(store.clone()).await;
    // The lock, two packs that arrive, and the one whose answer never comes.
    store.die_at.store(4, Ordering::SeqCst);
    vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap_err();
    let arrived: u64 = sizes(&repo.join("data"));
    assert!(arrived > 32 << 20, "{arrived} bytes arrived");
    assert_eq!(sizes(&repo.join("index")), 0, "it was killed before the index");
    assert_eq!(std::fs::read_dir(repo.join("locks")).unwrap().count(), 1, "it did not give its lock back");
    let store = Trouble::new(FolderStore(repo.clone()));
    let listener = sink();
    let vault = open(store.clone()).await;
    let taken = vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], listener.clone()).await.unwrap();
    let sent = store.put_bytes.load(Ordering::SeqCst);
    assert!(sent + arrived < bytes + (2 << 20), "{arrived} bytes had arrived, {sent} were sent, of {bytes}");
    assert!(listener.logs.lock().unwrap().iter().any(|line| line.contains("are used and not sent again")));
    assert_eq!(vault.check(taken.id, Depth::Restore, sink()).await.unwrap().problems, Vec::<String>::new());
    std::fs::remove_dir_all(repo.join("locks")).unwrap();
    std::fs::create_dir(repo.join("locks")).unwrap();
    assert!(restic(&repo, &["check"]).contains("no errors were found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_failed_goes_on_with_the_packs_that_arrived() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("src");
    let bytes = make_source(&source, 160);
    let store = Arc::new(MemoryStore::default());
    let vault = open(store.clone()).await;
    store.fail_put.store(4, Ordering::Relaxed);
    vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap_err();
    assert!(store.keys("locks/").is_empty() && store.keys("snapshots/").is_empty());
    assert!(!store.keys("index/").is_empty(), "what arrived is in an index");
    let arrived: usize = data_bytes(&store);
    let taken = vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    let all = data_bytes(&store);
    assert!(arrived > 32 << 20 && (all as u64) < bytes + (2 << 20), "{arrived} arrived, {all} are there of {bytes}");
    assert_eq!(vault.check(taken.id, Depth::Data, sink()).await.unwrap().problems, Vec::<String>::new());
}

fn data_bytes(store: &MemoryStore) -> usize {
    let objects = store.objects.lock().unwrap();
    objects.iter().filter(|(key, _)| key.starts_with("data/")).map(|(_, data)| data.len()).sum()
}

fn sizes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| if entry.path().is_dir() { sizes(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_go_side_by_side_within_bounds() {
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("src");
    make_source(&source, 320);
    let store = Trouble::new(MemoryStore::default());
    let vault = open(store.clone()).await;
    store.put_ms.store(400, Ordering::SeqCst);
    vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    let (most, flying) = (store.most_putting.load(Ordering::SeqCst), store.most_flying.load(Ordering::SeqCst));
    assert!(most >= 2, "never more than {most} at once");
    assert!(flying <= 64 << 20, "{flying} bytes at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_transfer_sends_what_is_new_and_both_vaults_compare() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("src"), scratch.path().join("out"));
    let (near_repo, far_repo) = (scratch.path().join("near"), scratch.path().join("far"));
    let bytes = make_source(&source, 120);
    let near = folder_vault(&near_repo).await;
    folder_vault(&far_repo).await;
    let first = near.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    // The first transfer is killed in the middle, and goes on.
    let doomed = Trouble::new(FolderStore(far_repo.clone()));
    let far = open(doomed.clone()).await;
    doomed.die_at.store(4, Ordering::SeqCst);
    near.copy_to(first.id.clone(), far, vec![], sink()).await.unwrap_err();
    let arrived = sizes(&far_repo.join("data"));
    assert!(arrived > 30 << 20, "{arrived} bytes arrived");
    let store = Trouble::new(FolderStore(far_repo.clone()));
    let far = open(store.clone()).await;
    near.copy_to(first.id.clone(), far.clone(), vec![], sink()).await.unwrap();
    let sent = store.put_bytes.swap(0, Ordering::SeqCst);
    assert!(sent + arrived < bytes + (2 << 20), "{arrived} bytes had arrived, {sent} were sent, of {bytes}");
    // A little is new; only that is sent.
    std::fs::write(source.join("db/new"), noise(1 << 20, 99)).unwrap();
    let second = near.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    let copied = near.copy_to(second.id.clone(), far.clone(), vec!["k".into()], sink()).await.unwrap();
    let sent = store.put_bytes.swap(0, Ordering::SeqCst);
    assert!(((1 << 20)..(1 << 20) + 100_000).contains(&sent), "{sent} bytes were sent for one new file of 1 MiB");
    let again = near.copy_to(second.id.clone(), far.clone(), vec!["k".into()], sink()).await.unwrap();
    assert_eq!((again.id, store.put_bytes.load(Ordering::SeqCst)), (copied.id.clone(), 0));
    // The copy has a name of its own, as it is sealed with another key; its tree is the same, and it names its original.
    std::fs::remove_dir_all(far_repo.join("locks")).unwrap();
    let list =
        |repo: &Path| -> serde_json::Value { serde_json::from_str(&restic(repo, &["snapshots", "--json"])).unwrap() };
    std::fs::create_dir(far_repo.join("locks")).unwrap();
    let (ours, theirs) = (list(&near_repo), list(&far_repo));
    for (row, id) in [(0, &first.id), (1, &second.id)] {
        assert_eq!(ours[row]["tree"], theirs[row]["tree"]);
        assert_eq!(ours[row]["time"], theirs[row]["time"]);
        assert_eq!(theirs[row]["original"], id.as_str());
    }
    far.restore(copied.id, dir(&target), sink()).await.unwrap();
    assert_same_tree(&source, &target);
}

#[tokio::test(flavor = "multi_thread")]
async fn bits_that_turn_on_the_way_are_no_damage() {
    let source = tempfile::tempdir().unwrap();
    let (back, far) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::default()));
    make_source(source.path(), 2);
    let store = Trouble::new(MemoryStore::default());
    let vault = open(store.clone()).await;
    let turn = |times: u64| store.flip.store(times, Ordering::SeqCst);
    let taken = vault.snapshot(dir(source.path()), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    // One at a time: what is wrong twice in a row counts as damage.
    turn(1);
    assert_eq!(vault.find("latest".into()).await.unwrap().id, taken.id);
    let other = open(far.clone()).await;
    let copied = vault.copy_to(taken.id.clone(), other.clone(), vec![], sink());
    turn(1);
    let copied = copied.await.unwrap();
    for (vault, id) in [(&vault, &taken.id), (&other, &copied.id)] {
        turn(1);
        assert_eq!(vault.check(id.clone(), Depth::Data, sink()).await.unwrap().problems, Vec::<String>::new());
    }
    turn(1);
    vault.restore(taken.id.clone(), dir(back.path()), sink()).await.unwrap();
    assert_same_tree(source.path(), back.path());
}
