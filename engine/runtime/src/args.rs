//! From a step of the plan to an attempt: all references filled in from the run's inputs and the outputs so far.

use std::sync::Arc;

use lifeboat_core::actions::key_of;
use lifeboat_core::condition::context;
use lifeboat_core::ids::StepId;
use lifeboat_core::plan::Step;
use lifeboat_core::ports::{Attempt, Direction};
use lifeboat_core::state::RunState;
use lifeboat_core::{Error, template};
use serde_json::Value;

/// The attempt of a step that is to be launched.
///
/// # Errors
/// `LB0507` when a reference has no value, as after a skipped step.
pub(crate) fn attempt(
    state: &RunState,
    id: &StepId,
    direction: Direction,
    number: u32,
    token: u64,
) -> Result<Attempt, Error> {
    let (step, now) = state.step(id).ok_or_else(|| Error::new("LB0504", format!("the run has no step '{id}'")))?;
    let settings = settings(state, step)?;
    let context = context(state, &step.args);
    // An undo or a cleanup must be possible even where a reference has lost its value: they work from the outputs and the key.
    let args = match template::render_value(&step.args, &context) {
        Ok(args) => args,
        Err(_) if direction != Direction::Forward => step.args.clone(),
        Err(error) => return Err(error.with("step", id)),
    };
    Ok(Attempt {
        run: state.run.clone(),
        plan: Arc::clone(&state.plan),
        step: id.clone(),
        direction,
        number,
        key: key_of(state, id),
        token,
        mode: state.plan.mode,
        args,
        settings,
        checkpoint: now.checkpoint.clone(),
        outputs: now.outputs.clone(),
    })
}

fn settings(state: &RunState, step: &Step) -> Result<Vec<(String, Value)>, Error> {
    let mut all = Vec::with_capacity(step.targets.len());
    for used in &step.targets {
        let target = state.plan.targets.get(&used.target).ok_or_else(|| {
            Error::new("LB0503", format!("the plan has no target '{}'", used.target)).with("step", &step.id)
        })?;
        let context = context(state, &target.settings);
        all.push((used.role.clone(), template::render_value(&target.settings, &context)?));
    }
    Ok(all)
}
