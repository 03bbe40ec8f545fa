//! `report`: what a run did, how long it took, against its objectives.

use lifeboat_core::Error;
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::measure::Measured;
use lifeboat_core::plan::{Mode, Objectives};
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_core::verified::{Verdict, verdict};
use lifeboat_forecast::Forecast;
use serde::Serialize;
use serde_json::Value;

use crate::clock::utc;
use crate::commands::measure;
use crate::commands::show;
use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::view::duration::duration;
use crate::world::World;

/// A run in figures: the JSON form of `report`, `show` and `run`.
#[derive(Debug, Serialize)]
pub struct Report {
    run: RunId,
    runbook: String,
    mode: Mode,
    status: RunStatus,
    fingerprint: Digest,
    started_by: String,
    created_at: u64,
    finished_at: Option<u64>,
    /// Recovery time actual: from the start of the run to its end, or until now in the log.
    rta_ms: u64,
    /// Of that, spent waiting for people and timers while nothing else went on.
    waited_ms: u64,
    objectives: Objectives,
    /// `None` without an objective, or while the run goes on.
    within_rto: Option<bool>,
    /// What is ahead, of a run that goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Forecast>,
    /// What its events tell about its times and its loss of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
    /// How the drill went, where it is one that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    /// How many things that it made may still be there, and of how many.
    left: usize,
    made: usize,
    steps: Vec<StepReport>,
}

#[derive(Debug, Serialize)]
struct StepReport {
    step: String,
    kind: String,
    phase: &'static str,
    attempts: u32,
    started_at: Option<u64>,
    finished_at: Option<u64>,
    took_ms: Option<u64>,
    outputs: Option<Value>,
    failure: Option<lifeboat_core::Failure>,
}

impl Report {
    /// The report of a state.
    pub fn of(state: &RunState) -> Self {
        let end = state.worked_until.or(state.finished_at).unwrap_or(state.updated_at);
        let (left, made) = lifeboat_core::ledger::left(state);
        let rta_ms = end.saturating_sub(state.created_at);
        let ended = state.status().is_final();
        let steps = state.steps().map(|(step, now)| StepReport {
            step: step.id.0.clone(),
            kind: step.kind.as_str().to_owned(),
            phase: now.phase.as_str(),
            attempts: now.attempts,
            started_at: now.started_at,
            finished_at: now.finished_at,
            took_ms: now.started_at.zip(now.finished_at).map(|(start, end)| end.saturating_sub(start)),
            outputs: now.outputs.clone(),
            failure: match &now.phase {
                Phase::Failed { failure } | Phase::UndoFailed { failure } => Some(failure.clone()),
                _ => None,
            },
        });
        Self {
            run: state.run.clone(),
            runbook: state.plan.runbook.clone(),
            mode: state.plan.mode,
            status: state.status(),
            fingerprint: state.fingerprint.clone(),
            started_by: state.said.by.clone(),
            created_at: state.created_at,
            finished_at: state.finished_at,
            rta_ms,
            waited_ms: waited(state),
            objectives: state.plan.objectives,
            within_rto: state.plan.objectives.rto_ms.filter(|_| ended).map(|rto| rta_ms <= rto),
            forecast: None,
            measured: None,
            verdict: None,
            left,
            made,
            steps: steps.collect(),
        }
    }

    /// The same with what is ahead.
    pub fn with(self, forecast: Option<Forecast>) -> Self {
        Self { forecast, ..self }
    }

    /// The same with what was measured.
    pub fn measured(self, state: &RunState, found: Option<Measured>) -> Self {
        let drill = state.plan.mode == Mode::Drill && state.status().is_final();
        let verdict = found.as_ref().filter(|_| drill).map(|found| verdict(state, found));
        let rta_ms = found.as_ref().map_or(self.rta_ms, |found| found.rta_ms);
        let within_rto = self.within_rto.and(self.objectives.rto_ms).map(|rto| rta_ms <= rto);
        Self { measured: found, verdict, rta_ms, within_rto, ..self }
    }

