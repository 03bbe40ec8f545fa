//! The simulation of plans against what can be told by hand, and against another simulation.

use std::collections::BTreeMap;
use std::time::Instant;

use lifeboat_core::apply::{apply, create};
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::Digest;
use lifeboat_core::outcome::{Failure, Outcome};
use lifeboat_core::plan::{Effect, InDoubt, Plan, Test};
use lifeboat_core::ports::Direction;
use lifeboat_core::state::RunState;
use lifeboat_core::{RunId, StepId};
use lifeboat_forecast::plan::{Basis, Note, SAMPLES_MAX};
use lifeboat_forecast::random::Random;
use lifeboat_forecast::{Bytes, Forecast, History, Question, Rate, Seconds, forecast, reforecast};
use lifeboat_testkit::{PlanBuilder, said};
use serde_json::json;

use crate::{close, time};

fn told(plan: &Plan, takes: &[(&str, &str)]) -> Forecast {
    forecast(plan, &History::new(), &telling(takes)).unwrap()
}

fn telling(takes: &[(&str, &str)]) -> Question {
    let takes = takes.iter().map(|(step, text)| (StepId::from(*step), time(text))).collect();
    Question { samples: 1_000, takes, ..Question::default() }
}

fn estimates(mut plan: Plan, ms: u64) -> Plan {
    plan.steps.iter_mut().for_each(|step| step.estimate_ms = Some(ms));
    plan
}

#[test]
fn room_is_kept_to() {
    let all = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"].map(|step| (step, "60s"));
    let minutes = |plan: PlanBuilder| told(&plan.build(), &all).p50.unwrap().ms / 60_000;
    assert_eq!(minutes(PlanBuilder::wide(10).max_parallel(10)), 1);
    assert_eq!(minutes(PlanBuilder::wide(10).max_parallel(3)), 4);
    assert_eq!(minutes(PlanBuilder::chain(10).max_parallel(3)), 10);
    let fan = (0..10).fold(PlanBuilder::new(), |plan, at| plan.step(&format!("s{at}")).fan("all", 2));
    assert_eq!(minutes(fan.max_parallel(8)), 5);
}

#[test]
fn the_critical_path_of_told_times() {
    let plan = PlanBuilder::new().step("a").step("b").after(["a"]).step("c").after(["a"]).step("d").after(["b", "c"]);
    let found = told(&plan.build(), &[("a", "10s"), ("b", "40s"), ("c", "5s"), ("d", "50s")]);
    let path: Vec<f64> = found.steps.iter().map(|step| step.criticality).collect();
    assert_eq!(path, [1.0, 1.0, 0.0, 1.0]);
    let shares: Vec<f64> = found.steps.iter().map(|step| step.share).collect();
    assert_eq!(shares, [0.1, 0.4, 0.0, 0.5]);
    assert_eq!((found.p50.unwrap().ms, found.p99.unwrap().ms, found.p50.unwrap().high_ms), (100_000, 100_000, 100_000));
    assert_eq!(found.dominant().unwrap().step.as_str(), "d");
}

/// Half of the times of a declared estimate are below it, and one in twenty is twice it; and that is said.
#[test]
fn declared_estimates_vary_as_is_said() {
    let plan = estimates(PlanBuilder::chain(1).build(), 60_000);
    let found = forecast(&plan, &History::new(), &Question { samples: 100_000, ..Question::default() }).unwrap();
    close(found.p50.unwrap().ms as f64, 60_000.0, 0.01);
    close(found.p95.unwrap().ms as f64, 120_000.0, 0.015);
    assert!(found.notes.contains(&Note::SpreadAssumed { steps: vec!["s0".into()] }));
    assert!(found.notes.contains(&Note::FailuresUnknown { steps: vec!["s0".into()] }));
    let middle = found.p95.unwrap();
    assert!(middle.low_ms < middle.ms && middle.ms < middle.high_ms && middle.high_ms - middle.low_ms < 4_000);
}

