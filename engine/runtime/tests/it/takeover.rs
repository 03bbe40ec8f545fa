//! Going on in another mode: one run ends, another one takes up what is done; whatever dies in between, nothing is done twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_core::carry::handover;
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::plan::{Effect, InDoubt, Mode, Plan};
use lifeboat_core::ports::{Clock, Store};
use lifeboat_core::state::{Locks, RunState, RunStatus};
use lifeboat_core::{Error, apply};
use lifeboat_runtime::{Next, Rest, RunHandle, Verb, resume_all};
use lifeboat_testkit::{
    Act, CrashStore, Fault, Leftovers, PlanBuilder, Rig, SeededRng, SimClock, SimStore, Tell, World, left, random_case,
    restore, said,
};
use serde_json::json;

fn switchover(plan: PlanBuilder) -> Plan {
    as_mode(plan.build(), Mode::Switchover)
}

fn failover(plan: PlanBuilder) -> Plan {
    as_mode(plan.build(), Mode::Failover)
}

fn as_mode(mut plan: Plan, mode: Mode) -> Plan {
    plan.mode = mode;
    plan
}

fn next(plan: &Plan) -> Next {
    Next { plan: plan.clone(), runbook: String::new() }
}

async fn take_over(rig: &Rig, run: RunHandle, plan: &Plan) -> Result<RunHandle, Error> {
    let id = run.run().clone();
    rig.drive(rig.engine.take_over(&id, Some(run), next(plan), said("ada"))).await
}

/// The runs that go on with another one.
fn successors(rig: &Rig, runs: &[RunId]) -> Vec<RunId> {
    let first = |run: &RunId| rig.events(run).into_iter().next();
    runs.iter().filter(|run| continues(first(run).as_ref())).cloned().collect()
}

fn continues(event: Option<&Event>) -> bool {
    matches!(event.map(|event| &event.kind), Some(EventKind::RunCreated { continues: Some(_), .. }))
}

async fn all_runs(rig: &Rig) -> Vec<RunId> {
    rig.store.list().await.unwrap().into_iter().map(|head| head.run).collect()
}

#[tokio::test]
async fn a_switchover_whose_primary_died_is_finished_as_a_failover() {
    let plan = || {
        let first = PlanBuilder::new().step("take").step("copy").after(["take"]).lock("standby");
        first.args(json!({ "snapshot": "{{steps.take.did}}" }))
    };
    let rig = Rig::new();
    rig.world.acts("take", [Act::Done(Some(json!({ "did": "snapshot 7" })))]);
    rig.world.acts("fence", [Act::Fail(FailureKind::Permanent)]);
    let mut first = rig.submit(switchover(plan().step("fence").after(["copy"]).step("cutover").after(["fence"]))).await;
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Failed);
    let cutover = plan().step("cutover").after(["copy"]).args(json!({ "to": "{{steps.take.did}}" }));
    let plan = failover(cutover.lock("standby"));
    let before = rig.events(first.run());
    rig.clock.advance(60_000);
    let mut second = take_over(&rig, first.clone(), &plan).await.unwrap();
    let state = rig.rest(&mut second).await;
    assert_eq!(state.status(), RunStatus::Succeeded);
    let entry = |step: &str| rig.world.entry(second.run().as_str(), step);
    assert_eq!((entry("take").executed, entry("copy").executed, entry("cutover").executed), (0, 0, 1));
    assert_eq!(entry("cutover").args, json!({ "to": "snapshot 7" }));
    let after = rig.events(first.run());
    assert_eq!(after[..before.len()], before[..], "history was changed");
    assert_eq!(after.len(), before.len() + 1);
    let earlier = state.continues.clone().unwrap();
    let head = rig.store.head(first.run()).await.unwrap().unwrap();
    assert_eq!((earlier.events, earlier.chain.clone()), (head.seq, lifeboat_core::Digest::from_bytes(&head.chain)));
    assert!(rig.world.entry(second.run().as_str(), "cutover").tokens[0] > earlier.token);
    let measured = lifeboat_core::measure::measure(&rig.events(second.run())).unwrap();
    assert!(measured.rta_ms >= 60_000, "{measured:?}");
    // Said again, it is the same run; another plan is refused.
    let again = take_over(&rig, first.clone(), &plan).await.unwrap();
    assert_eq!(again.run(), second.run());
    let other = take_over(&rig, first.clone(), &failover(PlanBuilder::new().step("x"))).await;
    assert_eq!(other.err().unwrap().code.0, "LB1223");
    let all = all_runs(&rig).await;
    assert_eq!(successors(&rig, &all), [second.run().clone()]);
}

