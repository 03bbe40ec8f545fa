//! What earlier runs say: which snapshots were verified, and how the drills went.

use std::collections::BTreeMap;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::RunId;
use lifeboat_core::measure::measure;
use lifeboat_core::outcome::Outcome;
use lifeboat_core::plan::{Mode, StepKind};
use lifeboat_core::ports::StoredEvent;
use lifeboat_core::state::Summary;
use lifeboat_core::verified::Drill;
use lifeboat_core::{Error, apply};
use serde_json::Value;

/// The newest runs that are read: a snapshot that was verified longer ago than so many runs counts as not verified.
const RUNS_MAX: usize = 1_000;
/// Drills of the runbook that are read. The newest one decides; some may overlap.
const DRILLS_MAX: usize = 8;
/// Characters of a runbook's name in a summary.
const NAME_MAX: usize = 200;

/// What one run says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// The runbook, and how its drill went, where it is a drill that has ended.
    pub drill: Option<(String, Drill)>,
    /// The snapshots that it verified: vault, snapshot, when.
    pub verified: Vec<(String, String, u64)>,
}

impl Lesson {
    /// What a run says, as it is stored.
    ///
    /// # Errors
    /// As [`Lesson::of`]; an event that cannot be read.
    pub fn of_stored(stored: &[StoredEvent]) -> Result<Self, Error> {
        let events = stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>()?;
        Self::of(&events)
    }

    /// What the events of a run say.
    ///
    /// # Errors
    /// `LB0503` they are not those of a run.
    pub fn of(events: &[Event]) -> Result<Self, Error> {
        let mut lesson = Self::default();
        let Some(EventKind::RunCreated { plan, .. }) = events.first().map(|event| &event.kind) else {
            return Ok(lesson);
        };
        for event in events {
            let EventKind::AttemptFinished { step, outcome: Outcome::Done { outputs }, .. } = &event.kind else {
                continue;
            };
            let (Some(step), Some(snapshot)) = (plan.step(step), outputs.get("snapshot").and_then(Value::as_str))
            else {
                continue;
            };
            if step.kind == StepKind::Verify {
                let vaults = step.targets.iter();
                lesson.verified.extend(vaults.map(|used| (used.target.clone(), snapshot.to_owned(), event.at)));
            }
        }
        if plan.mode == Mode::Drill {
            let state = apply::replay(events)?;
            if state.status().is_final() {
                lesson.drill = Some((plan.runbook.clone(), Drill::of(&state, &measure(events)?)));
            }
        }
        Ok(lesson)
    }
}

/// A run as it is listed: its summary, where it has one.
type Listed<'a> = (&'a RunId, Option<&'a Summary>);

/// Whether a run is a drill of that runbook that has ended.
fn is_drill_of(runbook: &str, summary: Option<&Summary>) -> bool {
    let named = |name: &str| name.chars().take(NAME_MAX).eq(runbook.chars().take(NAME_MAX));
    summary.is_some_and(|about| about.mode == Mode::Drill && about.status.is_final() && named(&about.runbook))
}

/// The drills that tell whether a runbook is verified, newest first. `runs` are all there are, in the order of their making.
pub fn drills_of<'a>(runs: impl DoubleEndedIterator<Item = Listed<'a>>, runbook: &str) -> Vec<RunId> {
    let drills = runs.rev().filter(|(_, summary)| is_drill_of(runbook, *summary));
    drills.take(DRILLS_MAX).map(|(run, _)| run.clone()).collect()
}

/// Which runs are worth reading for a look at a runbook. `runs` are all there are, in the order of their making.
pub fn worth_reading<'a>(runs: impl DoubleEndedIterator<Item = Listed<'a>>, runbook: &str) -> Vec<RunId> {
    let (mut found, mut drills) = (Vec::new(), 0);
    for (place, (run, summary)) in runs.rev().enumerate() {
        let is_drill = is_drill_of(runbook, summary);
        drills += usize::from(is_drill);
        if place < RUNS_MAX || (is_drill && drills <= DRILLS_MAX) {
            found.push(run.clone());
        }
    }
    found
}

/// What earlier runs say, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    drills: Vec<Drill>,
    verified: BTreeMap<(String, String), u64>,
}

impl Past {
    /// Takes in what a run says, for a look at that runbook.
    pub fn learn(&mut self, lesson: &Lesson, runbook: &str) {
        self.drills.extend(lesson.drill.iter().filter(|(name, _)| name == runbook).map(|(_, drill)| drill.clone()));
        for (vault, snapshot, at) in &lesson.verified {
            let last = self.verified.entry((vault.clone(), snapshot.clone())).or_default();
            *last = (*last).max(*at);
        }
    }

    /// The drills of the runbook.
    pub fn drills(&self) -> &[Drill] {
        &self.drills
    }

    /// When a snapshot of a vault was last verified, in milliseconds since the Unix epoch.
    pub fn verified(&self, vault: &str, snapshot: &str) -> Option<u64> {
        self.verified.get(&(vault.to_owned(), snapshot.to_owned())).copied()
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::state::RunStatus;

    use super::*;

    fn summary(runbook: &str, mode: Mode, status: RunStatus) -> Summary {
        let text = serde_json::json!({
            "runbook": runbook, "mode": mode, "status": status, "complete": 1, "steps": 1, "created_at": 1,
            "updated_at": 1, "finished_at": null, "left": 0, "left_until": null
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn the_newest_runs_are_read_and_the_drills_however_old_they_are() {
        let drill = summary("orders", Mode::Drill, RunStatus::Succeeded);
        let under_way = summary("orders", Mode::Drill, RunStatus::Running);
        let other = summary("bank", Mode::Failover, RunStatus::Succeeded);
        let mut all: Vec<(RunId, Option<&Summary>)> = Vec::new();
        for number in 0..20_u64 {
            all.push((RunId::new(number, 0), Some(if number < 10 { &drill } else { &under_way })));
        }
        all.extend((20..2_000).map(|number| (RunId::new(number, 0), Some(&other))));
        all.push((RunId::new(2_000, 0), None));
        let found = worth_reading(all.iter().map(|(run, about)| (run, *about)), "orders");
        assert_eq!(found.len(), RUNS_MAX + DRILLS_MAX);
        assert_eq!(found[0], RunId::new(2_000, 0), "newest first, also what has no summary");
        assert_eq!(found.last().unwrap(), &RunId::new(2, 0), "the ten drills are old; the newest eight are read");
        assert_eq!(worth_reading(all.iter().map(|(run, about)| (run, *about)), "bank").len(), RUNS_MAX);
        let drills = drills_of(all.iter().map(|(run, about)| (run, *about)), "orders");
        assert_eq!(drills, found[RUNS_MAX..], "the same drills");
    }

    #[test]
    fn the_last_verification_of_a_snapshot_counts_and_drills_of_others_do_not() {
        let drill = |at| Drill { at, passed: true, source: lifeboat_core::Digest::of(b"x") };
        let at = |at| ("vault".to_owned(), "s1".to_owned(), at);
        let mut past = Past::default();
        past.learn(&Lesson { drill: Some(("orders".to_owned(), drill(5))), verified: vec![at(7), at(3)] }, "orders");
        past.learn(&Lesson { drill: Some(("bank".to_owned(), drill(9))), verified: vec![at(4)] }, "orders");
        assert_eq!(past.drills(), [drill(5)]);
        assert_eq!(past.verified("vault", "s1"), Some(7));
        assert_eq!((past.verified("vault", "s2"), past.verified("other", "s1")), (None, None));
    }
}
