//! Stores that earlier builds wrote, one folder a format in `tests/golden`: today's code opens each, and what was
//! unfinished goes on to its end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_core::apply;
use lifeboat_core::event::Event;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Store, chain};
use lifeboat_core::state::{RunState, RunStatus, Summary};
use lifeboat_runtime::{Engine, EngineParts, Rest, Verb};
use lifeboat_store::{EmbeddedStore, inspect, read_only};
use lifeboat_testkit::{ScriptedExecutor, SeededRng, WallClock, World, said};
use serde_json::Value;
use support::{copy, options, step, wait};

fn formats() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries.filter(|path| path.join("store/FORMAT").exists()).collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

fn fresh(format: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&format.join("store"), dir.path());
    dir
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Whether all that the old value says is in the new one, too.
fn kept(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            old.iter().all(|(name, value)| new.get(name).is_some_and(|new| kept(value, new)))
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| kept(old, new))
        }
        _ => old == new,
    }
}

#[test]
fn heads_digests_and_states_are_those_that_were_recorded() {
    for format in formats() {
        let dir = fresh(&format);
        let recorded = format.join("runs.json");
        let (store, opened) = EmbeddedStore::open(dir.path(), options(1 << 20)).unwrap();
        assert!(opened.damage.is_empty() && opened.quarantined.is_empty() && opened.truncated == 0, "{opened:?}");
        let mut found = Vec::new();
        for head in wait(store.list()).unwrap() {
            let stored = wait(store.read(&head.run, 0)).unwrap();
            let mut digest = [0; 32];
            let mut events = Vec::new();
            for (seq, event) in (1..).zip(&stored) {
                digest = chain(&digest, &event.bytes);
                assert_eq!((event.seq, event.chain), (seq, digest), "{}", head.run);
                let decoded = Event::decode(&event.bytes).unwrap();
                // Fields may be added; one that this build does not know any more would be lost here.
                let old: Value = serde_json::from_slice(&event.bytes).unwrap();
                let new: Value = serde_json::from_slice(&decoded.encode().unwrap()).unwrap();
                assert!(kept(&old, &new), "{old:#}\nis now\n{new:#}");
                events.push(decoded);
            }
            assert_eq!((head.seq, head.chain), (stored.len() as u64, digest), "{}", head.run);
            let state = apply::replay(&events).unwrap();
            let summary: Value = serde_json::from_slice(&head.summary).unwrap();
            let now = serde_json::to_value(Summary::of(&state)).unwrap();
            assert!(kept(&summary, &now), "{}: {summary:#}\nis now\n{now:#}", head.run);
            found.push(serde_json::json!({
                "run": head.run, "events": head.seq, "epoch": head.epoch, "chain": hex(&head.chain), "summary": summary,
            }));
        }
        let text = serde_json::to_string_pretty(&found).unwrap() + "\n";
        if std::env::var_os("LIFEBOAT_BLESS").is_some() && !recorded.exists() {
            // Only for a store that is new. What is recorded is never written anew.
            std::fs::write(&recorded, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&recorded).unwrap(), text, "{}", format.display());
        let document = wait(store.get_document("schedule/nightly")).unwrap().unwrap();
        assert_eq!((document.version, document.value.as_slice()), (1, b"{\"last\":1700000000000}".as_slice()));
        let lease = wait(store.acquire_lease("engine", "host-b", 1_700_000_010_000, 1)).unwrap();
        assert_eq!((lease.holder.as_str(), lease.epoch), ("host-a", 1));
        drop(store);
        assert!(inspect(dir.path()).unwrap().findings.iter().all(|finding| !finding.bad));
    }
}

fn named(dir: &Path, runbook: &str) -> (RunId, RunState) {
    let journal = read_only(dir).unwrap();
    let mut states = journal.known().into_iter().map(|run| (run.clone(), journal.state(&run).unwrap()));
    states.find(|(_, state)| state.plan.runbook == runbook).unwrap()
}

#[test]
fn what_was_unfinished_goes_on_to_its_end() {
    for format in formats() {
        let dir = fresh(&format);
        let (store, _) = EmbeddedStore::open(dir.path(), options(1 << 20)).unwrap();
        let world = World::new();
        let (killed, before) = named(dir.path(), "killed");
        assert_eq!(before.status(), RunStatus::Running);
        // The engine of that time was killed when the effect of the second step was there, and had not been told of.
        world.preset(killed.as_str(), "middle", true);
        let engine = Engine::new(EngineParts {
            store: Arc::new(store),
            executor: Arc::new(ScriptedExecutor::new(world.clone(), Arc::new(WallClock))),
            clock: Arc::new(WallClock),
            rng: Arc::new(SeededRng::new(7)),
            max_parallel: 8,
            version: "lifeboat test".to_owned(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let verbs = |state: &RunState| match state.plan.runbook.as_str() {
                "waiting" => {
                    Some(Verb::Approve { step: step("go"), fingerprint: state.fingerprint.clone(), roles: None })
                }
                "in-doubt" => Some(Verb::Skip(step("doubtful"))),
                "holder" => {
                    Some(Verb::Approve { step: step("go"), fingerprint: state.fingerprint.clone(), roles: None })
                }
                "paused" => Some(Verb::Unpause),
                _ => None,
            };
            let unfinished = engine.unfinished().await.unwrap();
            let names: Vec<&str> = unfinished.iter().map(|(_, summary)| summary.runbook.as_str()).collect();
            // Stores with locks came later; the run that waits for the lock of another one comes after it.
            let with_locks = ["waiting", "in-doubt", "killed", "holder", "queued", "paused"];
            assert!(names == with_locks[..3] || names == with_locks, "{names:?}");
            for (run, summary) in unfinished {
                let state = engine.load(&run).await.unwrap().state;
                let mut handle = engine.resume(&run).await.unwrap();
                if let Some(verb) = verbs(&state) {
                    handle.say(verb, said("ann")).await.unwrap();
                }
                let Rest::Ended(state) = handle.rest().await else { panic!("{} does not end", summary.runbook) };
                assert_eq!(state.status(), RunStatus::Succeeded, "{}", summary.runbook);
            }
        });
        let middle = world.entry(killed.as_str(), "middle");
        assert_eq!((middle.probed, middle.executed), (1, 0), "it was asked for, and not done again");
        assert_eq!(world.entry(killed.as_str(), "first").executed, 0);
        assert_eq!(world.entry(killed.as_str(), "last").executed, 1);
        drop(engine);
        assert!(inspect(dir.path()).unwrap().findings.iter().all(|finding| !finding.bad));
    }
}
