//! What is snapshotted is what is restored; a second snapshot adds little; stock restic agrees in both directions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{assert_same_tree, dir, folder_vault, make_tree, restic, sink};
use lifeboat_core::FailureKind;
use lifeboat_host::ports::Depth;

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_comes_back_as_it_was() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, repo, target) = (scratch.path().join("src"), scratch.path().join("repo"), scratch.path().join("out"));
    make_tree(&source);
    let vault = folder_vault(&repo).await;
    let listener = sink();
    let tags = vec!["lifeboat".to_owned(), "key=1,2".to_owned()];
    let first = vault
        .snapshot(dir(&source), "/srv/orders".into(), "orders".into(), tags.clone(), listener.clone())
        .await
        .unwrap();
    assert_eq!(first.files, 9, "plain files, hard links counted by name");
    assert!(first.bytes > 23 << 20 && first.bytes_added > 20 << 20, "{first:?}");
    assert_eq!((first.parent.clone(), first.tags.len()), (None, 2));
    assert!(listener.done.load(std::sync::atomic::Ordering::Relaxed) >= first.bytes);

    let restored = vault.restore(first.id.clone(), dir(&target), sink()).await.unwrap();
    assert_eq!((restored.files, restored.bytes), (first.files, first.bytes));
    assert_same_tree(&source, &target);

    std::fs::write(source.join("a/new"), "a few bytes").unwrap();
    let second = vault.snapshot(dir(&source), "/srv/orders".into(), "orders".into(), vec![], sink()).await.unwrap();
    assert_eq!(second.parent.as_deref(), Some(first.id.as_str()));
    assert!(second.bytes_added < 20_000, "only the new file and the trees above it: {second:?}");
    let other = vault.snapshot(dir(&source), "/srv/x".into(), "other".into(), vec![], sink()).await.unwrap();
    assert_eq!(other.parent, None, "another label has another chain");

    let listed = vault.snapshots(None).await.unwrap();
    assert_eq!(listed.iter().map(|s| &s.id).collect::<Vec<_>>(), [&first.id, &second.id, &other.id]);
    assert_eq!(vault.snapshots(Some("key=1,2".into())).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(vault.find(first.id[..10].into()).await.unwrap(), first);
    assert_eq!(vault.find("latest".into()).await.unwrap().id, other.id);
    for depth in [Depth::Index, Depth::Data, Depth::Restore] {
        let report = vault.check(second.id.clone(), depth, sink()).await.unwrap();
        assert_eq!((report.files, report.problems), (10, vec![]), "{depth:?}");
    }
    vault.forget(other.id.clone()).await.unwrap();
    let gone = vault.find(other.id.clone()).await.unwrap_err();
    assert_eq!(gone.code.unwrap().0, "LB0804");
    assert!(gone.hint.unwrap().contains(&second.id[..8]), "the hint names the newest");
    assert!(std::fs::read_dir(repo.join("locks")).unwrap().next().is_none(), "no lock stays behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_writer_left_is_in_no_snapshot() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("src"), scratch.path().join("out"));
    std::fs::create_dir_all(source.join("a/.lifeboat-1-2-3.tmp")).unwrap();
    for path in ["file", ".lifeboat-1f-18c0ffee-0.tmp", "a/.lifeboat-2a-18c0ffee-1.tmp", "a/.lifeboat-notes.tmp"] {
        std::fs::write(source.join(path), "ten bytes!").unwrap();
    }
    let vault = folder_vault(&scratch.path().join("repo")).await;
    let taken = vault.snapshot(dir(&source), "/srv/x".into(), "x".into(), vec![], sink()).await.unwrap();
    assert_eq!((taken.files, taken.bytes), (2, 20));
    vault.restore(taken.id, dir(&target), sink()).await.unwrap();
    for (path, there) in [
        ("file", true),
        ("a/.lifeboat-notes.tmp", true),
        ("a/.lifeboat-1-2-3.tmp", true),
        (".lifeboat-1f-18c0ffee-0.tmp", false),
        ("a/.lifeboat-2a-18c0ffee-1.tmp", false),
    ] {
        assert_eq!(target.join(path).exists(), there, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_restic_lists_checks_and_restores_what_we_wrote() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, repo, target) = (scratch.path().join("src"), scratch.path().join("repo"), scratch.path().join("out"));
    make_tree(&source);
    let vault = folder_vault(&repo).await;
    let taken = vault
        .snapshot(dir(&source), "/srv/orders".into(), "orders".into(), vec!["nightly".into()], sink())
        .await
        .unwrap();
    let listed = restic(&repo, &["snapshots"]);
    assert!(
        listed.contains(&taken.id[..8]) && listed.contains("/srv/orders") && listed.contains("nightly"),
        "{listed}"
    );
    assert!(restic(&repo, &["check", "--read-data"]).contains("no errors were found"));
    restic(&repo, &["restore", &taken.id, "--target", target.to_str().unwrap()]);
    // Stock restic copies hard links as links too, so that the trees compare whole.
    assert_same_tree(&source, &target.join("srv/orders"));
    // And it goes on from our snapshot, in our vault.
    restic(&repo, &["backup", source.to_str().unwrap()]);
    assert_eq!(vault.snapshots(None).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn we_list_check_and_restore_what_stock_restic_wrote() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, repo, target) = (scratch.path().join("src"), scratch.path().join("repo"), scratch.path().join("out"));
    make_tree(&source);
    restic(&repo, &["init", "--repository-version", "2"]);
    restic(&repo, &["backup", "--tag", "theirs", source.to_str().unwrap()]);
    let vault = folder_vault(&repo).await;
    let found = vault.find("latest".into()).await.unwrap();
    assert_eq!((found.files, found.tags.clone()), (9, vec!["theirs".to_owned()]));
    for depth in [Depth::Index, Depth::Data, Depth::Restore] {
        assert_eq!(vault.check(found.id.clone(), depth, sink()).await.unwrap().problems, Vec::<String>::new());
    }
    vault.restore(found.id, dir(&target), sink()).await.unwrap();
    assert_same_tree(&source, &target);
    // Our next snapshot finds nearly all of the data there.
    let ours = vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    assert!(ours.bytes_added < 50_000, "{ours:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_whole_and_made_once() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("src"), scratch.path().join("out"));
    make_tree(&source);
    let near = folder_vault(&scratch.path().join("near")).await;
    let far = folder_vault(&scratch.path().join("far")).await;
    let taken = near.snapshot(dir(&source), "/srv".into(), "x".into(), vec!["k1".into()], sink()).await.unwrap();
    let tags = vec!["k2".to_owned()];
    let copied = near.copy_to(taken.id.clone(), far.clone(), tags.clone(), sink()).await.unwrap();
    assert_eq!((copied.files, copied.tags.clone()), (taken.files, vec!["k1".to_owned(), "k2".to_owned()]));
    let again = near.copy_to(taken.id.clone(), far.clone(), tags, sink()).await.unwrap();
    assert_eq!(again.id, copied.id);
    assert_eq!(far.snapshots(None).await.unwrap().len(), 1);
    assert_eq!(far.check(copied.id.clone(), Depth::Data, sink()).await.unwrap().problems, Vec::<String>::new());
    far.restore(copied.id, dir(&target), sink()).await.unwrap();
    assert_same_tree(&source, &target);
    assert!(restic(&scratch.path().join("far"), &["check", "--read-data"]).contains("no errors were found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_cut_off_goes_on_and_leaves_other_files_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("src"), scratch.path().join("out"));
    make_tree(&source);
    let vault = folder_vault(&scratch.path().join("repo")).await;
    let taken = vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    // Cut in the middle, by the number of times that a whole restore asks whether to go on: time would be a guess.
    let patient = sink();
    vault.restore(taken.id.clone(), dir(&scratch.path().join("whole")), patient.clone()).await.unwrap();
    let middle = patient.asks.load(std::sync::atomic::Ordering::Relaxed) / 2;
    let impatient = Arc::new(common::TestSink { stop_at_ask: Some(middle), ..Default::default() });
    let stopped = vault.restore(taken.id.clone(), dir(&target), impatient).await.unwrap_err();
    assert_eq!(stopped.kind, FailureKind::Cancelled);
    // What a killed process may leave: a file that is half there, one with wrong bytes of the right size and time.
    std::fs::write(target.join("big.bin"), common::noise(11 << 20, 7)).unwrap();
    std::fs::write(target.join("a.txt"), "SORTS BETWEEN a AND a/").unwrap();
    std::fs::write(target.join("not in the snapshot"), "mine").unwrap();
    vault.restore(taken.id.clone(), dir(&target), sink()).await.unwrap();
    assert_eq!(std::fs::read(target.join("not in the snapshot")).unwrap(), b"mine");
    std::fs::remove_file(target.join("not in the snapshot")).unwrap();
    std::fs::File::open(&target).unwrap().sync_all().unwrap();
    assert_same_tree(&source, &target);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_or_written_through_a_planted_link() {
    let scratch = tempfile::tempdir().unwrap();
    let (source, target) = (scratch.path().join("src"), scratch.path().join("out"));
    let outside = scratch.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("text.txt"), "precious").unwrap();
    make_tree(&source);
    let vault = folder_vault(&scratch.path().join("repo")).await;
    let taken = vault.snapshot(dir(&source), "/srv".into(), "x".into(), vec![], sink()).await.unwrap();
    let plant = |from: &Path, to: &str| std::os::unix::fs::symlink(from, target.join(to)).unwrap();
    let into = dir(&target);
    plant(&outside, "a");
    let refused = vault.restore(taken.id.clone(), into.clone(), sink()).await.unwrap_err();
    assert!(refused.message.contains("'a'") && refused.code.is_some(), "{refused:?}");
    std::fs::remove_file(target.join("a")).unwrap();
    // In the place of a file a link is replaced, and a second name of a file elsewhere is not written to.
    plant(&outside.join("text.txt"), "a.txt");
    std::fs::hard_link(outside.join("text.txt"), target.join("big.bin")).unwrap();
    vault.restore(taken.id, into, sink()).await.unwrap();
    assert_eq!(std::fs::read(outside.join("text.txt")).unwrap(), b"precious");
    assert_same_tree(&source, &target);
}
