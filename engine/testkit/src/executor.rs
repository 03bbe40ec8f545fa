//! The scripted executor: does what the world's script says, and writes what it did into the world's ledger.

use std::sync::Arc;

use lifeboat_core::outcome::{Failure, FailureKind, Outcome, ProbeAnswer};
use lifeboat_core::plan::{Plan, Step};
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, Clock, Direction, StepExecutor};
use lifeboat_core::{Error, fence};
use serde_json::{Value, json};

use crate::world::{Act, Entry, Inner, Tell, World};

/// How often a slow attempt looks whether it is cancelled.
const LISTEN_MS: u64 = 100;

/// The executor.
pub struct ScriptedExecutor {
    world: World,
    clock: Arc<dyn Clock>,
}

/// Counts an attempt as under way until it is dropped, as it is when the engine gives it up.
struct UnderWay {
    world: World,
    run: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut inner = self.world.inner.lock().unwrap();
        inner.now -= 1;
        *inner.now_of.get_mut(&self.run).unwrap() -= 1;
    }
}

fn entry<'a>(inner: &'a mut Inner, attempt: &Attempt) -> &'a mut Entry {
    inner.entries.entry((attempt.run.0.clone(), attempt.step.0.clone())).or_default()
}

impl ScriptedExecutor {
    /// An executor that acts on this world.
    pub fn new(world: World, clock: Arc<dyn Clock>) -> Self {
        Self { world, clock }
    }

    /// The effect happens: forward it is there afterwards, undo it is not. To repeat it under one key changes nothing in a
    /// world of idempotent plugins, but it is counted.
    fn effect(&self, attempt: &Attempt) {
        if !self.admits(attempt) {
            return;
        }
        let mut inner = self.world.inner.lock().unwrap();
        let entry = entry(&mut inner, attempt);
        match attempt.direction {
            Direction::Forward => (entry.happened, entry.present) = (entry.happened + 1, true),
            Direction::Undo => (entry.undone, entry.present) = (entry.undone + 1, false),
            Direction::Cleanup => (entry.cleaned, entry.present) = (entry.cleaned + 1, false),
        }
    }

    /// The targets of this world check fencing tokens, at the beginning of an attempt and at the moment of its effect.
    fn admits(&self, attempt: &Attempt) -> bool {
        let mut inner = self.world.inner.lock().unwrap();
        let inner = &mut *inner;
        let used = attempt.plan.step(&attempt.step).into_iter().flat_map(|step| &step.targets);
        for lock in used.filter_map(|used| attempt.plan.targets.get(&used.target)?.lock.as_ref()) {
            let highest = inner.fences.entry(lock.clone()).or_default();
            if !fence::admits(*highest, attempt.token) {
                inner.refused += 1;
                return false;
            }
            *highest = (*highest).max(attempt.token);
        }
        true
    }

    fn begin(&self, attempt: &Attempt) -> (Act, UnderWay) {
        let mut inner = self.world.inner.lock().unwrap();
        let word = match attempt.direction {
            Direction::Forward => "do",
            Direction::Undo => "undo",
            Direction::Cleanup => "clean",
        };
        inner.log.push(format!("{word} {}", attempt.step));
        inner.started.push((self.clock.now_ms(), format!("{word} {}", attempt.step)));
        inner.now += 1;
        inner.most = inner.most.max(inner.now);
        let mine = inner.now_of.entry(attempt.run.0.clone()).or_default();
        *mine += 1;
        let mine = *mine;
        let most = inner.most_of.entry(attempt.run.0.clone()).or_default();
        *most = (*most).max(mine);
        let seen = entry(&mut inner, attempt);
        match attempt.direction {
            Direction::Forward => seen.executed += 1,
            Direction::Undo => seen.undo_calls += 1,
            Direction::Cleanup => seen.cleanup_calls += 1,
        }
        seen.tokens.push(attempt.token);
        seen.keys.push(attempt.key.0.clone());
        seen.checkpoints.push(attempt.checkpoint.clone());
        seen.args = attempt.args.clone();
        let script = inner.scripts.get(attempt.step.as_str());
        let acts = script.map(|script| match attempt.direction {
            Direction::Forward => script.execute.as_slice(),
            Direction::Undo => script.undo.as_slice(),
            Direction::Cleanup => script.cleanup.as_slice(),
        });
        let place = usize::try_from(attempt.number - 1).unwrap();
        let act = acts.and_then(|acts| acts.get(place)).cloned().unwrap_or(Act::Done(None));
        (act, UnderWay { world: self.world.clone(), run: attempt.run.0.clone() })
    }

