//! Every damaged store in `tests/damaged`: what doctor says, what a repair does, and that the runs that are not hit go on.
//!
//! `LIFEBOAT_BLESS=1` writes the texts anew; a person reads the difference. The stores are made by the example
//! `make_fixtures`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store};
use lifeboat_store::{EmbeddedStore, Fault, Options, Repaired, Wish, inspect, read_only, repair};
use support::{copy, options, wait};

const STAMP: &str = "20260102T030405Z";

fn cases() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/damaged");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    all.sort();
    assert!(all.len() >= 22, "only {} damaged stores", all.len());
    all.into_iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path)).collect()
}

/// A copy to work on.
fn fresh(case: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&case.join("store"), dir.path());
    dir
}

fn wish(cut: Vec<RunId>) -> Wish {
    Wish { stamp: STAMP.to_owned(), cut, free: None }
}

/// The events of all runs that can be followed, exactly as they are stored.
fn whole(dir: &Path) -> BTreeMap<RunId, Vec<Vec<u8>>> {
    let journal = read_only(dir).unwrap();
    let good = journal.known().into_iter().filter(|run| journal.state(run).is_ok());
    good.map(|run| (run.clone(), journal.read(&run).unwrap().into_iter().map(|event| event.bytes).collect())).collect()
}

fn broken(dir: &Path) -> Vec<RunId> {
    let journal = read_only(dir).unwrap();
    journal.known().into_iter().filter(|run| journal.state(run).is_err()).collect()
}

fn doctor(dir: &Path) -> String {
    let found = inspect(dir).unwrap().findings;
    let line = |bad: bool| if bad { "BAD" } else { "ok " };
    found.iter().map(|finding| format!("{} {finding}\n", line(finding.bad))).collect()
}

fn told(dir: &Path, repaired: &Repaired) -> String {
    let mut text: String = repaired.done.iter().map(|done| format!("did {done}\n")).collect();
    for cut in &repaired.cut {
        let file = cut.file.as_ref().map(|file| file.display().to_string());
        text += &format!("cut {} kept {} lost {:?} file {file:?}\n", cut.run, cut.kept, cut.lost);
    }
    text += "then\n";
    text += &repaired.remaining.iter().map(|finding| format!("{finding}\n")).collect::<String>();
    text.replace(&dir.display().to_string(), "DATA")
}

fn golden(case: &Path, name: &str, text: &str, different: &mut Vec<String>) {
    let path = case.join(name);
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != text {
        different.push(format!("{}:\n{text}", path.display()));
    }
}

/// Every run that can be followed takes another event, over an engine's store.
fn goes_on(dir: &Path, expected: &BTreeMap<RunId, Vec<Vec<u8>>>) {
    let (store, _) = EmbeddedStore::open(dir, options(1 << 20)).unwrap();
    for (run, events) in expected {
        let stored: Vec<_> = wait(store.read(run, 0)).unwrap().into_iter().map(|event| event.bytes).collect();
        assert_eq!(&stored, events, "{run}");
        let head = wait(store.head(run)).unwrap().unwrap();
        let append = Append {
            run: run.clone(),
            expected: head.seq,
            epoch: head.epoch + 1,
            events: vec![b"{}".to_vec()],
            summary: head.summary,
        };
        wait(store.append(append)).unwrap();
    }
}

#[test]
fn each_damage_is_explained_and_repaired_and_hits_its_run_alone() {
    let mut different = Vec::new();
    for (name, case) in cases() {
        let dir = fresh(&case);
        let dir = dir.path();
        golden(&case, "doctor.txt", &doctor(dir), &mut different);
        let before = whole(dir);
        // Where it is not known whose the lost records were, every unfinished run is set aside.
        let least = if name == "records-overwritten" { 1 } else { 2 };
        assert!(before.len() >= least, "{name}: only {} runs are whole", before.len());
        // Opening without a repair: the others go on.
        let opened = fresh(&case);
        goes_on(opened.path(), &before);

        let repaired = repair(dir, &wish(Vec::new()), &options(1 << 20)).unwrap();
        let mut text = told(dir, &repaired);
        assert_eq!(whole(dir), before, "{name}: a repair without a cut changes no run that is whole");
        if let Some(kept) = &repaired.copy {
            assert_eq!(bytes(kept), bytes(&case.join("store/journal")), "{name}: the copy is exact");
        }
        let hit = broken(dir);
        let left: Vec<_> = repaired.remaining.iter().filter(|finding| finding.bad).collect();
        assert!(
            left.iter().all(|finding| finding.run.as_ref().is_some_and(|run| hit.contains(run))),
            "{name}: {left:?}"
        );
        let again = repair(dir, &wish(Vec::new()), &options(1 << 20)).unwrap();
        assert_eq!(
            (again.copy, again.remaining),
            (None, repaired.remaining),
            "{name}: a second repair finds nothing to do"
        );

        if !hit.is_empty() {
            let cut = repair(dir, &wish(hit.clone()), &options(1 << 20)).unwrap();
            text += &format!("\nwith --cut of all\n{}", told(dir, &cut));
            assert!(cut.remaining.iter().all(|finding| !finding.bad), "{name}: {:?}", cut.remaining);
            for cut in &cut.cut {
                let kept = cut.file.as_ref().map_or(0, |file| std::fs::read_to_string(file).unwrap().lines().count());
                assert_eq!(kept, cut.lost.len(), "{name}");
            }
        }
        let after = whole(dir);
        assert!(before.iter().all(|(run, events)| after.get(run) == Some(events)), "{name}");
        goes_on(dir, &after);
        golden(&case, "repair.txt", &text, &mut different);
    }
    assert!(different.is_empty(), "LIFEBOAT_BLESS=1 accepts this:\n{}", different.join("\n"));
}

