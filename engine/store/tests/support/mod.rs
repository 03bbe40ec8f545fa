//! Runs for stores that tests look at: made by the real engine in the simulated world, recorded, and written append by
//! append, so that the same bytes come out each time.

#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;

use lifeboat_core::RunId;
use lifeboat_core::event::EvidenceFile;
use lifeboat_core::ids::{Digest, StepId};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt, Plan, Test};
use lifeboat_core::ports::{Append, Store};
use lifeboat_runtime::Verb;
use lifeboat_store::{EmbeddedStore, Options};
use lifeboat_testkit::{Act, CrashStore, PlanBuilder, Rig, SimClock, SimStore, Tell, World, said};
use serde_json::json;

/// A run under its name, with all of its appends.
pub type Recorded = (&'static str, Vec<Append>);

/// A plan of the simulated world under a name of its own.
fn named(name: &str, plan: PlanBuilder) -> Plan {
    Plan { runbook: name.to_owned(), ..plan.build() }
}

/// Runs of every kind, each with its appends: succeeded after a retry, failed, waiting for an approval, in doubt, unwound,
/// cancelled, and one whose engine was killed in the middle of a step.
pub fn runs() -> Vec<(&'static str, Vec<Append>)> {
    let world = World::new();
    world.acts("flaky", [Act::Fail(FailureKind::Temporary)]);
    world.acts("broken", [Act::Fail(FailureKind::Permanent)]);
    world.acts("doubtful", [Act::Unknown { happened: true }]);
    world.tells("doubtful", [Tell::Nothing]);
    let store = Arc::new(SimStore::new());
    let recorder = Arc::new(CrashStore::new(Arc::clone(&store)).remembering());
    let rig = Rig::over(store, Arc::clone(&recorder) as Arc<dyn Store>, world, 64);
    let chain = |name: &str, middle: &str| {
        let plan = PlanBuilder::new().step("first").step(middle).retry(1, 500).after(["first"]);
        named(name, plan.step("last").after([middle]))
    };
    let undone = PlanBuilder::new().step("a").effect(Effect::Compensatable).step("broken").after(["a"]);
    let asks = PlanBuilder::new().step("first").approve("go", 1, None).after(["first"]);
    let plans = [
        ("succeeded", chain("succeeded", "flaky")),
        ("failed", chain("failed", "broken")),
        ("waiting", named("waiting", asks.clone().step("last").after(["go"]))),
        (
            "in-doubt",
            named(
                "in-doubt",
                PlanBuilder::new().step("doubtful").in_doubt(InDoubt::Probe).step("last").after(["doubtful"]),
            ),
        ),
        ("unwound", named("unwound", undone.compensate_on_failure())),
        ("cancelled", named("cancelled", asks)),
        ("killed", chain("killed", "middle")),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut out = Vec::new();
    runtime.block_on(async {
        for (name, plan) in plans {
            let mut handle = rig.submit(plan).await;
            rig.rest(&mut handle).await;
            if name == "cancelled" {
                rig.drive(handle.say(Verb::Cancel { compensate: false }, said("ann"))).await.unwrap();
                rig.rest(&mut handle).await;
            }
            // A second between two runs, so that their ids are in order.
            rig.clock.advance(1_000);
            out.push((name, recorder.take_stored()));
        }
    });
    // The last one's engine was killed when the intent of its second step was durable.
    let killed = &mut out.last_mut().unwrap().1;
    let intent =
        |append: &Append| append.events.iter().any(|event| has(event, "attempt-started") && has(event, "middle"));
    let place = killed.iter().position(intent).unwrap();
    killed.truncate(place + 1);
    out
}

/// Runs with what later issues of format 1 added, and the documents that their locks are: one that holds a lock and asks,
/// one that waits for that lock, one that is paused, one with a step that was done by hand, one with steps that were not
/// needed and a fan-out, and one that was abandoned.
pub fn later_runs() -> (Vec<Recorded>, Vec<(String, Vec<u8>)>) {
    let world = World::new();
    world.acts("broken", [Act::Fail(FailureKind::Permanent)]);
    let store = Arc::new(SimStore::new());
    let recorder = Arc::new(CrashStore::new(Arc::clone(&store)).remembering());
    // A day after the other ones.
    let clock = SimClock::at(1_700_086_400_000);
    let rig = Rig::at(clock, 11, Arc::clone(&store), Arc::clone(&recorder) as Arc<dyn Store>, world, 64);
    let asks = |name: &str, first: &str| {
        let plan = PlanBuilder::new().step(first).lock("fs:/srv/eu").approve("go", 1, None).after([first]);
        named(name, plan.step("last").after(["go"]))
    };
    let spread = PlanBuilder::new()
        .input("size", json!("small"))
        .step("large-only")
        .when("{{inputs.size}}", Test::Is(json!("large")))
        .step("each/eu")
        .fan("each", 1)
        .step("each/us")
        .fan("each", 1);
    let plans = [
        ("holder", asks("holder", "first")),
        ("queued", named("queued", PlanBuilder::new().step("second").lock("fs:/srv/eu"))),
        ("paused", named("paused", PlanBuilder::new().approve("go", 1, None).step("last").after(["go"]))),
        ("by-hand", named("by-hand", PlanBuilder::new().step("broken").step("last").after(["broken"]))),
        ("spread", named("spread", spread)),
        ("abandoned", named("abandoned", PlanBuilder::new().approve("go", 1, None))),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut out = Vec::new();
    let documents = runtime.block_on(async {
        for (name, plan) in plans {
            let mut handle = rig.submit(plan).await;
            let state = rig.rest(&mut handle).await;
            let evidence = vec![EvidenceFile {
                name: "db.log".to_owned(),
                digest: Digest::of(b"log"),
                bytes: b"log".len() as u64,
            }];
            let verbs = match name {
                "paused" => vec![
                    Verb::Pause,
                    Verb::Approve {
                        step: step("go"),
                        fingerprint: state.fingerprint.clone(),
                        roles: Some(vec!["incident-commander".to_owned()]),
                    },
                ],
                "by-hand" => vec![Verb::MarkDone { step: step("broken"), outputs: json!({ "value": 1 }), evidence }],
                "abandoned" => vec![Verb::Abandon],
                _ => Vec::new(),
            };
            for verb in verbs {
                rig.drive(handle.say(verb, said("ann"))).await.unwrap();
                rig.rest(&mut handle).await;
            }
            rig.clock.advance(1_000);
            out.push((name, recorder.take_stored()));
        }
        let mut documents = Vec::new();
        for key in ["locks/fence".to_owned(), format!("locks/{}", Digest::of(b"fs:/srv/eu").short())] {
            documents.push((key.clone(), store.get_document(&key).await.unwrap().unwrap().value));
        }
        documents
    });
    (out, documents)
}

/// Whether an event's text has a word in it.
pub fn has(event: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(event).contains(word)
}

/// The id of a run of [`runs`].
pub fn id(runs: &[(&str, Vec<Append>)], name: &str) -> RunId {
    runs.iter().find(|(other, _)| *other == name).unwrap().1[0].run.clone()
}

/// A future's end, without the engine.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Options with small segments, so that a small store has some.
pub fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, ..Options::default() }
}

/// Makes a data folder with these runs, most of their appends in turn, a document and a lease. The same bytes each time.
pub fn make(dir: &Path, runs: &[(&str, Vec<Append>)], documents: &[(String, Vec<u8>)], segment_bytes: u64) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("FORMAT"), format!("lifeboat-store 1\n{}\n", "5afe".repeat(8))).unwrap();
    let (store, _) = EmbeddedStore::open(dir, options(segment_bytes)).unwrap();
    wait(store.put_document("schedule/nightly", 0, b"{\"last\":1700000000000}".to_vec())).unwrap();
    for (key, value) in documents {
        wait(store.put_document(key, 0, value.clone())).unwrap();
    }
    wait(store.acquire_lease("engine", "host-a", 1_700_000_000_000, 30_000)).unwrap();
    // One run before the others, four in turn, two after them: so that damage hits some and not others.
    let (mut order, turn): (Vec<_>, Vec<_>) =
        runs.iter().partition(|(name, _)| matches!(*name, "cancelled" | "in-doubt" | "unwound"));
    order.sort_by_key(|(name, _)| *name);
    let appends = |runs: &[&(&str, Vec<Append>)]| runs.iter().flat_map(|(_, all)| all.clone()).collect::<Vec<_>>();
    let longest = turn.iter().map(|(_, appends)| appends.len()).max().unwrap();
    let between =
        (0..longest).flat_map(|place| turn.iter().filter_map(move |(_, appends)| appends.get(place)).cloned());
    let all = appends(&order[..1]).into_iter().chain(between).chain(appends(&order[1..]));
    for append in all {
        wait(store.append(append)).unwrap();
    }
    drop(store);
    trim(dir);
}

/// Leaves what is committed: no index, no lock, segments without the room that was allocated ahead.
pub fn trim(dir: &Path) {
    std::fs::remove_dir_all(dir.join("state")).unwrap();
    std::fs::remove_file(dir.join("lock")).unwrap();
    for path in segments(dir) {
        let mut bytes = std::fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // A last frame may end in zeros: none of ours does, for an event ends in a brace.
        bytes.truncate(used.max(32));
        std::fs::write(path, bytes).unwrap();
    }
}

/// The segments of a data folder, in order.
pub fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    all.sort();
    all
}

/// Copies a folder and all below it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The step of a name, for verbs.
pub fn step(name: &str) -> StepId {
    StepId::from(name)
}
