//! Carries out attempts: from an attempt of the engine to one bounded guest call, and from what came of it to an outcome.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use lifeboat_core::limits::OUTPUTS_BYTES_MAX;
use lifeboat_core::outcome::ProbeAnswer;
use lifeboat_core::plan::plugin_settings;
use lifeboat_core::ports::{Attempt, AttemptSink, BoxFuture, Direction, StepExecutor};
use lifeboat_core::{Code, Effect, Error, Failure, FailureKind, Outcome, Plan, Step, fence};
use serde_json::Value;

use crate::bindings::exports::lifeboat::plugin::steps::{
    Guest as Steps, Outcome as GuestOutcome, ProbeAnswer as GuestAnswer,
};
use crate::bindings::lifeboat::plugin::types::{StepCall, Target as GuestTarget};
use crate::bounds::PREVIEW_MS_MAX;
use crate::doubt::Looked;
use crate::fault::{Stop, cut, to_failure};
use crate::guest::{Bound, Call, Context, Ended};
use crate::host::{Host, Inner};
use crate::voice::Quiet;

/// Why a guest was ended, with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The stable code.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Whether it was ended because the attempt was cancelled.
    pub cancelled: bool,
}

impl Broken {
    fn payload(message: String) -> Self {
        Self { code: "LB0708", message, cancelled: false }
    }
}

impl Ended {
    /// The cause, in words and with its code.
    pub fn explain(&self) -> Broken {
        let (code, message, cancelled) = match self.error.downcast_ref::<Stop>() {
            Some(stop @ Stop::Deadline(_)) => ("LB0705", stop.to_string(), false),
            Some(stop @ Stop::Cancelled(_)) => ("LB0706", stop.to_string(), true),
            Some(stop @ Stop::Memory { .. }) => ("LB0704", stop.to_string(), false),
            Some(stop @ Stop::Payload(_)) => ("LB0708", stop.to_string(), false),
            None => {
                let cause = self.error.root_cause().to_string();
                // Wasmtime's type for this is private; the test over the fixture's huge output holds the words.
                if cause.contains("fuel allocated for hostcalls") {
                    let limit = crate::bounds::GUEST_TO_HOST_BYTES_MAX;
                    return Broken::payload(format!("it handed over more than {limit} bytes in one call"));
                }
                let said = self.last_error.as_deref().map(|line| format!("; it said: {line}")).unwrap_or_default();
                ("LB0706", cut(format!("the plugin trapped: {cause}{said}")), false)
            }
        };
        Broken { code, message, cancelled }
    }
}

/// What a readiness check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it has to be.
    pub ok: bool,
    /// What was looked at, and what was found.
    pub message: String,
}

/// The executor of plugin steps.
pub struct Executor {
    host: Arc<Inner>,
}

impl Executor {
    /// An executor on this host.
    pub(crate) fn new(host: Arc<Inner>) -> Self {
        Self { host }
    }

    /// The host that it carries out steps on.
    pub(crate) fn host(&self) -> &Arc<Inner> {
        &self.host
    }

