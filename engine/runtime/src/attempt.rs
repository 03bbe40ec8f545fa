//! One attempt under way: its time-out, its heartbeat, its cancelling, and what it tells meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::outcome::{Failure, FailureKind, Outcome, ProbeAnswer};
use lifeboat_core::plan::{Effect, Policy};
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, Clock, Direction, StepExecutor};
use lifeboat_core::{Code, limits};
use serde_json::Value;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

use crate::notice::Notice;

/// How long an attempt may go on after it was asked to stop.
const CANCEL_GRACE_MS: u64 = 10_000;

/// What an attempt sends to its run's actor.
pub(crate) enum Told {
    Ended { step: StepId, direction: Direction, number: u32, outcome: Outcome },
    Probed { step: StepId, number: u32, answer: ProbeAnswer },
    Checkpoint { step: StepId, number: u32, value: Value, durable: oneshot::Sender<Result<(), Failure>> },
}

/// A promise to tell something, kept also when the executor panics: without a word the actor would wait for ever.
pub(crate) struct Promise {
    tell: mpsc::UnboundedSender<Told>,
    otherwise: Option<Told>,
}

impl Promise {
    pub(crate) fn new(tell: mpsc::UnboundedSender<Told>, otherwise: Told) -> Self {
        Self { tell, otherwise: Some(otherwise) }
    }

    /// Without the actor, nobody needs the outcome: the next one finds the attempt in doubt.
    pub(crate) fn keep(mut self, told: Told) {
        self.otherwise = None;
        let _ = self.tell.send(told);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(told) = self.otherwise.take() {
            let _ = self.tell.send(told);
        }
    }
}

/// The sink of one attempt.
pub(crate) struct Sink {
    pub(crate) run: RunId,
    pub(crate) step: StepId,
    pub(crate) number: u32,
    pub(crate) told: mpsc::UnboundedSender<Told>,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) clock: Arc<dyn Clock>,
    last_beat_ms: AtomicU64,
    cancelled: AtomicBool,
    cancel: Notify,
}

impl Sink {
    pub(crate) fn new(
        (run, step, number): (RunId, StepId, u32),
        told: mpsc::UnboundedSender<Told>,
        notices: broadcast::Sender<Notice>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let last_beat_ms = AtomicU64::new(clock.now_ms());
        Self {
            run,
            step,
            number,
            told,
            notices,
            clock,
            last_beat_ms,
            cancelled: AtomicBool::new(false),
            cancel: Notify::new(),
        }
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.cancel.notify_one();
    }

    fn beat(&self) {
        self.last_beat_ms.store(self.clock.now_ms(), Ordering::Release);
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(limits::MESSAGE_BYTES_MAX / 4) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… (cut)", text.get(..end).unwrap_or_default()),
    }
}

impl AttemptSink for Sink {
    fn progress(&self, done: u64, total: Option<u64>, unit: &str, note: &str) {
        self.beat();
        let (run, step) = (self.run.clone(), self.step.clone());
        // Nobody may be watching, and that is fine.
        let _ = self.notices.send(Notice::Progress { run, step, done, total, unit: cut(unit), note: cut(note) });
    }

    fn log(&self, level: &str, message: &str) {
        self.beat();
        tracing::debug!(run = %self.run, step = %self.step, level, "{message}");
        let (run, step) = (self.run.clone(), self.step.clone());
        let _ = self.notices.send(Notice::Log { run, step, level: level.to_owned(), message: cut(message) });
    }

