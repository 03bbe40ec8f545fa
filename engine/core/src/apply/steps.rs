//! The changes that events are made of: a step comes into a phase, an effect comes about, a run turns or ends.

use std::collections::BTreeSet;

use serde_json::Value;

use super::illegal;
use crate::Error;
use crate::event::RunResult;
use crate::ids::StepId;
use crate::outcome::Failure;
use crate::ports::Direction;
use crate::state::{Heading, Locks, Phase, RunState, StepState};

impl RunState {
    pub(crate) fn place(&self, id: &StepId) -> Result<usize, Error> {
        self.index.get(id).copied().ok_or_else(|| illegal(format!("there is no step '{id}'")))
    }

    pub(super) fn entry(&mut self, id: &StepId) -> Result<(usize, &mut StepState), Error> {
        let place = self.place(id)?;
        let step = self.steps.get_mut(place).ok_or_else(|| illegal(format!("there is no step '{id}'")))?;
        Ok((place, step))
    }

    pub(crate) fn expect(
        &mut self,
        id: &StepId,
        legal: impl Fn(&Phase) -> bool,
    ) -> Result<(usize, &mut StepState), Error> {
        let (place, step) = self.entry(id)?;
        if legal(&step.phase) {
            Ok((place, step))
        } else {
            Err(illegal(format!("an event of step '{id}' does not fit its phase '{}'", step.phase.as_str())))
        }
    }

    /// A step of the engine begins: its question, or its timer.
    pub(super) fn begin(&mut self, id: &StepId, at: u64, phase: Phase) -> Result<(), Error> {
        let place = self.place(id)?;
        if !self.ready.contains(&place) || self.heading != Heading::Forward || self.wants_locks() {
            return Err(illegal(format!("step '{id}' begins before its time")));
        }
        let step = self.entry(id)?.1;
        step.attempts += 1;
        step.started_at.get_or_insert(at);
        self.settle(place, phase, at);
        Ok(())
    }

    /// A step is passed by before it begins: it is not needed, or its condition cannot be told.
    pub(super) fn passes_by(&mut self, id: &StepId, at: u64, phase: Phase) -> Result<(), Error> {
        let place = self.place(id)?;
        if !self.ready.contains(&place) || self.heading != Heading::Forward || self.wants_locks() {
            return Err(illegal(format!("step '{id}' is passed by before its turn")));
        }
        self.some_not_needed |= matches!(phase, Phase::NotNeeded { .. });
        self.settle(place, phase, at);
        if self.steps.get(place).is_some_and(StepState::is_complete) {
            self.release_dependents(place);
        }
        Ok(())
    }

    /// A failed run goes on: it needs its locks again.
    pub(super) fn open_again(&mut self) {
        if self.result.take().is_some() && !self.lock_names.is_empty() {
            self.locks = Locks::Wanted { held: Vec::new() };
        }
        self.finished_at = None;
    }

    pub(super) fn fail_question(&mut self, id: &StepId, why: &str, at: u64) -> Result<(), Error> {
        let (place, _) = self.expect(id, |phase| matches!(phase, Phase::Approval { .. }))?;
        self.settle(place, Phase::Failed { failure: Failure::permanent(why) }, at);
        Ok(())
    }

    /// The effect of a step may be there from now on.
    pub(super) fn touch(&mut self, place: usize) {
        if let Some(step) = self.steps.get_mut(place) {
            step.may_have_happened = true;
        }
        // The order only matters for steps that are undone; the others would make the list long.
        if self.plan.steps.get(place).is_some_and(|step| step.compensate) {
            self.effects.push(place);
        }
    }

    pub(super) fn done(&mut self, place: usize, outputs: Value, at: u64) {
        self.touch(place);
        if crate::taint::is_suspect(&outputs) {
            self.suspects.insert(place);
        }
        if let Some(step) = self.steps.get_mut(place) {
            step.outputs = Some(outputs);
        }
        self.settle(place, Phase::Done, at);
        self.release_dependents(place);
    }

    pub(super) fn release_dependents(&mut self, place: usize) {
        let mut complete = vec![place];
        while let Some(place) = complete.pop() {
            let dependents = self.dependents.get(place).cloned().unwrap_or_default();
            for next in dependents {
                let Some(unmet) = self.unmet.get_mut(next) else { continue };
                *unmet = unmet.saturating_sub(1);
                if *unmet > 0 {
                    continue;
                }
                match self.steps.get(next) {
                    Some(step) if step.phase == Phase::Pending => drop(self.ready.insert(next)),
                    // It was taken over as done; what comes after it waited for what comes before it: an approval, say.
                    Some(step) if step.carried.is_some() && step.is_complete() => complete.push(next),
                    _ => {}
                }
            }
        }
    }

