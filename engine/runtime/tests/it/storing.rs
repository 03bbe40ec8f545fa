//! A store that fails, and logs that are damaged.

use std::sync::Arc;

use lifeboat_core::ports::Store;
use lifeboat_core::state::RunStatus;
use lifeboat_runtime::{Rest, Verb};
use lifeboat_testkit::{Act, CrashStore, Fault, PlanBuilder, Rig, SimStore, World, said};

/// A rig whose store fails at one append, and the same store without faults, for reading back.
async fn stop_at(append: u64, fault: Fault, world: &World) -> (SimStore, lifeboat_core::RunId) {
    let written = Arc::new(CrashStore::new(SimStore::new()).fail(append, fault));
    let same: Arc<dyn Store> = Arc::clone(&written) as Arc<dyn Store>;
    let rig = Rig::over(Arc::new(SimStore::new()), same, world.clone(), 8);
    let mut handle = rig.submit(PlanBuilder::chain(3).build()).await;
    let run = handle.run().clone();
    let Rest::Stopped(error) = rig.drive(handle.rest()).await else { panic!("the run went on") };
    assert!(["LB0602", "LB0603"].contains(&error.code.to_string().as_str()), "{error}");
    let refused = rig.drive(handle.say(Verb::Cancel { compensate: false }, said("ada"))).await.unwrap_err();
    assert_eq!(refused.code.to_string(), "LB0502", "nobody carries the run out any more");
    assert!(matches!(rig.drive(handle.rest()).await, Rest::Stopped(_)), "the rest stays");
    let all = written.inner().events(&run).len();
    (written.inner().prefix(&run, all), run)
}

#[tokio::test]
async fn a_failing_append_stops_the_run_and_resume_goes_on() {
    for append in 2..=5 {
        for fault in [Fault::Before, Fault::After] {
            let world = World::new();
            let (store, run) = stop_at(append, fault, &world).await;
            let rig = Rig::with(store, world.clone(), 8);
            let mut handle = rig.drive(rig.engine.resume(&run)).await.unwrap();
            let state = rig.rest(&mut handle).await;
            assert_eq!(state.status(), RunStatus::Succeeded, "append {append}, {fault:?}");
            for step in ["s0", "s1", "s2"] {
                assert_eq!(world.entry(run.as_str(), step).happened, 1, "append {append}, {fault:?}, {step}");
            }
        }
    }
}

#[tokio::test]
async fn a_verb_whose_event_is_not_stored_is_an_error_for_its_speaker() {
    let written = Arc::new(CrashStore::new(SimStore::new()).fail(3, Fault::Before));
    let rig = Rig::over(Arc::new(SimStore::new()), written, World::new(), 8);
    let plan = PlanBuilder::new().approve("go", 1, None).build();
    let yes = Verb::Approve { step: "go".into(), fingerprint: plan.fingerprint(), roles: None };
    let mut handle = rig.submit(plan).await;
    rig.rest(&mut handle).await;
    let error = rig.drive(handle.say(yes, said("ada"))).await.unwrap_err();
    assert_eq!(error.code.to_string(), "LB0602");
}

#[tokio::test]
async fn a_store_that_is_cut_off_keeps_what_it_acknowledged() {
    let written = Arc::new(CrashStore::new(SimStore::new()).cut_after(6));
    let same: Arc<dyn Store> = Arc::clone(&written) as Arc<dyn Store>;
    let rig = Rig::over(Arc::new(SimStore::new()), same, World::new(), 8);
    let mut handle = rig.submit(PlanBuilder::chain(9).build()).await;
    assert!(matches!(rig.drive(handle.rest()).await, Rest::Stopped(_)));
    assert_eq!(written.inner().events(handle.run()).len(), 6);
}

#[tokio::test]
async fn the_second_of_two_engines_on_one_run_wins_and_the_first_stops() {
    let rig = Rig::new();
    rig.world.acts("s0", [Act::Slow(5_000, Box::new(Act::Done(None)))]);
    let mut first = rig.submit(PlanBuilder::chain(2).build()).await;
    let mut second = rig.drive(rig.engine.resume(first.run())).await.unwrap();
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Succeeded);
    let Rest::Stopped(error) = rig.drive(first.rest()).await else { panic!("both carried it out") };
    assert_eq!(error.code.to_string(), "LB0601");
}

#[tokio::test]
async fn a_damaged_log_is_refused_and_the_other_runs_go_on() {
    let rig = Rig::new();
    let one = rig.run(PlanBuilder::chain(2).build()).await;
    let other = rig.run(PlanBuilder::chain(2).build()).await;
    for bytes in [&b"\xff\x00"[..], b"{}", br#"{"v":1,"at":5,"event":"wait-ended","step":"s0"}"#, br#"{"v":9,"at":1}"#]
    {
        rig.store.damage(&one.run, 3, bytes);
        let error = rig.engine.resume(&one.run).await.err().expect("a damaged log is not carried out");
        assert_eq!(error.code.to_string(), "LB0503");
        assert!(error.context.iter().any(|(name, value)| name == "run" && value == one.run.as_str()), "{error}");
    }
    assert_eq!(rig.engine.load(&other.run).await.unwrap().state.status(), RunStatus::Succeeded);
}

#[tokio::test]
async fn a_plan_that_cannot_run_makes_no_run() {
    let rig = Rig::new();
    let plan = PlanBuilder::new().step("a").after(["nobody"]).build();
    let error = rig.engine.submit(plan, String::new(), said("ada")).await.err().unwrap();
    assert_eq!((error.code.to_string().as_str(), rig.store.appends()), ("LB0503", 0));
}
