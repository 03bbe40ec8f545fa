//! What a guest says, and what the engine hears.

use lifeboat_core::outcome::ProbeAnswer;
use lifeboat_core::plan::StepKind;
use lifeboat_core::ports::Direction;
use lifeboat_core::{FailureKind, Outcome};
use serde_json::json;

use crate::setting::{Heard, failure, setting};

#[tokio::test]
async fn the_three_outcomes_come_through() {
    let setting = setting();
    let attempt =
        |way: &str| setting.attempt(StepKind::Validate, json!({"misbehave": way}), &setting.folder("rw"), 30_000);
    let temporary = failure(setting.run(attempt("error-temporary")).await.0);
    assert_eq!((temporary.kind, temporary.hint.as_deref()), (FailureKind::Temporary, Some("try again")));
    let permanent = failure(setting.run(attempt("error-permanent")).await.0);
    assert_eq!(permanent.kind, FailureKind::Permanent);
    let (unknown, _) = setting.run(attempt("unknown")).await;
    assert_eq!(unknown, Outcome::Unknown { reason: "the fixture does not know".into() });
}

/// A switch that is cut off by its time limit is in doubt; the probe says whether it happened; the undo takes it back.
#[tokio::test]
async fn a_switch_that_was_cut_off_is_probed_and_undone() {
    let setting = setting();
    let executor = setting.host.executor();
    let sink = || std::sync::Arc::new(Heard::default());
    let root = setting.folder("rw");
    let cut = setting.attempt(StepKind::Switch, json!({"ms": 600_000}), &root, 1_500);
    let (outcome, _) = setting.run(cut).await;
    let Outcome::Unknown { reason } = outcome else { panic!("not in doubt: {outcome:?}") };
    assert!(reason.starts_with("LB0705: "), "{reason}");

    let mut attempt = setting.attempt(StepKind::Switch, json!({}), &root, 30_000);
    assert_eq!(executor.probe(attempt.clone(), sink()).await, ProbeAnswer::DidNotHappen);
    attempt.number = 2;
    let (outcome, _) = setting.run(attempt.clone()).await;
    let Outcome::Done { outputs } = outcome else { panic!("not done: {outcome:?}") };
    let effect = root.join(outputs["effect"].as_str().unwrap());
    assert!(effect.is_file());
    assert_eq!(executor.probe(attempt.clone(), sink()).await, ProbeAnswer::Happened { outputs: outputs.clone() });
    assert_eq!(std::fs::read_dir(root.join("count")).unwrap().count(), 2);
    assert!(
        std::fs::read_dir(root.join("count")).unwrap().all(|e| !e
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".tmp"))
    );

    attempt.direction = Direction::Undo;
    attempt.outputs = Some(outputs);
    assert!(matches!(setting.run(attempt).await.0, Outcome::Done { .. }));
    assert!(!effect.exists());
}

#[tokio::test]
async fn preview_and_readiness_answer_without_an_attempt() {
    let setting = setting();
    let attempt = setting.attempt(StepKind::Validate, json!({"misbehave": "ok"}), &setting.folder("rw"), 30_000);
    setting.host.preview(&attempt).await.unwrap();
    setting.host.readiness(&attempt).await.unwrap();
}