    /// Makes the bounded call, and the record that the guest gets.
    pub(crate) fn prepare(&self, attempt: &Attempt, sink: Arc<dyn AttemptSink>) -> Result<(Call, StepCall), Failure> {
        let plan = &attempt.plan;
        if attempt.mode != plan.mode {
            // What may be reached goes by the mode, so there are no two opinions about it.
            let message =
                format!("the attempt is for mode {}, its plan for {}", attempt.mode.as_str(), plan.mode.as_str());
            return Err(Error::new("LB0703", message).into());
        }
        let unfit = |message: String| Failure::from(Error::new("LB0703", message));
        let Some(step) = plan.step(&attempt.step) else {
            return Err(unfit(format!("the plan has no step '{}'", attempt.step)));
        };
        let Some(name) = &step.plugin else {
            return Err(unfit(format!("step '{}' is not for a plugin", step.id)));
        };
        let plugin = self.host.plugin_for(name, Some(plan))?;
        let Some(kind) = plugin.known.description.kind(step.kind) else {
            return Err(unfit(format!("plugin '{name}' has no steps of kind '{}'", step.kind.as_str())));
        };
        let targets = bind(attempt, step)?;
        let record = StepCall {
            run: attempt.run.to_string(),
            step: attempt.step.to_string(),
            attempt: attempt.number,
            key: attempt.key.to_string(),
            token: attempt.token,
            mode: attempt.mode.as_str().to_owned(),
            kind: step.kind.as_str().to_owned(),
            args: attempt.args.to_string(),
            targets: targets.iter().map(lowered).collect(),
            checkpoint: attempt.checkpoint.as_ref().map(Value::to_string),
            outputs: attempt.outputs.as_ref().map(Value::to_string),
        };
        let context = Context {
            host: Arc::clone(&self.host),
            plugin: name.clone(),
            mode: Some(attempt.mode),
            makes: attempt.direction != Direction::Cleanup,
            kind: Some(step.kind),
            capabilities: kind.capabilities.clone(),
            targets,
            plan: Some(Arc::clone(plan)),
            looked: Looked::default(),
        };
        let limit = Duration::from_millis(step.policy.timeout_ms);
        let gate = Arc::clone(&self.host.attempts);
        Ok((Call { plugin, context, sink, limit, gate }, record))
    }
}

impl Executor {
    /// Refuses an attempt that was overtaken: a later run, or a later attempt, has acted on one of its locked targets.
    pub(crate) fn fence(&self, attempt: &Attempt) -> Result<(), Failure> {
        let step = attempt.plan.step(&attempt.step);
        let used = step.into_iter().flat_map(|step| &step.targets);
        let locks = used.filter_map(|used| attempt.plan.targets.get(&used.target)?.lock.as_deref());
        for lock in locks {
            // A lock with a reference in its name is one of this run alone.
            let name = if lock.contains("{{") { format!("{}:{lock}", attempt.run) } else { lock.to_owned() };
            let mut fences = self.host.fences.lock().unwrap_or_else(PoisonError::into_inner);
            let highest = fences.entry(name).or_default();
            if !fence::admits(*highest, attempt.token) {
                let message = format!("the attempt was overtaken: '{lock}' has seen a later fencing token");
                return Err(Error::new("LB0712", message).hint("nothing was done; look at the later run").into());
            }
            *highest = attempt.token.max(*highest);
        }
        Ok(())
    }
}

pub(crate) fn bind(attempt: &Attempt, step: &Step) -> Result<Vec<Bound>, Failure> {
    let mut targets = Vec::new();
    for used in &step.targets {
        let Some(target) = attempt.plan.targets.get(&used.target) else {
            let message = format!("the plan has no target '{}'", used.target);
            return Err(Error::new("LB0703", message).into());
        };
        let rendered = attempt.settings.iter().find(|(role, _)| *role == used.role);
        let settings = rendered.map_or_else(|| target.settings.clone(), |(_, settings)| settings.clone());
        targets.push(Bound { role: used.role.clone(), target: target.clone(), settings });
    }
    Ok(targets)
}

fn lowered(bound: &Bound) -> GuestTarget {
    GuestTarget {
        role: bound.role.clone(),
        name: bound.target.name.clone(),
        settings: plugin_settings(&bound.settings),
    }
}

/// The outcome of an attempt that broke a bound. What only reads, or leaves nothing that matters, has failed; of the rest
/// nobody knows how far it came.
fn broken_outcome(broken: Broken, effect: Effect) -> Outcome {
    match effect {
        Effect::Read | Effect::Reversible => {
            let kind = if broken.cancelled { FailureKind::Cancelled } else { FailureKind::Sandbox };
            let code = Some(Code::new(broken.code));
            Outcome::Failed { failure: Failure { kind, code, message: broken.message, hint: None } }
        }
        Effect::Compensatable | Effect::Irreversible => {
            Outcome::Unknown { reason: format!("{}: {}", broken.code, broken.message) }
        }
    }
}

