//! Damaged data folders: what a crash, a bad disk, another process or a full disk can leave behind.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_core::Error;
use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, RunHead, Store, StoreError};
use lifeboat_store::{EmbeddedStore, Fault, Inspection, Opened, Options, ReadOnly, inspect_with, read_only_with};

fn options() -> Options {
    Options { segment_bytes: 64 * 1024, key: super::key(), ..Options::default() }
}

fn inspect(dir: &Path) -> Result<Inspection, Error> {
    inspect_with(dir, super::key().as_ref())
}

fn read_only(dir: &Path) -> Result<ReadOnly, Error> {
    read_only_with(dir, super::key().as_ref())
}

fn open(dir: &Path) -> (EmbeddedStore, Opened) {
    EmbeddedStore::open(dir, options()).unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn write(store: &EmbeddedStore, run: &RunId, expected: u64, text: &str) -> Result<RunHead, StoreError> {
    let events = vec![text.as_bytes().to_vec()];
    wait(store.append(Append { run: run.clone(), expected, epoch: 1, events, summary: b"{}".to_vec() }))
}

fn read(store: &EmbeddedStore, run: &RunId) -> Vec<String> {
    let all = wait(store.read(run, 0)).unwrap();
    all.into_iter().map(|event| String::from_utf8(event.bytes).unwrap()).collect()
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal/{number:010}.seg"))
}

fn code<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Failed(error) | StoreError::Indeterminate(error)) => error.code.0.into_owned(),
        other => panic!("no failure: {other:?}"),
    }
}

/// Copies a data folder, without its index if so wished.
fn copy(from: &Path, to: &Path, with_state: bool) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if with_state || entry.file_name() != "state" {
                copy(&entry.path(), &target, with_state);
            }
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Three runs, twelve appends in turn, one batch each. The folder, the runs, and where each frame starts and ends.
fn sample() -> (tempfile::TempDir, Vec<RunId>, Vec<(usize, usize)>) {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<RunId> = (0..3).map(|n| RunId::new(1, n)).collect();
    let (store, opened) = open(dir.path());
    assert!(opened.created && opened.rebuilt.is_none(), "{opened:?}");
    for expected in 0..4 {
        for run in &runs {
            write(&store, run, expected, &format!("{run} {expected}")).unwrap();
        }
    }
    drop(store);
    let bytes = std::fs::read(segment(dir.path(), 1)).unwrap();
    let starts: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, window)| *window == b"LBf1").map(|(at, _)| at).collect();
    assert_eq!(starts.len(), 12);
    let length = starts[1] - starts[0];
    let frames = starts.iter().map(|start| (*start, start + length)).collect();
    (dir, runs, frames)
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
    let (dir, runs, frames) = sample();
    let whole = std::fs::read(segment(dir.path(), 1)).unwrap();
    let (start, end) = frames[11];
    for cut in start..end {
        for (filler, with_state) in [(0u8, false), (0xA5, false)] {
            let copied = tempfile::tempdir().unwrap();
            copy(dir.path(), copied.path(), with_state);
            let mut bytes = whole.clone();
            bytes[cut..end].fill(filler);
            if bytes[start..end] == whole[start..end] {
                continue;
            }
            std::fs::write(segment(copied.path(), 1), &bytes).unwrap();
            let before = inspect(copied.path()).unwrap();
            assert!(before.damage.is_empty() && before.frames == 11);
            let (store, opened) = open(copied.path());
            assert!(opened.damage.is_empty() && opened.quarantined.is_empty(), "cut {cut}: {opened:?}");
            assert_eq!(opened.truncated, before.torn);
            assert_eq!(opened.truncated > 0, bytes[start..end].iter().any(|byte| *byte != 0), "cut {cut}");
            assert_eq!(read(&store, &runs[2]).len(), 3);
            assert_eq!(read(&store, &runs[1]).len(), 4);
            write(&store, &runs[2], 3, "again").unwrap();
            drop(store);
            let (store, opened) = open(copied.path());
            assert_eq!((opened.truncated, opened.damage), (0, Vec::new()), "cut {cut}");
            assert_eq!(read(&store, &runs[2])[3], "again");
        }
    }
}

