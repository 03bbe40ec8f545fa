//! Guests that break their sandbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lifeboat_core::limits::{LOG_LINES_PER_ATTEMPT_MAX, MESSAGE_BYTES_MAX};
use lifeboat_core::plan::StepKind;
use lifeboat_core::ports::Attempt;
use lifeboat_core::{Failure, FailureKind, Outcome};
use serde_json::{Value, json};

use crate::setting::{Heard, Setting, failure, setting};

fn attempt(setting: &Setting, args: Value, timeout_ms: u64) -> Attempt {
    setting.attempt(StepKind::Validate, args, &setting.folder("rw"), timeout_ms)
}

async fn broken(args: Value, timeout_ms: u64) -> (Failure, Duration) {
    let setting = setting();
    let attempt = attempt(setting, args, timeout_ms);
    let start = Instant::now();
    let (outcome, _) = setting.run(attempt).await;
    (failure(outcome), start.elapsed())
}

fn code(failure: &Failure) -> &str {
    failure.code.as_ref().map_or("none", |code| &code.0)
}

#[tokio::test]
async fn a_well_behaved_one_is_done() {
    let setting = setting();
    let (outcome, _) = setting.run(attempt(setting, json!({"misbehave": "ok"}), 10_000)).await;
    assert_eq!(outcome, Outcome::Done { outputs: json!({"note": "ok"}) });
}

#[tokio::test]
async fn loops_and_sleeps_end_at_the_time_limit() {
    for way in ["loop", "sleep", "progress-then-silent"] {
        let (failure, took) = broken(json!({"misbehave": way, "ms": 600_000}), 700).await;
        assert_eq!((failure.kind, code(&failure)), (FailureKind::Sandbox, "LB0705"), "{way}: {failure:?}");
        assert!(failure.message.contains("700 ms"));
        assert!(took >= Duration::from_millis(690) && took < Duration::from_secs(15), "{way} took {took:?}");
    }
}

#[tokio::test]
async fn memory_traps_and_stacks_end_with_their_cause() {
    for (way, want, words) in [
        ("memory", "LB0704", "the limit is 67108864"),
        ("trap", "LB0706", "the fixture panics as it was told"),
        ("stack", "LB0706", "the plugin trapped"),
        ("random-flood", "LB0708", "random bytes"),
    ] {
        let (failure, _) = broken(json!({"misbehave": way}), 60_000).await;
        assert_eq!((failure.kind, code(&failure)), (FailureKind::Sandbox, want), "{way}: {failure:?}");
        assert!(failure.message.contains(words), "{way}: {}", failure.message);
    }
}

#[tokio::test]
async fn payloads_are_capped() {
    for (way, bytes) in [("huge-output", 300 << 10), ("huge-output", 4 << 20), ("huge-message", 17 << 20)] {
        let (failure, _) = broken(json!({"misbehave": way, "bytes": bytes}), 60_000).await;
        assert_eq!((failure.kind, code(&failure)), (FailureKind::Sandbox, "LB0708"), "{way} {bytes}: {failure:?}");
    }
    let (failure, _) = broken(json!({"misbehave": "huge-message"}), 60_000).await;
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.len() < MESSAGE_BYTES_MAX + 100 && failure.message.ends_with("bytes cut)"));
    let (failure, _) = broken(json!({"misbehave": "huge-checkpoint"}), 60_000).await;
    assert_eq!((failure.kind, code(&failure)), (FailureKind::Permanent, "LB0708"), "{failure:?}");
    assert!(failure.message.contains("the limit is 65536"));
}

#[tokio::test]
async fn floods_are_capped_and_counted() {
    let setting = setting();
    let (outcome, heard) =
        setting.run(attempt(setting, json!({"misbehave": "log-flood", "times": 20_000}), 60_000)).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert_eq!(heard.logs.lock().unwrap().len(), LOG_LINES_PER_ATTEMPT_MAX + 1);
    assert_eq!(heard.logs.lock().unwrap().last().unwrap().1, "19000 more log lines of this attempt were dropped");
    let (outcome, heard) = setting.run(attempt(setting, json!({"misbehave": "progress-flood"}), 60_000)).await;
    assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
    assert!((1..2_000).contains(&heard.progress.load(Ordering::SeqCst)));
    let (failure, _) = broken(json!({"misbehave": "handle-flood"}), 60_000).await;
    assert_eq!(code(&failure), "LB0706", "{failure:?}");
}

#[tokio::test]
async fn cancelling_is_heard_or_enforced() {
    let setting = setting();
    for (way, least) in [("wait-for-cancel", 0), ("loop", 1_900), ("sleep", 1_900)] {
        let heard = Arc::new(Heard::default());
        let attempt = attempt(setting, json!({"misbehave": way, "ms": 600_000}), 600_000);
        let executor = setting.host.executor();
        let call = executor.execute(attempt, heard.clone());
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            heard.cancelled.store(true, Ordering::SeqCst);
            Instant::now()
        };
        let (outcome, asked) = tokio::join!(call, cancel);
        let took = asked.elapsed();
        assert_eq!(failure(outcome).kind, FailureKind::Cancelled, "{way}");
        assert!(took >= Duration::from_millis(least) && took < Duration::from_secs(15), "{way} took {took:?}");
    }
}

/// While every kind of trouble goes on, ordinary attempts are carried out, and a timer of this thread keeps its time.
#[tokio::test]
async fn a_neighbour_is_not_disturbed() {
    let setting = setting();
    let troubles = ["loop", "loop", "loop", "memory", "trap", "stack", "huge-output"].map(|way| {
        let attempt = attempt(setting, json!({"misbehave": way}), 2_000);
        tokio::spawn(async move { setting.run(attempt).await.0 })
    });
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < Duration::from_millis(1_500) {
        let (outcome, _) = setting.run(attempt(setting, json!({"misbehave": "ok"}), 10_000)).await;
        assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        done += 1;
    }
    assert!(done >= 3, "only {done} attempts beside them");
    for trouble in troubles {
        assert_eq!(failure(trouble.await.unwrap()).kind, FailureKind::Sandbox);
    }
}

#[tokio::test]
async fn dropping_the_future_ends_the_guest() {
    let setting = setting();
    let heard = Arc::new(Heard::default());
    let attempt = attempt(setting, json!({"misbehave": "loop"}), 600_000);
    let executor = setting.host.executor();
    let call = executor.execute(attempt, heard.clone());
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    // The guest held the sink; once it is gone, nobody but this test does.
    let start = Instant::now();
    while Arc::strong_count(&heard) > 1 {
        assert!(start.elapsed() < Duration::from_secs(10), "the guest lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
