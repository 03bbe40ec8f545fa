//! An encrypted store: nothing of it is in the clear, a wrong key changes nothing, its secret can be changed, one in the clear
//! can be encrypted, and what was tampered with does not go unnoticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_core::RunId;
use lifeboat_core::ports::{Append, Store};
use lifeboat_store::{
    EmbeddedStore, Fault, Key, Options, Wish, encrypt, inspect, inspect_with, read_only, read_only_with, rekey, repair,
};
use support::{copy, segments, wait};

const CANARY: &str = "canary-of-the-journal";

fn key(secret: &str) -> Key {
    Key::new(secret.as_bytes().to_vec())
}

fn with(secret: &str) -> Options {
    Options { segment_bytes: 64 * 1024, key: Some(key(secret)), ..Options::default() }
}

fn append(store: &EmbeddedStore, run: &RunId, expected: u64) {
    let events = vec![format!("{{\"event\":\"{CANARY}\",\"n\":{expected}}}").into_bytes()];
    let summary = format!("{{\"runbook\":\"{CANARY}\"}}").into_bytes();
    wait(store.append(Append { run: run.clone(), expected, epoch: 1, events, summary })).unwrap();
}

/// A store with a run of four events, a document and a lease, all with the canary in them.
fn make(dir: &Path, options: Options) -> RunId {
    let (store, _) = EmbeddedStore::open(dir, options).unwrap();
    let run = RunId::new(1, 1);
    for expected in 0..4 {
        append(&store, &run, expected);
    }
    wait(store.put_document(&format!("locks/{CANARY}"), 0, CANARY.as_bytes().to_vec())).unwrap();
    wait(store.acquire_lease(CANARY, CANARY, 1, 1)).unwrap();
    run
}

fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            all.extend(tree(&entry));
        } else if entry.file_name().is_none_or(|name| name != "lock") {
            all.insert(entry.clone(), std::fs::read(&entry).unwrap());
        }
    }
    all
}

fn finds(dir: &Path, what: &[u8]) -> bool {
    tree(dir).values().any(|bytes| bytes.windows(what.len()).any(|window| window == what))
}

#[test]
fn nothing_is_in_the_clear_and_all_is_read_back() {
    let (plain, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make(plain.path(), Options { key: None, ..with("") });
    assert!(finds(plain.path(), CANARY.as_bytes()), "the search finds what is there");
    let run = make(dir.path(), with("one"));
    for word in [CANARY, run.as_str(), "runbook", "one"] {
        assert!(!finds(dir.path(), word.as_bytes()), "{word} is in the clear");
    }
    for without_index in [false, true] {
        if without_index {
            std::fs::remove_dir_all(dir.path().join("state")).unwrap();
        }
        let (store, opened) = EmbeddedStore::open(dir.path(), with("one")).unwrap();
        assert_eq!(opened.rebuilt.is_some(), without_index);
        assert_eq!(wait(store.read(&run, 0)).unwrap().len(), 4);
        let document = wait(store.get_document(&format!("locks/{CANARY}"))).unwrap().unwrap();
        assert_eq!(document.value, CANARY.as_bytes());
    }
    let found = inspect_with(dir.path(), Some(&key("one"))).unwrap();
    assert!(found.encrypted && found.findings.iter().all(|finding| finding.kind != "index-unusable"), "{found:?}");
    assert_eq!(read_only_with(dir.path(), Some(&key("one"))).unwrap().read(&run).unwrap().len(), 4);
}

#[test]
fn a_wrong_key_or_none_is_told_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), with("one"));
    let before = tree(dir.path());
    let open = |options: Options| EmbeddedStore::open(dir.path(), options).map(drop).unwrap_err().code.0.into_owned();
    assert_eq!(open(with("two")), "LB0615");
    assert_eq!(open(Options::default()), "LB0616");
    let looked = |key: Option<&Key>| {
        let repaired = repair(dir.path(), &Wish::default(), &Options { key: key.cloned(), ..Options::default() });
        let codes = [
            read_only_with(dir.path(), key).map(drop).unwrap_err().code.0.into_owned(),
            inspect_with(dir.path(), key).map(drop).unwrap_err().code.0.into_owned(),
            repaired.map(drop).unwrap_err().code.0.into_owned(),
        ];
        assert_eq!(codes[0], codes[1]);
        assert_eq!(codes[1], codes[2]);
        codes[0].clone()
    };
    assert_eq!(looked(Some(&key("two"))), "LB0615");
    assert_eq!(looked(None), "LB0616");
    assert_eq!(encrypt(dir.path(), "t", &with("one")).unwrap_err().code.0, "LB0619");
    assert_eq!(tree(dir.path()), before);
    // One key file is enough; without both, or without the format, that is told, and not taken for damage.
    std::fs::write(dir.path().join("KEY"), "garbage").unwrap();
    drop(EmbeddedStore::open(dir.path(), with("one")).unwrap());
    std::fs::remove_file(dir.path().join("KEY.copy")).unwrap();
    assert_eq!(open(with("one")), "LB0618");
    std::fs::remove_file(dir.path().join("FORMAT")).unwrap();
    assert_eq!(open(with("one")), "LB0618");
    assert_eq!(open(Options::default()), "LB0618");
}

