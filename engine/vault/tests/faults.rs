//! Damage, wrong passwords, stores that fail: each ends in words, and nothing partial is made final.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{MemoryStore, dir, noise, open, sink};
use lifeboat_core::FailureKind;
use lifeboat_host::ports::{Depth, Secret};

fn small_tree() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::create_dir(scratch.path().join("db")).unwrap();
    std::fs::write(scratch.path().join("db/orders"), noise(2 << 20, 3)).unwrap();
    std::fs::write(scratch.path().join("readme"), "hello").unwrap();
    scratch
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_missing_vaults_have_codes() {
    let store = Arc::new(MemoryStore::default());
    let none = lifeboat_vault::open(store.clone(), Secret::new(b"x".to_vec()), false).await.err().unwrap();
    assert_eq!(none.code.unwrap().0, "LB0802");
    open(store.clone()).await;
    let wrong = lifeboat_vault::open(store.clone(), Secret::new(b"x".to_vec()), true).await.err().unwrap();
    assert_eq!(wrong.code.unwrap().0, "LB0801");
    // A lost config is not made anew over data, and a key that was left by a dead process does not shadow a new one.
    store.objects.lock().unwrap().remove("config");
    open(store.clone()).await;
    open(store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_make_a_vault_at_once_make_one() {
    let source = small_tree();
    let store = Arc::new(MemoryStore::default());
    let opening =
        [tokio::spawn(open(store.clone())), tokio::spawn(open(store.clone())), tokio::spawn(open(store.clone()))];
    for one in opening {
        let vault = one.await.unwrap();
        vault.snapshot(dir(source.path()), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    }
    assert_eq!(store.keys("keys/").len(), 1);
    assert_eq!(open(store).await.snapshots(None).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_missing_packs_are_reported_with_paths() {
    let source = small_tree();
    let store = Arc::new(MemoryStore::default());
    let vault = open(store.clone()).await;
    let taken = vault.snapshot(dir(source.path()), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    let whole = store.objects.lock().unwrap().clone();
    assert!(store.corrupt("data/") >= 2);
    let report = vault.check(taken.id.clone(), Depth::Data, sink()).await.unwrap();
    assert!(!report.problems.is_empty());
    let target = tempfile::tempdir().unwrap();
    let failure = vault.restore(taken.id.clone(), dir(target.path()), sink()).await.unwrap_err();
    assert_eq!(failure.code.unwrap().0, "LB0803");

    // Only the largest pack, which holds the file: the problem names it.
    *store.objects.lock().unwrap() = whole.clone();
    let largest = whole.iter().filter(|(key, _)| key.starts_with("data/")).max_by_key(|(_, data)| data.len()).unwrap();
    store.corrupt(largest.0);
    let report = vault.check(taken.id.clone(), Depth::Data, sink()).await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.contains("db/orders")), "{:?}", report.problems);
    assert!(vault.check(taken.id.clone(), Depth::Index, sink()).await.unwrap().problems.is_empty());
    store.objects.lock().unwrap().remove(largest.0);
    let report = vault.check(taken.id.clone(), Depth::Index, sink()).await.unwrap();
    assert!(report.problems.iter().any(|problem| problem.contains("is missing")), "{:?}", report.problems);

    // Any other file of the repository: a problem or a failure, never a panic, never a clean report.
    for kind in ["index/", "snapshots/"] {
        *store.objects.lock().unwrap() = whole.clone();
        store.corrupt(kind);
        let failure = vault.check(taken.id.clone(), Depth::Index, sink()).await.unwrap_err();
        assert_eq!(failure.code.unwrap().0, "LB0803", "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_for_a_while_is_temporary_and_leaves_no_snapshot() {
    let source = small_tree();
    let store = Arc::new(MemoryStore::default());
    let vault = open(store.clone()).await;
    store.fail_put.store(1, Ordering::Relaxed);
    let failure = vault.snapshot(dir(source.path()), "/srv".into(), "x".into(), vec![], sink()).await.unwrap_err();
    assert_eq!((failure.kind, failure.message.contains("throttled")), (FailureKind::Temporary, true), "{failure:?}");
    assert!(store.keys("snapshots/").is_empty() && store.keys("locks/").is_empty());
    let taken = vault.snapshot(dir(source.path()), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    store.fail_get.store(true, Ordering::Relaxed);
    let failure = vault.check(taken.id, Depth::Data, sink()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Temporary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_snapshot_is_not_there() {
    let source = small_tree();
    let store = Arc::new(MemoryStore::default());
    let vault = open(store.clone()).await;
    let impatient = Arc::new(common::TestSink { stop_after: Some(0), ..Default::default() });
    let failure = vault.snapshot(dir(source.path()), "/srv".into(), "x".into(), vec![], impatient).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Cancelled);
    assert!(store.keys("snapshots/").is_empty());
}
