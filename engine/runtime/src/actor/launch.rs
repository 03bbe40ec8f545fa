//! What an actor sets going: attempts, and probes of attempts in doubt.

use std::sync::Arc;

use lifeboat_core::ids::StepId;
use lifeboat_core::outcome::ProbeAnswer;
use lifeboat_core::ports::{Attempt, Direction};

use super::{Actor, Key, Live};
use crate::args;
use crate::attempt::{Promise, Sink, Told, broken, carry_out};

impl Actor {
    pub(super) fn sink(&self, step: &StepId, number: u32) -> Arc<Sink> {
        let names = (self.state.run.clone(), step.clone(), number);
        let clock = Arc::clone(&self.inner.parts.clock);
        Arc::new(Sink::new(names, self.tell.clone(), self.inner.notices.clone(), clock))
    }

    pub(super) fn launch(&mut self, attempt: Attempt) {
        let Some((step, _)) = self.state.step(&attempt.step) else { return };
        let (mut policy, effect) = (step.policy.clone(), step.effect);
        policy.timeout_ms = step.timeout_ms(attempt.direction);
        let (step, direction, number) = (attempt.step.clone(), attempt.direction, attempt.number);
        let sink = self.sink(&step, number);
        let (inner, tell, own) = (Arc::clone(&self.inner), self.tell.clone(), Arc::clone(&sink));
        let key = Key { step: step.clone(), direction, probe: false };
        let handle = tokio::spawn(async move {
            let panicked = broken(direction, effect, "LB0703", "its executor panicked".to_owned());
            let ended = |outcome| Told::Ended { step: step.clone(), direction, number, outcome };
            let promise = Promise::new(tell, ended(panicked));
            let outcome = carry_out(&*inner.parts.executor, attempt, own, policy, effect).await;
            promise.keep(ended(outcome));
        });
        let live = Live { sink, abort: handle.abort_handle(), place: self.places.pop() };
        self.live.insert(key, live);
    }

    pub(super) fn probe(&mut self, step: StepId, number: u32) {
        let key = Key { step: step.clone(), direction: Direction::Forward, probe: true };
        if self.live.contains_key(&key) {
            return;
        }
        let timeout_ms = self.state.step(&step).map_or(0, |(step, _)| step.policy.timeout_ms);
        let until = self.now().saturating_add(timeout_ms);
        let attempt = args::attempt(&self.state, &step, Direction::Forward, number, self.state.token);
        let sink = self.sink(&step, number);
        let (inner, tell, own) = (Arc::clone(&self.inner), self.tell.clone(), Arc::clone(&sink));
        let handle = tokio::spawn(async move {
            let panicked = ProbeAnswer::CannotTell { reason: "its executor panicked".to_owned() };
            let probed = |answer| Told::Probed { step: step.clone(), number, answer };
            let promise = Promise::new(tell, probed(panicked));
            let answer = match attempt {
                Ok(attempt) => tokio::select! {
                    answer = inner.parts.executor.probe(attempt, own) => answer,
                    () = inner.parts.clock.sleep_until(until) => {
                        ProbeAnswer::CannotTell { reason: "the probe did not end in time".to_owned() }
                    }
                },
                Err(error) => ProbeAnswer::CannotTell { reason: error.to_string() },
            };
            promise.keep(probed(answer));
        });
        self.live.insert(key, Live { sink, abort: handle.abort_handle(), place: None });
    }
}
