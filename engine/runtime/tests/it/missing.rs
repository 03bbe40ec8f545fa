//! A plan whose plugins are not all there: the run is named and left as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_core::Error;
use lifeboat_core::outcome::{Outcome, ProbeAnswer};
use lifeboat_core::plan::{Plan, Step};
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, StepExecutor};
use lifeboat_core::state::RunStatus;
use lifeboat_runtime::{Engine, EngineParts, Rest, Verb};
use lifeboat_testkit::{PlanBuilder, ScriptedExecutor, SeededRng, SimClock, SimStore, World, said};
use serde_json::Value;

/// An executor whose plugin may be gone.
struct Gone {
    inner: ScriptedExecutor,
    there: Arc<AtomicBool>,
}

impl StepExecutor for Gone {
    fn ready(&self, _plan: &Plan) -> Result<(), Error> {
        if self.there.load(Ordering::SeqCst) { Ok(()) } else { Err(Error::new("LB0701", "there is no plugin 'tape'")) }
    }
    fn execute(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        self.inner.execute(attempt, sink)
    }
    fn check_outputs(&self, plan: &Plan, step: &Step, outputs: &Value) -> Result<(), Error> {
        self.inner.check_outputs(plan, step, outputs)
    }
    fn probe(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        self.inner.probe(attempt, sink)
    }
}

#[tokio::test]
async fn a_run_whose_plugin_is_gone_is_left_as_it_is_and_can_be_ended() {
    let (clock, store, world) = (SimClock::at(1_700_000_000_000), Arc::new(SimStore::new()), World::new());
    let there = Arc::new(AtomicBool::new(true));
    let inner = ScriptedExecutor::new(world.clone(), Arc::new(clock.clone()));
    let engine = Engine::new(EngineParts {
        store: Arc::clone(&store) as Arc<dyn lifeboat_core::ports::Store>,
        executor: Arc::new(Gone { inner, there: Arc::clone(&there) }),
        clock: Arc::new(clock.clone()),
        rng: Arc::new(SeededRng::new(7)),
        max_parallel: 8,
        version: "lifeboat test".to_owned(),
    });
    let plan = || PlanBuilder::new().approve("go", 1, None).step("work").after(["go"]).build();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut handle = clock.drive(engine.submit(plan(), String::new(), said("ann"))).await.unwrap();
        assert!(matches!(clock.drive(handle.rest()).await, Rest::Person(_)));
        runs.push(handle.run().clone());
    }
    there.store(false, Ordering::SeqCst);
    let events = store.events(&runs[0]);
    let error = clock.drive(engine.resume(&runs[0])).await.map(|_| ()).unwrap_err();
    assert_eq!(error.code.0, "LB0701");
    assert!(error.message.contains(runs[0].as_str()) && error.message.contains("cannot go on"), "{error}");
    assert_eq!(store.events(&runs[0]), events, "nothing was begun, and nothing failed");
    // To end a run, its plugins need not be there.
    let end = Verb::Cancel { compensate: false };
    let mut handle = clock.drive(engine.resume_saying(&runs[1], end, said("ann"))).await.unwrap();
    let Rest::Ended(state) = clock.drive(handle.rest()).await else { panic!("it does not end") };
    assert_eq!(state.status(), RunStatus::Cancelled);
    // An ended run needs nothing, and a run whose plugin is back goes on.
    engine.ready(&state).unwrap();
    there.store(true, Ordering::SeqCst);
    let mut handle = clock.drive(engine.resume(&runs[0])).await.unwrap();
    let fingerprint = plan().fingerprint();
    let yes = Verb::Approve { step: "go".into(), fingerprint, roles: None };
    clock.drive(handle.say(yes, said("ann"))).await.unwrap();
    let Rest::Ended(state) = clock.drive(handle.rest()).await else { panic!("it does not end") };
    assert_eq!((state.status(), world.entry(runs[0].as_str(), "work").executed), (RunStatus::Succeeded, 1));
}
