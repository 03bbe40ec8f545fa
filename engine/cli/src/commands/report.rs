//! `report`: what a run did, how long it took, against its objectives.

use lifeboat_core::Error;
use lifeboat_core::carry::Origin;
use lifeboat_core::event::Event;
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::measure::Measured;
use lifeboat_core::plan::{Mode, Objectives};
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_core::verified::{self, verdict};
use lifeboat_evidence::Witness;
use lifeboat_evidence::facts::{self, DataLoss, Facts};
use lifeboat_forecast::Forecast;
use lifeboat_report::{Case, Proof, Verdict};
use serde::Serialize;
use serde_json::Value;

use crate::args_evidence::{ReportArgs, ReportFormat};
use crate::clock::utc;
use crate::commands::{bundle, measure, runs, show};
use crate::exit::Exit;
use crate::screen::{Ink, put};
use crate::view::duration::duration;
use crate::world::World;

/// A run in figures: the JSON form of `report`, `show` and `run`.
#[derive(Debug, Serialize)]
pub struct Report {
    run: RunId,
    runbook: String,
    mode: Mode,
    status: RunStatus,
    /// The run that it goes on with in another mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    continues: Option<RunId>,
    /// The run that goes on with it in another mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    continued_as: Option<RunId>,
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
    drill: Option<verified::Verdict>,
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
    /// The run that did it, where this one took it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    carried: Option<Origin>,
    /// The run that began it, where this one went on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    begun_in: Option<RunId>,
    failure: Option<lifeboat_core::Failure>,
}

impl Report {
    /// The report of a state.
    pub fn of(state: &RunState) -> Self {
        let end = state.worked_until.or(state.finished_at).unwrap_or(state.updated_at);
        let (left, made) = lifeboat_core::ledger::left(state);
        let rta_ms = end.saturating_sub(state.declared_at());
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
            carried: now.carried.as_deref().cloned(),
            begun_in: now.begun_in.clone(),
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
            continues: state.continues.as_ref().map(|earlier| earlier.run.clone()),
            continued_as: state.continued_as.clone(),
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
            drill: None,
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
        let drill = found.as_ref().filter(|_| drill).map(|found| verdict(state, found));
        let rta_ms = found.as_ref().map_or(self.rta_ms, |found| found.rta_ms);
        let within_rto = self.within_rto.and(self.objectives.rto_ms).map(|rto| rta_ms <= rto);
        Self { measured: found, drill, rta_ms, within_rto, ..self }
    }