#[test]
fn the_secret_is_changed_without_writing_the_journal_anew() {
    let dir = tempfile::tempdir().unwrap();
    let run = make(dir.path(), with("one"));
    let journal = tree(&dir.path().join("journal"));
    assert_eq!(rekey(dir.path(), &key("wrong"), &key("two")).unwrap_err().code.0, "LB0615");
    rekey(dir.path(), &key("one"), &key("two")).unwrap();
    assert_eq!(tree(&dir.path().join("journal")), journal);
    assert_eq!(EmbeddedStore::open(dir.path(), with("one")).map(drop).unwrap_err().code.0, "LB0615");
    let (store, opened) = EmbeddedStore::open(dir.path(), with("two")).unwrap();
    assert!(opened.rebuilt.is_none());
    append(&store, &run, 4);
}

#[test]
fn one_in_the_clear_can_be_read_and_is_encrypted_on_request_whenever_that_is_cut_off() {
    let sample = tempfile::tempdir().unwrap();
    let run = make(sample.path(), Options { key: None, ..with("") });
    assert_eq!(EmbeddedStore::open(sample.path(), with("one")).map(drop).unwrap_err().code.0, "LB0617");
    assert_eq!(read_only_with(sample.path(), Some(&key("one"))).unwrap().read(&run).unwrap().len(), 4);
    let mut cut = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        copy(sample.path(), dir.path());
        let steps = AtomicUsize::new(0);
        let fault = move |_: Fault| match steps.fetch_add(1, Ordering::Relaxed) {
            step if step >= cut => Err(std::io::Error::other("cut off")),
            _ => Ok(()),
        };
        let first = encrypt(dir.path(), "t", &Options { fault: Some(Arc::new(fault)), ..with("one") });
        let done = first.is_ok();
        if !done {
            // What reads it now sees all of it, or is told what to do.
            match read_only_with(dir.path(), Some(&key("one"))) {
                Ok(journal) => assert_eq!(journal.read(&run).unwrap().len(), 4),
                Err(error) => assert_eq!(error.code.0, "LB0620"),
            }
            encrypt(dir.path(), "t", &with("one")).unwrap();
        }
        let kept = dir.path().join("journal.before-encryption-t");
        assert!(finds(&kept, CANARY.as_bytes()), "the copy is as it was");
        std::fs::remove_dir_all(&kept).unwrap();
        assert!(!finds(dir.path(), CANARY.as_bytes()), "cut {cut}");
        let (store, opened) = EmbeddedStore::open(dir.path(), with("one")).unwrap();
        assert!(opened.damage.is_empty() && opened.quarantined.is_empty(), "{opened:?}");
        assert_eq!(wait(store.read(&run, 0)).unwrap().len(), 4);
        append(&store, &run, 4);
        drop(store);
        let found = inspect_with(dir.path(), Some(&key("one"))).unwrap();
        assert!(found.damage.is_empty() && found.quarantined.is_empty(), "{found:?}");
        if done {
            break;
        }
        cut += 1;
    }
    assert!(cut >= 5, "only {cut} steps");
    let broken = tempfile::tempdir().unwrap();
    copy(sample.path(), broken.path());
    let path = &segments(broken.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    bytes[120] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let before = tree(broken.path());
    assert_eq!(encrypt(broken.path(), "t", &with("one")).unwrap_err().code.0, "LB0619");
    assert_eq!(tree(broken.path()), before);
    assert_eq!(inspect(sample.path()).unwrap().runs, read_only(sample.path()).unwrap().list().len() as u64);
}