#[tokio::test]
async fn a_run_under_way_is_paused_and_its_attempts_are_stopped() {
    let plan = || PlanBuilder::new().step("take").step("slow").after(["take"]);
    let rig = Rig::new();
    rig.world.acts("slow", [Act::Slow(3_000_000, Box::new(Act::Done(None)))]);
    let first = rig.submit(switchover(plan())).await;
    rig.drive(async {
        while rig.world.entry(first.run().as_str(), "slow").executed == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    rig.world.acts("slow", []);
    let mut second = take_over(&rig, first.clone(), &failover(plan())).await.unwrap();
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Succeeded);
    assert!(rig.elapsed() < 60_000, "nobody waited for the attempt: {}", rig.elapsed());
    let run = |handle: &RunHandle, step: &str| rig.world.entry(handle.run().as_str(), step).happened;
    assert_eq!((run(&first, "take"), run(&first, "slow")), (1, 0));
    assert_eq!((run(&second, "take"), run(&second, "slow")), (0, 1));
}

#[tokio::test]
async fn what_nobody_can_tell_is_left_to_a_person_and_the_run_stays_paused() {
    let plan = || PlanBuilder::new().step("cut").effect(Effect::Irreversible).step("then").after(["cut"]);
    let rig = Rig::new();
    rig.world.acts("cut", [Act::Unknown { happened: true }]).tells("cut", [Tell::Nothing, Tell::Nothing]);
    let mut first = rig.submit(switchover(plan())).await;
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Stuck);
    let refused = take_over(&rig, first.clone(), &failover(plan())).await.err().unwrap();
    assert_eq!(refused.code.0, "LB1224");
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Paused);
    let outputs = json!({ "value": 1 });
    let marked = Verb::MarkDone { step: StepId::from("cut"), outputs, evidence: Vec::new() };
    rig.drive(first.say(marked, said("ada"))).await.unwrap();
    let mut second = take_over(&rig, first.clone(), &failover(plan())).await.unwrap();
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Succeeded);
    assert_eq!(rig.world.entry(first.run().as_str(), "cut").happened, 1);
    assert_eq!(rig.world.entry(second.run().as_str(), "cut").happened, 0);
    assert!(second.run() != first.run());
}

#[tokio::test]
async fn what_was_cut_off_half_way_goes_on_where_it_was() {
    let plan = || PlanBuilder::new().step("take").step("copy").after(["take"]);
    let rig = Rig::new();
    let half = Act::Checkpoint(json!({ "part": 3 }), Box::new(Act::Fail(FailureKind::Permanent)));
    rig.world.acts("copy", [half]);
    let mut first = rig.submit(switchover(plan().step("fence").after(["copy"]))).await;
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Failed);
    // What the second run does is scripted by number, too, and its first attempt is the next one of the same work.
    rig.world.acts("copy", [Act::Done(None)]);
    let mut second = take_over(&rig, first.clone(), &failover(plan())).await.unwrap();
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Succeeded);
    let (was, is) = (rig.world.entry(first.run().as_str(), "copy"), rig.world.entry(second.run().as_str(), "copy"));
    assert_eq!((was.keys, is.checkpoints), (is.keys, vec![Some(json!({ "part": 3 }))]));
}

