//! Schedules: each due time is decided on once, also over a death of the service.

use std::time::Duration;

use lifeboat_testkit::{Act, World};
use serde_json::Value;

use crate::alerts::runs;
use crate::bench::{Bench, Wish, until};

fn book(what: &str, line: &str) -> Vec<(&'static str, String)> {
    vec![("dr.kdl", format!("runbook dr {what}\nschedule {line}\n"))]
}

async fn shown(bench: &Bench, token: &str) -> Value {
    let answer = bench.get("/v1/schedules?next=3", token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["schedules"][0].clone()
}

fn count(schedule: &Value, decision: &str) -> usize {
    schedule["decided"].as_array().unwrap().iter().filter(|one| one["decision"] == decision).count()
}

#[tokio::test]
async fn each_due_time_is_one_run_over_a_death_and_what_was_missed_is_told() {
    let wish = |folder| Wish { books: book("chain", "skip run-once */1 * * * * *"), folder, ..Wish::default() };
    let bench = Bench::with(wish(None)).await;
    let root = bench.admin().await;
    until(Duration::from_secs(15), || async { runs(&bench, &root).await.len() >= 3 }).await;
    let view = shown(&bench, &root).await;
    assert_eq!((&view["schedule"], &view["missed"]), (&"dr/often".into(), &"run-once".into()));
    assert_eq!(view["next"].as_array().unwrap().len(), 3);
    let (_, folder) = bench.stop().await;
    let bench = Bench::with(wish(Some(folder))).await;
    until(Duration::from_secs(15), || async { runs(&bench, &root).await.len() >= 6 }).await;
    let view = shown(&bench, &root).await;
    let mut dues = Vec::new();
    for decided in view["decided"].as_array().unwrap().iter().filter(|one| one["decision"] == "fire") {
        dues.push(decided["due_ms"].as_u64().unwrap());
    }
    let all = dues.len();
    dues.dedup();
    assert_eq!(dues.len(), all, "no due time twice: {view}");
    let found = runs(&bench, &root).await;
    assert!(found.len() <= all && all <= found.len() + 1, "{} runs of {all} due times", found.len());
    let by = bench.get(&format!("/v1/runs/{}", found[0].0), &root).await.json;
    assert_eq!(by["started_by"], "schedule dr/often");
    assert!(bench.get("/metrics", &root).await.text.contains("lifeboat_schedules_total{decision=\"fire\"}"));
}

#[tokio::test]
async fn what_is_due_while_the_run_before_goes_on_is_left_out_or_waits() {
    for (overlap, word) in [("skip", "skipped"), ("queue", "wait")] {
        let world = World::new();
        world.acts("slow", [Act::Slow(2_500, Box::new(Act::Done(None)))]);
        let books = book("slow", &format!("{overlap} skip */1 * * * * *"));
        let bench = Bench::with(Wish { books, world: Some(world.clone()), ..Wish::default() }).await;
        let root = bench.admin().await;
        until(Duration::from_secs(15), || async { count(&shown(&bench, &root).await, word) >= 1 }).await;
        let found = runs(&bench, &root).await;
        assert_eq!(found.len(), 1, "{overlap}");
        until(Duration::from_secs(15), || async { runs(&bench, &root).await.len() >= 2 }).await;
        let view = shown(&bench, &root).await;
        let fires: Vec<&Value> =
            view["decided"].as_array().unwrap().iter().filter(|one| one["decision"] == "fire").collect();
        if overlap == "queue" {
            assert!(fires.iter().any(|one| one["cause"] == "waited"), "{view}");
        } else {
            let skipped = view["decided"].as_array().unwrap().iter().find(|one| one["decision"] == "skipped").unwrap();
            assert_eq!((&skipped["why"], &skipped["run"]), (&"running".into(), &found[0].0.as_str().into()));
        }
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_made_is_told_and_takes_nothing_from_the_others() {
    let mut books = book("chain", "skip skip */1 * * * * *");
    books.push(("other.kdl", "runbook other chain\nschedule skip skip 0 0 3 * * *\n".to_owned()));
    let bench = Bench::with(Wish { books, ..Wish::default() }).await;
    let root = bench.admin().await;
    until(Duration::from_secs(15), || async { !runs(&bench, &root).await.is_empty() }).await;
    // The runbook is broken, and mended: its schedule goes, and comes again.
    bench.runbook("dr.kdl", "runbook dr nothing\nschedule skip skip */1 * * * * *\n");
    until(Duration::from_secs(15), || async { shown(&bench, &root).await["schedule"] == "other/often" }).await;
    let before = runs(&bench, &root).await.len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(runs(&bench, &root).await.len() <= before + 1);
    bench.runbook("dr.kdl", "runbook dr chain\nschedule skip skip */1 * * * * *\n");
    until(Duration::from_secs(15), || async { runs(&bench, &root).await.len() > before + 1 }).await;
}
