//! The cases: what goes wrong, and where. Drawn by a seed where there are too many.

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::plan::{Effect, Plan, Step, StepKind};
use lifeboat_core::{StepId, limits};

use super::told;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It fails for good, and nothing happened.
    Fails,
    /// Its first attempt gives no answer.
    Unknown { happened: bool },
    /// Its first attempt does not end in time.
    TooLong { happened: bool },
    /// The last step of the plan fails, and this one cannot be undone.
    UndoFails,
    /// The last step of the plan fails, and the undo of this one fails once for a reason that may pass.
    UndoBusy,
    /// People say no.
    Denied,
    /// Nobody says anything.
    Unanswered,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// What goes wrong at which step.
    pub(super) trouble: Option<(Trouble, StepId)>,
    /// After which event the engine dies, and whether what was under way happened.
    pub(super) cut: Option<(usize, bool)>,
    /// What was under way there, for people.
    under_way: Vec<StepId>,
}

impl Case {
    fn of(trouble: Trouble, step: &Step) -> Self {
        Self { trouble: Some((trouble, step.id.clone())), cut: None, under_way: Vec::new() }
    }

    /// What goes wrong, in words.
    pub(super) fn words(&self) -> String {
        match (&self.trouble, &self.cut) {
            (Some((trouble, step)), _) => told(*trouble, step),
            (None, Some((_, happened))) if !self.under_way.is_empty() => {
                let names: Vec<&str> = self.under_way.iter().map(StepId::as_str).collect();
                format!("the engine dies during {} and {}", names.join(", "), super::did(*happened).replace("it ", ""))
            }
            _ => "the engine dies".to_owned(),
        }
    }

    pub(super) fn undo_busy(&self) -> bool {
        matches!(self.trouble, Some((Trouble::UndoBusy, _)))
    }
}

/// All cases of a plan whose undisturbed run has these events.
pub(super) fn all(plan: &Plan, trail: &[Event]) -> Vec<Case> {
    let mut cases = Vec::new();
    for step in &plan.steps {
        match step.kind {
            StepKind::Wait => {}
            StepKind::Approve => {
                cases.push(Case::of(Trouble::Denied, step));
                cases.push(Case::of(Trouble::Unanswered, step));
            }
            _ => by_plugin(plan, step, &mut cases),
        }
    }
    let mut under_way: Vec<StepId> = Vec::new();
    for (place, event) in trail.iter().enumerate() {
        match &event.kind {
            EventKind::AttemptStarted { step, .. } => under_way.push(step.clone()),
            EventKind::AttemptFinished { step, .. } => under_way.retain(|other| other != step),
            _ => {}
        }
        let seq = place + 1;
        let one = |happened| Case { trouble: None, cut: Some((seq, happened)), under_way: under_way.clone() };
        // After the last event there is nothing left to go on with.
        if seq < trail.len() {
            cases.push(one(false));
            if !under_way.is_empty() {
                cases.push(one(true));
            }
        }
    }
    cases
}

fn by_plugin(plan: &Plan, step: &Step, cases: &mut Vec<Case>) {
    cases.push(Case::of(Trouble::Fails, step));
    cases.push(Case::of(Trouble::TooLong { happened: false }, step));
    // What only reads has no effect that could be in doubt.
    if step.effect != Effect::Read {
        cases.push(Case::of(Trouble::TooLong { happened: true }, step));
        cases.push(Case::of(Trouble::Unknown { happened: false }, step));
        cases.push(Case::of(Trouble::Unknown { happened: true }, step));
    }
    if plan.on_failure.compensate && step.compensate && step.effect != Effect::Read {
        cases.push(Case::of(Trouble::UndoFails, step));
        cases.push(Case::of(Trouble::UndoBusy, step));
    }
}

/// How many cases of a plan of so many steps take some seconds: a case takes a few microseconds a step.
pub(super) fn affordable(steps: usize) -> usize {
    const STEPS_PLAYED: usize = 2_000_000;
    (STEPS_PLAYED / steps.clamp(1, limits::STEPS_PER_PLAN_MAX)).clamp(40, 40_000)
}

/// So many of the cases, in their order: all of them, or as the seed draws.
pub(super) fn draw(mut all: Vec<Case>, most: usize, seed: u64) -> Vec<Case> {
    if all.len() <= most {
        return all;
    }
    let mut random = Random(seed);
    let mut places: Vec<usize> = (0..all.len()).collect();
    for place in 0..most.min(places.len()) {
        let left = places.len() - place;
        let other = place + usize::try_from(random.next() % u64::try_from(left).unwrap_or(1)).unwrap_or(0);
        places.swap(place, other);
    }
    places.truncate(most);
    places.sort_unstable();
    let mut wanted = places.into_iter().peekable();
    let mut place = 0;
    all.retain(|_| {
        let keep = wanted.next_if_eq(&place).is_some();
        place += 1;
        keep
    });
    all
}

/// SplitMix64 (G. Steele et al., *Fast splittable pseudorandom number generators*, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