fn bytes(dir: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
}

/// Options under which a repair fails before its step of that number, as if it had been killed there.
fn killed_at(step: usize) -> (Options, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let fault = move |now: Fault| {
        if now != Fault::Repair {
            return Ok(());
        }
        let mine = count.fetch_add(1, Ordering::SeqCst);
        if mine == step { Err(io::Error::other("killed")) } else { Ok(()) }
    };
    (Options { fault: Some(Arc::new(fault)), ..options(1 << 20) }, seen)
}

#[test]
fn a_repair_that_is_killed_anywhere_is_done_by_the_next_one() {
    let kills = AtomicUsize::new(0);
    let all = cases();
    // Each waits for the disk most of the time.
    std::thread::scope(|scope| {
        for part in all.chunks(3) {
            let kills = &kills;
            scope.spawn(move || part.iter().for_each(|(name, case)| kill_everywhere(name, case, kills)));
        }
    });
    let kills = kills.into_inner();
    assert!(kills >= 60, "only {kills} kills");
    println!("{kills} kills of repairs");
}

fn kill_everywhere(name: &str, case: &Path, kills: &AtomicUsize) {
    let done = fresh(case);
    let hit = broken(done.path());
    let whole_before = whole(done.path());
    let (options, steps) = killed_at(usize::MAX);
    repair(done.path(), &wish(hit.clone()), &options).unwrap();
    let result = whole(done.path());
    for step in 0..steps.load(Ordering::SeqCst) {
        let dir = fresh(case);
        let error = repair(dir.path(), &wish(hit.clone()), &killed_at(step).0).unwrap_err();
        assert_eq!(error.code.0, "LB0606", "{name}, step {step}");
        let between = whole(dir.path());
        assert!(whole_before.iter().all(|(run, events)| between.get(run) == Some(events)), "{name}, step {step}");
        // What is still hit is cut by the second repair; what the first one did stays done.
        let rest: Vec<RunId> = broken(dir.path()).into_iter().filter(|run| hit.contains(run)).collect();
        repair(dir.path(), &wish(rest), &support::options(1 << 20)).unwrap();
        assert_eq!(whole(dir.path()), result, "{name}, step {step}");
        assert!(inspect(dir.path()).unwrap().findings.iter().all(|finding| !finding.bad), "{name}, step {step}");
        kills.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_repair_is_refused_while_an_engine_is_at_work_without_room_or_without_need() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "record-checksum").unwrap();
    let dir = fresh(&case);
    let before = bytes(&dir.path().join("journal"));
    let whole_run = whole(dir.path()).into_keys().next().unwrap();
    let code = |wish: &Wish| repair(dir.path(), wish, &options(1 << 20)).unwrap_err().code.0.into_owned();
    assert_eq!(code(&Wish { free: Some(1_000_000), ..wish(Vec::new()) }), "LB0609");
    assert_eq!(code(&wish(vec![whole_run])), "LB0608");
    assert_eq!(code(&wish(vec![RunId("r-none".to_owned())])), "LB0501");
    assert_eq!(bytes(&dir.path().join("journal")), before, "a refusal changes nothing");
    assert!(!dir.path().join(format!("journal.before-repair-{STAMP}")).exists());
    let (store, _) = EmbeddedStore::open(dir.path(), options(1 << 20)).unwrap();
    assert_eq!(code(&wish(Vec::new())), "LB0601");
    drop(store);
    let repaired = repair(dir.path(), &wish(Vec::new()), &options(1 << 20)).unwrap();
    assert!(repaired.copy.unwrap().ends_with(format!("journal.before-repair-{STAMP}")));
}

#[test]
fn a_run_that_the_index_knows_to_be_longer_is_named_and_cut() {
    let dir = tempfile::tempdir().unwrap();
    let runs = support::runs();
    support::make(dir.path(), &runs, &[], 1 << 20);
    drop(EmbeddedStore::open(dir.path(), options(1 << 20)).unwrap());
    // The last record was acknowledged, and the disk lost it; the index has it.
    let path = &support::segments(dir.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.windows(4).rposition(|word| word == b"LBf1").unwrap();
    bytes[last..].fill(0);
    std::fs::write(path, bytes).unwrap();
    let found = inspect(dir.path()).unwrap().findings;
    let short = found.iter().find(|finding| finding.kind == "short-run").unwrap();
    let run = short.run.clone().unwrap();
    let repaired = repair(dir.path(), &wish(Vec::new()), &options(1 << 20)).unwrap();
    // The repair's own index does not know it any more, so the journal says it.
    assert_eq!(
        repaired.remaining.iter().filter(|f| f.bad).map(|f| f.run.clone()).collect::<Vec<_>>(),
        [Some(run.clone())]
    );
    assert_eq!(broken(dir.path()), std::slice::from_ref(&run));
    let cut = repair(dir.path(), &wish(vec![run.clone()]), &options(1 << 20)).unwrap();
    assert!(cut.remaining.iter().all(|finding| !finding.bad), "{:?}", cut.remaining);
    assert_eq!((cut.cut[0].kept + 1, cut.cut[0].lost.len()), (short.event.unwrap(), 0));
    goes_on(dir.path(), &whole(dir.path()));
}
