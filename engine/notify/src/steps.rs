//! Steps of the kind `notify`: carried out here, in front of the executor of plugins.
//!
//! A message that nobody took does not hold a recovery up: the step is done, and its outputs say who was not told. Only a step that
//! is `required` fails then, and is tried again as any other.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::notify::About;
use lifeboat_core::outcome::{Failure, FailureKind, Outcome, ProbeAnswer};
use lifeboat_core::plan::{Mode, Plan, Step, StepKind};
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, Clock, StepExecutor};
use lifeboat_core::{Error, limits};
use serde_json::{Value, json};

use crate::courier::{Courier, Refused};
use crate::dispatch::brief;
use crate::message::Message;

/// How long the step of one channel may take, unless it is required: what is urgent is not here.
const TIME: Duration = Duration::from_secs(10);

/// Carries out steps that tell somebody; all others go to the executor behind it.
pub struct NotifySteps {
    inner: Arc<dyn StepExecutor>,
    courier: Arc<Courier>,
    clock: Arc<dyn Clock>,
}

impl NotifySteps {
    /// In front of that executor.
    pub fn new(inner: Arc<dyn StepExecutor>, courier: Arc<Courier>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, courier, clock }
    }

    async fn tell(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> Outcome {
        let message = self.message(&attempt);
        let required = attempt.args.get("required").and_then(Value::as_bool).unwrap_or_default();
        let timeout_ms = attempt.plan.step(&attempt.step).map_or(0, |step| step.policy.timeout_ms);
        // Before the time-out of the step: what was not told by then is said, and the run goes on.
        let time = if required { Duration::MAX } else { TIME };
        let time = time.min(Duration::from_millis(timeout_ms.saturating_mul(3) / 4));
        let to = attempt.args.get("to").and_then(Value::as_array).cloned().unwrap_or_default();
        let names: Vec<String> = to.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let mut tasks = Vec::new();
        for name in names {
            let (courier, message) = (Arc::clone(&self.courier), message.clone());
            // The same for every attempt, so that the other side may know it again.
            let letter = format!("lifeboat-{}-{}", attempt.run, attempt.key.0.trim_start_matches("blake3:"));
            tasks.push(tokio::spawn(async move {
                let sent = tokio::time::timeout(time, all(&courier, &name, &letter, &message)).await;
                let late = || Refused::Now(Error::new("LB1093", format!("'{name}' did not answer in time")));
                (sent.unwrap_or_else(|_| Err(late())), name)
            }));
        }
        let (mut told, mut failed, mut for_good) = (Vec::new(), Vec::new(), false);
        for task in tasks {
            let Ok((sent, name)) = task.await else { continue };
            match sent {
                Ok(()) => told.push(name),
                Err(refused) => {
                    for_good |= matches!(refused, Refused::ForGood(_));
                    let error = brief(refused.error());
                    sink.log("warn", &format!("'{name}' was not told: {error}"));
                    failed.push((name, error));
                }
            }
        }
        if let (true, Some((name, error))) = (required, failed.first()) {
            let kind = if for_good { FailureKind::Permanent } else { FailureKind::Temporary };
            let message = format!("'{name}' could not be told: {error}");
            return Outcome::Failed { failure: Failure { kind, ..Failure::permanent(message) } };
        }
        let failed: Vec<Value> =
            failed.into_iter().map(|(channel, error)| json!({ "channel": channel, "error": error })).collect();
        Outcome::Done { outputs: json!({ "told": told, "not-told": failed }) }
    }

    fn message(&self, attempt: &Attempt) -> Message {
        let plan = &attempt.plan;
        let drill = if plan.mode == Mode::Drill { "[drill] " } else { "" };
        let text = attempt.args.get("message").and_then(Value::as_str).unwrap_or_default();
        let text: String = text.chars().take(limits::MESSAGE_BYTES_MAX).collect();
        let title = format!("{drill}{}: {}", plan.runbook, attempt.step);
        Message {
            id: format!("{}-{}", attempt.run, attempt.step),
            run: attempt.run.to_string(),
            runbook: plan.runbook.clone(),
            mode: plan.mode.as_str().to_owned(),
            step: attempt.step.to_string(),
            commands: vec![format!("lifeboat show {}", attempt.run)],
            ..Message::new(About::Step, self.clock.now_ms(), &title, &text)
        }
    }
}

async fn all(courier: &Courier, channel: &str, letter: &str, message: &Message) -> Result<(), Refused> {
    let readers = Courier::readers(courier.channel(channel).map_err(Refused::ForGood)?);
    for reader in readers {
        courier.send(channel, &reader.address, letter, message).await?;
    }
    Ok(())
}

fn is_ours(plan: &Plan, step: &lifeboat_core::ids::StepId) -> bool {
    plan.step(step).is_some_and(|step| step.kind == StepKind::Notify)
}

impl StepExecutor for NotifySteps {
    fn execute(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        if is_ours(&attempt.plan, &attempt.step) {
            Box::pin(self.tell(attempt, sink))
        } else {
            self.inner.execute(attempt, sink)
        }
    }

    fn check_outputs(&self, plan: &Plan, step: &Step, outputs: &Value) -> Result<(), Error> {
        // Nothing refers to the outputs of such a step.
        if step.kind == StepKind::Notify { Ok(()) } else { self.inner.check_outputs(plan, step, outputs) }
    }

    fn ready(&self, plan: &Plan) -> Result<(), Error> {
        self.inner.ready(plan)
    }

    fn probe(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        if is_ours(&attempt.plan, &attempt.step) {
            let reason = "nobody knows whether somebody was told".to_owned();
            Box::pin(async move { ProbeAnswer::CannotTell { reason } })
        } else {
            self.inner.probe(attempt, sink)
        }
    }
}
