//! A log read back is the run: random runs, driven by random outcomes, compared with their replay after every event.

use std::collections::BTreeSet;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::outcome::{FailureKind, ProbeAnswer};
use lifeboat_core::state::{Phase, RunState};
use lifeboat_core::{apply, decide};
use lifeboat_testkit::{SeededRng, random_case, said};
use proptest::prelude::*;
use serde_json::json;

use crate::{Hand, done, failed, id, unknown};

/// All that can be seen of a state.
fn seen(state: &RunState) -> serde_json::Value {
    let steps: Vec<_> = state.steps().map(|(step, now)| json!({ "id": step.id, "now": now })).collect();
    json!({
        "steps": steps, "heading": state.heading, "result": state.result, "seq": state.seq, "token": state.token,
        "complete": state.complete(), "status": state.status(), "finished": state.finished_at,
        "pending": format!("{:?}", lifeboat_core::actions::pending(state)),
        "next": format!("{:?}", decide::advance(state, decide::Round { now: u64::MAX, starts: 3 })),
    })
}

fn holds(state: &RunState) {
    let complete = state.steps().filter(|(_, now)| now.is_complete()).count();
    assert_eq!(state.complete(), complete, "the count of complete steps is exact");
    let open = |phase: &Phase| {
        !matches!(phase, Phase::Pending | Phase::Done | Phase::Failed { .. } | Phase::Skipped { .. } | Phase::Undone)
    };
    let active = state.steps().filter(|(_, now)| open(&now.phase)).count();
    assert_eq!(state.steps_active().count(), active, "the sets belong to the phases");
    let running = state.steps().filter(|(_, now)| matches!(now.phase, Phase::Running { .. })).count();
    assert_eq!(decide::running(state), running);
}

/// One thing that happens: an attempt ends, a probe answers, a person speaks, or time passes.
fn something(hand: &mut Hand, rng: &SeededRng) {
    let steps: Vec<(String, Phase)> =
        hand.state.steps().map(|(step, now)| (step.id.0.clone(), now.phase.clone())).collect();
    let place = usize::try_from(rng.below(u64::try_from(steps.len()).unwrap())).unwrap();
    let (step, phase) = &steps[place];
    let verb = match (phase, rng.below(10)) {
        (Phase::Running { .. }, _) => {
            let kinds = [FailureKind::Temporary, FailureKind::Permanent, FailureKind::Sandbox];
            let outcome = match rng.below(6) {
                0 => failed(kinds[usize::try_from(rng.below(3)).unwrap()]),
                1 => unknown(),
                _ => done(),
            };
            hand.end(step, outcome);
            return;
        }
        (Phase::InDoubt { number, .. }, _) => {
            let answer = match rng.below(3) {
                0 => ProbeAnswer::Happened { outputs: json!({}) },
                1 => ProbeAnswer::DidNotHappen,
                _ => ProbeAnswer::CannotTell { reason: "blind".to_owned() },
            };
            decide::probed(&hand.state, &id(step), *number, answer, (hand.now, 0))
        }
        (_, 0) => decide::retry(&hand.state, &id(step), said("ada")).ok(),
        (_, 1) => decide::skip(&hand.state, &id(step), said("ada")).ok(),
        (_, 2) if rng.chance(20) => decide::cancel(&hand.state, rng.chance(50), said("ada")).ok(),
        (_, 3) => {
            decide::recover(&hand.state, hand.now).into_iter().for_each(|kind| hand.apply(kind));
            None
        }
        (Phase::Asking { .. } | Phase::UndoFailed { .. }, _) => decide::retry(&hand.state, &id(step), said("ada")).ok(),
        _ => None,
    };
    hand.now += rng.below(3_000);
    verb.into_iter().for_each(|kind| hand.apply(kind));
    hand.follow();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_a_log_back_gives_the_run(seed in any::<u64>()) {
        let rng = SeededRng::new(seed);
        let mut hand = Hand::new(random_case(seed).plan);
        hand.follow();
        for _ in 0..40 {
            something(&mut hand, &rng);
            holds(&hand.state);
        }
        let mut state = apply::create(&hand.events[0]).unwrap();
        for (count, event) in hand.events.iter().enumerate().skip(1) {
            apply::apply(&mut state, event).unwrap();
            let stored: Vec<Event> =
                hand.events[..=count].iter().map(|event| Event::decode(&event.encode().unwrap()).unwrap()).collect();
            if count % 7 == 0 || count + 1 == hand.events.len() {
                prop_assert_eq!(seen(&apply::replay(&stored).unwrap()), seen(&state));
            }
        }
        prop_assert_eq!(seen(&state), seen(&hand.state));
    }

    #[test]
    fn a_log_with_one_event_lost_or_doubled_never_panics(seed in any::<u64>(), place in 1_usize..40) {
        let rng = SeededRng::new(seed);
        let mut hand = Hand::new(random_case(seed).plan);
        hand.follow();
        (0..20).for_each(|_| something(&mut hand, &rng));
        let place = place.min(hand.events.len() - 1);
        let mut lost = hand.events.clone();
        lost.remove(place);
        let mut doubled = hand.events.clone();
        doubled.insert(place, hand.events[place].clone());
        for log in [lost, doubled] {
            match apply::replay(&log) {
                Ok(state) => holds(&state),
                Err(error) => prop_assert_eq!(error.code.to_string(), "LB0503"),
            }
        }
    }

    #[test]
    fn bytes_that_are_no_event_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Event::decode(&bytes).unwrap_err().code.to_string(), "LB0503");
    }
}

#[test]
fn a_token_is_never_given_out_twice() {
    for seed in 0..200 {
        let rng = SeededRng::new(seed);
        let mut hand = Hand::new(random_case(seed).plan);
        hand.follow();
        (0..40).for_each(|_| something(&mut hand, &rng));
        let tokens: Vec<u64> = hand
            .events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::AttemptStarted { token, .. } => Some(token),
                _ => None,
            })
            .collect();
        let distinct: BTreeSet<u64> = tokens.iter().copied().collect();
        assert_eq!(distinct.len(), tokens.len(), "seed {seed}");
        assert!(tokens.is_sorted(), "seed {seed}");
    }
}