#[test]
fn an_index_ahead_of_the_journal_is_rebuilt() {
    let (dir, runs, frames) = sample();
    let mut bytes = std::fs::read(segment(dir.path(), 1)).unwrap();
    bytes[frames[11].0..].fill(0);
    std::fs::write(segment(dir.path(), 1), &bytes).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!(opened.rebuilt.unwrap().frames, 11);
    // What the index knew of was acknowledged: to go on with less could repeat what was done.
    assert_eq!(opened.short, [runs[2].clone()]);
    assert_eq!((opened.quarantined[0].run.clone(), opened.quarantined[0].good), (runs[2].clone(), 3));
    assert_eq!(code(wait(store.read(&runs[2], 0))), "LB0602");
    assert_eq!(read(&store, &runs[1]).len(), 4);
    drop(store);
    // It is in the journal from then on, so that readers see it and the next index has it.
    assert_eq!(read_only(dir.path()).unwrap().quarantined().len(), 1);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (_store, opened) = open(dir.path());
    assert_eq!((opened.quarantined.len(), opened.short, opened.damage), (1, Vec::new(), Vec::new()));
}

#[test]
fn an_unfinished_run_that_may_have_lost_its_end_does_not_go_on() {
    let (dir, runs, frames) = sample();
    let mut bytes = std::fs::read(segment(dir.path(), 1)).unwrap();
    // Nothing is left of three frames: the last but one of the third run, and the last ones of the first and second.
    bytes[frames[8].0..frames[10].1].fill(0xA5);
    std::fs::write(segment(dir.path(), 1), &bytes).unwrap();
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!(opened.damage[0].missing, 3);
    // The second run's is known by the frame behind, the third's by its gap; that the first has lost one is only possible.
    let all: Vec<_> = opened.quarantined.iter().map(|q| (&q.run, q.good)).collect();
    assert_eq!(all, [(&runs[0], 3), (&runs[1], 3), (&runs[2], 2)]);
    assert_eq!(code(write(&store, &runs[0], 3, "x")), "LB0602");
}

#[test]
fn a_segment_that_is_gone_behind_the_index_is_damage() {
    let (dir, runs, _) = sample();
    let (store, _) = open(dir.path());
    std::fs::remove_file(segment(dir.path(), 1)).unwrap();
    assert_eq!(code(wait(store.read(&runs[0], 0))), "LB0602");
}

#[test]
fn a_flipped_byte_anywhere_is_named_and_hits_one_run_only() {
    let (dir, runs, frames) = sample();
    let whole = std::fs::read(segment(dir.path(), 1)).unwrap();
    // The third frame belongs to the third run, and nine frames follow it.
    let (start, end) = frames[2];
    for at in (0..32).chain(start..end) {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path(), false);
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(segment(copied.path(), 1), &bytes).unwrap();
        let (store, opened) = open(copied.path());
        assert_eq!(read(&store, &runs[0]).len(), 4, "byte {at}");
        assert_eq!(read(&store, &runs[1]).len(), 4, "byte {at}");
        if at < 32 {
            // A segment's header holds nothing that is not known otherwise. Its last four bytes mean nothing.
            assert_eq!(opened.damage.len(), usize::from(at < 28), "byte {at}: {opened:?}");
            assert_eq!(read(&store, &runs[2]).len(), 4);
            write(&store, &runs[0], 4, "goes on").unwrap();
            continue;
        }
        assert_eq!(opened.damage.len(), 1, "byte {at}: {opened:?}");
        assert_eq!((opened.damage[0].offset, opened.damage[0].missing), (start as u64, 1), "byte {at}");
        assert_eq!(opened.damage[0].error.code.0, "LB0602");
        assert_eq!(opened.quarantined.iter().map(|q| &q.run).collect::<Vec<_>>(), [&runs[2]]);
        assert_eq!(code(wait(store.read(&runs[2], 0))), "LB0602");
        assert_eq!(code(write(&store, &runs[2], 4, "x")), "LB0602");
        write(&store, &runs[0], 4, "goes on").unwrap();
        drop(store);
        // The quarantine outlives the reopening, with the index and without it.
        let (store, opened) = open(copied.path());
        assert_eq!((opened.damage.len(), opened.quarantined.len()), (0, 1), "{opened:?}");
        drop(store);
        std::fs::remove_dir_all(copied.path().join("state")).unwrap();
        let (store, opened) = open(copied.path());
        assert_eq!((opened.damage.len(), opened.quarantined.len()), (1, 1));
        assert_eq!(read(&store, &runs[0]).len(), 5);
        let files = read_only(copied.path()).unwrap();
        assert_eq!(files.read(&runs[1]).unwrap().len(), 4);
        assert_eq!(files.read(&runs[2]).unwrap_err().code.0, "LB0602");
    }
}