    pub(crate) fn going_forward(&self, what: &str) -> Result<(), Error> {
        let forward = self.heading == Heading::Forward;
        forward.then_some(()).ok_or_else(|| illegal(format!("{what} while the run does not go forward")))
    }

    pub(super) fn unwind(&mut self) -> Result<(), Error> {
        let then = match self.heading {
            Heading::Cancelling { .. } => RunResult::Cancelled,
            Heading::Forward => RunResult::Failed,
            Heading::Unwinding { .. } | Heading::Cleaning { .. } => {
                return Err(illegal("the run is unwound twice, or while it is cleaned up"));
            }
        };
        if !self.running.is_empty() {
            return Err(illegal("the run is unwound while attempts are under way"));
        }
        self.withdraw();
        self.heading = Heading::Unwinding { then };
        Ok(())
    }

    pub(super) fn finish(&mut self, result: RunResult, at: u64) -> Result<(), Error> {
        if !self.running.is_empty() || self.removing.is_some() {
            return Err(illegal("the run ends while attempts are under way"));
        }
        if result == RunResult::Succeeded && self.complete != self.steps.len() {
            return Err(illegal("the run succeeds while steps are not complete"));
        }
        if let Heading::Cleaning { then } = self.heading {
            if then != result || !self.to_clean.is_empty() {
                return Err(illegal("the run ends before it is cleaned up, or otherwise than it had to"));
            }
        } else if result == RunResult::Abandoned {
            return Err(illegal("a run is abandoned by a person, and by nothing else"));
        }
        self.end(result, at);
        Ok(())
    }

    /// Ends at once. Of what was under way nobody knows how far it came.
    pub(super) fn abandon(&mut self, at: u64) {
        self.drop_removal();
        for place in self.running.clone() {
            self.touch(place);
            let reason = "the run was abandoned during the attempt".to_owned();
            self.settle(place, Phase::Asking { reason }, at);
        }
        self.end(RunResult::Abandoned, at);
    }

    fn end(&mut self, result: RunResult, at: u64) {
        self.withdraw();
        self.paused = None;
        self.locks = Locks::Free;
        self.result = Some(result);
        self.finished_at = Some(at);
    }

    /// Takes back what only waited: questions, timers, retries. They will not come about, and nobody is to answer them.
    pub(super) fn withdraw(&mut self) {
        let waits = |phase: &Phase| match phase {
            Phase::Approval { .. } | Phase::Timer { .. } | Phase::Suspect { .. } => true,
            Phase::Backoff { direction, .. } => *direction == Direction::Forward,
            _ => false,
        };
        let (steps, held) = (&mut self.steps, &mut self.held);
        held.retain(|place| match steps.get_mut(*place) {
            Some(step) if waits(&step.phase) => {
                step.phase = Phase::Pending;
                false
            }
            _ => true,
        });
    }

    /// Puts a step into a phase, and into the sets that belong to it. The only place where a phase changes, but for
    /// [`Self::withdraw`].
    pub(crate) fn settle(&mut self, place: usize, phase: Phase, at: u64) {
        let Some(step) = self.steps.get_mut(place) else { return };
        let was_complete = step.is_complete();
        let closed = matches!(
            phase,
            Phase::Done | Phase::Failed { .. } | Phase::Skipped { .. } | Phase::NotNeeded { .. } | Phase::Undone
        );
        if matches!(phase, Phase::Undone) {
            step.may_have_happened = false;
        }
        step.finished_at = (closed || matches!(phase, Phase::UndoFailed { .. })).then_some(at);
        step.phase = phase;
        let (is_complete, phase) = (step.is_complete(), &step.phase);
        let put = |set: &mut BTreeSet<usize>, member: bool| if member { set.insert(place) } else { set.remove(&place) };
        let (pending, running) = (matches!(phase, Phase::Pending), matches!(phase, Phase::Running { .. }));
        put(&mut self.ready, pending);
        put(&mut self.running, running);
        put(&mut self.held, !(closed || pending || running));
        put(&mut self.failed, matches!(phase, Phase::Failed { .. }));
        self.complete = self.complete + usize::from(is_complete) - usize::from(was_complete);
        self.forget_undone();
    }

    /// Drops effects that are gone from the end of the list, so that the next one to undo is found at once.
    pub(super) fn forget_undone(&mut self) {
        while let Some(last) = self.effects.last() {
            if self.steps.get(*last).is_some_and(|step| step.may_have_happened) {
                break;
            }
            self.effects.pop();
        }
    }
}
