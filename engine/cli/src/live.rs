//! Progress while a run goes on: bars on a terminal, lines everywhere else.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lifeboat_core::event::EventKind;
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::outcome::{Outcome, ProbeAnswer};
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::Direction;
use lifeboat_runtime::{Engine, Notice};
use tokio::sync::{broadcast::error::RecvError, oneshot};
use tokio::task::JoinHandle;

use crate::screen::{Ink, Screen, note};
use crate::view::duration::{bytes, duration, rate};

/// A watcher of an engine. Call [`Live::finish`] before printing anything else.
pub struct Live {
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

impl Live {
    /// Watches one run from now on. `plan` gives the names and their width.
    pub fn start(screen: Screen, engine: &Engine, plan: &Plan) -> Self {
        Self::show(engine, View::of_one(screen, plan))
    }

    /// Watches all runs of the engine from now on; each line begins with its run.
    pub fn all(screen: Screen, engine: &Engine) -> Self {
        Self::show(engine, View::of_all(screen))
    }

    fn show(engine: &Engine, mut view: View) -> Self {
        let mut notices = engine.watch();
        let (stop, mut stopped) = oneshot::channel();
        let done = tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    notice = notices.recv() => match notice {
                        Ok(notice) => view.show(&notice),
                        // A slow terminal misses some progress; the events are in the journal.
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => break,
                    },
                    _ = &mut stopped => break,
                }
            }
            view.end();
        });
        Self { stop, done }
    }

    /// Shows what is left to show, and ends.
    pub async fn finish(self) {
        // A watcher that ended by itself needs no stop.
        let _ = self.stop.send(());
        let _ = self.done.await;
    }
}

/// What a run does, shown by whoever is told of it in another way than by an engine of this process.
pub struct Lines(View);

impl Lines {
    /// For one run. `plan` gives the names and their width.
    pub fn new(screen: Screen, plan: &Plan) -> Self {
        Self(View::of_one(screen, plan))
    }

    /// Shows what happened.
    pub fn show(&mut self, notice: &Notice) {
        self.0.show(notice);
    }

    /// Clears what is not to stay. Before anything else is printed.
    pub fn end(&mut self) {
        self.0.end();
    }
}

/// A step of a run.
type Place = (RunId, StepId);

struct View {
    screen: Screen,
    /// Of the names, where one run is watched.
    width: usize,
    kinds: HashMap<StepId, &'static str>,
    /// Whether lines tell of which run they are.
    many: bool,
    bars: Option<MultiProgress>,
    live: HashMap<Place, ProgressBar>,
    begun: HashMap<Place, u64>,
}

impl View {
    fn of_one(screen: Screen, plan: &Plan) -> Self {
        let width = plan.steps.iter().map(|step| step.id.as_str().chars().count()).max().unwrap_or(0).min(28);
        let kinds = plan.steps.iter().map(|step| (step.id.clone(), step.kind.as_str())).collect();
        Self { width, kinds, many: false, ..Self::of_all(screen) }
    }

    fn of_all(screen: Screen) -> Self {
        let bars = screen.live.then(MultiProgress::new);
        let (kinds, live, begun) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { screen, width: 0, kinds, many: true, bars, live, begun }
    }

    /// The step as a line names it, and its kind where that is known.
    fn name(&self, (run, step): &Place) -> String {
        let width = self.width;
        let name = if self.many { format!("{run} {step}") } else { format!("{:<width$}", step.as_str()) };
        match self.kinds.get(step) {
            Some(kind) => format!("{name}  {kind:<9}"),
            None => name,
        }
    }

    fn line(&self, place: &Place, ink: Ink, mark: &str, text: &str) {
        self.print(&format!("  {} {} {text}", self.screen.err(ink, mark), self.name(place)));
    }

    /// A line about a run as a whole.
    fn of_run(&self, run: &RunId, text: &str) {
        let who = if self.many { format!("{run} ") } else { String::new() };
        self.print(&format!("  {who}{text}"));
    }

