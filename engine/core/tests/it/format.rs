//! The form of stored events is a promise: one of each kind, byte for byte, in `events.jsonl` beside this file.
//!
//! A line that changes means that old logs are not read as they were written. Add fields, never rename them.

use lifeboat_core::carry::{BegunStep, CarriedStep, Continues};
use lifeboat_core::event::{Event, EventKind, EvidenceFile, HeldLock, RunResult};
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::ledger::Resource;
use lifeboat_core::outcome::{Failure, ProbeAnswer};
use lifeboat_core::plan::{Condition, Effect, Fan, PluginPin, Retry, Target, TargetUse, Test, UndoPolicy, Waiver};
use lifeboat_core::ports::Direction;
use lifeboat_core::state::ByHand;
use lifeboat_core::{Code, Mode, Plan, actions};
use lifeboat_testkit::{PlanBuilder, said};
use serde_json::json;

use crate::{FORWARD, UNDO, created, done, failed, id, unknown};

const GOLDEN: &str = include_str!("events.jsonl");

fn plan() -> lifeboat_core::Plan {
    let mut plan = PlanBuilder::new()
        .compensate_on_failure()
        .step("take")
        .effect(Effect::Compensatable)
        .retry(3, 2_000)
        .heartbeat(5_000)
        .args(json!({ "path": "{{inputs.path}}" }))
        .approve("go", 2, Some(60_000))
        .after(["take"])
        .wait("pause", 500)
        .after(["go"])
        .build();
    plan.description = "Bring it back".to_owned();
    plan.owner = Some("sre".to_owned());
    plan.objectives.rto_ms = Some(900_000);
    plan.inputs.insert("path".to_owned(), json!("/srv"));
    let pin = PluginPin { version: "1.0.0".to_owned(), digest: Digest::of(b"wasm") };
    plan.plugins.insert("fs".to_owned(), pin);
    let target = Target {
        name: "orders".to_owned(),
        plugin: "fs".to_owned(),
        site: Some("primary".to_owned()),
        settings: json!({ "root": "/srv/orders" }),
        secrets: [("password".to_owned(), "orders".to_owned())].into(),
        lock: None,
    };
    plan.targets.insert("orders".to_owned(), target);
    let step = &mut plan.steps[0];
    step.targets.push(TargetUse { role: "of".to_owned(), target: "orders".to_owned() });
    step.capabilities.push("dir".to_owned());
    step.estimate_ms = Some(1_000);
    step.waivers.push(Waiver { rule: "LB0301".to_owned(), reason: "tried by hand".to_owned() });
    plan
}

/// The fields that the first plan has not.
fn larger_plan() -> lifeboat_core::Plan {
    let mut plan = PlanBuilder::new().step("before").step("each/eu").after(["before"]).build();
    let settings = json!({ "root": "/srv/eu" });
    let lock = Some("fs:/srv/eu".to_owned());
    let target =
        Target { name: "eu".to_owned(), plugin: "fs".to_owned(), site: None, settings, secrets: [].into(), lock };
    plan.targets.insert("eu".to_owned(), target);
    let step = &mut plan.steps[1];
    let tests = [Test::Holds, Test::Is(json!("a")), Test::Not(json!(1)), Test::Above(1.into()), Test::Below(2.into())];
    step.when = tests.into_iter().map(|test| Condition { value: "{{steps.before.value}}".to_owned(), test }).collect();
    step.fan = Some(Fan { of: "each".to_owned(), item: json!("eu"), limit: 2 });
    let retry = Retry { count: 9, backoff_ms: 1_000, max_ms: 60_000, jitter: true };
    step.undo = Some(UndoPolicy { timeout_ms: 300_000, retry });
    plan
}