    async fn act(&self, mut act: Act, attempt: &Attempt, sink: &dyn AttemptSink) -> Outcome {
        loop {
            act = match act {
                Act::Slow(ms, then) => {
                    let until = self.clock.now_ms() + ms;
                    while self.clock.now_ms() < until {
                        if sink.cancelled() {
                            return failed(FailureKind::Cancelled);
                        }
                        self.clock.sleep_until(until.min(self.clock.now_ms() + LISTEN_MS)).await;
                    }
                    *then
                }
                Act::Checkpoint(value, then) => match sink.checkpoint(&value.to_string()).await {
                    Ok(()) => *then,
                    Err(failure) => return Outcome::Failed { failure },
                },
                Act::Beat { every, times, then } => {
                    for done in 1..=times {
                        self.clock.sleep_until(self.clock.now_ms() + every).await;
                        sink.progress(done, Some(times), "beats", "");
                    }
                    *then
                }
                Act::Done(outputs) => {
                    self.effect(attempt);
                    return Outcome::Done { outputs: outputs.unwrap_or_else(|| outputs_of(attempt)) };
                }
                Act::Fail(kind) => return failed(kind),
                Act::Unknown { happened } => {
                    if happened {
                        self.effect(attempt);
                    }
                    return Outcome::Unknown { reason: "the script lost the answer".to_owned() };
                }
                Act::Hang { happened } => {
                    if happened {
                        self.effect(attempt);
                    }
                    std::future::pending::<Act>().await
                }
                Act::Panic => panic!("the script says so"),
            };
        }
    }
}

fn outputs_of(attempt: &Attempt) -> Value {
    json!({ "step": attempt.step, "value": attempt.step.as_str().len() })
}

fn failed(kind: FailureKind) -> Outcome {
    Outcome::Failed { failure: Failure { kind, ..Failure::permanent("the script says no") } }
}

impl StepExecutor for ScriptedExecutor {
    fn execute(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            if !self.admits(&attempt) {
                return failed(FailureKind::Permanent);
            }
            let (act, under_way) = self.begin(&attempt);
            let outcome = self.act(act, &attempt, &*sink).await;
            drop(under_way);
            outcome
        })
    }

    /// Scripted steps give `step` and `value`; what a person gives for one has to have a `value` that is a number.
    fn check_outputs(&self, _plan: &Plan, step: &Step, outputs: &Value) -> Result<(), Error> {
        if outputs["value"].is_number() {
            return Ok(());
        }
        Err(Error::new("LB0508", "'value' has to be a number").with("step", &step.id))
    }

    fn probe(&self, attempt: Attempt, _sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        Box::pin(async move {
            if !self.admits(&attempt) {
                return ProbeAnswer::CannotTell { reason: "the probe was overtaken".to_owned() };
            }
            let (tell, present) = {
                let mut inner = self.world.inner.lock().unwrap();
                inner.log.push(format!("probe {}", attempt.step));
                let seen = entry(&mut inner, &attempt);
                let (place, present) = (usize::try_from(seen.probed).unwrap(), seen.present);
                seen.probed += 1;
                let script = inner.scripts.get(attempt.step.as_str());
                let tell = script.and_then(|script| script.probe.get(place)).cloned().unwrap_or(Tell::Truth);
                (tell, present)
            };
            match tell {
                Tell::Truth if present => ProbeAnswer::Happened { outputs: outputs_of(&attempt) },
                Tell::Truth => ProbeAnswer::DidNotHappen,
                Tell::Nothing => ProbeAnswer::CannotTell { reason: "the script says nothing".to_owned() },
                Tell::Hang => std::future::pending().await,
            }
        })
    }
}
