//! What people ask of a run.

use lifeboat_core::decide;
use lifeboat_core::event::{EventKind, Said};
use lifeboat_core::state::Phase;
use lifeboat_core::{Error, event::EvidenceFile, ids::StepId};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{Actor, Inbox, Message};
use crate::notice::{Asked, Verb};
use crate::takeover::HandOver;

impl Actor {
    pub(super) fn hear(&mut self, asked: Asked, answer: oneshot::Sender<Result<(), Error>>) -> Result<(), Error> {
        let decided = self.decided(asked);
        self.answer(decided, answer)
    }

    /// The run ends, and another one goes on with it.
    pub(super) fn hand_over(&mut self, to: HandOver, answer: oneshot::Sender<Result<(), Error>>) -> Result<(), Error> {
        let HandOver { successor, next, said } = to;
        let decided = decide::continue_as(&self.state, successor, next.plan, next.runbook, said);
        self.answer(decided, answer)
    }

    fn answer(
        &mut self,
        decided: Result<EventKind, Error>,
        answer: oneshot::Sender<Result<(), Error>>,
    ) -> Result<(), Error> {
        match decided {
            Ok(kind) => {
                self.waiters.verbs.push(answer);
                self.happen(kind)
            }
            Err(refusal) => {
                // The asker may have gone; the refusal changes nothing.
                let _ = answer.send(Err(refusal));
                Ok(())
            }
        }
    }

    /// Hears the verb that the run was taken up for, before anything is begun. False when it is refused: then what was found
    /// at the taking up is not written either, and the run is as it was.
    pub(super) fn first_word(&mut self) -> Result<bool, Error> {
        let (asked, answer) = match self.messages.try_recv() {
            Ok(Inbox::First(asked, answer)) => (asked, answer),
            Ok(other) => return self.take(Message::Inbox(other)).map(|()| true),
            Err(_) => return Ok(true),
        };
        match self.decided(asked) {
            Ok(kind) => {
                self.waiters.verbs.push(answer);
                self.happen(kind)?;
                Ok(true)
            }
            Err(refusal) => {
                let _ = answer.send(Err(refusal));
                Ok(false)
            }
        }
    }

    fn decided(&self, asked: Asked) -> Result<EventKind, Error> {
        let Asked { verb, said } = asked;
        let state = &self.state;
        match verb {
            Verb::Retry(step) => decide::retry(state, &step, said),
            Verb::Skip(step) => decide::skip(state, &step, said),
            Verb::Approve { step, fingerprint, roles } => {
                self.in_time(&step)?;
                decide::approve(state, &step, &fingerprint, roles.as_deref(), said)
            }
            Verb::Deny { step, roles } => {
                self.in_time(&step)?;
                decide::deny(state, &step, roles.as_deref(), said)
            }
            Verb::MarkDone { step, outputs, evidence } => self.marked(&step, outputs, evidence, said),
            Verb::Attest { step, evidence } => decide::attest(state, &step, evidence, said),
            Verb::Pause => decide::pause(state, said),
            Verb::Unpause => decide::unpause(state, said),
            Verb::Cleanup => decide::cleanup(state, said),
            Verb::Abandon => decide::abandon(state, said),
            Verb::Cancel { compensate } => decide::cancel(state, compensate, said),
        }
    }

    /// A question that ran out while nobody carried the run on is not answered any more.
    fn in_time(&self, step: &StepId) -> Result<(), Error> {
        match self.state.step(step).map(|(_, now)| &now.phase) {
            Some(Phase::Approval { expires_at: Some(at), .. }) if *at <= self.now() => {
                Err(Error::new("LB0502", format!("the time to answer step '{step}' is over"))
                    .with("run", &self.state.run)
                    .hint("'lifeboat resume' goes on without an answer: the step fails"))
            }
            _ => Ok(()),
        }
    }

    /// Later steps read these outputs as if the plugin had given them, so they have to be such.
    fn marked(&self, id: &StepId, outputs: Value, evidence: Vec<EvidenceFile>, said: Said) -> Result<EventKind, Error> {
        let undone = self.state.step(id).is_some_and(|(_, now)| now.phase.as_str() == "undo-failed");
        let kind = decide::mark_done(&self.state, id, outputs.clone(), evidence, said)?;
        if let Some((step, _)) = self.state.step(id)
            && step.kind.by_plugin()
            && !undone
        {
            self.inner.parts.executor.check_outputs(&self.state.plan, step, &outputs)?;
        }
        Ok(kind)
    }
}
