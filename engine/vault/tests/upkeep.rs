//! Check, repair and locks: damage is named, what can be mended is, what is lost is said to be, and nobody works where
//! somebody else needs to be alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "common/trouble.rs"]
mod trouble;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{FolderStore, PASSWORD, dir, folder_vault, noise, restic, sink};
use lifeboat_core::FailureKind;
use lifeboat_host::ports::{Depth, Secret};
use lifeboat_vault::{MAX_UNUSED, Upkeep};
use trouble::Trouble;

async fn upkeep(path: &Path) -> Upkeep {
    Upkeep::open(Arc::new(FolderStore(path.to_owned())), Secret::new(PASSWORD.into())).await.unwrap()
}

/// Two snapshots: the second one has a file more, in packs of its own.
struct Made {
    scratch: tempfile::TempDir,
    first: String,
    second: String,
    /// The packs of the second snapshot alone, the largest first.
    own: Vec<PathBuf>,
}

impl Made {
    async fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let (source, repo) = (scratch.path().join("src"), scratch.path().join("repo"));
        std::fs::create_dir_all(source.join("db")).unwrap();
        std::fs::write(source.join("db/orders"), noise(3 << 20, 3)).unwrap();
        let vault = folder_vault(&repo).await;
        let first = vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
        let before = files(&repo.join("data"));
        // Some blobs wherever the vault cuts: none is larger than 8 MiB.
        std::fs::write(source.join("db/more"), noise(20 << 20, 4)).unwrap();
        let second = vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
        let mut own: Vec<PathBuf> =
            files(&repo.join("data")).into_iter().filter(|file| !before.contains(file)).collect();
        own.sort_by_key(|file| std::cmp::Reverse(std::fs::metadata(file).unwrap().len()));
        Self { scratch, first: first.id, second: second.id, own }
    }

    fn repo(&self) -> PathBuf {
        self.scratch.path().join("repo")
    }

    /// Repairs it, shows the plan, and looks that all is well then; gives the ids that are left.
    async fn repaired(&self, deep: bool) -> (lifeboat_vault::RepairPlan, Vec<String>) {
        let upkeep = upkeep(&self.repo()).await;
        let plan = upkeep.repair_plan(deep, sink()).await.unwrap();
        assert!(!plan.is_empty());
        let other = upkeep.repair(deep, "0123456789abcdef".into(), sink()).await.unwrap_err();
        assert_eq!(other.code.unwrap().0, "LB0811");
        assert_eq!(upkeep.repair(deep, plan.fingerprint.clone(), sink()).await.unwrap(), plan);
        assert!(upkeep.repair_plan(deep, sink()).await.unwrap().is_empty());
        let report = upkeep.check(true, sink()).await.unwrap();
        assert_eq!((report.problems, report.damaged), (vec![], vec![]));
        assert!(restic(&self.repo(), &["check", "--read-data"]).contains("no errors were found"));
        let vault = folder_vault(&self.repo()).await;
        let left: Vec<String> = vault.snapshots(None).await.unwrap().into_iter().map(|one| one.id).collect();
        for id in &left {
            assert_eq!(vault.check(id.clone(), Depth::Restore, sink()).await.unwrap().problems, Vec::<String>::new());
        }
        (plan, left)
    }

    /// Another snapshot of the same source is whole, also where the vault had lost data.
    async fn heals(&self) {
        let vault = folder_vault(&self.repo()).await;
        let source = dir(&self.scratch.path().join("src"));
        let taken = vault.snapshot(source, "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
        assert_eq!(vault.check(taken.id, Depth::Restore, sink()).await.unwrap().problems, Vec::<String>::new());
    }

    fn set_aside(&self) -> Vec<String> {
        let removed = self.repo().join("removed");
        let found = files(&removed).into_iter();
        found.map(|file| file.strip_prefix(&removed).unwrap().to_string_lossy().into_owned()).collect()
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_is_built_anew_from_the_packs() {
    let made = Made::new().await;
    let whole = upkeep(&made.repo()).await.check(true, sink()).await.unwrap();
    assert_eq!((whole.snapshots, whole.problems.len(), whole.damaged.len()), (2, 0, 0));
    assert!(whole.bytes_read > 7 << 20 && whole.bytes_read < whole.bytes);
    for file in files(&made.repo().join("index")) {
        std::fs::remove_file(file).unwrap();
    }
    let report = upkeep(&made.repo()).await.check(false, sink()).await.unwrap();
    assert_eq!(report.damaged.len(), 2);
    assert!(report.damaged.iter().all(|snapshot| snapshot.mendable) && report.notes[0].contains("in no index"));
    let (plan, left) = made.repaired(false).await;
    assert_eq!((plan.mended.len(), plan.lost.len(), plan.set_aside.len()), (2, 0, 0));
    assert_eq!(left, [made.first.clone(), made.second.clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_file_and_a_damaged_snapshot_are_set_aside() {
    let made = Made::new().await;
    let index = files(&made.repo().join("index")).remove(0);
    std::fs::write(&index, b"{\"packs\": []}").unwrap();
    std::fs::write(made.repo().join("snapshots").join(&made.first), b"x").unwrap();
    let report = upkeep(&made.repo()).await.check(false, sink()).await.unwrap();
    assert_eq!(report.problems.len(), 2, "{report:?}");
    let (plan, left) = made.repaired(false).await;
    assert_eq!(left, std::slice::from_ref(&made.second));
    assert_eq!((plan.set_aside.len(), made.set_aside().len()), (2, 2));
    assert!(made.set_aside().iter().any(|key| key.ends_with(&format!("snapshots/{}", made.first))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_pack_is_gone_is_named_and_set_aside_and_the_next_one_is_whole() {
    let made = Made::new().await;
    std::fs::remove_file(&made.own[0]).unwrap();
    let report = upkeep(&made.repo()).await.check(false, sink()).await.unwrap();
    assert!(report.problems[0].contains("is missing"), "{report:?}");
    assert_eq!((report.damaged.len(), report.damaged[0].id.clone()), (1, made.second.clone()));
    assert!(!report.damaged[0].mendable && report.damaged[0].why.contains("'more'"), "{report:?}");
    let (plan, left) = made.repaired(false).await;
    assert_eq!((left, plan.lost[0].id.clone()), (vec![made.first.clone()], made.second.clone()));
    assert!(made.set_aside().iter().any(|key| key.ends_with(&made.second)));
    made.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_damaged_pack_is_saved() {
    for cut in [false, true] {
        let made = Made::new().await;
        let mut data = std::fs::read(&made.own[0]).unwrap();
        if cut {
            data.truncate(data.len() * 2 / 3)
        } else {
            data[1000] ^= 1
        }
        std::fs::write(&made.own[0], &data).unwrap();
        let shallow = upkeep(&made.repo()).await.check(false, sink()).await.unwrap();
        assert_eq!(shallow.problems.is_empty(), !cut, "only a read finds a byte that was changed");
        let report = upkeep(&made.repo()).await.check(true, sink()).await.unwrap();
        assert_eq!(report.damaged.iter().map(|one| &one.id).collect::<Vec<_>>(), [&made.second], "{report:?}");
        let (plan, left) = made.repaired(true).await;
        assert_eq!((left, plan.rewrite.len()), (vec![made.first.clone()], 1));
        assert!(plan.rewrite[0].bytes_kept > 500_000, "{plan:?}");
        assert_eq!(
            std::fs::read(
                made.repo().join("removed").join(made.set_aside().iter().find(|key| key.contains("data/")).unwrap())
            )
            .unwrap(),
            data
        );
        made.heals().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_dies_at_any_change_loses_nothing_more() {
    let made = Made::new().await;
    std::fs::remove_file(files(&made.repo().join("index")).remove(0)).unwrap();
    let mut data = std::fs::read(&made.own[0]).unwrap();
    data[1000] ^= 1;
    std::fs::write(&made.own[0], &data).unwrap();
    let shown = upkeep(&made.repo()).await.repair_plan(true, sink()).await.unwrap();
    let mut died = 0;
    for at in 1.. {
        let repo = made.scratch.path().join(format!("repo-{at}"));
        assert!(Command::new("cp").arg("-a").arg(made.repo()).arg(&repo).status().unwrap().success());
        let store = Trouble::new(FolderStore(repo.clone()));
        let doomed = Upkeep::open(store.clone(), Secret::new(PASSWORD.into())).await.unwrap();
        store.die_at.store(at, Ordering::SeqCst);
        let ended = doomed.repair(true, shown.fingerprint.clone(), sink()).await;
        let reached = store.changes.load(Ordering::SeqCst) >= at;
        for lock in files(&repo.join("locks")) {
            std::fs::remove_file(lock).unwrap();
        }
        let next = upkeep(&repo).await;
        let rest = next.repair_plan(true, sink()).await.unwrap();
        next.repair(true, rest.fingerprint, sink()).await.unwrap();
        let report = next.check(true, sink()).await.unwrap();
        assert_eq!((report.snapshots, report.problems, report.damaged), (1, vec![], vec![]), "died at {at}");
        let lost = files(&repo.join("removed")).into_iter().any(|file| file.ends_with(&made.second));
        assert!(lost, "died at {at}: the lost snapshot is kept aside");
        if !reached {
            ended.unwrap();
            break;
        }
        died += 1;
    }
    assert!(died >= 8, "it died {died} times only");
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_of_no_index_are_told_of_and_taken_in() {
    let made = Made::new().await;
    // A pack that an interrupted snapshot left: that of another vault would not open, so that we forge one by an index
    // that is gone while the snapshot is, too.
    std::fs::remove_file(made.repo().join("snapshots").join(&made.second)).unwrap();
    for file in files(&made.repo().join("index")) {
        std::fs::remove_file(file).unwrap();
    }
    std::fs::create_dir_all(made.repo().join("data/00")).unwrap();
    std::fs::write(made.repo().join("data/00").join("0".repeat(64)), b"no pack").unwrap();
    let report = upkeep(&made.repo()).await.check(false, sink()).await.unwrap();
    assert!(report.notes.iter().any(|note| note.contains("it is no pack")), "{report:?}");
    let plan = upkeep(&made.repo()).await.repair_plan(false, sink()).await.unwrap();
    assert_eq!(plan.index_add.len(), files(&made.repo().join("data")).len() - 1);
    upkeep(&made.repo()).await.repair(false, plan.fingerprint, sink()).await.unwrap();
    // Nothing was sent again: the next snapshot finds all of the data.
    let vault = folder_vault(&made.repo()).await;
    let source = dir(&made.scratch.path().join("src"));
    let taken = vault.snapshot(source, "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    assert!(taken.bytes_added < 20_000, "{taken:?}");
}

/// Stock restic that works in a vault for as long as its input is open.
fn restic_at_work(repo: &Path) -> Child {
    let mut child = Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(repo)
        .args(["backup", "--stdin"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"first line\n").unwrap();
    wait_for_lock(repo);
    child
}

fn wait_for_lock(repo: &Path) {
    let named = |file: &PathBuf| file.file_name().unwrap().len() == 64;
    for _ in 0..600 {
        if files(&repo.join("locks")).iter().any(named) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nobody took a lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_lock_of_a_dead_process_is_removed() {
    let made = Made::new().await;
    let upkeep = upkeep(&made.repo()).await;
    assert!(upkeep.unlock().await.unwrap().is_empty());
    let mut child = restic_at_work(&made.repo());
    let locks = upkeep.unlock().await.unwrap();
    assert_eq!((locks.len(), locks[0].pid, locks[0].stale.clone()), (1, child.id(), None));
    assert_eq!(upkeep.locks().await.unwrap().len(), 1, "it is there still");
    // A vault may be read and added to by many at once, and is pruned by one alone.
    made.heals().await;
    let plan = upkeep.prune_plan(MAX_UNUSED, sink()).await.unwrap();
    let refused = upkeep.prune(MAX_UNUSED, plan.fingerprint.clone(), sink()).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.unwrap().0.as_ref()), (FailureKind::Temporary, "LB0805"));
    assert!(refused.message.contains(&format!("process {}", child.id())), "{}", refused.message);
    child.kill().unwrap();
    child.wait().unwrap();
    let locks = upkeep.unlock().await.unwrap();
    assert!(locks[0].stale.as_ref().unwrap().contains("no process"), "{locks:?}");
    assert!(upkeep.locks().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_comes_in_while_a_vault_is_pruned() {
    let made = Made::new().await;
    std::fs::remove_file(made.repo().join("snapshots").join(&made.second)).unwrap();
    let store = Trouble::new(FolderStore(made.repo()));
    let slow = Upkeep::open(store.clone(), Secret::new(PASSWORD.into())).await.unwrap();
    let plan = slow.prune_plan(MAX_UNUSED, sink()).await.unwrap();
    assert!(plan.index_files > 0);
    store.put_ms.store(3000, Ordering::SeqCst);
    let pruning = tokio::spawn(async move { slow.prune(MAX_UNUSED, plan.fingerprint, sink()).await });
    wait_for_lock(&made.repo());
    // It does not come to its end before the others were refused, however busy the machine is.
    store.put_ms.store(600_000, Ordering::SeqCst);
    let vault = folder_vault(&made.repo()).await;
    let source = dir(&made.scratch.path().join("src"));
    let refused = vault.snapshot(source, "/srv".into(), "x".into(), vec![], sink()).await.unwrap_err();
    assert_eq!(refused.code.as_ref().unwrap().0, "LB0805");
    assert!(refused.message.contains("exclusively") && refused.message.contains(&std::process::id().to_string()));
    let theirs = Command::new("restic")
        .args(["--no-cache", "-r"])
        .arg(made.repo())
        .args(["backup", "/etc/hostname"])
        .env("RESTIC_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&theirs.stderr).into_owned();
    assert!(!theirs.status.success() && told.contains("locked exclusively"), "{told}");
    store.put_ms.store(0, Ordering::SeqCst);
    pruning.await.unwrap().unwrap();
    made.heals().await;
}
