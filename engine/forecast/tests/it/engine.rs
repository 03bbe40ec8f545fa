//! The simulation against the real engine: generated plans are run on a simulated clock with times that are known, and the
//! forecast has to tell to the millisecond when they end. The same from every event in the middle of the run.

use std::collections::BTreeMap;

use lifeboat_core::apply::{apply, create};
use lifeboat_core::outcome::FailureKind;
use lifeboat_core::state::RunStatus;
use lifeboat_core::{Plan, StepId};
use lifeboat_forecast::random::Random;
use lifeboat_forecast::{History, Question, Seconds, forecast, reforecast};
use lifeboat_testkit::{Act, PlanBuilder, Rig};

/// A plan of `count` steps with edges, waits, limits and fan-outs, and what each step takes.
fn drawn(seed: u64, count: usize) -> (Plan, BTreeMap<StepId, Seconds>) {
    let mut random = Random::new(seed);
    let mut takes = BTreeMap::new();
    let mut plan = PlanBuilder::new().max_parallel(1 + random.below(6) as u32);
    for place in 0..count {
        let name = format!("s{place}");
        // Times are all different, so that no two steps end at once and the order of their ends is one.
        let ms = 1_000 + 97 * random.below(500) as u64 + place as u64;
        plan = if random.happens(0.1) { plan.wait(&name, ms) } else { plan.step(&name) };
        if random.happens(0.3) {
            plan = plan.fan(if random.happens(0.5) { "x" } else { "y" }, 2);
        }
        let before: Vec<String> =
            (0..place).filter(|_| random.happens(1.5 / count as f64)).map(|at| format!("s{at}")).collect();
        plan = plan.after(before.iter().map(String::as_str));
        takes.insert(StepId::from(name.as_str()), Seconds::from_ms(ms));
    }
    (plan.build(), takes)
}

fn question(takes: &BTreeMap<StepId, Seconds>) -> Question {
    Question { samples: 3, takes: takes.clone(), ..Question::default() }
}

#[tokio::test]
async fn the_engine_ends_when_it_was_told() {
    let history = History::new();
    for seed in 0..40 {
        let (plan, takes) = drawn(seed, 4 + seed as usize % 30);
        let rig = Rig::new();
        for (step, time) in &takes {
            rig.world.acts(step.as_str(), [Act::Slow(time.ms(), Box::new(Act::Done(None)))]);
        }
        let told = forecast(&plan, &history, &question(&takes)).unwrap();
        let state = rig.run(plan).await;
        assert_eq!(state.status(), RunStatus::Succeeded);
        let took = state.finished_at.unwrap() - state.created_at;
        assert_eq!(told.p50.unwrap().ms, took, "seed {seed}");
        assert_eq!((told.success.value, told.lower_bound), (1.0, false));

        let events = rig.events(&state.run);
        let mut then = create(&events[0]).unwrap();
        for event in &events[1..events.len() - 1] {
            apply(&mut then, event).unwrap();
            let again = reforecast(&then, event.at, &history, &question(&takes)).unwrap();
            assert_eq!(again.p50.unwrap().ms, took, "seed {seed}, event {}", then.seq);
            assert_eq!(again.passed_ms, event.at - state.created_at);
        }
        let over = reforecast(&state, state.updated_at, &history, &question(&takes)).unwrap_err();
        assert_eq!(&*over.code.0, "LB0912");
    }
}

/// Attempts that fail at once, with backoffs and a limit of places: the times of the engine are those of the forecast.
#[tokio::test]
async fn retries_take_what_the_engine_takes() {
    let plan = PlanBuilder::new().max_parallel(1).step("a").retry(3, 1_000).step("b").after(["a"]).build();
    let rig = Rig::new();
    let fail = || Act::Slow(500, Box::new(Act::Fail(FailureKind::Temporary)));
    rig.world.acts("a", [fail(), fail(), fail(), Act::Slow(2_000, Box::new(Act::Done(None)))]);
    let state = rig.run(plan.clone()).await;
    // 0.5 + 1 + 0.5 + 2 + 0.5 + 4 + 2
    assert_eq!(state.finished_at.unwrap() - state.created_at, 10_500);
    let mut history = History::new();
    (0..40).for_each(|_| history.learn(&rig.events(&state.run)));
    let takes = BTreeMap::from([(StepId::from("a"), Seconds::from_ms(2_000)), (StepId::from("b"), Seconds::ZERO)]);
    let told = forecast(&plan, &history, &Question { samples: 20_000, takes, ..Question::default() }).unwrap();
    // Three of four attempts failed, so four in a row fail with 0.75^4, and the four times that there are come as often as
    // 0, 1, 2 and 3 failures before the first success.
    crate::close(told.success.value, 1.0 - 0.75_f64.powi(4), 0.01);
    assert_eq!(told.steps[0].attempt_fails, Some(0.75));
    crate::close(told.steps[0].fails_run, 0.75_f64.powi(4), 0.03);
    assert_eq!(told.p99.unwrap().ms, 10_500);
    // Of those that succeed, 0.25 / 0.6836 = 37 % have no failure and 64 % at most one: the middle is one failure.
    assert_eq!(told.p50.unwrap().ms, 3_500);
    assert_eq!(told.success.low, told.success.low.clamp(0.0, told.success.value));
}