/// Against another simulation: the longest way through random graphs, each step drawn from the same law, by other code.
#[test]
fn the_longest_way_through_random_graphs() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let before: Vec<Vec<usize>> =
            (0..25).map(|place| (0..place).filter(|_| random.happens(0.12)).collect()).collect();
        let mut plan = PlanBuilder::new().max_parallel(100);
        for (place, before) in before.iter().enumerate() {
            let names: Vec<String> = before.iter().map(|at| format!("s{at}")).collect();
            plan = plan.step(&format!("s{place}")).after(names.iter().map(String::as_str));
        }
        let mut plan = plan.build();
        let medians: Vec<f64> = (0..25).map(|_| 10_000.0 + random.below(50_000) as f64).collect();
        plan.steps.iter_mut().zip(&medians).for_each(|(step, ms)| step.estimate_ms = Some(*ms as u64));
        let (mut ends, mut critical) = (Vec::new(), vec![0_u32; 25]);
        let rounds = 40_000;
        for _ in 0..rounds {
            let mut end = vec![(0.0_f64, None); 25];
            for place in 0..25 {
                // Box and Muller, so that not even the normal numbers are drawn by the same code.
                let normal = (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
                let takes = medians[place].floor() * (2.0_f64.ln() / 1.644_854 * normal).exp();
                let from = before[place].iter().copied().max_by(|a, b| end[*a].0.total_cmp(&end[*b].0));
                end[place] = (from.map_or(0.0, |from| end[from].0) + takes, from);
            }
            let mut at = (0..25).max_by(|a, b| end[*a].0.total_cmp(&end[*b].0));
            ends.push(end[at.unwrap()].0);
            while let Some(place) = at {
                critical[place] += 1;
                at = end[place].1;
            }
        }
        ends.sort_by(f64::total_cmp);
        let found =
            forecast(&plan, &History::new(), &Question { samples: rounds, seed: 99, ..Question::default() }).unwrap();
        for (share, quantile) in [(0.5, found.p50), (0.95, found.p95), (0.99, found.p99)] {
            close(quantile.unwrap().ms as f64, ends[(share * f64::from(rounds)) as usize], 0.015);
        }
        for (step, count) in found.steps.iter().zip(critical) {
            assert!((step.criticality - f64::from(count) / f64::from(rounds)).abs() < 0.015, "{step:?} {count}");
        }
    }
}

/// Few measurements give wide forecasts, and many give what was measured.
#[test]
fn one_run_tells_less_than_forty() {
    let plan = PlanBuilder::chain(1).build();
    let after = |times: &[u64]| {
        let mut history = History::new();
        times.iter().for_each(|ms| history.learn(&events(&plan, *ms)));
        let found = forecast(&plan, &history, &Question { samples: 50_000, ..Question::default() }).unwrap();
        let of = |quantile: Option<lifeboat_forecast::plan::Quantile>| quantile.unwrap().ms as f64 / 60_000.0;
        (of(found.p50), of(found.p95), of(found.p99), found.success)
    };
    let one = after(&[60_000]);
    close(one.0, 1.0, 0.02);
    // Student's t of 4 degrees: its 95 % is 2.132 widths of 0.4214 * sqrt(2).
    close(one.1, (2.132 * 0.4214 * 2.0_f64.sqrt()).exp(), 0.03);
    let ten = after(&[60_000; 10]);
    assert!(ten.1 < one.1 && ten.1 < 1.7 && ten.2 < one.2, "{ten:?} {one:?}");
    let forty: Vec<u64> = (0..41).map(|n| 40_000 + n * 1_000).collect();
    let many = after(&forty);
    close(many.0, 1.0, 0.01);
    close(many.1, 78.0 / 60.0, 0.01);
    // Nothing failed in one run, and nobody knows much more after it; after 40 the bound is close.
    assert_eq!((one.3.value, many.3.value), (1.0, 1.0));
    assert!(one.3.low < 0.3 && many.3.low > 0.9, "{one:?} {many:?}");
}