#[test]
fn a_run_whose_last_frame_is_lost_with_its_header_is_not_silently_shorter() {
    let (dir, runs, frames) = sample();
    let mut bytes = std::fs::read(segment(dir.path(), 1)).unwrap();
    // The tenth frame is the first run's last; nothing of it is left.
    bytes[frames[9].0..frames[9].1].fill(0xA5);
    std::fs::write(segment(dir.path(), 1), &bytes).unwrap();
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!((opened.damage.len(), opened.damage[0].missing), (1, 1));
    assert_eq!(opened.quarantined.iter().map(|q| &q.run).collect::<Vec<_>>(), [&runs[0]]);
    assert_eq!(code(write(&store, &runs[0], 3, "x")), "LB0602");
    assert_eq!(read(&store, &runs[1]).len(), 4);
}

#[test]
fn damage_behind_the_index_shows_when_the_run_is_read() {
    let (dir, runs, frames) = sample();
    let mut bytes = std::fs::read(segment(dir.path(), 1)).unwrap();
    bytes[frames[2].1 - 1] ^= 1;
    std::fs::write(segment(dir.path(), 1), &bytes).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!(opened.rebuilt, None);
    assert_eq!(code(wait(store.read(&runs[2], 0))), "LB0602");
    assert_eq!(read(&store, &runs[0]).len(), 4);
    assert_eq!(inspect(dir.path()).unwrap().damage.len(), 1);
}

#[test]
fn a_missing_segment_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (early, late) = (RunId::new(1, 1), RunId::new(1, 2));
    let (store, _) = open(dir.path());
    let big = "x".repeat(30_000);
    for expected in 0..8 {
        write(&store, &early, expected, &big).unwrap();
    }
    write(&store, &late, 0, "late").unwrap();
    drop(store);
    std::fs::remove_file(segment(dir.path(), 2)).unwrap();
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!((opened.damage.len(), opened.damage[0].missing), (1, 2));
    assert_eq!(opened.quarantined.len(), 1);
    assert_eq!(code(wait(store.read(&early, 0))), "LB0602");
    assert_eq!(read(&store, &late), ["late"]);
}

/// A way to make an index unusable.
type Spoil<'a> = Box<dyn Fn() + 'a>;

#[test]
fn an_unusable_index_is_rebuilt_and_said() {
    let (dir, runs, _) = sample();
    let state = dir.path().join("state");
    let spoil: Vec<(&str, Spoil<'_>)> = vec![
        ("deleted", Box::new(|| std::fs::remove_dir_all(&state).unwrap())),
        ("log of garbage", Box::new(|| std::fs::write(state.join("db"), vec![0xA5; 600_000]).unwrap())),
        ("settings of garbage", Box::new(|| std::fs::write(state.join("conf"), vec![0xA5; 64]).unwrap())),
        ("settings of zeros", Box::new(|| std::fs::write(state.join("conf"), vec![0; 64]).unwrap())),
        ("empty log", Box::new(|| std::fs::write(state.join("db"), []).unwrap())),
        (
            "a file in its place",
            Box::new(|| {
                std::fs::remove_dir_all(&state).unwrap();
                std::fs::write(&state, b"not a folder").unwrap();
            }),
        ),
    ];
    for (what, spoil) in spoil {
        spoil();
        let (store, opened) = open(dir.path());
        let rebuilt = opened.rebuilt.unwrap_or_else(|| panic!("{what}: not rebuilt"));
        assert_eq!(rebuilt.frames, 12, "{what}");
        assert_eq!(read(&store, &runs[1]).len(), 4, "{what}");
        drop(store);
        assert_eq!(open(dir.path()).1, Opened::default(), "{what}: healthy afterwards");
    }
    // A snapshot that a crash left half-written does no harm at all.
    std::fs::write(state.join("snap.FFFFFFFFFFFFFFF0.generating"), []).unwrap();
    assert_eq!(open(dir.path()).1, Opened::default());
}

