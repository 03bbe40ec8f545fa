//! Decisions: each by itself, and then any order of looks, restarts, crashes and clocks that go back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_schedule::{BlackoutText, Cause, Decision, Missed, Overlap, Rule, Skip, Spec, State, decide};
use proptest::prelude::*;

/// 2026-11-21T12:00:00Z, a Saturday.
const NOON: u64 = 1_795_262_400_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn spec(cron: &str) -> Spec {
    Spec { cron: cron.to_owned(), zone: "UTC".to_owned(), ..Spec::default() }
}

fn blackout(from: &str, to: &str) -> BlackoutText {
    BlackoutText { from: Some(from.to_owned()), to: Some(to.to_owned()), days: None, reason: Some("freeze".to_owned()) }
}

fn rule(spec: &Spec) -> Rule {
    Rule::new("orders/nightly", spec).unwrap()
}

fn fires(decisions: &[Decision]) -> Vec<(u64, Cause)> {
    let start = |decision: &Decision| match decision {
        Decision::Fire(start) => Some((start.due_ms, start.cause)),
        _ => None,
    };
    decisions.iter().filter_map(start).collect()
}

#[test]
fn a_run_is_told_until_it_is_there() {
    let rule = rule(&spec("0 30 12 * * *"));
    let state = State::new(&rule, NOON);
    let due = NOON + 30 * MINUTE;
    assert_eq!(decide(&rule, &state, due - 1, None).1, []);
    let (state, decisions) = decide(&rule, &state, due, None);
    assert_eq!(fires(&decisions), [(due, Cause::Due)]);
    let Decision::Fire(start) = &decisions[0] else { panic!("{decisions:?}") };
    assert_eq!(start.key, format!("orders/nightly@{due}"));
    // A crash here: the state is what is left, and a stored state is what was stored.
    let stored: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    assert_eq!(stored, state);
    let (mut state, again) = decide(&rule, &stored, due + 5 * MINUTE, None);
    assert_eq!(again, decisions);
    state.settled(due);
    assert_eq!(decide(&rule, &state, due + 6 * MINUTE, Some("r-1")).1, []);
    // The clock goes back over the due time.
    assert_eq!(decide(&rule, &state, NOON, None).1, []);
}

#[test]
fn overlap_skips_or_queues_one() {
    let each = |overlap| {
        let rule = rule(&Spec { overlap, ..spec("0 */10 * * * *") });
        let state = State::new(&rule, NOON);
        let (state, first) = decide(&rule, &state, NOON + 10 * MINUTE, Some("r-1"));
        let (state, second) = decide(&rule, &state, NOON + 20 * MINUTE, Some("r-1"));
        let (_, third) = decide(&rule, &state, NOON + 21 * MINUTE, None);
        (first, second, third)
    };
    let (due, later) = (NOON + 10 * MINUTE, NOON + 20 * MINUTE);
    let running = |due_ms| vec![Decision::Skipped { due_ms, skip: Skip::Running { run: "r-1".to_owned() } }];
    assert_eq!(each(Overlap::Skip), (running(due), running(later), vec![]));
    let (first, second, third) = each(Overlap::Queue);
    assert_eq!(first, [Decision::Wait { due_ms: due }]);
    assert_eq!(second, [Decision::Skipped { due_ms: later, skip: Skip::Waiting { due_ms: due } }]);
    assert_eq!(fires(&third), [(due, Cause::Waited)]);
}

#[test]
fn what_was_missed_is_told_and_made_up_for_once() {
    let of = |missed, now: u64| {
        let rule = rule(&Spec { missed, ..spec("0 0 3 * * *") });
        decide(&rule, &State::new(&rule, NOON), now, None).1
    };
    let (first, last) = (NOON + 15 * HOUR, NOON + 15 * HOUR + 2 * DAY);
    let told = |made_up_ms| Decision::Missed {
        first_ms: first,
        last_ms: last,
        count: 3,
        more: false,
        blackout: 0,
        made_up_ms,
    };
    assert_eq!(of(Missed::Skip, NOON + 3 * DAY), [told(None)]);
    let once = of(Missed::RunOnce, NOON + 3 * DAY);
    assert_eq!(once[0], told(Some(last)));
    assert_eq!(fires(&once), [(last, Cause::Missed)]);
    // One that comes at this very look makes up for them.
    let now = of(Missed::RunOnce, last + DAY + 10_000);
    assert_eq!(now[0], told(Some(last + DAY)));
    assert_eq!(fires(&now), [(last + DAY, Cause::Due)]);
    // A service that was busy for half a minute has missed nothing.
    assert_eq!(fires(&of(Missed::Skip, first + 30_000)), [(first, Cause::Due)]);
}

#[test]
fn a_blackout_starts_nothing_of_any_kind() {
    let rule =
        rule(&Spec { blackouts: vec![blackout("02:00", "04:00")], missed: Missed::RunOnce, ..spec("0 0 3 * * *") });
    let state = State::new(&rule, NOON);
    let due = NOON + 15 * HOUR;
    let skipped = |due_ms| Decision::Skipped { due_ms, skip: Skip::Blackout { reason: "freeze".to_owned() } };
    assert_eq!(decide(&rule, &state, due, None).1, [skipped(due)]);
    let missed =
        |made_up_ms| Decision::Missed { first_ms: due, last_ms: due, count: 0, more: false, blackout: 1, made_up_ms };
    assert_eq!(decide(&rule, &state, due + 8 * HOUR, None).1, [missed(None)]);
    // What was due outside of it does not start in it either.
    let late = Rule::new(
        "x",
        &Spec { blackouts: vec![blackout("02:00", "04:00")], missed: Missed::RunOnce, ..spec("0 0 1 * * *") },
    )
    .unwrap();
    let (_, decisions) = decide(&late, &State::new(&late, NOON), due, None);
    let missed = Decision::Missed {
        first_ms: due - 2 * HOUR,
        last_ms: due - 2 * HOUR,
        count: 1,
        more: false,
        blackout: 0,
        made_up_ms: Some(due - 2 * HOUR),
    };
    assert_eq!(decisions, [missed, skipped(due - 2 * HOUR)]);
}

