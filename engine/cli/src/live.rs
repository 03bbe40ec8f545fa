//! Progress while a run goes on: bars on a terminal, lines everywhere else.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lifeboat_core::event::EventKind;
use lifeboat_core::ids::StepId;
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
    /// Watches from now on. `plan` gives the names and their width.
    pub fn start(screen: Screen, engine: &Engine, plan: &Plan) -> Self {
        let mut notices = engine.watch();
        let (stop, mut stopped) = oneshot::channel();
        let mut view = View::new(screen, plan);
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

struct View {
    screen: Screen,
    width: usize,
    kinds: HashMap<StepId, &'static str>,
    bars: Option<MultiProgress>,
    live: HashMap<StepId, ProgressBar>,
    begun: HashMap<StepId, u64>,
}

impl View {
    fn new(screen: Screen, plan: &Plan) -> Self {
        let width = plan.steps.iter().map(|step| step.id.as_str().chars().count()).max().unwrap_or(0).min(28);
        let kinds = plan.steps.iter().map(|step| (step.id.clone(), step.kind.as_str())).collect();
        let bars = screen.live.then(MultiProgress::new);
        Self { screen, width, kinds, bars, live: HashMap::new(), begun: HashMap::new() }
    }

    fn line(&self, step: &StepId, ink: Ink, mark: &str, text: &str) {
        if self.screen.quiet {
            return;
        }
        let kind = self.kinds.get(step).copied().unwrap_or("");
        let mark = self.screen.err(ink, mark);
        let line = format!("  {mark} {:<width$}  {kind:<9} {text}", step.as_str(), width = self.width);
        match &self.bars {
            // A terminal that went away shows nothing; the run goes on.
            Some(bars) => drop(bars.println(line)),
            None => note(&line),
        }
    }

    fn show(&mut self, notice: &Notice) {
        match notice {
            Notice::Event { event, .. } => self.event(event.at, &event.kind),
            Notice::Progress { step, done, total, unit, note, .. } => self.progress(step, *done, *total, unit, note),
            Notice::Log { step, level, message, .. } if level == "warn" || level == "error" => {
                self.line(step, Ink::Yellow, "!", message);
            }
            Notice::Log { .. } => {}
        }
    }

    fn event(&mut self, at: u64, kind: &EventKind) {
        match kind {
            EventKind::AttemptStarted { step, direction, number, .. } => {
                self.begun.insert(step.clone(), at);
                self.begin(step, *direction, *number);
            }
            EventKind::AttemptFinished { step, direction, outcome, retry_at, .. } => {
                let took_ms = at.saturating_sub(self.begun.get(step).copied().unwrap_or(at));
                let took = format!("{}{}", duration(took_ms), moved(outcome, took_ms));
                self.clear(step);
                self.finished(step, *direction, outcome, retry_at.map(|until| until.saturating_sub(at)), &took);
            }
            EventKind::Probed { step, answer, .. } => {
                let text = match answer {
                    ProbeAnswer::Happened { .. } => "was in doubt; the plugin says that it happened: done".to_owned(),
                    ProbeAnswer::DidNotHappen => "was in doubt; the plugin says that it did not happen".to_owned(),
                    ProbeAnswer::CannotTell { reason } => format!("is in doubt; the plugin cannot tell: {reason}"),
                };
                self.line(step, Ink::Yellow, "?", &text);
            }
            EventKind::ApprovalRequested { step, .. } => self.line(step, Ink::Yellow, "?", "asks for approval"),
            EventKind::Approved { step, said, .. } => {
                self.line(step, Ink::Green, "✓", &format!("{} said yes", said.by));
            }
            EventKind::Denied { step, said } => self.line(step, Ink::Red, "✗", &format!("{} said no", said.by)),
            EventKind::ApprovalExpired { step } => self.line(step, Ink::Red, "✗", "nobody answered in time"),
            EventKind::WaitStarted { step, until } => {
                self.line(step, Ink::Cyan, "▸", &format!("waits for {}", duration(until.saturating_sub(at))));
            }
            EventKind::LocksAwaited { held } => {
                for held in held {
                    self.screen.say(&format!("  waits for the lock '{}', which run {} has", held.lock, held.holder));
                }
            }
            EventKind::StepNotNeeded { step, because } => {
                self.line(step, Ink::Dim, "·", &format!("not needed: {because}"));
            }
            EventKind::ConditionUnclear { step, failure } => self.line(step, Ink::Red, "✗", &failure.message),
            EventKind::StepMarkedDone { step, said, .. } => {
                self.line(step, Ink::Green, "✓", &format!("marked as done by {}", said.by));
            }
            EventKind::RunPaused { said } => self.screen.say(&format!("  paused by {}: nothing new begins", said.by)),
            EventKind::RunAbandoned { said } => self.screen.say(&format!("  abandoned by {}", said.by)),
            EventKind::UnwindStarted { .. } => self.screen.say("  undoing what was done, in reverse order"),
            _ => {}
        }
    }

    fn finished(&self, step: &StepId, way: Direction, outcome: &Outcome, again_ms: Option<u64>, took: &str) {
        let again = again_ms.map_or(String::new(), |ms| format!("; again in {}", duration(ms)));
        match (outcome, way) {
            (Outcome::Done { .. }, Direction::Forward) => self.line(step, Ink::Green, "✓", &format!("done in {took}")),
            (Outcome::Done { .. }, Direction::Undo) => self.line(step, Ink::Green, "↺", &format!("undone in {took}")),
            (Outcome::Failed { failure }, _) => {
                let code = failure.code.as_ref().map_or(String::new(), |code| format!("{code}: "));
                self.line(step, Ink::Red, "✗", &format!("failed after {took}: {code}{}{again}", failure.message));
            }
            (Outcome::Unknown { reason }, _) => {
                self.line(step, Ink::Yellow, "?", &format!("in doubt after {took}: {reason}{again}"));
            }
        }
    }

    fn begin(&mut self, step: &StepId, direction: Direction, number: u32) {
        let undo = if direction == Direction::Undo { "undo, " } else { "" };
        let Some(bars) = &self.bars else {
            let more = if number > 1 { format!(" ({undo}attempt {number})") } else { String::new() };
            return self.line(step, Ink::Cyan, "▸", &format!("started{more}"));
        };
        let bar = bars.add(ProgressBar::new_spinner());
        let kind = self.kinds.get(step).copied().unwrap_or("");
        bar.set_prefix(format!("{:<width$}  {kind:<9}", step.as_str(), width = self.width));
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {prefix} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        self.live.insert(step.clone(), bar);
    }

    fn progress(&mut self, step: &StepId, done: u64, total: Option<u64>, unit: &str, text: &str) {
        let Some(bar) = self.live.get(step) else { return };
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

    fn clear(&mut self, step: &StepId) {
        if let Some(bar) = self.live.remove(step) {
            bar.finish_and_clear();
        }
    }

    fn end(&mut self) {
        for (_, bar) in self.live.drain() {
            bar.finish_and_clear();
        }
    }
}

/// What a step moved, where its outputs say it: `, 256 MiB at 110 MiB/s`.
fn moved(outcome: &Outcome, took_ms: u64) -> String {
    let Outcome::Done { outputs } = outcome else { return String::new() };
    match outputs.get("bytes").and_then(serde_json::Value::as_u64) {
        Some(count) if count > 0 && took_ms > 0 => format!(", {} at {}", bytes(count), rate(count, took_ms)),
        _ => String::new(),
    }
}