    /// The exit status that it stands for.
    pub fn exit(&self) -> Exit {
        match self.status {
            RunStatus::Succeeded if self.verdict.as_ref().is_some_and(|verdict| !verdict.passed) => Exit::RunFailed,
            RunStatus::Succeeded => Exit::Success,
            RunStatus::Failed | RunStatus::Cancelled | RunStatus::Abandoned => Exit::RunFailed,
            _ => Exit::Waits,
        }
    }
}

/// Time in which only questions and timers were open: the union of their spans, less the spans of all other steps.
fn waited(state: &RunState) -> u64 {
    let mut edges: Vec<(u64, i32, i32)> = Vec::new();
    for (step, now) in state.steps() {
        let Some(start) = now.started_at else { continue };
        let end = now.finished_at.unwrap_or(state.updated_at);
        let (wait, work) = if step.kind.by_plugin() { (0, 1) } else { (1, 0) };
        edges.push((start, wait, work));
        edges.push((end, -wait, -work));
    }
    edges.sort_unstable();
    let (mut waiting, mut working, mut last, mut sum) = (0, 0, 0, 0);
    for (at, wait, work) in edges {
        if waiting > 0 && working == 0 {
            sum += at.saturating_sub(last);
        }
        waiting += wait;
        working += work;
        last = at;
    }
    sum
}

/// Prints the report.
///
/// # Errors
/// As [`show::load`].
pub fn report(world: &World, run: &str) -> Result<Exit, Error> {
    let (state, events) = show::load(world, run)?;
    let found = lifeboat_core::measure::measure(&events).ok();
    if world.screen.json {
        put_json(&Report::of(&state).measured(&state, found))?;
    } else {
        put(&text(world, &state, found.as_ref()));
    }
    Ok(Exit::Success)
}

/// The report for a person: what [`show::text`] has, and the times.
pub fn text(world: &World, state: &RunState, found: Option<&Measured>) -> String {
    format!("{}\n\n{}", show::text(world, state), times(world, state, found))
}

/// The end of a watched run: only what its lines have not said already.
pub fn closing(world: &World, state: &RunState, found: Option<&Measured>) -> String {
    let plain = state.steps().all(|(_, now)| now.phase == Phase::Done);
    if !plain || world.screen.quiet {
        return text(world, state, found);
    }
    let name = world.screen.out(Ink::Bold, state.run.as_str());
    format!("run {name}  {}  {}\n{}", state.plan.runbook, state.status().as_str(), times(world, state, found))
}

/// How long it took, against its objectives.
fn times(world: &World, state: &RunState, found: Option<&Measured>) -> String {
    let report = Report::of(state).measured(state, found.cloned());
    let screen = &world.screen;
    let end = report.finished_at.map_or_else(|| "not ended".to_owned(), |at| format!("{} UTC", utc(at)));
    let mut text = format!("  ended      {end}\n  RTA        {}", duration(report.rta_ms));
    if let (Some(rto), Some(within)) = (report.objectives.rto_ms, report.within_rto) {
        let verdict = match (within, report.status) {
            (true, RunStatus::Succeeded) => screen.out(Ink::Green, "within the objective"),
            (true, _) => screen.out(Ink::Yellow, "within the time, but not recovered"),
            (false, _) => screen.out(Ink::Red, "over the objective"),
        };
        text.push_str(&format!(" of RTO {}: {verdict}", duration(rto)));
    }
    if report.waited_ms > 0 {
        text.push_str(&format!("\n  of that    {} waiting for people and timers", duration(report.waited_ms)));
    }
    if let Some(found) = found {
        let rpo = report.objectives.rpo_ms;
        if rpo.is_some() || found.rpa_ms.is_some() {
            text.push_str(&format!("\n{}", measure::losses(found, rpo).trim_end()));
        }
        text.push_str(&measure::check_lines(state));
        if report.verdict.is_some() {
            text.push_str(&format!("\n{}", measure::verdict_line(world, state, found)));
        }
    }
    text
}