#[test]
fn a_month_without_a_service_is_counted_in_bounds() {
    let rule = rule(&spec("* * * * * *"));
    let now = NOON + 30 * DAY;
    let (_, decisions) = decide(&rule, &State::new(&rule, NOON), now, Some("r-1"));
    let Decision::Missed { first_ms, last_ms, count, more, .. } = &decisions[0] else { panic!("{decisions:?}") };
    assert_eq!((*first_ms, *last_ms, *count, *more), (NOON + 1_000, now - MINUTE, 10_000, true));
    assert_eq!(decisions.len(), 61);
}

#[test]
fn another_schedule_under_the_same_name_misses_nothing() {
    let old = rule(&spec("0 0 3 * * *"));
    let new = rule(&spec("0 0 4 * * *"));
    let (state, decisions) = decide(&new, &State::new(&old, NOON), NOON + 3 * DAY, None);
    assert_eq!(decisions, [Decision::Changed { at_ms: NOON + 3 * DAY }]);
    assert_eq!(
        fires(&decide(&new, &state, NOON + 3 * DAY + 16 * HOUR, None).1),
        [(NOON + 3 * DAY + 16 * HOUR, Cause::Due)]
    );
}

#[derive(Clone, Debug)]
enum Deed {
    /// Time passes, or the clock is set back.
    Look { by_ms: i64 },
    /// The service dies after it has decided and before it has stored that.
    Lost,
    /// It dies after it has stored its decisions and before it has said that the run is there.
    Unsettled,
    /// The run that is under way ends.
    End,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (1_i64..20 * 60_000).prop_map(|by_ms| Deed::Look { by_ms }),
        1 => (-600_000_i64..0).prop_map(|by_ms| Deed::Look { by_ms }),
        1 => (3_600_000_i64..90_000_000).prop_map(|by_ms| Deed::Look { by_ms }),
        2 => Just(Deed::Lost),
        2 => Just(Deed::Unsettled),
        5 => Just(Deed::End),
    ];
    proptest::collection::vec(deed, 1..60)
}

/// A service with its store: what it has started, and what it was told of each due time.
struct World {
    rule: Rule,
    state: State,
    now: u64,
    runs: BTreeSet<String>,
    under_way: Option<String>,
    told: BTreeMap<u64, Vec<&'static str>>,
    missed: Vec<(u64, u64)>,
}

impl World {
    fn look(&mut self, lost: bool, settle: bool) {
        let (state, decisions) = decide(&self.rule, &self.state, self.now, self.under_way.as_deref());
        if lost {
            return;
        }
        let before = std::mem::replace(&mut self.state, state);
        for decision in &decisions {
            match decision {
                Decision::Fire(start) => {
                    // A run whose key is there is found, and not made again.
                    if self.runs.insert(start.key.clone()) {
                        assert_eq!(self.under_way, None, "two at once");
                        self.told.entry(start.due_ms).or_default().push("fire");
                        self.under_way = Some(start.key.clone());
                    }
                    if settle {
                        self.state.settled(start.due_ms);
                    }
                }
                Decision::Wait { due_ms } => self.told.entry(*due_ms).or_default().push("wait"),
                Decision::Skipped { due_ms, .. } => self.told.entry(*due_ms).or_default().push("skip"),
                Decision::Missed { first_ms, last_ms, .. } => self.missed.push((*first_ms, *last_ms)),
                Decision::Changed { .. } => panic!("nothing changed"),
            }
        }
        assert!(self.state.seen_ms() >= before.seen_ms());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_due_time_is_told_once_and_started_at_most_once(
        deeds in deeds(),
        overlap in prop_oneof![Just(Overlap::Skip), Just(Overlap::Queue)],
        missed in prop_oneof![Just(Missed::Skip), Just(Missed::RunOnce)],
        black in any::<bool>(),
    ) {
        let blackouts = if black { vec![blackout("13:00", "14:00")] } else { Vec::new() };
        let rule = rule(&Spec { overlap, missed, blackouts, jitter_ms: 90_000, ..spec("0 */7 * * * *") });
        let state = State::new(&rule, NOON);
        let mut world = World {
            state, rule, now: NOON, runs: BTreeSet::new(), under_way: None, told: BTreeMap::new(), missed: Vec::new(),
        };
        for deed in deeds {
            match deed {
                Deed::Look { by_ms } => {
                    world.now = world.now.saturating_add_signed(by_ms);
                    world.look(false, true);
                }
                Deed::Lost => world.look(true, false),
                Deed::Unsettled => world.look(false, false),
                Deed::End => world.under_way = None,
            }
        }
        let mut at = NOON;
        while let Some(due) = world.rule.next_after(at).filter(|due| *due <= world.state.seen_ms()) {
            at = due;
            let was_missed = world.missed.iter().filter(|(first, last)| (*first..=*last).contains(&due)).count();
            let told = world.told.get(&due).cloned().unwrap_or_default();
            match (was_missed, told.as_slice()) {
                (0, ["fire" | "skip"] | ["wait"] | ["wait", "fire" | "skip"]) => {}
                // One of the missed is the one that makes up for them, which may wait.
                (1, [] | ["fire" | "skip"] | ["wait"] | ["wait", "fire" | "skip"]) => {}
                _ => prop_assert!(false, "{due}: missed {was_missed} times, {told:?}"),
            }
        }
    }
}