    /// The exit status that it stands for.
    pub fn exit(&self) -> Exit {
        match self.status {
            RunStatus::Succeeded if self.drill.as_ref().is_some_and(|verdict| !verdict.passed) => Exit::RunFailed,
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
        let (wait, work) = if step.kind.has_attempts() { (0, 1) } else { (1, 0) };
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

/// The report for scripts: [`Report`], the verdict in words, and all figures.
#[derive(Serialize)]
struct Full<'a> {
    #[serde(flatten)]
    report: Report,
    verdict: Verdict,
    facts: &'a Facts,
}

/// Prints or writes the report.
///
/// # Errors
/// As [`show::load`]; `LB1131` when the file cannot be written; of a bundle, as [`bundle::contents`].
pub fn report(world: &World, args: &ReportArgs) -> Result<Exit, Error> {
    let format = args.format.unwrap_or(if world.screen.json { ReportFormat::Json } else { ReportFormat::Text });
    let text = match (&args.bundle, &args.run) {
        (Some(file), _) => {
            let Some((contents, verdict)) = bundle::contents(world, file, &args.keys)? else {
                return Ok(Exit::NotVerified);
            };
            let (manifest, checks, signatures) = (&contents.manifest, &verdict.checks, &verdict.signatures);
            let proof = Some(Proof { manifest, checks, signatures });
            let case = Case { facts: &contents.facts, state: &contents.state, events: &contents.events, proof };
            written(world, &case, format)?
        }
        (None, run) => {
            let journal = runs::journal(world)?;
            let run = runs::find(&journal, run.as_deref().unwrap_or_default())?;
            let state = journal.state(&run).map_err(|broken| broken.error)?;
            let stored = journal.read(&run)?;
            let events = stored.iter().map(|event| Event::decode(&event.bytes)).collect::<Result<Vec<_>, _>>()?;
            let (facts, state) = facts::of(&events, &bundle::witness(&journal, &state))?;
            written(world, &Case { facts: &facts, state: &state, events: &events, proof: None }, format)?
        }
    };
    match &args.out {
        Some(path) => {
            bundle::replace(path, format!("{}\n", text.trim_end()).as_bytes())?;
            world.screen.say(&format!("written to '{}'", path.display()));
        }
        None => put(text.trim_end()),
    }
    Ok(Exit::Success)
}

fn written(world: &World, case: &Case<'_>, format: ReportFormat) -> Result<String, Error> {
    match format {
        ReportFormat::Text => {
            let found = lifeboat_core::measure::measure(case.events).ok();
            let times = times(world, case.state, found.as_ref(), &case.facts.data_loss);
            Ok(format!("{}\n\n{times}", show::text(world, case.state)))
        }
        ReportFormat::Html => lifeboat_report::html(&lifeboat_report::page(case)),
        ReportFormat::Md => lifeboat_report::markdown(&lifeboat_report::page(case)),
        ReportFormat::Json => {
            let found = lifeboat_core::measure::measure(case.events).ok();
            let report = Report::of(case.state).measured(case.state, found);
            let full = Full { report, verdict: Verdict::of(case.facts), facts: case.facts };
            serde_json::to_string_pretty(&full)
                .map_err(|cause| Error::new("LB0904", "the output cannot be written as JSON").with("cause", cause))
        }
    }
}

/// The report for a person: what [`show::text`] has, and the times.
pub fn text(world: &World, state: &RunState, found: Option<&Measured>) -> String {
    format!("{}\n\n{}", show::text(world, state), times(world, state, found, &own_loss(state)))
}

/// The end of a watched run: only what its lines have not said already.
pub fn closing(world: &World, state: &RunState, found: Option<&Measured>) -> String {
    let plain = state.steps().all(|(_, now)| now.phase == Phase::Done);
    if !plain || world.screen.quiet {
        return text(world, state, found);
    }
    let name = world.screen.out(Ink::Bold, state.run.as_str());
    format!(
        "run {name}  {}  {}\n{}",
        state.plan.runbook,
        state.status().as_str(),
        times(world, state, found, &own_loss(state))
    )
}

/// What was lost, as far as this run alone tells: `report` asks earlier runs, too.
fn own_loss(state: &RunState) -> DataLoss {
    facts::data_loss(state, &Witness::default())
}

/// How long it took, against its objectives.
fn times(world: &World, state: &RunState, found: Option<&Measured>, loss: &DataLoss) -> String {
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
    text.push_str(&lost(world, &report, found, loss));
    text.push_str(&measure::check_lines(state));
    if let Some(found) = found.filter(|_| report.drill.is_some()) {
        text.push_str(&format!("\n{}", measure::verdict_line(world, state, found)));
    }
    text
}

/// What was lost. What the run itself measured is the exact figure; what is known of its recovery points from earlier runs, too,
/// is the most that it can be, and is told where the run measured nothing.
fn lost(world: &World, report: &Report, found: Option<&Measured>, loss: &DataLoss) -> String {
    let rpo_ms = report.objectives.rpo_ms;
    if let Some(found) = found.filter(|found| found.rpa_ms.is_some()) {
        return format!("\n{}", measure::losses(found, rpo_ms).trim_end());
    }
    let screen = &world.screen;
    match (loss.at_most_ms, rpo_ms.map(duration)) {
        (Some(ms), rpo) => {
            let against = match (loss.within_rpo, rpo) {
                (Some(true), Some(rpo)) => format!(" of RPO {rpo}: {}", screen.out(Ink::Green, "within the objective")),
                (Some(false), Some(rpo)) => format!(" of RPO {rpo}: {}", screen.out(Ink::Red, "over the objective")),
                _ => String::new(),
            };
            format!("\n  data loss  at most {}{against}", duration(ms))
        }
        (None, Some(rpo)) => {
            let why = loss.unknown.as_deref().unwrap_or_default();
            format!("\n  data loss  not known, of RPO {rpo}: {why}")
        }
        (None, None) => String::new(),
    }
}