    fn checkpoint<'a>(&'a self, json: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.beat();
        Box::pin(async move {
            if json.len() > limits::CHECKPOINT_BYTES_MAX {
                let text = format!("a checkpoint of {} bytes is over the limit", json.len());
                return Err(Failure { code: Some(Code::new("LB0708")), ..Failure::permanent(text) });
            }
            let value = serde_json::from_str(json)
                .map_err(|cause| Failure::permanent(format!("a checkpoint is not JSON: {cause}")))?;
            if measure(&value, 0).is_none() {
                let text = format!("a checkpoint nests deeper than {} levels", limits::JSON_DEPTH_MAX);
                return Err(Failure { code: Some(Code::new("LB0708")), ..Failure::permanent(text) });
            }
            let (durable, wait) = oneshot::channel();
            let gone = || Failure::temporary("the run's actor has stopped");
            let told = Told::Checkpoint { step: self.step.clone(), number: self.number, value, durable };
            self.told.send(told).map_err(|_| gone())?;
            wait.await.map_err(|_| gone())?
        })
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// About how many bytes a value takes as JSON; `None` when it nests too deep to be read back.
fn measure(value: &Value, depth: usize) -> Option<usize> {
    if depth > limits::JSON_DEPTH_MAX {
        return None;
    }
    let inner = |mut values: &mut dyn Iterator<Item = &Value>| {
        let add = |sum: usize, value| Some(sum.saturating_add(measure(value, depth + 1)?).saturating_add(1));
        Iterator::try_fold(&mut values, 2, add)
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(5),
        Value::String(text) => Some(text.len().saturating_add(2)),
        Value::Array(values) => inner(&mut values.iter()),
        Value::Object(map) => {
            let names = map.keys().fold(0_usize, |sum, name| sum.saturating_add(name.len()).saturating_add(3));
            Some(names.saturating_add(inner(&mut map.values())?))
        }
    }
}

/// The outcome of an attempt that broke a bound. It may have had its effect, unless it can have had none that matters.
pub(crate) fn broken(direction: Direction, effect: Effect, code: &'static str, message: String) -> Outcome {
    let harmless = direction == Direction::Forward && matches!(effect, Effect::Read | Effect::Reversible);
    if harmless {
        let kind = if code == "LB0502" { FailureKind::Cancelled } else { FailureKind::Sandbox };
        Outcome::Failed { failure: Failure { kind, code: Some(Code::new(code)), message, hint: None } }
    } else {
        Outcome::Unknown { reason: format!("{code}: {message}") }
    }
}

/// Outputs that are too large or too deep for the journal are no outputs.
fn within_bounds(outcome: Outcome, direction: Direction, effect: Effect) -> Outcome {
    let Outcome::Done { outputs } = &outcome else { return outcome };
    match measure(outputs, 0) {
        Some(bytes) if bytes <= limits::OUTPUTS_BYTES_MAX => outcome,
        Some(bytes) => broken(direction, effect, "LB0708", format!("its outputs of {bytes} bytes are over the limit")),
        None => {
            let levels = limits::JSON_DEPTH_MAX;
            broken(direction, effect, "LB0708", format!("its outputs nest deeper than {levels} levels"))
        }
    }
}

/// Carries an attempt out within its bounds. Always ends in an outcome.
pub(crate) async fn carry_out(
    executor: &dyn StepExecutor,
    attempt: Attempt,
    sink: Arc<Sink>,
    policy: Policy,
    effect: Effect,
) -> Outcome {
    let direction = attempt.direction;
    let clock = Arc::clone(&sink.clock);
    let timeout = clock.sleep_until(clock.now_ms().saturating_add(policy.timeout_ms));
    let broken = |code, message| broken(direction, effect, code, message);
    tokio::select! {
        outcome = executor.execute(attempt, Arc::clone(&sink) as Arc<dyn AttemptSink>) => {
            within_bounds(outcome, direction, effect)
        }
        () = timeout => broken(
            "LB0705",
            format!("it did not end within its time-out of {} ms", policy.timeout_ms),
        ),
        ms = silence(&sink, policy.heartbeat_ms) => broken(
            "LB0711",
            format!("it was silent for {ms} ms, longer than its heartbeat allows"),
        ),
        () = cancel_overdue(&sink) => broken(
            "LB0502",
            "it was cancelled and did not stop by itself".to_owned(),
        ),
    }
}

/// Ready when the attempt has been silent for too long; the milliseconds.
async fn silence(sink: &Sink, heartbeat_ms: Option<u64>) -> u64 {
    let Some(limit) = heartbeat_ms else { return std::future::pending().await };
    loop {
        let due = sink.last_beat_ms.load(Ordering::Acquire).saturating_add(limit);
        if sink.clock.now_ms() >= due {
            return limit;
        }
        sink.clock.sleep_until(due).await;
    }
}

async fn cancel_overdue(sink: &Sink) {
    sink.cancel.notified().await;
    let until = sink.clock.now_ms().saturating_add(CANCEL_GRACE_MS);
    sink.clock.sleep_until(until).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_and_say_so() {
        assert_eq!(cut("short"), "short");
        let long = "ü".repeat(5_000);
        assert!(cut(&long).ends_with("… (cut)"));
        assert!(cut(&long).len() < limits::MESSAGE_BYTES_MAX);
    }
}
