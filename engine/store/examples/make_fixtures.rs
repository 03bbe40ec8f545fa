//! Makes the stores that tests look at: `cargo run -p lifeboat-store --release --example make_fixtures -- damaged|format DIR`.
//!
//! `damaged` writes one folder a damage below DIR; it makes the same bytes each time. `format` writes a store of this
//! build's format into DIR, which must not be there: a store that was written once is never written anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ports::{Append, Store};
use lifeboat_store::EmbeddedStore;
use serde_json::json;
use support::{id, segments, step, wait};

/// Bytes of a frame's header.
const HEADER: usize = 52;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["damaged", dir] => damaged(Path::new(dir)),
        ["format", dir] => {
            assert!(!Path::new(dir).exists(), "{dir} is there already, and is never written anew");
            let (later, documents) = support::later_runs();
            let runs: Vec<_> = support::runs().into_iter().chain(later).collect();
            support::make(Path::new(dir), &runs, &documents, 1 << 20);
        }
        _ => panic!("damaged DIR, or format DIR"),
    }
}

/// A store to damage, and its runs.
struct Sample<'a> {
    dir: &'a Path,
    runs: Vec<(&'static str, Vec<Append>)>,
}

/// A frame: its segment, where it starts and ends, and its payload's text.
struct Frame {
    segment: usize,
    start: usize,
    end: usize,
    text: String,
}

impl Sample<'_> {
    fn frames(&self) -> Vec<Frame> {
        let mut all = Vec::new();
        for (segment, path) in segments(self.dir).iter().enumerate() {
            let bytes = std::fs::read(path).unwrap();
            let mut start = 32;
            while bytes.get(start..start + 4) == Some(b"LBf1") {
                let length = u32::from_le_bytes(bytes[start + 8..start + 12].try_into().unwrap()) as usize;
                let end = start + HEADER + length;
                let text = String::from_utf8_lossy(&bytes[start + HEADER..end]).into_owned();
                all.push(Frame { segment, start, end, text });
                start = end;
            }
        }
        all
    }

    /// The frame of a run's append of that number, from 0.
    fn frame(&self, run: &str, number: usize) -> Frame {
        let id = id(&self.runs, run);
        let mine = |frame: &Frame| frame.text.get(4..).is_some_and(|text| text.starts_with(id.as_str()));
        self.frames().into_iter().filter(mine).nth(number).unwrap()
    }

    fn change(&self, segment: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let path = &segments(self.dir)[segment];
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }

    /// More events for a run, as an engine stores them: as they are.
    fn append(&self, run: &str, events: Vec<Vec<u8>>) {
        let run = id(&self.runs, run);
        let (store, _) = EmbeddedStore::open(self.dir, support::options(4096)).unwrap();
        let head = wait(store.head(&run)).unwrap().unwrap();
        let append = Append { run, expected: head.seq, epoch: head.epoch, events, summary: head.summary };
        wait(store.append(append)).unwrap();
        drop(store);
        support::trim(self.dir);
    }
}

/// Both checksums of the frame at `start`, as if what is there now had been written.
fn seal(bytes: &mut [u8], start: usize, end: usize) {
    let payload = crc32c::crc32c(&bytes[start + HEADER..end]);
    bytes[start + 12..start + 16].copy_from_slice(&payload.to_le_bytes());
    let header = crc32c::crc32c(&bytes[start..start + HEADER - 4]);
    bytes[start + HEADER - 4..start + HEADER].copy_from_slice(&header.to_le_bytes());
}

fn event(kind: EventKind) -> Vec<u8> {
    Event::new(1_700_000_100_000, kind).encode().unwrap()
}