/// The events of a run of one step.
fn events(plan: &Plan, ms: u64) -> Vec<Event> {
    let (step, key) = (plan.steps[0].id.clone(), Digest::of(b"key"));
    let direction = Direction::Forward;
    let outcome = Outcome::Done { outputs: json!({}) };
    vec![
        created(plan),
        Event::new(1_000, EventKind::AttemptStarted { step: step.clone(), direction, number: 1, key, token: 1 }),
        Event::new(
            1_000 + ms,
            EventKind::AttemptFinished { step, direction, number: 1, outcome, retry_at: None, interrupted: false },
        ),
    ]
}

fn created(plan: &Plan) -> Event {
    Event::new(
        1_000,
        EventKind::RunCreated {
            run: RunId("r-1".to_owned()),
            plan: Box::new(plan.clone()),
            fingerprint: plan.fingerprint(),
            runbook: String::new(),
            engine: "test".to_owned(),
            detected_at: None,
            continues: None,
            said: said("test"),
        },
    )
}

/// What is not known counts as nothing, and is said.
#[test]
fn the_unknown_is_named_and_not_made_up() {
    let plan = PlanBuilder::new().step("a").approve("go", 1, None).after(["a"]).step("b").after(["go"]);
    let plan = plan.when("{{inputs.x}}", Test::Holds).input("x", json!(true)).build();
    let nothing = told(&plan, &[]);
    assert!(nothing.p50.is_none() && nothing.lower_bound && nothing.dominant().is_none());
    let some = told(&plan, &[("a", "10m")]);
    assert_eq!((some.p50.unwrap().ms, some.lower_bound), (600_000, true));
    assert!(some.notes.contains(&Note::TimesUnknown { steps: vec!["go".into(), "b".into()] }), "{:?}", some.notes);
    assert!(some.notes.contains(&Note::ConditionsAssumed { steps: vec!["b".into()] }));
    let asked = |rto| Question { rto: Some(time(rto)), ..telling(&[("a", "10m")]) };
    let meets = |rto| forecast(&plan, &History::new(), &asked(rto)).unwrap().meets(0.95);
    // It may take less than an hour, for all that is known; it does not take less than nine minutes.
    assert_eq!((meets("1h"), meets("9m")), (None, Some(false)));
    let all = [("a", "10m"), ("go", "5m"), ("b", "1m")];
    let known = forecast(&plan, &History::new(), &Question { rto: Some(time("16m")), ..telling(&all) }).unwrap();
    assert_eq!((known.meets(0.95), known.lower_bound, known.objective.unwrap().meets.value), (Some(true), false, 1.0));
    assert!(told(&PlanBuilder::new().build(), &[]).p50.is_some());
}

/// "Can this runbook meet 15 min with 1 TB at 20 MB/s?"
#[test]
fn a_terabyte_is_not_restored_in_a_quarter_of_an_hour() {
    let plan = PlanBuilder::new().step("rebuild").timeout(100_000_000).build();
    let asked = |rate: &str, before: &str| Question {
        bytes: Some(Bytes::parse("1TB").unwrap()),
        rate: Some(Rate::parse(rate).unwrap()),
        before: time(before),
        rto: Some(time("15m")),
        ..telling(&[])
    };
    let slow = forecast(&plan, &History::new(), &asked("20MB/s", "0s")).unwrap();
    assert_eq!((slow.p50.unwrap().ms, slow.meets(0.95)), (50_000_000, Some(false)));
    assert_eq!(slow.steps[0].basis, Basis::Rate);
    assert_eq!(forecast(&plan, &History::new(), &asked("2GB/s", "6m")).unwrap().meets(0.95), Some(true));
    let late = forecast(&plan, &History::new(), &asked("2GB/s", "7m")).unwrap();
    assert_eq!((late.meets(0.95), late.passed_ms, late.p50.unwrap().ms), (Some(false), 420_000, 920_000));
    assert_eq!(&*forecast(&plan, &History::new(), &asked("0MB/s", "0s")).unwrap_err().code.0, "LB0911");
}