#[test]
fn a_second_opening_is_refused_with_the_first_ones_number() {
    let (dir, runs, _) = sample();
    let (store, _) = open(dir.path());
    let error = EmbeddedStore::open(dir.path(), options()).unwrap_err();
    assert_eq!(error.code.0, "LB0601");
    assert!(error.message.contains(&std::process::id().to_string()), "{error}");
    assert!(error.hint.is_some());
    // Reading works meanwhile.
    assert_eq!(read_only(dir.path()).unwrap().read(&runs[0]).unwrap().len(), 4);
    drop(store);
    open(dir.path());
}

#[test]
fn an_unknown_format_is_refused_and_left_alone() {
    let (dir, _, _) = sample();
    std::fs::write(dir.path().join("FORMAT"), "lifeboat-store 9\n").unwrap();
    assert_eq!(EmbeddedStore::open(dir.path(), options()).unwrap_err().code.0, "LB0605");
    assert_eq!(read_only(dir.path()).unwrap_err().code.0, "LB0605");
    assert_eq!(std::fs::read(dir.path().join("FORMAT")).unwrap(), b"lifeboat-store 9\n");
}

/// Options whose disk fails at `what` while the switch is on.
fn failing(what: Fault, kind: io::ErrorKind) -> (Options, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let on = Arc::clone(&switch);
    let fault = move |now: Fault| {
        if now == what && on.load(Ordering::SeqCst) { Err(io::Error::from(kind)) } else { Ok(()) }
    };
    (Options { fault: Some(Arc::new(fault)), ..options() }, switch)
}

#[test]
fn a_failed_write_stores_nothing_and_the_next_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunId::new(1, 1);
    let (options, fails) = failing(Fault::Write, io::ErrorKind::StorageFull);
    let (store, _) = EmbeddedStore::open(dir.path(), options).unwrap();
    write(&store, &run, 0, "a").unwrap();
    fails.store(true, Ordering::SeqCst);
    assert_eq!(code(write(&store, &run, 1, "lost")), "LB0603");
    assert_eq!(read(&store, &run), ["a"]);
    fails.store(false, Ordering::SeqCst);
    write(&store, &run, 1, "b").unwrap();
    drop(store);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let (store, opened) = open(dir.path());
    assert_eq!((opened.damage, opened.truncated), (Vec::new(), 0));
    assert_eq!(read(&store, &run), ["a", "b"]);
}

#[test]
fn after_a_failed_flush_nothing_is_written_until_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunId::new(1, 1);
    let (options, fails) = failing(Fault::Flush, io::ErrorKind::Other);
    let (store, _) = EmbeddedStore::open(dir.path(), options).unwrap();
    write(&store, &run, 0, "a").unwrap();
    fails.store(true, Ordering::SeqCst);
    assert!(matches!(write(&store, &run, 1, "unknown"), Err(StoreError::Indeterminate(_))));
    fails.store(false, Ordering::SeqCst);
    assert_eq!(code(write(&store, &run, 1, "b")), "LB0606");
    assert_eq!(read(&store, &run), ["a"]);
    drop(store);
    let (store, opened) = open(dir.path());
    assert!(opened.damage.is_empty());
    let now = read(&store, &run);
    assert_eq!(now[0], "a");
    write(&store, &run, now.len() as u64, "c").unwrap();
}

#[test]
fn a_full_disk_is_said_and_the_next_append_works_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
        .arg(dir.path())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        println!("1 check left out: mounting a small disk needs root");
        return;
    }
    let _unmount = Unmount(dir.path().to_owned());
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let run = RunId::new(1, 1);
    let data = dir.path().join("data");
    let (store, _) =
        EmbeddedStore::open(&data, Options { segment_bytes: 1 << 20, key: super::key(), ..Options::default() })
            .unwrap();
    let text = "x".repeat(100_000);
    let mut stored = 0;
    let refused = loop {
        match write(&store, &run, stored, &text) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "the disk never was full");
    };
    let StoreError::Failed(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code.0, "LB0603");
    assert!(stored > 5, "only {stored}");
    assert_eq!(read(&store, &run).len() as u64, stored);
    std::fs::remove_file(&ballast).unwrap();
    write(&store, &run, stored, &text).unwrap();
    drop(store);
    let (store, opened) = open(&data);
    assert_eq!(opened.damage, []);
    assert_eq!(read(&store, &run).len() as u64, stored + 1);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()));
    }
}
