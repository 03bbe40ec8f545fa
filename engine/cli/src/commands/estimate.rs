//! `estimate`: will it be in time? A runbook simulated over what earlier runs took and what is given, or a model by its name.

mod models;
mod page;

use std::collections::BTreeMap;

use lifeboat_core::plan::Plan;
use lifeboat_core::{Error, StepId};
use lifeboat_forecast::{Forecast, History, Question, Rate, Seconds, forecast};
use serde::Serialize;
use serde_json::json;

use crate::args::RunbookArgs;
use crate::args_estimate::{EstimateArgs, Model};
use crate::commands::plan::compile;
use crate::exit::Exit;
use crate::past;
use crate::screen::{put, put_json};
use crate::view::outlook;
use crate::world::World;

/// Answers.
///
/// # Errors
/// Wrong usage; `LB0910` to `LB0912` where the question has no answer; what keeps the runbook from being read.
pub fn estimate(world: &World, args: &EstimateArgs) -> Result<Exit, Error> {
    match (&args.model, &args.runbook) {
        (Some(model), _) => model_by_name(world, model),
        (None, Some(path)) => {
            let runbook = RunbookArgs { runbook: path.clone(), mode: args.mode.clone(), inputs: args.inputs.clone() };
            let (host, operator) = world.host()?;
            let Some(compiled) = compile(world, &runbook, &host.catalog(), &operator)? else {
                return Ok(Exit::Refused);
            };
            let history = past::of(world, &compiled.plan.runbook);
            let found = Found::of(&compiled.plan, &history, args)?;
            if world.screen.json {
                put_json(&found)?;
            } else {
                put(page::runbook(&compiled.plan, args, &found).trim_end());
            }
            Ok(found.exit())
        }
        (None, None) => Err(Error::new("LB0902", "neither a runbook nor a model is named")
            .hint("'lifeboat estimate --help' lists the models")),
    }
}

fn model_by_name(world: &World, model: &Model) -> Result<Exit, Error> {
    let answer = models::work_out(model)?;
    if world.screen.json {
        let met = answer.verdict.as_ref().map(|(met, _)| *met);
        put_json(&json!({"met": met, "answer": answer.json, "formula": answer.formula}))?;
    } else {
        put(page::model(&answer).trim_end());
    }
    Ok(answer.verdict.map_or(Exit::Success, |(met, _)| if met { Exit::Success } else { Exit::NotMet }))
}

/// What a runbook came to.
#[derive(Debug, Serialize)]
struct Found {
    /// Whether the objective is met by as many runs as are asked for. `None` without one, and where that cannot be told.
    met: Option<bool>,
    /// How many runs have to meet it.
    confidence: f64,
    /// The rate at which it would be met, all else being as it is, in bytes a second; `None` where it is met, or no rate helps.
    rate_needed: Option<Rate>,
    forecast: Forecast,
}

impl Found {
    fn of(plan: &Plan, history: &History, args: &EstimateArgs) -> Result<Self, Error> {
        let takes: BTreeMap<StepId, Seconds> =
            args.takes.iter().map(|(step, time)| (StepId::from(step.as_str()), *time)).collect();
        let asked = Question {
            samples: args.samples.unwrap_or_else(|| outlook::samples(plan.steps.len())),
            seed: args.seed,
            threads: outlook::threads(),
            bytes: args.bytes,
            rate: args.rate,
            takes,
            before: Seconds::new(args.detect.get() + args.decide.get())?,
            rto: args.rto,
        };
        let forecast = forecast(plan, history, &asked)?;
        let confidence = args.confidence.get();
        let met = forecast.meets(confidence);
        let rate_needed = if met == Some(false) { rate_needed(plan, history, &asked, confidence) } else { None };
        Ok(Self { met, confidence, rate_needed, forecast })
    }

    fn exit(&self) -> Exit {
        match (self.met, self.forecast.objective) {
            (Some(true), _) | (None, None) => Exit::Success,
            _ => Exit::NotMet,
        }
    }
}

/// The slowest rate at which the objective would be met, to a hundredth: between a rate that is not enough and one that is,
/// halved until they are close.
fn rate_needed(plan: &Plan, history: &History, asked: &Question, confidence: f64) -> Option<Rate> {
    const HIGHEST: f64 = 1e15;
    let enough = |rate: f64| {
        let rate = Rate::new(rate).ok();
        let found = forecast(plan, history, &Question { rate, ..asked.clone() }).ok()?;
        Some(found.objective?.meets.value >= confidence)
    };
    let (mut low, mut high) = (asked.rate?.get(), HIGHEST);
    if low <= 0.0 || !enough(high)? {
        return None;
    }
    while high / low > 1.01 {
        let middle = (low * high).sqrt();
        if enough(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Rate::new(high).ok()
}

#[cfg(test)]
mod tests;