/// Outputs are one JSON object of a modest size.
fn outputs(text: &str) -> Result<Value, Broken> {
    if text.len() > OUTPUTS_BYTES_MAX {
        let message = format!("its outputs have {} bytes; the limit is {OUTPUTS_BYTES_MAX}", text.len());
        return Err(Broken::payload(message));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(Broken::payload("its outputs are no JSON object".to_owned())),
        Err(error) => Err(Broken::payload(format!("its outputs are no JSON: {error}"))),
    }
}

/// The one call of the guest that stands for this direction.
pub(crate) async fn act(call: Call, record: StepCall, direction: Direction) -> Result<GuestOutcome, Ended> {
    let indices = call.plugin.steps.clone();
    call.run(move |store, instance| {
        Box::pin(async move {
            let steps: Steps = indices.load(&mut *store, instance)?;
            match direction {
                Direction::Forward => steps.call_execute(store, &record).await,
                Direction::Undo => steps.call_compensate(store, &record).await,
                Direction::Cleanup => steps.call_cleanup(store, &record).await,
            }
        })
    })
    .await
}

pub(crate) fn judge(result: Result<GuestOutcome, Ended>, effect: Effect) -> Outcome {
    match result {
        Ok(GuestOutcome::Done(text)) => match outputs(&text) {
            Ok(outputs) => Outcome::Done { outputs },
            Err(broken) => broken_outcome(broken, effect),
        },
        Ok(GuestOutcome::Failed(error)) => Outcome::Failed { failure: to_failure(error) },
        Ok(GuestOutcome::Unknown(reason)) => Outcome::Unknown { reason: cut(reason) },
        Err(ended) => broken_outcome(ended.explain(), effect),
    }
}

fn answer(result: Result<GuestAnswer, Ended>) -> ProbeAnswer {
    match result {
        Ok(GuestAnswer::Happened(text)) => match outputs(&text) {
            Ok(outputs) => ProbeAnswer::Happened { outputs },
            Err(broken) => cannot_tell(&broken),
        },
        Ok(GuestAnswer::DidNotHappen) => ProbeAnswer::DidNotHappen,
        Ok(GuestAnswer::CannotTell(reason)) => ProbeAnswer::CannotTell { reason: cut(reason) },
        Err(ended) => cannot_tell(&ended.explain()),
    }
}

fn cannot_tell(broken: &Broken) -> ProbeAnswer {
    ProbeAnswer::CannotTell { reason: format!("{}: {}", broken.code, broken.message) }
}

impl StepExecutor for Executor {
    fn ready(&self, plan: &Plan) -> Result<(), Error> {
        plan.plugins.keys().try_for_each(|name| self.host.plugin_for(name, Some(plan)).map(drop))
    }

