//! Runs that go well: order, data, time, and what they cost.

use lifeboat_core::event::EventKind;
use lifeboat_core::state::RunStatus;
use lifeboat_runtime::Notice;
use lifeboat_testkit::{Act, PlanBuilder, Rig};
use serde_json::json;

#[tokio::test]
async fn a_chain_runs_in_order_and_costs_one_append_a_step() {
    let rig = Rig::new();
    let state = rig.run(PlanBuilder::chain(20).build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    let order: Vec<String> = (0..20).map(|place| format!("do s{place}")).collect();
    assert_eq!(rig.world.log(), order);
    // The run, the first intent, and then each result with the next intent; the last with the end.
    assert_eq!(rig.store.appends(), 22);
    assert_eq!(rig.events(&state.run).len(), 1 + 2 * 20 + 1);
}

#[tokio::test]
async fn a_diamond_waits_for_both_sides() {
    let rig = Rig::new();
    rig.world.acts("b", [Act::Slow(5_000, Box::new(Act::Done(None)))]);
    let plan = PlanBuilder::new().step("a").step("b").after(["a"]).step("c").after(["a"]).step("d").after(["b", "c"]);
    let state = rig.run(plan.build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    assert_eq!((rig.times("do b"), rig.times("do c"), rig.times("do d")), (vec![0], vec![0], vec![5_000]));
    assert_eq!(rig.world.most_at_once(), 2);
}

#[tokio::test]
async fn a_run_without_steps_succeeds_at_once() {
    let rig = Rig::new();
    let state = rig.run(PlanBuilder::new().build()).await;
    assert_eq!((state.status(), state.seq, rig.store.appends()), (RunStatus::Succeeded, 2, 2));
}

#[tokio::test]
async fn outputs_and_inputs_reach_the_arguments() {
    let rig = Rig::new();
    rig.world.acts("take", [Act::Done(Some(json!({ "snapshot": { "id": "abc", "files": 3 } })))]);
    let args = json!({ "id": "{{steps.take.snapshot.id}}", "run": "{{run.id}}/x", "n": [1, "{{run.mode}}"] });
    let plan = PlanBuilder::new().step("take").step("prove").after(["take"]).args(args);
    let state = rig.run(plan.build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    let seen = rig.world.entry(state.run.as_str(), "prove").args;
    assert_eq!(seen, json!({ "id": "abc", "run": format!("{}/x", state.run), "n": [1, "drill"] }));
}

#[tokio::test]
async fn a_wait_takes_its_time_and_no_place() {
    let rig = Rig::with(lifeboat_testkit::SimStore::new(), lifeboat_testkit::World::new(), 1);
    let plan = PlanBuilder::new().max_parallel(1).wait("pause", 60_000).step("beside").step("b").after(["pause"]);
    let state = rig.run(plan.build()).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    assert_eq!((rig.times("do beside"), rig.times("do b")), (vec![0], vec![60_000]));
}

#[tokio::test]
async fn notices_tell_every_event_in_order_with_progress_between() {
    let rig = Rig::new();
    let mut notices = rig.engine.watch();
    rig.world.acts("s0", [Act::Beat { every: 10, times: 3, then: Box::new(Act::Done(None)) }]);
    let state = rig.run(PlanBuilder::chain(2).build()).await;
    let mut seqs = Vec::new();
    let mut told = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        match notice {
            Notice::Event { run, seq, event } => {
                assert_eq!(run, state.run);
                seqs.push(seq);
                told.push((*event).clone());
            }
            Notice::Progress { done, total, unit, .. } => {
                assert_eq!((seqs.len(), total, unit.as_str()), (2, Some(3), "beats"), "after the intent: {done}");
            }
            Notice::Log { .. } => panic!("nobody logs here"),
        }
    }
    assert_eq!(seqs, (1..=state.seq).collect::<Vec<_>>());
    assert_eq!(told, rig.events(&state.run), "what is told is what is stored");
}

#[tokio::test]
async fn a_run_goes_on_when_nobody_holds_a_handle() {
    let rig = Rig::new();
    rig.world.acts("s0", [Act::Slow(10_000, Box::new(Act::Done(None)))]);
    let handle = rig.submit(PlanBuilder::chain(3).build()).await;
    let run = handle.run().clone();
    drop(handle);
    let mut notices = rig.engine.watch();
    let ended = async {
        loop {
            let notice = notices.recv().await.unwrap();
            if matches!(&notice, Notice::Event { event, .. } if matches!(event.kind, EventKind::RunFinished { .. })) {
                break;
            }
        }
    };
    rig.drive(ended).await;
    assert_eq!(rig.engine.load(&run).await.unwrap().state.status(), RunStatus::Succeeded);
}

#[tokio::test]
async fn an_ended_run_is_resumed_to_its_end_and_nothing_more() {
    let rig = Rig::new();
    let state = rig.run(PlanBuilder::chain(2).build()).await;
    let before = rig.store.appends();
    let mut handle = rig.engine.resume(&state.run).await.unwrap();
    assert_eq!(rig.rest(&mut handle).await.status(), RunStatus::Succeeded);
    assert_eq!(rig.store.appends(), before);
    assert!(rig.engine.unfinished().await.unwrap().is_empty());
}