/// What people do, what locks do, and what conditions do.
fn more() -> Vec<EventKind> {
    let file = EvidenceFile { name: "db.log".to_owned(), digest: Digest::of(b"log"), bytes: 3 };
    let held = HeldLock { lock: "fs:/srv/eu".to_owned(), holder: RunId::new(1_700_000_000_000, 43) };
    let marked =
        |outputs, evidence| EventKind::StepMarkedDone { step: id("take"), outputs, evidence, said: said("ada") };
    let resource = Resource {
        target: "standby".to_owned(),
        plugin: "fs".to_owned(),
        what: "what is restored".to_owned(),
        place: "/srv/drill/r-1".to_owned(),
        own: true,
        removable: true,
        expires_at: 1_700_086_400_123,
    };
    let mut plan = PlanBuilder::new().step("take").makes("what is restored").build();
    plan.steps[0].makes[0].own = true;
    let mut detected = created(plan);
    if let EventKind::RunCreated { detected_at, .. } = &mut detected {
        *detected_at = Some(1_700_000_000_000);
    }
    vec![
        created(larger_plan()),
        EventKind::Approved {
            step: id("go"),
            fingerprint: Digest::of(b"plan"),
            role: Some("sre".to_owned()),
            said: said("ada"),
        },
        marked(json!({ "snapshot": "a1" }), vec![file]),
        marked(json!({}), Vec::new()),
        EventKind::StepNotNeeded { step: id("take"), because: "'no' is not yes".to_owned() },
        EventKind::ConditionUnclear { step: id("take"), failure: Failure::permanent("'many' is no number") },
        EventKind::LocksAwaited { held: vec![held] },
        EventKind::LocksTaken { locks: vec!["fs:/srv/eu".to_owned()], fence: 7 },
        EventKind::RunPaused { said: said("ada") },
        EventKind::RunUnpaused { said: said("ada") },
        EventKind::RunAbandoned { said: said("ada") },
        EventKind::RunFinished { result: RunResult::Abandoned },
        EventKind::SuspectHeld {
            step: id("take"),
            from: vec![id("before")],
            because: vec!["half of it looks encrypted".to_owned()],
        },
        EventKind::SuspectAttested {
            step: id("take"),
            evidence: vec![EvidenceFile { name: "scan.log".to_owned(), digest: Digest::of(b"scan"), bytes: 4 }],
            said: said("ada"),
        },
        EventKind::ResourcesIntended { step: id("take"), resources: vec![resource] },
        EventKind::CleanupStarted { then: RunResult::Failed, said: None },
        EventKind::CleanupStarted { then: RunResult::Abandoned, said: Some(said("ada")) },
        EventKind::AttemptStarted {
            step: id("take"),
            direction: Direction::Cleanup,
            number: 1,
            key: Digest::of(b"key"),
            token: 9,
        },
        detected,
    ]
}

/// One run goes on with another one.
fn continued() -> Vec<EventKind> {
    let mut next = PlanBuilder::new().step("take").build();
    next.mode = Mode::Failover;
    vec![
        EventKind::RunContinued {
            successor: RunId::new(1_700_000_000_000, 44),
            fingerprint: next.fingerprint(),
            plan: Box::new(next.clone()),
            runbook: "runbook \"simulated\"".to_owned(),
            carried: vec![id("take")],
            begun: vec![id("copy")],
            said: said("ada"),
        },
        goes_on(next),
    ]
}

/// A run that goes on with another one.
fn goes_on(plan: Plan) -> EventKind {
    let file = EvidenceFile { name: "db.log".to_owned(), digest: Digest::of(b"log"), bytes: 3 };
    let by_hand = Some(Box::new(ByHand { said: said("ada"), evidence: vec![file] }));
    let earlier = RunId::new(1_700_000_000_000, 42);
    let (run, outputs) = (earlier.clone(), json!({ "snapshot": "a1" }));
    let begun_in = Some(RunId::new(1_700_000_000_000, 41));
    let begun = BegunStep {
        step: id("copy"),
        run: run.clone(),
        checkpoint: Some(json!({ "part": 3 })),
        may_have_happened: true,
    };
    let (begun_at, done_at) = (Some(5), Some(6));
    let step = CarriedStep { step: id("take"), run, attempt: 2, begun_at, done_at, outputs, by_hand, begun_in };
    let mut created = created(plan);
    if let EventKind::RunCreated { run, continues, .. } = &mut created {
        *run = RunId::new(1_700_000_000_000, 44);
        *continues = Some(Box::new(Continues {
            run: earlier,
            mode: Mode::Switchover,
            events: 9,
            chain: Digest::of(b"chain"),
            declared_at: 1_700_000_000_000,
            disaster_at: Some(1_700_000_000_100),
            token: 7,
            locks: vec!["fs:/srv/eu".to_owned()],
            steps: vec![step],
            begun: vec![begun],
        }));
    }
    created
}

fn attempts(run: &RunId) -> Vec<EventKind> {
    let finished = |direction, outcome, retry_at, interrupted| EventKind::AttemptFinished {
        step: id("take"),
        direction,
        number: 1,
        outcome,
        retry_at,
        interrupted,
    };
    let kind = lifeboat_core::FailureKind::Sandbox;
    let failure = Failure {
        kind,
        code: Some(Code::new("LB0705")),
        message: "too slow".to_owned(),
        hint: Some("wait".to_owned()),
    };
    let probed = |answer, retry_at| EventKind::Probed { step: id("take"), number: 1, answer, retry_at };
    vec![
        EventKind::AttemptStarted {
            step: id("take"),
            direction: FORWARD,
            number: 1,
            key: actions::key(run, &id("take")),
            token: 1,
        },
        finished(FORWARD, done(), None, false),
        finished(UNDO, failed(lifeboat_core::FailureKind::Temporary), Some(9_000), false),
        finished(FORWARD, lifeboat_core::Outcome::Failed { failure }, None, false),
        finished(FORWARD, unknown(), None, true),
        EventKind::Checkpointed { step: id("take"), number: 1, value: json!({ "part": 7 }) },
        probed(ProbeAnswer::Happened { outputs: json!({ "n": 1.5 }) }, None),
        probed(ProbeAnswer::DidNotHappen, Some(9_000)),
        probed(ProbeAnswer::CannotTell { reason: "blind".to_owned() }, None),
    ]
}

