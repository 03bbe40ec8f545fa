//! Guests that reach for what they were not granted.

use std::sync::Arc;

use lifeboat_core::plan::{Mode, StepKind};
use lifeboat_core::{Digest, Failure, FailureKind, Outcome};
use serde_json::json;

use crate::setting::{dist, failure, setting};

async fn reach(way: &str, root: &std::path::Path) -> Failure {
    let setting = setting();
    let attempt = setting.attempt(StepKind::Validate, json!({"misbehave": way}), root, 30_000);
    failure(setting.run(attempt).await.0)
}

fn is_refused(failure: &Failure) {
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert_eq!(failure.code.as_ref().unwrap().0, "LB0707");
}

#[tokio::test]
async fn paths_that_lead_out_are_refused() {
    let setting = setting();
    let root = setting.folder("rw");
    std::os::unix::fs::symlink(setting.outside().join("secret"), root.join("escape")).unwrap();
    for way in ["forbidden-path", "absolute-path", "symlink-escape", "link-outside"] {
        is_refused(&reach(way, &root).await);
    }
    assert!(!root.join("out").exists());
    // A relative link out is no better than an absolute one.
    let other = setting.folder("rw");
    std::os::unix::fs::symlink("../../out/secret", other.join("escape")).unwrap();
    is_refused(&reach("symlink-escape", &other).await);
}

#[tokio::test]
async fn what_was_not_declared_or_bound_is_refused() {
    let root = setting().folder("rw");
    let failure = reach("undeclared-capability", &root).await;
    is_refused(&failure);
    assert!(failure.message.contains("'vault'"), "{}", failure.message);
    is_refused(&reach("wrong-role", &root).await);
}

#[tokio::test]
async fn folders_that_were_not_granted_are_refused_with_the_line_to_add() {
    let setting = setting();
    let out = setting.outside();
    let failure = reach("forbidden-path", &out).await;
    is_refused(&failure);
    let line = format!("grant \"fixture\" target=\"orders\" {{ dir \"{}\" }}", out.display());
    assert!(failure.hint.unwrap().contains(&line));
    // A root that is a link to the outside is the outside.
    let link = setting.folder("rw").join("link");
    std::os::unix::fs::symlink(&out, &link).unwrap();
    is_refused(&reach("forbidden-path", &link).await);
}

#[tokio::test]
async fn read_only_grants_and_drill_grants_hold() {
    let setting = setting();
    let read_only = setting.folder("ro");
    let attempt = setting.attempt(StepKind::Switch, json!({}), &read_only, 30_000);
    is_refused(&failure(setting.run(attempt).await.0));
    assert_eq!(std::fs::read_dir(&read_only).unwrap().count(), 0);

    for (mode, folder, works) in
        [(Mode::Drill, "drill", true), (Mode::Drill, "rw", false), (Mode::Failover, "drill", false)]
    {
        let mut attempt = setting.attempt(StepKind::Switch, json!({}), &setting.folder(folder), 30_000);
        let mut plan = (*attempt.plan).clone();
        plan.mode = mode;
        (attempt.mode, attempt.plan) = (mode, Arc::new(plan));
        let (outcome, _) = setting.run(attempt).await;
        if works {
            assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        } else {
            is_refused(&failure(outcome));
        }
    }
}

#[tokio::test]
async fn another_plugin_than_the_plan_names_is_not_run() {
    let setting = setting();
    let mut attempt = setting.attempt(StepKind::Validate, json!({"misbehave": "ok"}), &setting.folder("rw"), 30_000);
    let mut plan = (*attempt.plan).clone();
    plan.plugins.get_mut("fixture").unwrap().digest = Digest::of(b"other");
    attempt.plan = Arc::new(plan.clone());
    assert_eq!(failure(setting.run(attempt.clone()).await.0).code.unwrap().0, "LB0702");
    plan.steps[0].plugin = Some("gone".into());
    attempt.plan = Arc::new(plan);
    assert_eq!(failure(setting.run(attempt).await.0).code.unwrap().0, "LB0701");
}

#[test]
fn files_that_are_no_plugins_are_named_and_harm_nothing() {
    let setting = setting();
    let folder = setting.folder("rw");
    assert_eq!(setting.host.load_file(&folder.join("gone.wasm")).unwrap_err().code.0, "LB0701");
    let whole = std::fs::read(dist("fixture.wasm")).unwrap();
    for (name, bytes) in [("empty", &[][..]), ("text", b"hello, I am a plugin"), ("half", &whole[..whole.len() / 2])] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = setting.host.load_file(&path).unwrap_err();
        assert_eq!(error.code.0, "LB0703", "{name}");
        assert!(error.message.contains(name));
    }
    assert!(setting.host.catalog().contains_key("fixture"));
}