    fn print(&self, line: &str) {
        if self.screen.quiet {
            return;
        }
        match &self.bars {
            // A terminal that went away shows nothing; the run goes on.
            Some(bars) => drop(bars.println(line)),
            None => note(line),
        }
    }

    fn show(&mut self, notice: &Notice) {
        match notice {
            Notice::Event { run, event, .. } => self.event(run, event.at, &event.kind),
            Notice::Progress { run, step, done, total, unit, note, .. } => {
                self.progress(&(run.clone(), step.clone()), *done, *total, unit, note);
            }
            Notice::Log { run, step, level, message, .. } if level == "warn" || level == "error" => {
                self.line(&(run.clone(), step.clone()), Ink::Yellow, "!", message);
            }
            Notice::Log { .. } => {}
        }
    }

    fn event(&mut self, run: &RunId, at: u64, kind: &EventKind) {
        let place = |step: &StepId| (run.clone(), step.clone());
        match kind {
            EventKind::AttemptStarted { step, direction, number, .. } => {
                self.begun.insert(place(step), at);
                self.begin(&place(step), *direction, *number);
            }
            EventKind::AttemptFinished { step, direction, outcome, retry_at, .. } => {
                let place = place(step);
                let took_ms = at.saturating_sub(self.begun.remove(&place).unwrap_or(at));
                let took = format!("{}{}", duration(took_ms), moved(outcome, took_ms));
                self.clear(&place);
                self.finished(&place, *direction, outcome, retry_at.map(|until| until.saturating_sub(at)), &took);
            }
            EventKind::LocksAwaited { held } => {
                for held in held {
                    self.of_run(run, &format!("waits for the lock '{}', which run {} has", held.lock, held.holder));
                }
            }
            EventKind::RunPaused { said } => self.of_run(run, &format!("paused by {}: nothing new begins", said.by)),
            EventKind::RunAbandoned { said } => self.of_run(run, &format!("abandoned by {}", said.by)),
            EventKind::RunContinued { successor, plan, said, .. } => {
                let mode = plan.mode.as_str();
                self.of_run(run, &format!("continued as {mode} in run {successor}, by {}", said.by));
            }
            EventKind::CleanupStarted { said, .. } => {
                let by = said.as_ref().map_or(String::new(), |said| format!(", asked by {}", said.by));
                self.of_run(run, &format!("removing what was made, the newest first{by}"));
            }
            EventKind::UnwindStarted { .. } => self.of_run(run, "undoing what was done, in reverse order"),
            EventKind::RunFinished { .. } => self.begun.retain(|(of, _), _| of != run),
            _ => {
                if let Some((step, ink, mark, text)) = told(at, kind) {
                    self.line(&place(step), ink, mark, &text);
                }
            }
        }
    }

    fn finished(&self, place: &Place, way: Direction, outcome: &Outcome, again_ms: Option<u64>, took: &str) {
        let again = again_ms.map_or(String::new(), |ms| format!("; again in {}", duration(ms)));
        match (outcome, way) {
            (Outcome::Done { .. }, Direction::Forward) => self.line(place, Ink::Green, "✓", &format!("done in {took}")),
            (Outcome::Done { .. }, Direction::Undo) => self.line(place, Ink::Green, "↺", &format!("undone in {took}")),
            (Outcome::Done { .. }, Direction::Cleanup) => {
                self.line(place, Ink::Green, "✓", &format!("cleaned up in {took}"));
            }
            (Outcome::Failed { failure }, _) => {
                let code = failure.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
                self.line(place, Ink::Red, "✗", &format!("failed after {took}: {code}{}{again}", failure.message));
            }
            (Outcome::Unknown { reason }, _) => {
                self.line(place, Ink::Yellow, "?", &format!("in doubt after {took}: {reason}{again}"));
            }
        }
    }

    fn begin(&mut self, place: &Place, direction: Direction, number: u32) {
        let undo = match direction {
            Direction::Forward => "",
            Direction::Undo => "undo, ",
            Direction::Cleanup => "cleanup, ",
        };
        let Some(bars) = &self.bars else {
            let more = if number > 1 { format!(" ({undo}attempt {number})") } else { String::new() };
            return self.line(place, Ink::Cyan, "▸", &format!("started{more}"));
        };
        let bar = bars.add(ProgressBar::new_spinner());
        bar.set_prefix(self.name(place));
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        self.live.insert(place.clone(), bar);
    }