/// A way to damage a store.
type Damage = fn(&Sample<'_>);

const DAMAGES: &[(&str, Damage)] = &[
    ("record-checksum", |sample| {
        let frame = sample.frame("failed", 1);
        sample.change(frame.segment, |bytes| bytes[frame.end - 9] ^= 0x20);
    }),
    ("record-header", |sample| {
        let frame = sample.frame("killed", 1);
        sample.change(frame.segment, |bytes| bytes[frame.start + 20] ^= 0x01);
    }),
    ("records-overwritten", |sample| {
        let (first, last) = (sample.frame("failed", 1), sample.frame("killed", 1));
        for segment in first.segment..=last.segment {
            let from = if segment == first.segment { first.start } else { 32 };
            sample.change(segment, |bytes| {
                let to = if segment == last.segment { last.end } else { bytes.len() };
                bytes[from..to].fill(0xA5);
            });
        }
    }),
    ("record-of-unknown-kind", |sample| {
        let frame = sample.frame("failed", 1);
        sample.change(frame.segment, |bytes| {
            bytes[frame.start + 4] = 99;
            seal(bytes, frame.start, frame.end);
        });
    }),
    ("first-record-of-a-run", |sample| {
        let frame = sample.frame("waiting", 0);
        sample.change(frame.segment, |bytes| bytes[frame.end - 9] ^= 0x20);
    }),
    ("chain-break", |sample| {
        let frame = sample.frame("succeeded", 2);
        sample.change(frame.segment, |bytes| {
            // An event's text was changed, and the checksums with it: only the chain of digests tells.
            let at = bytes[frame.start..frame.end].windows(9).position(|word| word == b"\"event\":\"").unwrap();
            bytes[frame.start + at - 2] ^= 0x01;
            seal(bytes, frame.start, frame.end);
        });
    }),
    ("no-json", |sample| sample.append("waiting", vec![b"{\"v\":1,\"at\":17000".to_vec()])),
    ("no-utf8", |sample| sample.append("killed", vec![vec![0xFF, 0xFE, b'{', b'}']])),
    ("later-version", |sample| {
        let later = json!({ "v": 999, "at": 1_700_000_100_000_u64, "event": "teleported", "step": "go" });
        sample.append("waiting", vec![later.to_string().into_bytes()]);
    }),
    ("unknown-event", |sample| {
        let unknown = json!({ "v": 1, "at": 1_700_000_100_000_u64, "event": "teleported", "step": "go" });
        sample.append("waiting", vec![unknown.to_string().into_bytes()]);
    }),
    ("illegal-event", |sample| sample.append("waiting", vec![event(EventKind::WaitEnded { step: step("last") })])),
    ("illegal-event-in-a-round", |sample| {
        let good = event(EventKind::Checkpointed { step: step("middle"), number: 1, value: json!({ "copied": 3 }) });
        let bad = event(EventKind::WaitEnded { step: step("last") });
        let late = event(EventKind::Checkpointed { step: step("middle"), number: 1, value: json!({ "copied": 5 }) });
        sample.append("killed", vec![good, bad]);
        sample.append("killed", vec![late]);
    }),
    ("illegal-first-event", |sample| {
        let frame = sample.frame("cancelled", 0);
        let id = id(&sample.runs, "cancelled");
        let other = id.as_str().replace("r-", "r-z");
        // A run that begins with anything but its creation.
        let (store, _) = EmbeddedStore::open(sample.dir, support::options(4096)).unwrap();
        let events = vec![event(EventKind::WaitEnded { step: step("last") })];
        let append = Append {
            run: lifeboat_core::RunId(other),
            expected: 0,
            epoch: 1,
            events,
            summary: frame.text.as_bytes()[..0].to_vec(),
        };
        wait(store.append(append)).unwrap();
        drop(store);
        support::trim(sample.dir);
    }),
    ("torn-tail", |sample| {
        let frame = sample.frames().pop().unwrap();
        sample.change(frame.segment, |bytes| bytes.truncate(frame.start + (frame.end - frame.start) / 2));
    }),
    ("segment-missing", |sample| std::fs::remove_file(&segments(sample.dir)[2]).unwrap()),
    ("segment-cut-short", |sample| {
        let frames = sample.frames();
        let last = frames.iter().rfind(|frame| frame.segment == 1).unwrap();
        sample.change(1, |bytes| bytes.truncate(last.end - 20));
    }),
    ("segment-header", |sample| sample.change(2, |bytes| bytes[3] ^= 0x01)),
    ("segment-of-zeros", |sample| sample.change(2, |bytes| bytes.fill(0))),
    ("index-of-garbage", |sample| {
        std::fs::create_dir(sample.dir.join("state")).unwrap();
        std::fs::write(sample.dir.join("state/db"), [0xA5; 4_000]).unwrap();
        std::fs::write(sample.dir.join("state/conf"), [0xA5; 64]).unwrap();
    }),
    ("index-half-written", |sample| {
        std::fs::create_dir(sample.dir.join("state")).unwrap();
        std::fs::write(sample.dir.join("state/snap.0000000000000FF0.generating"), []).unwrap();
    }),
    ("repair-interrupted", |sample| {
        let frame = sample.frame("failed", 1);
        let whole = segments(sample.dir)[frame.segment].clone();
        std::fs::copy(&whole, whole.with_extension("seg.new")).unwrap();
        sample.change(frame.segment, |bytes| bytes[frame.end - 9] ^= 0x20);
    }),
    ("two-at-once", |sample| {
        let (one, two) = (sample.frame("failed", 1), sample.frame("succeeded", 3));
        sample.change(one.segment, |bytes| bytes[one.end - 9] ^= 0x20);
        sample.change(two.segment, |bytes| bytes[two.start + 20] ^= 0x20);
    }),
];

fn damaged(dir: &Path) {
    for (name, damage) in DAMAGES {
        let store = dir.join(name).join("store");
        if store.exists() {
            std::fs::remove_dir_all(&store).unwrap();
        }
        let runs = support::runs();
        support::make(&store, &runs, &[], 4096);
        damage(&Sample { dir: &store, runs });
        println!("{name}");
    }
}
