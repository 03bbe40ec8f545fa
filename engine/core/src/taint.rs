//! Suspect snapshots, and what they may not flow into.
//!
//! The host marks the outputs of a step that took, proved, copied or restored a snapshot that looks as if it had been tampered
//! with: outputs have the member `suspect` then, with the reasons. The mark is the host's, so no plugin can leave it out.
//! A `switch` that comes after such a step is held until a person attests, with evidence, that the data may be used.
//!
//! A `validate` that its author calls a scan (`scan #true`) is such a word, too: once the plugin has done it, what is suspect before
//! it holds nothing that comes after it. A scan that a person skipped, or marked as done, is none.
//!
//! *After* is what the plan's edges say, by data and by `after` alike: a switch often names a target that was restored, and not
//! the restore. So it is held once too often where a suspect snapshot only happens to come before it, and never too seldom.
//! In a drill nothing is held: it switches nothing that anybody uses, and nobody may be there to be asked.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::Error;
use crate::event::EventKind;
use crate::ids::StepId;
use crate::plan::{Mode, Step, StepKind};
use crate::state::{ByHand, Heading, Phase, RunState, StepState};

/// The member of a step's outputs that holds why a snapshot is suspect: a list of texts.
pub const SUSPECT: &str = "suspect";

/// Marks outputs. Outputs that are no object cannot be marked; no plugin gives any.
pub fn mark(outputs: &mut Value, reasons: Vec<String>) {
    if let (Value::Object(map), false) = (outputs, reasons.is_empty()) {
        map.insert(SUSPECT.to_owned(), reasons.into());
    }
}

/// Takes a mark away that a guest made: it is the host's to make.
pub fn unmark(outputs: &mut Map<String, Value>) {
    outputs.remove(SUSPECT);
}

/// Why outputs are suspect; empty where they are not.
pub fn reasons(outputs: &Value) -> Vec<String> {
    let told = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
    match outputs.get(SUSPECT) {
        None | Some(Value::Null | Value::Bool(false)) => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(told).collect(),
        Some(other) => vec![told(other)],
    }
}

pub(crate) fn is_suspect(outputs: &Value) -> bool {
    !reasons(outputs).is_empty()
}

/// The event that holds a step whose turn has come; `None` where it may begin.
pub(crate) fn holds(state: &RunState, step: &Step, now: &StepState) -> Option<EventKind> {
    let may = step.kind != StepKind::Switch || state.plan.mode == Mode::Drill;
    if may || state.suspects.is_empty() || now.attested.is_some() {
        return None;
    }
    let (mut from, mut because) = (Vec::new(), Vec::new());
    let all = before(state, step);
    let scanned: BTreeSet<usize> =
        all.iter().filter(|place| is_scan(state, **place)).fold(BTreeSet::new(), |mut sum, place| {
            sum.extend(state.plan.steps.get(*place).map(|scan| before(state, scan)).unwrap_or_default());
            sum
        });
    for place in all.intersection(&state.suspects).filter(|place| !scanned.contains(place)) {
        let (Some(source), Some(entry)) = (state.plan.steps.get(*place), state.steps.get(*place)) else { continue };
        from.push(source.id.clone());
        for reason in entry.outputs.as_ref().map(reasons).unwrap_or_default() {
            if !because.contains(&reason) {
                because.push(reason);
            }
        }
    }
    (!from.is_empty()).then(|| EventKind::SuspectHeld { step: step.id.clone(), from, because })
}

/// Whether a scan was carried out here.
fn is_scan(state: &RunState, place: usize) -> bool {
    let (Some(step), Some(now)) = (state.plan.steps.get(place), state.steps.get(place)) else { return false };
    step.scan && now.phase == Phase::Done && now.by_hand.is_none()
}

/// The places of all steps that come before this one.
fn before(state: &RunState, step: &Step) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&StepId> = step.after.iter().collect();
    while let Some(id) = open.pop() {
        let Some(place) = state.index.get(id) else { continue };
        if seen.insert(*place) {
            open.extend(state.plan.steps.get(*place).into_iter().flat_map(|step| &step.after));
        }
    }
    seen
}

impl RunState {
    /// A switch is held, or a person attests that it may go on.
    pub(crate) fn suspect(&mut self, kind: &EventKind, at: u64) -> Result<(), Error> {
        match kind {
            EventKind::SuspectHeld { step, from, because } => {
                let place = self.place(step)?;
                if !self.ready.contains(&place) || self.heading != Heading::Forward || self.wants_locks() {
                    return Err(crate::apply::illegal(format!("step '{step}' is held before its turn")));
                }
                self.settle(place, Phase::Suspect { from: from.clone(), because: because.clone() }, at);
            }
            EventKind::SuspectAttested { step, evidence, said } => {
                self.going_forward("a step is attested")?;
                let (place, now) = self.expect(step, |phase| matches!(phase, Phase::Suspect { .. }))?;
                now.attested = Some(Box::new(ByHand::of(said, evidence)));
                self.settle(place, Phase::Pending, at);
            }
            _ => {}
        }
        Ok(())
    }
}
