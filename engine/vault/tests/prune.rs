//! Forget and prune: rules as those of stock restic, plans that are shown first, and a vault that is whole whenever a
//! prune dies.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "common/trouble.rs"]
mod trouble;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{FolderStore, PASSWORD, assert_same_tree, dir, folder_vault, noise, restic, sink};
use lifeboat_core::Failure;
use lifeboat_host::ports::{Depth, ObjectStore, Secret};
use lifeboat_vault::{KeepRules, MAX_UNUSED, Upkeep};
use trouble::Trouble;

async fn upkeep(store: Arc<dyn ObjectStore>) -> Result<Upkeep, Failure> {
    Upkeep::open(store, Secret::new(PASSWORD.into())).await
}

fn folder(path: &Path) -> Arc<FolderStore> {
    Arc::new(FolderStore(path.to_owned()))
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)
        } else {
            _ = std::fs::copy(entry.path(), target).unwrap()
        }
    }
}

fn bytes_below(path: &Path) -> u64 {
    std::fs::read_dir(path)
        .unwrap()
        .flatten()
        .map(|entry| if entry.path().is_dir() { bytes_below(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

/// A vault whose first snapshots share data with the last one, and have data of their own, in the same packs.
async fn make_vault(repo: &Path, source: &Path) -> String {
    let vault = folder_vault(repo).await;
    std::fs::create_dir_all(source.join("folder")).unwrap();
    for round in 0..3u64 {
        std::fs::write(source.join("stays"), noise(3 << 20, 1)).unwrap();
        std::fs::write(source.join(format!("folder/kept-{round}")), noise(300_000, 50 + round)).unwrap();
        std::fs::write(source.join("changes"), noise(2 << 20, 10 + round)).unwrap();
        vault.snapshot(dir(source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    }
    // Only the last round's state is what a restore has to give.
    vault.snapshots(None).await.unwrap().last().unwrap().id.clone()
}

fn last_one() -> KeepRules {
    KeepRules { last: 1, ..KeepRules::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing_and_only_what_was_shown_is_done() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, repo, target) = (scratch.path().join("src"), scratch.path().join("repo"), scratch.path().join("out"));
    let newest = make_vault(&repo, &source).await;
    let upkeep = upkeep(folder(&repo)).await.unwrap();
    let before = common::describe(&repo);
    let plan = upkeep.forget_plan(last_one(), sink()).await.unwrap();
    assert_eq!((plan.groups.len(), plan.removed().count()), (1, 2));
    assert_eq!(plan.groups[0].keep[0].id, newest);
    assert!(plan.bytes_freed_by_prune.unwrap() > 4 << 20, "{plan:?}");
    let nothing = upkeep.prune_plan(MAX_UNUSED, sink()).await.unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");
    // The folder of locks may be touched; nothing else is.
    let after = common::describe(&repo);
    let changed: Vec<&String> = before.keys().filter(|name| before.get(*name) != after.get(*name)).collect();
    assert!(changed.iter().all(|name| name.starts_with("locks")), "{changed:?}");

    let refused = upkeep.forget(last_one(), "0000000000000000".into()).await.unwrap_err();
    assert_eq!(refused.code.unwrap().0, "LB0811");
    let none = upkeep.forget_plan(KeepRules::default(), sink()).await.unwrap_err();
    assert_eq!(none.code.unwrap().0, "LB0810");
    upkeep.forget(last_one(), plan.fingerprint.clone()).await.unwrap();
    assert_eq!(upkeep.forget(last_one(), plan.fingerprint).await.unwrap_err().code.unwrap().0, "LB0811");

    let shown = upkeep.prune_plan(MAX_UNUSED, sink()).await.unwrap();
    assert!(!shown.rewrite.is_empty() && shown.bytes_freed > 4 << 20, "{shown:?}");
    let size = bytes_below(&repo.join("data"));
    assert_eq!(size, shown.bytes_before);
    upkeep.prune(MAX_UNUSED, shown.fingerprint.clone(), sink()).await.unwrap();
    let freed = size - bytes_below(&repo.join("data"));
    assert!(freed.abs_diff(shown.bytes_freed) < 1000, "said {}, freed {freed}", shown.bytes_freed);
    let again = upkeep.prune_plan(MAX_UNUSED, sink()).await.unwrap();
    assert!(again.is_empty(), "{again:?}");
    assert!(restic(&repo, &["check", "--read-data"]).contains("no errors were found"));
    let vault = folder_vault(&repo).await;
    vault.restore(newest, dir(&target), sink()).await.unwrap();
    assert_same_tree(&source, &target);
    assert!(std::fs::read_dir(repo.join("locks")).unwrap().next().is_none(), "no lock stays behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_dies_at_any_change_leaves_a_whole_vault() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, made) = (scratch.path().join("src"), scratch.path().join("made"));
    let newest = make_vault(&made, &source).await;
    let first = upkeep(folder(&made)).await.unwrap();
    let plan = first.forget_plan(last_one(), sink()).await.unwrap();
    first.forget(last_one(), plan.fingerprint).await.unwrap();
    let shown = first.prune_plan(0, sink()).await.unwrap();
    let mut died = 0;
    for after_effect in [false, true] {
        for at in 1.. {
            let repo = scratch.path().join(format!("repo-{after_effect}-{at}"));
            copy_folder(&made, &repo);
            let store = Trouble::new(FolderStore(repo.clone()));
            let doomed = upkeep(store.clone()).await.unwrap();
            store.after_effect.store(after_effect, Ordering::SeqCst);
            store.die_at.store(at, Ordering::SeqCst);
            let ended = doomed.prune(0, shown.fingerprint.clone(), sink()).await;
            let reached = store.changes.load(Ordering::SeqCst) >= at;
            // A dead process leaves its lock; this one is alive, so that we take it away by hand.
            let _ = std::fs::remove_dir_all(repo.join("locks"));
            std::fs::create_dir_all(repo.join("locks")).unwrap();
            let told = restic(&repo, &["check"]);
            assert!(told.contains("no errors were found"), "died at {at}: {told}");
            let vault = folder_vault(&repo).await;
            let report = vault.check(newest.clone(), Depth::Data, sink()).await.unwrap();
            assert_eq!((report.files, report.problems), (5, vec![]), "died at {at}");
            // The next one does the rest, and the vault is as small as if none had died.
            let next = upkeep(folder(&repo)).await.unwrap();
            let rest = next.prune_plan(0, sink()).await.unwrap();
            next.prune(0, rest.fingerprint, sink()).await.unwrap();
            assert!(next.prune_plan(0, sink()).await.unwrap().is_empty());
            let left = bytes_below(&repo.join("data"));
            let expected = shown.bytes_before - shown.bytes_freed;
            assert!(left.abs_diff(expected) < 2000, "died at {at}: {left} of {expected} bytes are left");
            std::fs::remove_dir_all(&repo).unwrap();
            if !reached {
                ended.unwrap();
                break;
            }
            died += 1;
        }
    }
    assert!(died >= 16, "it died {died} times only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_deletes_nothing_while_it_is_not_known_what_is_needed() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, made) = (scratch.path().join("src"), scratch.path().join("made"));
    make_vault(&made, &source).await;
    let first = upkeep(folder(&made)).await.unwrap();
    let plan = first.forget_plan(last_one(), sink()).await.unwrap();
    first.forget(last_one(), plan.fingerprint).await.unwrap();
    let shown = first.prune_plan(0, sink()).await.unwrap();
    // A snapshot, an index file or a needed pack that is damaged or gone.
    for (number, (folder_name, remove)) in
        [("snapshots", false), ("index", false), ("index", true), ("data", true)].into_iter().enumerate()
    {
        let repo = scratch.path().join(format!("damaged-{number}"));
        copy_folder(&made, &repo);
        let mut files: Vec<_> = walk(&repo.join(folder_name));
        files.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).unwrap().len()));
        if remove {
            std::fs::remove_file(&files[0]).unwrap()
        } else {
            std::fs::write(&files[0], b"{garbage").unwrap()
        }
        let refused = upkeep(folder(&repo)).await.unwrap().prune_plan(0, sink()).await.unwrap_err();
        assert_eq!(refused.code.unwrap().0, "LB0803", "{folder_name} {remove}");
        assert!(refused.message.contains("nothing is deleted"), "{}", refused.message);
    }
    // A store that keeps other bytes than it was given is found out before the old ones are deleted; so is one that
    // gives half of a pack.
    for lies in [true, false] {
        let repo = scratch.path().join(format!("liar-{lies}"));
        copy_folder(&made, &repo);
        let store = Trouble::new(FolderStore(repo.clone()));
        let doomed = upkeep(store.clone()).await.unwrap();
        if lies {
            store.lie.store(true, Ordering::SeqCst)
        } else {
            store.cut.store(true, Ordering::SeqCst)
        }
        let refused = doomed.prune(0, shown.fingerprint.clone(), sink()).await.unwrap_err();
        assert_eq!(refused.code.unwrap().0, "LB0803", "{}", refused.message);
        let told = restic(&repo, &["check"]);
        assert!(told.contains("no errors were found"), "{told}");
    }
}

fn walk(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