/// One of each, with each of its forms.
fn all() -> Vec<EventKind> {
    let (run, seen) = (RunId::new(1_700_000_000_000, 42), Digest::of(b"plan"));
    let mut kinds = vec![created(plan())];
    kinds.extend(attempts(&run));
    kinds.extend([
        EventKind::ApprovalRequested { step: id("go"), fingerprint: seen.clone(), expires_at: Some(61_000) },
        EventKind::ApprovalRequested { step: id("go"), fingerprint: seen.clone(), expires_at: None },
        EventKind::Approved { step: id("go"), fingerprint: seen, role: None, said: said("ada") },
        EventKind::Denied { step: id("go"), said: said("bo") },
        EventKind::ApprovalExpired { step: id("go") },
        EventKind::WaitStarted { step: id("pause"), until: 1_500 },
        EventKind::WaitEnded { step: id("pause") },
        EventKind::StepRetried { step: id("take"), said: said("ada") },
        EventKind::StepSkipped { step: id("take"), said: said("ada") },
        EventKind::CancelRequested { compensate: true, said: said("ada") },
        EventKind::UnwindStarted { cause: Some(id("take")) },
        EventKind::UnwindStarted { cause: None },
        EventKind::RunFinished { result: RunResult::Succeeded },
        EventKind::RunFinished { result: RunResult::Failed },
        EventKind::RunFinished { result: RunResult::Cancelled },
    ]);
    kinds.extend(more());
    kinds.extend(continued());
    kinds
}

#[test]
fn every_event_is_stored_as_it_always_was() {
    let events: Vec<Event> = all().into_iter().map(|kind| Event::new(1_700_000_000_123, kind)).collect();
    let lines: String = events.iter().map(|event| String::from_utf8(event.encode().unwrap()).unwrap() + "\n").collect();
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/events.jsonl"), &lines).unwrap();
        return;
    }
    for (wanted, line) in GOLDEN.lines().zip(lines.lines()) {
        assert_eq!(wanted, line);
    }
    assert_eq!(GOLDEN.lines().count(), events.len());
    for (line, event) in GOLDEN.lines().zip(&events) {
        assert_eq!(&Event::decode(line.as_bytes()).unwrap(), event, "read back");
        assert_eq!(&serde_json::from_str::<Event>(line).unwrap(), event, "as its type says");
    }
}

#[test]
fn fields_that_are_not_known_yet_are_read_over_and_later_versions_are_not() {
    let known = br#"{"v":1,"at":5,"event":"wait-ended","step":"pause","colour":"blue"}"#;
    assert_eq!(Event::decode(known).unwrap(), Event::new(5, EventKind::WaitEnded { step: id("pause") }));
    let later = br#"{"v":2,"at":5,"event":"wait-ended","step":"pause"}"#;
    let error = Event::decode(later).unwrap_err();
    assert!(error.code.to_string() == "LB0503" && error.message.contains("version 2"), "{error}");
    assert!(Event::decode(br#"{"v":1,"at":5,"event":"unheard-of"}"#).is_err());
}

#[test]
fn numbers_come_back_as_they_were() {
    for value in [json!(u64::MAX), json!(i64::MIN), json!(0.1), json!(1e300), json!(f64::MIN_POSITIVE)] {
        let kind = EventKind::Checkpointed { step: id("a"), number: 1, value };
        let event = Event::new(u64::MAX, kind);
        assert_eq!(Event::decode(&event.encode().unwrap()).unwrap(), event);
    }
}

#[test]
fn the_fingerprint_changes_with_all_that_an_approval_is_about() {
    let base = plan();
    let changes: [fn(&mut lifeboat_core::Plan); 9] = [
        |plan| plan.mode = lifeboat_core::Mode::Failover,
        |plan| plan.steps[0].args = json!({ "path": "/etc" }),
        |plan| plan.steps[0].policy.timeout_ms += 1,
        |plan| drop(plan.inputs.insert("path".to_owned(), json!("/etc"))),
        |plan| plan.plugins.values_mut().for_each(|pin| pin.digest = Digest::of(b"other wasm")),
        |plan| plan.targets.values_mut().for_each(|target| target.settings = json!({})),
        |plan| plan.targets.values_mut().for_each(|target| target.lock = Some("l".to_owned())),
        |plan| plan.steps[0].when.push(Condition { value: "{{inputs.path}}".to_owned(), test: Test::Holds }),
        |plan| plan.steps[0].fan = Some(Fan { of: "a".to_owned(), item: json!(1), limit: 1 }),
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let mut other = base.clone();
        change(&mut other);
        assert_ne!(base.fingerprint(), other.fingerprint(), "change {place}");
    }
    let stored = serde_json::to_vec(&base).unwrap();
    let back: lifeboat_core::Plan = serde_json::from_slice(&stored).unwrap();
    assert_eq!((back.fingerprint(), &back), (base.fingerprint(), &base));
}