    fn execute(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            if attempt.direction == Direction::Cleanup {
                return self.clean_up(attempt, sink).await;
            }
            let (call, record) = match self.prepare(&attempt, Arc::clone(&sink)) {
                Ok(ready) => ready,
                Err(failure) => return Outcome::Failed { failure },
            };
            if let Err(failure) = self.fence(&attempt) {
                return Outcome::Failed { failure };
            }
            let effect = attempt.plan.step(&attempt.step).map_or(Effect::Irreversible, |step| step.effect);
            let looked = call.context.looked.clone();
            let mut outcome = judge(act(call, record, attempt.direction).await, effect);
            if let Outcome::Done { outputs } = &mut outcome {
                looked.mark(outputs).await;
            }
            self.check_checks(&attempt, sink, outcome).await
        })
    }

    fn check_outputs(&self, plan: &Plan, step: &Step, outputs: &Value) -> Result<(), Error> {
        let name = step.plugin.as_deref().unwrap_or_default();
        let plugin = self.host.plugin_for(name, Some(plan)).map_err(|failure| {
            Error::new("LB0703", failure.message).hint("the outputs of a step are checked by its own plugin")
        })?;
        let Some(kind) = plugin.known.description.kind(step.kind) else { return Ok(()) };
        let unfit = |message: String| {
            Error::new("LB0508", message)
                .with("step", &step.id)
                .hint(format!("'lifeboat plugin inspect {name}' shows the schema of the outputs"))
        };
        let validator = jsonschema::validator_for(&kind.outputs)
            .map_err(|error| unfit(format!("the plugin's schema of outputs is none: {error}")))?;
        match validator.iter_errors(outputs).next() {
            None => Ok(()),
            Some(error) => Err(unfit(format!("the outputs do not fit the schema of plugin '{name}': {error}"))),
        }
    }

    fn probe(&self, attempt: Attempt, sink: Arc<dyn AttemptSink>) -> BoxFuture<'_, ProbeAnswer> {
        Box::pin(async move {
            let ready = self.fence(&attempt).and_then(|()| self.prepare(&attempt, sink));
            let (call, record) = match ready {
                Ok(ready) => ready,
                Err(failure) => return ProbeAnswer::CannotTell { reason: failure.message },
            };
            let (indices, looked) = (call.plugin.steps.clone(), call.context.looked.clone());
            let mut answer = answer(
                call.run(move |store, instance| {
                    Box::pin(async move {
                        let steps: Steps = indices.load(&mut *store, instance)?;
                        steps.call_probe(store, &record).await
                    })
                })
                .await,
            );
            if let ProbeAnswer::Happened { outputs } = &mut answer {
                looked.mark(outputs).await;
            }
            answer
        })
    }
}

fn stopped(ended: &Ended) -> Failure {
    let broken = ended.explain();
    Failure { kind: FailureKind::Sandbox, code: Some(Code::new(broken.code)), message: broken.message, hint: None }
}

impl Host {
    fn asking(&self, attempt: &Attempt) -> Result<(Call, StepCall), Failure> {
        let (mut call, record) = Executor::new(Arc::clone(&self.inner)).prepare(attempt, Arc::new(Quiet))?;
        call.limit = call.limit.min(Duration::from_millis(PREVIEW_MS_MAX));
        // Who only looks makes no folder.
        call.context.makes = false;
        Ok((call, record))
    }

    /// What the step would do, in words of its plugin. Changes nothing.
    ///
    /// # Errors
    /// Why the plugin could not say.
    pub async fn preview(&self, attempt: &Attempt) -> Result<Vec<String>, Failure> {
        let (call, record) = self.asking(attempt)?;
        let indices = call.plugin.steps.clone();
        let told = call
            .run(move |store, instance| {
                Box::pin(async move {
                    let steps: Steps = indices.load(&mut *store, instance)?;
                    steps.call_preview(store, &record).await
                })
            })
            .await
            .map_err(|ended| stopped(&ended))?;
        Ok(told.map_err(to_failure)?.into_iter().map(cut).collect())
    }

    /// Whether the step could be done now. Changes nothing.
    ///
    /// # Errors
    /// Why the plugin could not look.
    pub async fn readiness(&self, attempt: &Attempt) -> Result<Vec<Finding>, Failure> {
        let (call, record) = self.asking(attempt)?;
        let indices = call.plugin.steps.clone();
        let told = call
            .run(move |store, instance| {
                Box::pin(async move {
                    let steps: Steps = indices.load(&mut *store, instance)?;
                    steps.call_readiness(store, &record).await
                })
            })
            .await
            .map_err(|ended| stopped(&ended))?;
        let found = told.map_err(to_failure)?;
        Ok(found.into_iter().map(|finding| Finding { ok: finding.ok, message: cut(finding.message) }).collect())
    }
}