/// Where each frame of the first segment starts and ends.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let mut start = 32;
    while bytes.get(start..start + 4) == Some(b"LBf1") {
        let length = u32::from_le_bytes(bytes[start + 8..start + 12].try_into().unwrap()) as usize;
        all.push((start, start + 52 + length));
        start += 52 + length;
    }
    all
}

/// Both checksums of a frame, as somebody would set them who wants it to be taken for good.
fn seal(frame: &mut [u8]) {
    let payload = crc32c::crc32c(&frame[52..]);
    frame[12..16].copy_from_slice(&payload.to_le_bytes());
    let header = crc32c::crc32c(&frame[..48]);
    frame[48..52].copy_from_slice(&header.to_le_bytes());
}

/// Changes a journal, with another one and the places of its frames at hand.
type Tamper = fn(&mut [u8], &[u8], &[(usize, usize)]);

#[test]
fn frames_that_are_changed_moved_or_of_another_journal_are_damage() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make(dir.path(), with("one"));
    make(other.path(), with("one"));
    let whole = std::fs::read(&segments(dir.path())[0]).unwrap();
    let theirs = std::fs::read(&segments(other.path())[0]).unwrap();
    let places = frames(&whole);
    assert_eq!((places.len(), places[1].1 - places[1].0), (6, places[2].1 - places[2].0));
    let tampered: [(&str, Tamper); 4] = [
        ("a bit of a payload", |bytes, _, at| {
            bytes[at[1].0 + 60] ^= 1;
            seal(&mut bytes[at[1].0..at[1].1]);
        }),
        ("an older frame under a new number", |bytes, _, at| {
            let number = bytes[at[2].0 + 16..at[2].0 + 32].to_vec();
            let older = bytes[at[1].0..at[1].1].to_vec();
            bytes[at[2].0..at[2].1].copy_from_slice(&older);
            bytes[at[2].0 + 16..at[2].0 + 32].copy_from_slice(&number);
            seal(&mut bytes[at[2].0..at[2].1]);
        }),
        ("the frame of another journal", |bytes, theirs, at| {
            bytes[at[1].0..at[1].1].copy_from_slice(&theirs[at[1].0..at[1].1]);
        }),
        ("another kind", |bytes, _, at| {
            bytes[at[1].0 + 4] = 2;
            seal(&mut bytes[at[1].0..at[1].1]);
        }),
    ];
    for (what, tamper) in tampered {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        std::fs::remove_dir_all(copied.path().join("state")).unwrap();
        let mut bytes = whole.clone();
        tamper(&mut bytes, &theirs, &places);
        std::fs::write(&segments(copied.path())[0], &bytes).unwrap();
        let (_, opened) = EmbeddedStore::open(copied.path(), with("one")).unwrap();
        assert_eq!(opened.damage.len(), 1, "{what}: {opened:?}");
        assert!(opened.damage[0].reason.contains("does not decrypt"), "{what}: {opened:?}");
        assert_eq!(opened.quarantined.len(), 1, "{what}");
    }
}