fn holder(state: &RunState) -> Option<String> {
    match &state.locks {
        Locks::Wanted { held } => held.first().map(|held| held.holder.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn locks_go_over_and_nobody_comes_between() {
    let plan = || PlanBuilder::new().approve("go", 1, None).step("a").lock("db").after(["go"]);
    let rig = Rig::new();
    let mut first = rig.submit(switchover(plan())).await;
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Waiting);
    let mut third = rig.submit(PlanBuilder::new().step("x").lock("db").build()).await;
    assert_eq!(holder(&*rig.rest(&mut third).await), Some(first.run().to_string()));
    // The new plan needs one more lock than the first one had, and the third run came earlier.
    let plan = failover(plan().step("b").lock("web").after(["a"]));
    let mut second = take_over(&rig, first.clone(), &plan).await.unwrap();
    let state = rig.rest(&mut second).await;
    assert_eq!((state.status(), &state.locks), (RunStatus::Waiting, &Locks::Held), "it has its locks, and asks");
    rig.drive(async {
        while holder(&*rig.rest(&mut third).await) != Some(second.run().to_string()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rig.world.entry(third.run().as_str(), "x").executed, 0);
    let fingerprint = state.fingerprint.clone();
    let yes = Verb::Approve { step: StepId::from("go"), fingerprint, roles: None };
    rig.drive(second.say(yes, said("ada"))).await.unwrap();
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Succeeded);
    while rig.rest(&mut third).await.status() == RunStatus::Waiting {
        rig.drive(tokio::task::yield_now()).await;
    }
    assert_eq!(rig.rest(&mut third).await.status(), RunStatus::Succeeded);
    assert_eq!(rig.world.refused(), 0);
}

#[tokio::test]
async fn a_lock_that_another_run_has_is_told_and_nothing_is_changed() {
    let rig = Rig::new();
    let waits = |lock: &str| PlanBuilder::new().approve("go", 1, None).step("a").lock(lock).after(["go"]);
    let mut first = rig.submit(switchover(waits("db"))).await;
    let mut other = rig.submit(waits("web").build()).await;
    for handle in [&mut first, &mut other] {
        assert_eq!(rig.rest(handle).await.status(), RunStatus::Waiting);
    }
    let plan = failover(waits("db").step("b").lock("web"));
    let refused = take_over(&rig, first.clone(), &plan).await.err().unwrap();
    assert_eq!(refused.code.0, "LB1225");
    assert_eq!(rig.rest(&mut first).await.status(), RunStatus::Waiting, "it is not even paused");
}

#[tokio::test]
async fn between_the_two_runs_the_locks_are_the_second_ones_before_it_is_there() {
    let plan = || PlanBuilder::new().approve("go", 1, None).step("a").lock("db").after(["go"]);
    let rig = Rig::new();
    let mut first = rig.submit(switchover(plan())).await;
    rig.rest(&mut first).await;
    let run = first.run().clone();
    let events = u64::try_from(rig.events(&run).len()).unwrap();
    // The decision is stored; the making of the second run is not.
    let clock = SimClock::at(1_700_000_500_000);
    let dying = Arc::new(CrashStore::new(rig.store.copy()).fail(3, Fault::Before));
    let same: Arc<dyn Store> = Arc::clone(&dying) as Arc<dyn Store>;
    let dead = Rig::at(clock.clone(), 8, Arc::new(SimStore::new()), same, rig.world.clone(), 8);
    let handle = dead.drive(dead.engine.resume(&run)).await.unwrap();
    let died = take_over(&dead, handle, &failover(plan())).await.err().unwrap();
    assert_eq!(died.code.0, "LB0602");
    let left = dying.inner().read(&run, events).await.unwrap();
    let last = Event::decode(&left.last().unwrap().bytes).unwrap();
    let EventKind::RunContinued { successor, .. } = last.kind else { panic!("{last:?}") };
    // The next engine: a third run comes first, and is told whom it waits for.
    let store: Arc<dyn Store> = Arc::clone(&dying) as Arc<dyn Store>;
    let rig = Rig::at(clock, 9, Arc::new(SimStore::new()), store, rig.world.clone(), 8);
    let mut third = rig.submit(PlanBuilder::new().step("x").lock("db").build()).await;
    assert_eq!(holder(&*rig.rest(&mut third).await), Some(successor.to_string()));
    let unfinished: Vec<RunId> =
        rig.drive(rig.engine.unfinished()).await.unwrap().into_iter().map(|(run, _)| run).collect();
    assert_eq!(unfinished, [run.clone(), third.run().clone()]);
    let mut second = rig.drive(resume_all(&rig.engine, vec![run])).await.remove(0).unwrap();
    assert_eq!(second.run(), &successor);
    assert_eq!(rig.rest(&mut second).await.locks, Locks::Held);
    assert_eq!(rig.world.entry(third.run().as_str(), "x").executed, 0);
}

/// The plan of a random case as a failover, with more to do.
fn more(plan: &Plan, doomed: Option<&str>) -> Plan {
    let mut next = as_mode(plan.clone(), Mode::Failover);
    // What fails for good is what only a switchover does.
    next.steps.retain(|step| Some(step.id.as_str()) != doomed);
    for step in &mut next.steps {
        step.after.retain(|before| Some(before.as_str()) != doomed);
    }
    let all: Vec<String> = next.steps.iter().map(|step| step.id.0.clone()).collect();
    let last = PlanBuilder::new().step("cutover").effect(Effect::Irreversible);
    next.steps.extend(last.after(all.iter().map(String::as_str)).build().steps);
    next
}

/// No effect of a step came about twice over both runs, unless it may be repeated or was taken back in between.
fn check(plan: &Plan, world: &World, runs: &[&RunId], before: &Leftovers, what: &str) {
    let undone = |run: &&RunId| plan.steps.iter().any(|step| world.entry(run.as_str(), step.id.as_str()).undone > 0);
    let any_undone = before.values().any(|left| left.undone) || runs.iter().any(undone);
    for step in plan.steps.iter().filter(|step| step.kind.by_plugin()) {
        let entries: Vec<_> = runs.iter().map(|run| world.entry(run.as_str(), step.id.as_str())).collect();
        let repeatable = step.policy.in_doubt == InDoubt::Rerun || step.effect == Effect::Read;
        let happened: u32 = entries.iter().map(|entry| entry.happened).sum();
        assert!(
            repeatable || any_undone || happened <= 1,
            "{what}: {} happened {happened} times: {entries:?}",
            step.id
        );
        // What rests on something that was undone runs again with it.
        if before.get(step.id.as_str()).is_some_and(|left| left.done) && !any_undone {
            assert_eq!(entries.iter().map(|entry| entry.executed).sum::<u32>(), 0, "{what}: {} ran again", step.id);
        }
    }
}

/// The engine after the next crash: it takes up what there is, and says the takeover again where it was not decided.
async fn to_the_end(rig: &Rig, run: &RunId, plan: &Plan, what: &str) -> Option<Arc<RunState>> {
    let unfinished = rig.drive(rig.engine.unfinished()).await.unwrap();
    let runs: Vec<RunId> = unfinished.into_iter().map(|(run, _)| run).collect();
    let handles = rig.drive(resume_all(&rig.engine, runs)).await;
    let mut handles: Vec<RunHandle> = handles.into_iter().map(|handle| handle.expect(what)).collect();
    let known = rig.drive(rig.engine.load(run)).await.unwrap().state;
    if known.continued_as.is_none() {
        let live = handles.iter().position(|handle| handle.run() == run).map(|place| handles.remove(place));
        match rig.drive(rig.engine.take_over(run, live, next(plan), said("ada"))).await {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                assert!(["LB1222", "LB1224"].contains(&error.code.0.as_ref()), "{what}: {error}");
                return None;
            }
        }
    }
    let known = rig.drive(rig.engine.load(run)).await.unwrap().state;
    let successor = known.continued_as.expect(what);
    let mut handle = match handles.into_iter().find(|handle| *handle.run() == successor) {
        Some(handle) => handle,
        None => rig.drive(rig.engine.resume(&successor)).await.unwrap(),
    };
    Some(rig.rest(&mut handle).await)
}

#[tokio::test]
async fn a_run_that_is_cut_after_any_event_is_taken_over_and_nothing_is_done_twice() {
    let (mut cuts, mut carried) = (0, 0);
    for seed in 0..150 {
        let case = random_case(seed);
        let plan = as_mode(case.plan.clone(), Mode::Switchover);
        let next = more(&plan, case.doomed.as_deref());
        let rig = Rig::with(SimStore::new(), case.world(), 8);
        let run = rig.run(plan.clone()).await.run.clone();
        let events = rig.events(&run);
        for count in 1..=events.len() {
            let what = format!("seed {seed}, cut after event {count} of {}", events.len());
            let rng = SeededRng::new(seed * 1_000 + u64::try_from(count).unwrap());
            let before = left(&events[..count], case.doomed.as_deref(), &rng);
            let world = case.world();
            restore(&world, run.as_str(), &before);
            let clock = SimClock::at(1_700_001_000_000);
            let store = Arc::new(rig.store.prefix(&run, count));
            let written: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
            let rig = Rig::at(clock, 11, store, written, world.clone(), 8);
            let taken = rig.engine.take_over(&run, None, self::next(&next), said("ada"));
            let Ok(mut second) = rig.drive(taken).await else { continue };
            let state = rig.rest(&mut second).await;
            check(&next, &world, &[&run, second.run()], &before, &what);
            assert_eq!(state.status(), RunStatus::Succeeded, "{what}");
            assert_eq!(rig.events(&run)[..count], events[..count], "{what}: history was changed");
            let replayed = apply::replay(&rig.events(second.run())).unwrap();
            assert_eq!(replayed.complete(), state.complete());
            carried += state.continues.as_ref().map_or(0, |earlier| earlier.steps.len());
            cuts += 1;
        }
    }
    assert!(cuts > 500 && carried > 1_000, "{cuts} takeovers, {carried} steps carried");
}

#[tokio::test]
async fn a_takeover_that_dies_after_any_event_is_gone_on_with_and_makes_one_run() {
    let (mut cuts, mut ends) = (0, BTreeSet::new());
    for seed in 0..60 {
        let case = random_case(seed);
        let plan = as_mode(case.plan.clone(), Mode::Switchover);
        let next = more(&plan, case.doomed.as_deref());
        let rig = Rig::with(SimStore::new(), case.world(), 8);
        let run = rig.run(plan.clone()).await.run.clone();
        let events = rig.events(&run);
        let count = 1 + usize::try_from(seed).unwrap() % events.len();
        for cut in 0..40 {
            let what = format!("seed {seed}, after event {count} of {}, cut after {cut}", events.len());
            let rng = SeededRng::new(seed);
            let before = left(&events[..count], case.doomed.as_deref(), &rng);
            let world = case.world();
            restore(&world, run.as_str(), &before);
            let clock = SimClock::at(1_700_001_000_000);
            let dying = Arc::new(CrashStore::new(rig.store.prefix(&run, count)).cut_after(cut));
            let same: Arc<dyn Store> = Arc::clone(&dying) as Arc<dyn Store>;
            let first = Rig::at(clock.clone(), 11, Arc::new(SimStore::new()), same, world.clone(), 8);
            let died = dies(&first, &run, &next).await;
            // What the dead engine had under way does not go on.
            drop(first);
            let whole = Arc::new(dying.inner().copy());
            let written: Arc<dyn Store> = Arc::clone(&whole) as Arc<dyn Store>;
            clock.advance(1_000);
            let second = Rig::at(clock, 12, Arc::clone(&whole), written, world.clone(), 8);
            let Some(state) = to_the_end(&second, &run, &next, &what).await else { continue };
            ends.insert(state.status().as_str());
            assert_eq!(state.status(), RunStatus::Succeeded, "{what}");
            let all = all_runs(&second).await;
            assert_eq!(successors(&second, &all), std::slice::from_ref(&state.run), "{what}");
            check(&next, &world, &[&run, &state.run], &before, &what);
            cuts += 1;
            if !died {
                break;
            }
        }
    }
    assert!(cuts > 300, "{cuts} cuts, {ends:?}");
}

/// Takes a run over with an engine whose store dies. Whether it died before the end.
async fn dies(rig: &Rig, run: &RunId, plan: &Plan) -> bool {
    match rig.drive(rig.engine.take_over(run, None, next(plan), said("ada"))).await {
        Ok(mut second) => matches!(rig.drive(second.rest()).await, Rest::Stopped(_)),
        Err(_) => true,
    }
}

#[tokio::test]
async fn a_run_that_goes_on_for_another_one_may_be_taken_over_again() {
    let plan = || PlanBuilder::new().step("a").step("b").after(["a"]);
    let rig = Rig::new();
    let twice = [Act::Fail(FailureKind::Permanent), Act::Done(None)];
    rig.world.acts("b", twice);
    let mut first = rig.submit(switchover(plan())).await;
    rig.rest(&mut first).await;
    let mut second = take_over(&rig, first.clone(), &failover(plan())).await.unwrap();
    assert_eq!(rig.rest(&mut second).await.status(), RunStatus::Failed);
    let back = as_mode(plan().step("c").build(), Mode::Failback);
    let state = rig.drive(rig.engine.load(second.run())).await.unwrap().state;
    assert_eq!(handover(&state, &back).unwrap().carried().count(), 1);
    let mut third = take_over(&rig, second.clone(), &back).await.unwrap();
    let state = rig.rest(&mut third).await;
    let a = state.step(&StepId::from("a")).unwrap().1;
    assert_eq!(a.carried.as_ref().map(|from| &from.run), Some(first.run()), "the run that did it");
    assert_eq!(state.declared_at(), rig.events(first.run())[0].at);
    assert_eq!(rig.world.entry(third.run().as_str(), "a").executed, 0);
    assert!(rig.clock.now_ms() >= state.created_at);
}