/// An attempt that reaches its time-out is tried again, or a person is asked, as its policy says.
#[test]
fn time_outs() {
    let with = |policy, effect| {
        PlanBuilder::new().step("a").effect(effect).timeout(60_000).retry(1, 10_000).in_doubt(policy).build()
    };
    let plan = |policy| with(policy, Effect::Compensatable);
    let never = told(&plan(InDoubt::Probe), &[("a", "2m")]);
    assert_eq!((never.success.value, never.p50, never.steps[0].fails_run), (0.0, None, 1.0));
    // Half of the attempts are too long: of those that are tried again, half are, too.
    let half = estimates(plan(InDoubt::Probe), 60_000);
    let found = forecast(&half, &History::new(), &Question { samples: 20_000, ..Question::default() }).unwrap();
    close(found.success.value, 0.75, 0.02);
    let asks = estimates(plan(InDoubt::Ask), 60_000);
    let found = forecast(&asks, &History::new(), &Question { samples: 20_000, ..Question::default() }).unwrap();
    close(found.success.value, 0.5, 0.03);
    // Nobody is asked about what does no harm: it has failed, and is tried again.
    let harmless = estimates(with(InDoubt::Ask, Effect::Reversible), 60_000);
    let found = forecast(&harmless, &History::new(), &Question { samples: 20_000, ..Question::default() }).unwrap();
    close(found.success.value, 0.75, 0.02);
    let question = PlanBuilder::new().approve("go", 1, Some(300_000)).build();
    assert_eq!(told(&question, &[("go", "6m")]).success.value, 0.0);
    assert_eq!(told(&question, &[("go", "4m")]).success.value, 1.0);
}

fn state(events: &[Event]) -> RunState {
    let mut state = create(&events[0]).unwrap();
    events[1..].iter().for_each(|event| apply(&mut state, event).unwrap());
    state
}

/// A step that has been under way for long is not expected to end at once because its usual time is over.
#[test]
fn a_run_that_drags_on() {
    let plan = estimates(PlanBuilder::chain(2).build(), 60_000);
    let all = events(&plan, 60_000);
    let begun = state(&all[..2]);
    let at = |minutes: u64| {
        let told = reforecast(&begun, 1_000 + minutes * 60_000, &History::new(), &Question::default()).unwrap();
        (told.p50.unwrap().ms as f64 / 60_000.0, told.passed_ms / 60_000)
    };
    let (fresh, dragging, stuck) = (at(0), at(2), at(30));
    close(fresh.0, 2.1, 0.05);
    assert!(dragging.0 > 3.2 && dragging.0 < 4.5, "{dragging:?}");
    assert!(stuck.0 > 45.0 && stuck.1 == 30, "{stuck:?}");
    // The first is done after a minute: only the second is ahead.
    let done = reforecast(&state(&all), 61_000, &History::new(), &Question::default()).unwrap();
    close(done.p50.unwrap().ms as f64 / 60_000.0, 2.0, 0.02);
    assert_eq!(
        (done.steps[0].basis.clone(), done.steps[0].criticality, done.steps[1].criticality),
        (Basis::Complete, 0.0, 1.0)
    );
}

#[test]
fn the_rest_of_the_objective() {
    let mut plan = estimates(PlanBuilder::chain(2).build(), 60_000);
    plan.objectives.rto_ms = Some(180_000);
    let done = state(&events(&plan, 60_000));
    let found =
        reforecast(&done, 61_000, &History::new(), &Question { samples: 50_000, ..Question::default() }).unwrap();
    let objective = found.objective.unwrap();
    assert_eq!((objective.rto_ms, objective.left_ms), (180_000, 120_000));
    // Two minutes are left for what takes one, and takes two once in twenty.
    close(objective.meets.value, 0.95, 0.01);
    let late = reforecast(&done, 400_000, &History::new(), &Question::default()).unwrap().objective.unwrap();
    assert_eq!((late.left_ms, late.meets.value), (0, 0.0));
}

