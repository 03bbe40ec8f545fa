//! Messages in any order, twice, late, or lost on the way and sent again; a service that dies between any two of its deeds: one run an
//! incident, and none that is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{NOW, World, alert, batch, resolved, trigger};
use lifeboat_alerts::Batch;
use lifeboat_alerts::kernel::{Budget, Decision, Event, Fact, Phase, State, Trigger, What, decide};
use proptest::prelude::*;

const GROUPS: u64 = 2;
const HOLD: u64 = 30_000;

/// What is true of each group: alerts fire and are resolved, each time later than before. A message tells the whole group, as
/// Alertmanager's do.
fn history(steps: &[(u64, usize)]) -> Vec<Batch> {
    let mut truth: BTreeMap<(u64, usize), (u64, bool)> = BTreeMap::new();
    let mut messages = Vec::new();
    for (at, (group, which)) in steps.iter().enumerate() {
        let at = 1_000 * (u64::try_from(at).unwrap() + 1);
        let state = truth.entry((*group, *which)).or_insert((0, false));
        *state = if state.1 { (state.0, false) } else { (at, true) };
        let of_group = truth.iter().filter(|((found, _), _)| found == group);
        let alerts: Vec<_> =
            of_group.map(|((_, which), (since, firing))| alert(&format!("f{which}"), *firing, *since)).collect();
        let over = alerts.iter().all(|alert| !alert.firing);
        let mut message = if over { resolved(&alerts, at) } else { batch(&alerts) };
        message.group = format!("g{group}");
        messages.push(message);
    }
    messages
}

#[derive(Clone, Debug)]
enum Deed {
    /// A message comes: that one of the history, as often as it is drawn.
    Comes(prop::sample::Index),
    /// Time passes.
    Pass(u64),
    /// The service does what it has decided.
    Work,
    /// It dies after it has stored the events of that message and before it has done anything.
    DiesBeforeWork(prop::sample::Index),
    /// It dies before it has stored them.
    DiesBeforeStore(prop::sample::Index),
    /// It has made a run, and dies before it has said so.
    DiesAfterStart,
    /// A run comes to its point of no return.
    NoReturn,
    /// A run ends.
    Ends,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let index = any::<prop::sample::Index>;
    let deed = prop_oneof![
        8 => index().prop_map(Deed::Comes),
        2 => (0_u64..40_000).prop_map(Deed::Pass),
        4 => Just(Deed::Work),
        1 => index().prop_map(Deed::DiesBeforeWork),
        1 => index().prop_map(Deed::DiesBeforeStore),
        1 => Just(Deed::DiesAfterStart),
        1 => Just(Deed::NoReturn),
        2 => Just(Deed::Ends),
    ];
    prop::collection::vec(deed, 1..80)
}

/// Checks what has to hold at any time.
fn check(world: &World, messages: &[Batch]) {
    // The state is that of its events, and goes through the store as it is.
    assert_eq!(State::from_events(&world.events), world.state);
    let stored: State = serde_json::from_str(&serde_json::to_string(&world.state).unwrap()).unwrap();
    assert_eq!(stored, world.state);
    // One decision to start an incident, and one run.
    let starts = world.events.iter().filter(|event| event.what == What::Started).map(|event| event.incident.run_key());
    let mut keys = BTreeSet::new();
    for key in starts {
        assert!(keys.insert(key.clone()), "{key} was decided on twice");
    }
    assert!(world.runs.keys().all(|key| keys.contains(key)));
    for group in 0..GROUPS {
        let name = format!("orders am:g{group}");
        let runs: Vec<_> = world.runs.iter().filter(|(key, _)| key.ends_with(&name)).collect();
        let under_way = runs.iter().filter(|(_, (_, under_way))| *under_way).count();
        assert!(under_way <= 1, "two runs at once for {name}");
        // There were at most as many incidents as alerts began to fire.
        let mut began = BTreeSet::new();
        for message in messages.iter().filter(|message| message.group == format!("g{group}")) {
            began.extend(message.alerts.iter().map(|alert| (alert.fingerprint.clone(), alert.since_ms)));
        }
        assert!(runs.len() <= began.len(), "{} runs of {} alerts", runs.len(), began.len());
    }
}

fn do_one(world: &mut World, deed: &Deed, messages: &[Batch]) {
    match deed {
        Deed::Comes(index) => {
            world.words(index.get(messages));
        }
        Deed::Pass(ms) => {
            world.now += ms;
            world.tick();
        }
        Deed::Work => world.work(),
        Deed::DiesBeforeWork(index) => {
            world.words(index.get(messages));
            world.state = State::from_events(&world.events);
        }
        Deed::DiesBeforeStore(index) => {
            let fact = Fact::Alerts(index.get(messages).clone());
            let lost = decide(&world.state, &world.triggers, &fact, world.now);
            assert_eq!(decide(&world.state, &world.triggers, &fact, world.now), lost);
        }
        Deed::DiesAfterStart => {
            for decision in world.state.pending() {
                if let Decision::Start { key, .. } = decision {
                    let name = format!("r-{}", world.runs.len());
                    world.runs.entry(key).or_insert((name, true));
                }
            }
            world.state = State::from_events(&world.events);
        }
        Deed::NoReturn => {
            let found = world
                .state
                .incidents()
                .find(|found| matches!(found.phase, Phase::Running { past_no_return: false, .. }));
            if let Some(incident) = found.map(|found| found.id.clone()) {
                world.fact(Fact::NoReturn { incident });
            }
        }
        Deed::Ends => {
            if world.state.incidents().any(|found| matches!(found.phase, Phase::Running { .. })) {
                end_one(world);
            }
        }
    }
}

