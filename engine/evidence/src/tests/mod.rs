//! Bundles of runs that the real engine made, on a simulated clock.

mod attacks;
mod figures;
mod tables;

use lifeboat_core::event::{Event, EvidenceFile};
use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Mode, Plan, PluginPin, StepKind, TargetUse};
use lifeboat_core::ports::{StoredEvent, chain};
use lifeboat_runtime::Verb;
use lifeboat_testkit::{Act, PlanBuilder, Rig, said};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{Attachment, Material, PublicKey, Question, Signer, SigningKey, Witness, make};

pub const WASM: &[u8] = b"\0asm of the plugin";
pub const LOG: &[u8] = b"what was seen\n";

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([number; 32])).unwrap()
}

pub fn signer(key: &SigningKey) -> Signer<'_> {
    Signer { key, by: "the engine", at: 1_700_001_000_000 }
}

/// A step's kind is changed after the builder made it.
fn kind(plan: &mut Plan, step: &str, kind: StepKind) {
    plan.steps.iter_mut().find(|one| one.id.as_str() == step).unwrap().kind = kind;
}

/// Asks, takes, restores with a retry, validates; and `extra` fails until a person says that it is done.
pub fn plan() -> Plan {
    let mut plan = PlanBuilder::new()
        .approve("go", 2, None)
        .step("take")
        .lock("shop")
        .after(["go"])
        .step("rebuild")
        .retry(2, 1_000)
        .after(["take"])
        .step("smoke")
        .after(["rebuild"])
        .wait("settle", 3_000)
        .after(["smoke"])
        .step("extra")
        .after(["settle"])
        .build();
    kind(&mut plan, "take", StepKind::Snapshot);
    kind(&mut plan, "smoke", StepKind::Validate);
    kind(&mut plan, "extra", StepKind::Switch);
    plan.mode = Mode::Drill;
    plan.objectives.rto_ms = Some(900_000);
    plan.objectives.rpo_ms = Some(60_000);
    plan.plugins.insert("simulated".into(), PluginPin { version: "1".into(), digest: Digest::of(WASM) });
    plan.steps[2].targets = vec![TargetUse { role: "from".into(), target: "shop".into() }];
    plan
}

/// The plan carried out, to its end.
pub async fn story() -> Vec<Event> {
    let rig = Rig::new();
    let slow = |ms, act| Act::Slow(ms, Box::new(act));
    let taken = json!({"snapshot": "ab12", "files": 3, "bytes": 4096, "time_ms": 1_700_000_121_000_u64});
    rig.world.acts("take", [slow(10_000, Act::Done(Some(taken)))]);
    let back = json!({"snapshot": "ab12", "files": 3, "bytes": 4096});
    rig.world.acts("rebuild", [slow(2_000, Act::Fail(FailureKind::Temporary)), slow(60_000, Act::Done(Some(back)))]);
    rig.world.acts("smoke", [slow(5_000, Act::Done(None))]);
    rig.world.acts("extra", [slow(1_000, Act::Fail(FailureKind::Permanent))]);
    let plan = plan();
    let fingerprint = plan.fingerprint();
    let mut handle = rig.submit(plan).await;
    rig.rest(&mut handle).await;
    for (ms, who) in [(90_000, "ada"), (30_000, "grace")] {
        rig.clock.advance(ms);
        let yes = Verb::Approve { step: "go".into(), fingerprint: fingerprint.clone(), roles: None };
        rig.drive(handle.say(yes, said(who))).await.unwrap();
    }
    let state = rig.rest(&mut handle).await;
    assert_eq!(state.status().as_str(), "failed");
    rig.clock.advance(45_000);
    let file = EvidenceFile { name: "log.txt".into(), digest: Digest::of(LOG), bytes: 14 };
    let done = Verb::MarkDone { step: StepId::from("extra"), outputs: json!({"value": 1}), evidence: vec![file] };
    let run = handle.run().clone();
    let mut handle = rig.drive(rig.engine.resume_saying(&run, done, said("ada"))).await.unwrap();
    let state = rig.rest(&mut handle).await;
    assert_eq!(state.status().as_str(), "succeeded");
    rig.events(&run)
}

/// The smallest run there is.
pub async fn small() -> Vec<Event> {
    let rig = Rig::new();
    let state = rig.run(PlanBuilder::new().step("a").build()).await;
    rig.events(&state.run)
}

pub fn stored(events: &[Event]) -> Vec<StoredEvent> {
    let mut before = [0; 32];
    let encoded = (1..).zip(events).map(|(seq, event)| {
        let bytes = event.encode().unwrap();
        before = chain(&before, &bytes);
        StoredEvent { seq, bytes, chain: before }
    });
    encoded.collect()
}

pub fn bundle(events: &[Event], key: &SigningKey) -> Vec<u8> {
    let files = [Attachment { digest: Digest::of(LOG), bytes: LOG.to_vec() }];
    let material =
        Material { stored: &stored(events), witness: &Witness::default(), files: &files, made_by: "lifeboat test" };
    make(&material, &signer(key)).unwrap()
}

pub fn asks(keys: &[PublicKey]) -> Question {
    Question { keys: keys.to_vec(), plugins: Vec::new() }
}

/// What is wrong with a bundle, as codes.
pub fn faults(bytes: &[u8], key: &SigningKey) -> Vec<String> {
    let verdict = crate::verify(bytes, &asks(&[key.public()]));
    assert_eq!(verdict.contents.is_some(), verdict.is_good());
    verdict.faults.iter().map(|fault| fault.code.to_string()).collect()
}

/// Another run's id, for what is forged.
pub fn other_run() -> RunId {
    RunId::new(1_700_000_000_001, 1)
}