    fn progress(&mut self, place: &Place, done: u64, total: Option<u64>, unit: &str, text: &str) {
        let Some(bar) = self.live.get(place) else { return };
        if unit == "bytes" {
            let known = total.is_some_and(|total| total > 0);
            let template = if known {
                "  {spinner} {prefix} {bar:24} {percent:>3}% {bytes} of {total_bytes}  {binary_bytes_per_sec}  {wide_msg}"
            } else {
                "  {spinner} {prefix} {bytes}  {binary_bytes_per_sec}  {wide_msg}"
            };
            if bar.length() != total
                && let Ok(style) = ProgressStyle::with_template(template)
            {
                bar.set_style(style.progress_chars("█▓░"));
            }
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
            bar.set_message(text.to_owned());
        } else {
            let of = total.map_or(String::new(), |total| format!(" of {total}"));
            bar.set_message(format!("{done}{of} {unit}  {text}"));
        }
    }

    fn clear(&mut self, place: &Place) {
        if let Some(bar) = self.live.remove(place) {
            bar.finish_and_clear();
        }
    }

    fn end(&mut self) {
        for (_, bar) in self.live.drain() {
            bar.finish_and_clear();
        }
    }
}

/// What an event says of a step: the step, a mark, and words; nothing of those that are shown in other ways.
fn told(at: u64, kind: &EventKind) -> Option<(&StepId, Ink, &'static str, String)> {
    Some(match kind {
        EventKind::Probed { step, answer, .. } => {
            let text = match answer {
                ProbeAnswer::Happened { .. } => "was in doubt; the plugin says that it happened: done".to_owned(),
                ProbeAnswer::DidNotHappen => "was in doubt; the plugin says that it did not happen".to_owned(),
                ProbeAnswer::CannotTell { reason } => format!("is in doubt; the plugin cannot tell: {reason}"),
            };
            (step, Ink::Yellow, "?", text)
        }
        EventKind::ApprovalRequested { step, .. } => (step, Ink::Yellow, "?", "asks for approval".to_owned()),
        EventKind::Approved { step, said, .. } => (step, Ink::Green, "✓", format!("{} said yes", said.by)),
        EventKind::Denied { step, said } => (step, Ink::Red, "✗", format!("{} said no", said.by)),
        EventKind::ApprovalExpired { step } => (step, Ink::Red, "✗", "nobody answered in time".to_owned()),
        EventKind::WaitStarted { step, until } => {
            (step, Ink::Cyan, "▸", format!("waits for {}", duration(until.saturating_sub(at))))
        }
        EventKind::SuspectHeld { step, because, .. } => {
            (step, Ink::Red, "!", format!("held, a snapshot before it is suspect: {}", because.join("; ")))
        }
        EventKind::SuspectAttested { step, said, .. } => {
            (step, Ink::Yellow, "✓", format!("{} attests that it may go on", said.by))
        }
        EventKind::StepNotNeeded { step, because } => (step, Ink::Dim, "·", format!("not needed: {because}")),
        EventKind::ConditionUnclear { step, failure } => (step, Ink::Red, "✗", failure.message.clone()),
        EventKind::StepMarkedDone { step, said, .. } => {
            (step, Ink::Green, "✓", format!("marked as done by {}", said.by))
        }
        _ => return None,
    })
}

/// What a step moved, where its outputs say it: `, 256 MiB at 110 MiB/s`.
fn moved(outcome: &Outcome, took_ms: u64) -> String {
    let Outcome::Done { outputs } = outcome else { return String::new() };
    match outputs.get("bytes").and_then(serde_json::Value::as_u64) {
        Some(count) if count > 0 && took_ms > 0 => format!(", {} at {}", bytes(count), rate(count, took_ms)),
        _ => String::new(),
    }
}