fn end_one(world: &mut World) {
    let found = world.state.incidents().find(|found| matches!(found.phase, Phase::Running { .. })).unwrap();
    let (incident, run) = (found.id.clone(), found.run().unwrap().to_owned());
    world.runs.values_mut().filter(|(name, _)| *name == run).for_each(|(_, under_way)| *under_way = false);
    world.fact(Fact::RunEnded { incident, outcome: "succeeded".to_owned() });
}

fn steps() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((0..GROUPS, 0_usize..3), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn one_run_an_incident_whatever_comes(steps in steps(), deeds in deeds(), hold in prop_oneof![Just(0), Just(HOLD)]) {
        let messages = history(&steps);
        let budget = Budget { starts: 100, ..Budget::default() };
        let mut world = World::new(vec![Trigger { hold_ms: hold, budget, ..trigger() }]);
        for deed in &deeds {
            do_one(&mut world, deed, &messages);
            check(&world, &messages);
        }
        // In the end all has come, time has passed, and what was decided is done.
        for message in &messages {
            world.words(message);
        }
        world.now += HOLD + 1;
        world.tick();
        world.work();
        while world.state.incidents().any(|found| found.aborting && matches!(found.phase, Phase::Running { .. })) {
            end_one(&mut world);
            world.now += HOLD + 1;
            world.tick();
            world.work();
        }
        check(&world, &messages);
        for group in 0..GROUPS {
            let last = messages.iter().rev().find(|message| message.group == format!("g{group}"));
            let incident = world.state.incident("orders", &format!("am:g{group}"));
            let fires = last.is_some_and(|message| message.alerts.iter().any(|alert| alert.firing));
            // What fires has a run; what is resolved is over, or its run is.
            let has_run = incident.is_some_and(|found| found.run().is_some());
            prop_assert!(!fires || has_run, "{incident:?}");
            prop_assert_eq!(incident.is_some_and(|found| found.firing()), fires);
        }
    }

    #[test]
    fn one_incident_has_one_run_in_any_order(order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(), twice in prop::collection::vec(0..6_usize, 0..6)) {
        // Six words on two alerts that fire at once and are not resolved: any of them may come first.
        let words: Vec<Batch> = (0..6).map(|n| match n % 3 {
            0 => batch(&[alert("a", true, 10)]),
            1 => batch(&[alert("b", true, 20)]),
            _ => batch(&[alert("a", true, 10), alert("b", true, 20)]),
        }).collect();
        let mut world = World::new(vec![trigger()]);
        for at in order.iter().chain(&twice) {
            world.words(&words[*at]);
            world.work();
        }
        prop_assert_eq!(world.runs.len(), 1);
        // And where the last word is that it is resolved, nothing that came before it starts anything more.
        world.words(&resolved(&[alert("a", false, 10), alert("b", false, 20)], 30));
        world.work();
        while world.state.incidents().any(|found| matches!(found.phase, Phase::Running { .. })) {
            end_one(&mut world);
        }
        for at in order.iter().chain(&twice) {
            world.now += 61_000;
            world.words(&words[*at]);
            world.work();
        }
        prop_assert_eq!(world.runs.len(), 1);
    }

    #[test]
    fn events_of_any_origin_do_no_harm(events in prop::collection::vec((0_u64..3, 0_usize..3, 0_usize..13), 0..40)) {
        let mut world = World::new(vec![trigger()]);
        world.words(&batch(&[alert("a", true, 10)]));
        let What::Opened(terms) = world.events[0].what.clone() else { panic!() };
        let whats = [
            What::Opened(terms.clone()), What::Noted(terms), What::NoMore, What::Started, What::NoReturn, What::Resolved, What::Recurred,
            What::AbortAsked, What::Told, What::Running { run: "r".to_owned() }, What::Ended { outcome: "o".to_owned() },
            What::Closed { why: "w".to_owned() }, What::Paged { code: "c".to_owned(), reason: "r".to_owned() },
        ];
        let mut state = State::default();
        for (serial, key, what) in events {
            let incident = lifeboat_alerts::kernel::IncidentId { key: format!("k{key}"), serial };
            state.apply(&Event { at_ms: NOW, incident, what: whats[what].clone() });
            prop_assert!(state.open() <= state.incidents().count());
            let _ = (state.pending(), decide(&state, &world.triggers, &Fact::Tick, u64::MAX));
        }
    }
}