#[test]
fn a_failed_step_needs_a_person() {
    let plan = estimates(PlanBuilder::chain(2).build(), 60_000);
    let mut all = events(&plan, 60_000);
    if let EventKind::AttemptFinished { outcome, .. } = &mut all[2].kind {
        *outcome = Outcome::Failed { failure: Failure::permanent("no") };
    }
    let failed = state(&all);
    let found = reforecast(&failed, 61_000, &History::new(), &Question::default()).unwrap();
    assert!(found.notes.contains(&Note::NeedsPerson { steps: vec!["s0".into()] }));
    close(found.p50.unwrap().ms as f64 / 60_000.0, 3.1, 0.05);
    let plan = Plan { on_failure: lifeboat_core::plan::OnFailure { compensate: true, notify: Vec::new() }, ..plan };
    all[0] = created(&plan);
    assert_eq!(&*reforecast(&state(&all), 61_000, &History::new(), &Question::default()).unwrap_err().code.0, "LB0912");
}

#[test]
fn what_cannot_be_forecast() {
    let code = |plan: &Plan, asked: &Question| forecast(plan, &History::new(), asked).unwrap_err().code.0;
    let chain = PlanBuilder::chain(2).build();
    assert_eq!(code(&chain, &Question { samples: 0, ..Question::default() }), "LB0912");
    assert_eq!(code(&chain, &Question { samples: SAMPLES_MAX + 1, ..Question::default() }), "LB0912");
    assert_eq!(code(&chain, &telling(&[("nobody", "1s")])), "LB0910");
    let circle = PlanBuilder::new().step("a").after(["b"]).step("b").after(["a"]).build();
    assert_eq!(code(&circle, &Question::default()), "LB0912");
}

#[test]
fn the_same_seed_gives_the_same_answer_on_any_number_of_threads() {
    let plan = estimates(PlanBuilder::wide(30).max_parallel(4).build(), 60_000);
    let with = |seed, threads| {
        let asked = Question { samples: 2_000, seed, threads, ..Question::default() };
        forecast(&plan, &History::new(), &asked).unwrap()
    };
    assert_eq!(with(7, 1), with(7, 3));
    assert_eq!(with(7, 2), with(7, 5_000));
    assert_ne!(with(7, 1), with(8, 1));
}

/// Conditions, as often as they held before.
#[test]
fn steps_that_are_not_needed() {
    let plan = PlanBuilder::new().step("a").when("{{inputs.x}}", Test::Holds).input("x", json!(true)).build();
    let mut history = History::new();
    for n in 0..4 {
        let skipped = EventKind::StepNotNeeded { step: "a".into(), because: "no".to_owned() };
        history.learn(&if n == 0 { events(&plan, 60_000) } else { vec![created(&plan), Event::new(1_001, skipped)] });
    }
    let takes = BTreeMap::from([(StepId::from("a"), Seconds::new(60.0).unwrap())]);
    let asked = Question { takes, rto: Some(time("30s")), ..Question::default() };
    close(forecast(&plan, &history, &asked).unwrap().objective.unwrap().meets.value, 0.75, 0.02);
}

/// 1,000 samples of 10,000 steps, of three shapes. The bar is for slow and busy machines: it tells a sample that grows with the
/// square of the steps, which would take hours. `cargo test --release -- --nocapture` prints the times.
#[test]
fn large_plans_are_practical() {
    let layers = (0..10_000).fold(PlanBuilder::new().max_parallel(8), |plan, at: usize| {
        let before: Vec<String> = (1..=2).filter_map(|n| at.checked_sub(n * 10)).map(|at| format!("s{at}")).collect();
        plan.step(&format!("s{at}")).after(before.iter().map(String::as_str))
    });
    let fan =
        (0..10_000).fold(PlanBuilder::new().max_parallel(64), |plan, at| plan.step(&format!("s{at}")).fan("all", 16));
    for (name, plan) in [("chain", PlanBuilder::chain(10_000)), ("layers", layers), ("fan", fan)] {
        let plan = estimates(plan.build(), 60_000);
        let begin = Instant::now();
        let found = forecast(&plan, &History::new(), &Question { samples: 1_000, ..Question::default() }).unwrap();
        let took = begin.elapsed();
        println!("{name}: 1,000 samples of 10,000 steps in {took:?}, {:.0} ns a step", took.as_nanos() as f64 / 1e7);
        assert!(found.p99.unwrap().ms > found.p50.unwrap().ms);
        assert!(took.as_secs() < 60, "{took:?}");
    }
}
