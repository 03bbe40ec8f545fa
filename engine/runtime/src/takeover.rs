//! Going on in another mode: one run ends, and another one takes up what is done.
//!
//! The end of the first run is the decision. It is one event, and names all that the second run is made of; so a crash before it
//! leaves a paused run, and a crash after it leaves one that is made when the first is taken up again. There are never two
//! that could act. The locks follow the event: what the first run had belongs to the second before that one is there.

use lifeboat_core::carry::{continues, may_continue};
use lifeboat_core::documents::told;
use lifeboat_core::event::{Event, EventKind, Said};
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::plan::Plan;
use lifeboat_core::state::{Phase, RunState};
use lifeboat_core::{Error, apply};

use crate::engine::{Engine, Loaded, RunHandle};
use crate::notice::{Rest, Verb};

/// How long attempts that are asked to stop, and plugins that are asked what happened, are waited for. Past it the person is told,
/// and decides; the run stays paused.
const SETTLE_MS: u64 = 30_000;

/// The plan that a run goes on with, and the text that it was compiled from.
#[derive(Clone, Debug)]
pub struct Next {
    /// The plan.
    pub plan: Plan,
    /// The text.
    pub runbook: String,
}

/// To whom a run is handed over.
pub(crate) struct HandOver {
    pub(crate) successor: RunId,
    pub(crate) next: Next,
    pub(crate) said: Said,
}

impl Engine {
    /// Goes on with a run in another mode, and carries the new run out. The earlier run is paused, its attempts are asked to stop, and
    /// what is in doubt is asked about; only then it ends, and the new one is made. Said again, with the same plan, it gives the
    /// same run. `live` is the earlier run's handle, where this engine carries it on; without one it is taken up for this.
    ///
    /// # Errors
    /// As [`lifeboat_core::carry::decide`]; `LB1225` another run has a lock that the new plan needs besides; the store's. The earlier
    /// run is as it was, or paused.
    pub async fn take_over(
        &self,
        run: &RunId,
        live: Option<RunHandle>,
        next: Next,
        said: Said,
    ) -> Result<RunHandle, Error> {
        let loaded = self.load(run).await?;
        if loaded.state.continued_as.is_some() {
            return self.again(loaded, &next.plan).await;
        }
        let state = &loaded.state;
        may_continue(state, &next.plan)?;
        let successor = self.new_run();
        self.locks_are_free(state, &successor, &next.plan).await?;
        let rests = state.paused.is_some() || state.result.is_some();
        let mut earlier = match live {
            Some(live) => {
                if !rests {
                    live.say(Verb::Pause, said.clone()).await?;
                }
                live
            }
            None if rests => self.resume(run).await?,
            None => self.resume_saying(run, Verb::Pause, said.clone()).await?,
        };
        earlier.settle();
        self.settled(&mut earlier).await?;
        earlier.hand_over(HandOver { successor, next, said }).await?;
        let handle = self.make_successor(&self.load(run).await?).await?;
        handle.ok_or_else(|| Error::new("LB0503", format!("run {run} was continued, and does not say so")))
    }

    /// The run that goes on already, where it is the one that is wished for.
    async fn again(&self, loaded: Loaded, plan: &Plan) -> Result<RunHandle, Error> {
        may_continue(&loaded.state, plan).or_else(|error| match &loaded.events.last().map(|event| &event.kind) {
            Some(EventKind::RunContinued { fingerprint, .. }) if *fingerprint == plan.fingerprint() => Ok(()),
            _ => Err(error),
        })?;
        if let Some(made) = self.make_successor(&loaded).await? {
            return Ok(made);
        }
        match &loaded.state.continued_as {
            Some(successor) => self.resume(successor).await,
            None => self.resume(&loaded.state.run).await,
        }
    }

    /// Waits until nothing is under way and nothing is asked about; not for ever.
    async fn settled(&self, run: &mut RunHandle) -> Result<(), Error> {
        let clock = &self.inner.parts.clock;
        let until = clock.now_ms().saturating_add(SETTLE_MS);
        loop {
            let rest = tokio::select! {
                rest = run.rest() => rest,
                () = clock.sleep_until(until) => return Err(still_busy(run.run())),
            };
            match rest {
                Rest::Stopped(error) => return Err(error),
                Rest::Ended(_) => return Ok(()),
                Rest::Person(state) if is_settled(&state) => return Ok(()),
                Rest::Person(_) => {}
            }
            tokio::select! {
                changed = run.changed() => if !changed { return Ok(()) },
                () = clock.sleep_until(until) => return Err(still_busy(run.run())),
            }
        }
    }

    /// What the new plan needs besides what the earlier run has is not in the hands of a third run: two that have what the other
    /// needs would wait for ever.
    async fn locks_are_free(&self, earlier: &RunState, successor: &RunId, plan: &Plan) -> Result<(), Error> {
        let names = apply::lock_names(successor, plan, None);
        let held = self.inner.locks.held_by_others(&earlier.run, &names).await.map_err(told)?;
        let Some(first) = held.first() else { return Ok(()) };
        let message = format!("run {} has the lock '{}', which the new plan needs", first.holder, first.lock);
        Err(Error::new("LB1225", message)
            .with("run", &earlier.run)
            .hint(format!("wait for it, or end it: 'lifeboat show {}' tells how it is", first.holder)))
    }

    /// Makes the run that goes on with this one, where it was decided on and is not there yet.
    ///
    /// # Errors
    /// The store's errors.
    pub(crate) async fn make_successor(&self, earlier: &Loaded) -> Result<Option<RunHandle>, Error> {
        let Some(EventKind::RunContinued { successor, plan, fingerprint, runbook, carried, begun, said }) =
            earlier.events.last().map(|event| &event.kind)
        else {
            return Ok(None);
        };
        let parts = &self.inner.parts;
        if parts.store.head(successor).await.map_err(told)?.is_some() {
            return Ok(None);
        }
        let chain = Digest::from_bytes(&earlier.head.chain);
        let taken = continues(&earlier.state, carried, begun, earlier.head.seq, chain);
        let event = Event::new(
            parts.clock.now_ms(),
            EventKind::RunCreated {
                run: successor.clone(),
                plan: plan.clone(),
                fingerprint: fingerprint.clone(),
                runbook: runbook.clone(),
                engine: parts.version.clone(),
                detected_at: earlier.state.detected_at,
                continues: Some(Box::new(taken)),
                said: said.clone(),
            },
        );
        self.begin(event).await.map(Some)
    }
}

fn is_settled(state: &RunState) -> bool {
    !state.steps_active().any(|now| matches!(now.phase, Phase::Running { .. } | Phase::InDoubt { .. }))
}

fn still_busy(run: &RunId) -> Error {
    Error::new("LB1224", format!("run {run} is paused, and something of it is still under way or asked about"))
        .with("run", run)
        .hint(format!("'lifeboat show {run}' tells what; mark-done or skip it, or say this again when it has ended"))
}
