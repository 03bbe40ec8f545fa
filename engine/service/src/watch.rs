//! What is counted, logged and traced of runs: one listener to what the engine tells. It may fall behind, and then counts less; no
//! run waits for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::outcome::Outcome;
use lifeboat_core::ports::{Direction, Store};
use lifeboat_runtime::{Engine, Notice};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};

use crate::about::{About, Abouts};
use crate::metrics::Metrics;
use crate::traces::{Tracer, Traces};
use crate::words::{end, outcome, step, word};

/// Runs that are known at once. Past it all are forgotten, and looked up again when they are told of.
const KNOWN_MAX: usize = 50_000;

/// A run that has not ended.
struct Known {
    about: Arc<About>,
    /// Attempts under way: since when.
    begun: BTreeMap<(StepId, bool), u64>,
    /// Whether it had ended before, and is only cleaned up.
    cleaned: bool,
    /// Whether it had failed before, and that was counted.
    ended: bool,
    tracer: Option<Tracer>,
}

/// The listener.
pub(crate) struct Watch {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    traces: Option<Traces>,
    abouts: Abouts,
    known: HashMap<RunId, Known>,
}

/// The listener at work.
pub(crate) struct Watching {
    end: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Watch>,
}

impl Watching {
    /// Lets it take in what was told so far, and send what is left.
    pub(crate) async fn finish(self) {
        let _ = self.end.send(());
        if let Ok(watch) = self.task.await
            && let Some(traces) = watch.traces
        {
            traces.finish().await;
        }
    }
}

impl Watch {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, traces: Option<Traces>) -> Self {
        Self { store, metrics, traces, abouts: Abouts::default(), known: HashMap::new() }
    }

    /// Begins to listen. To be called before anything is started.
    pub(crate) fn listen(mut self, engine: &Engine) -> Watching {
        let mut notices = engine.watch();
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                let told = tokio::select! {
                    biased;
                    told = notices.recv() => told,
                    _ = &mut ended => break,
                };
                match told {
                    Ok(notice) => self.told(notice).await,
                    Err(RecvError::Lagged(missed)) => self.missed(missed),
                    Err(RecvError::Closed) => break,
                }
            }
            self.rest(&mut notices).await;
            self
        });
        Watching { end, task }
    }

    /// What was told just before the end.
    async fn rest(&mut self, notices: &mut broadcast::Receiver<Notice>) {
        while let Ok(notice) = notices.try_recv() {
            self.told(notice).await;
        }
    }

    /// Something was missed: what was under way may not be any more.
    fn missed(&mut self, missed: u64) {
        tracing::debug!(missed, "too much happened at once; some of it is not counted");
        for known in self.known.values_mut() {
            known.begun.clear();
        }
        self.metrics.missed(missed);
    }

    async fn told(&mut self, notice: Notice) {
        match notice {
            Notice::Event { run, seq, event } => self.event(run, seq, &event).await,
            Notice::Log { run, step, level, message } => {
                // The level is the plugin's; the filter goes by ours.
                tracing::debug!(%run, %step, level, message, "a step says");
            }
            Notice::Progress { .. } => {}
        }
    }

    async fn event(&mut self, run: RunId, seq: u64, event: &Event) {
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        if let EventKind::RunCreated { plan, fingerprint, .. } = &event.kind {
            let about = self.abouts.of(plan, fingerprint);
            let tracer = self.traces.is_some().then(|| Tracer::new(run.clone(), Arc::clone(&about)));
            self.known
                .insert(run.clone(), Known { about, begun: BTreeMap::new(), cleaned: false, ended: false, tracer });
        } else if !self.known.contains_key(&run) {
            match self.look_up(&run, seq).await {
                Some(known) => self.known.insert(run.clone(), known),
                None => return,
            };
        }
        let Some(known) = self.known.get_mut(&run) else { return };
        log(&run, seq, known, event);
        count(&self.metrics, known, event);
        if let (Some(traces), Some(tracer)) = (&self.traces, &mut known.tracer) {
            traces.queue(tracer.take(event));
        }
        if end(&event.kind).is_some() {
            self.known.remove(&run);
        }
    }

    /// A run that was made before the service began, or that ended and was opened again.
    async fn look_up(&mut self, run: &RunId, before: u64) -> Option<Known> {
        let stored = match self.store.read(run, 0).await {
            Ok(stored) => stored,
            Err(cause) => {
                tracing::debug!(%run, "the run is not counted: {cause}");
                return None;
            }
        };
        let earlier = stored.iter().take_while(|event| event.seq < before);
        let mut events = earlier.filter_map(|stored| Event::decode(&stored.bytes).ok());
        let first = events.next()?;
        let EventKind::RunCreated { plan, fingerprint, .. } = &first.kind else { return None };
        let about = self.abouts.of(plan, fingerprint);
        let mut tracer = self.traces.is_some().then(|| Tracer::new(run.clone(), Arc::clone(&about)));
        let mut known = Known { about, begun: BTreeMap::new(), cleaned: false, ended: false, tracer: None };
        for event in std::iter::once(first).chain(events) {
            begin(&mut known, &event);
            // These were sent when they came about.
            let _ = tracer.as_mut().map(|tracer| tracer.take(&event));
        }
        Some(Known { tracer, ..known })
    }
}

/// Notes attempts under way. How long the one took that ended with this event.
fn begin(known: &mut Known, event: &Event) -> Option<u64> {
    match &event.kind {
        // A cleanup says nothing about how long a step takes.
        EventKind::AttemptStarted { direction: Direction::Cleanup, .. }
        | EventKind::AttemptFinished { direction: Direction::Cleanup, .. } => None,
        EventKind::AttemptStarted { step, direction, .. } => {
            known.begun.insert((step.clone(), *direction == Direction::Undo), event.at);
            None
        }
        EventKind::AttemptFinished { step, direction, .. } => {
            let since = known.begun.remove(&(step.clone(), *direction == Direction::Undo))?;
            Some(event.at.saturating_sub(since))
        }
        EventKind::CleanupStarted { said, .. } => {
            known.cleaned = said.is_some();
            None
        }
        EventKind::RunFinished { .. } => {
            known.ended = true;
            None
        }
        EventKind::StepRetried { .. } | EventKind::StepSkipped { .. } | EventKind::StepMarkedDone { .. } => {
            known.ended = false;
            None
        }
        _ => None,
    }
}

fn count(metrics: &Metrics, known: &mut Known, event: &Event) {
    let took = begin(known, event);
    let about = &known.about;
    if let (Some(took), EventKind::AttemptFinished { step, outcome: came, .. }) = (took, &event.kind) {
        let (kind, plugin) = about.step(step);
        metrics.stepped(&about.runbook, kind, plugin, outcome(came), took);
    }
    // What had failed was counted then, and another run goes on with it now.
    let counted = known.ended && matches!(event.kind, EventKind::RunContinued { .. });
    if let Some(result) = end(&event.kind).filter(|_| !known.cleaned && !counted) {
        metrics.ended(&about.runbook, about.mode.as_str(), result);
    }
}

/// One line an event: run, step, and what came of it. What people said, outputs and arguments are not logged.
fn log(run: &RunId, seq: u64, known: &Known, event: &Event) {
    let (runbook, mode) = (known.about.runbook.as_str(), known.about.mode.as_str());
    let (event_name, step) = (word(&event.kind), step(&event.kind).map(StepId::as_str));
    match &event.kind {
        EventKind::AttemptFinished { outcome: Outcome::Failed { failure }, number, .. } => {
            let code = failure.code.as_ref().map(ToString::to_string);
            tracing::warn!(%run, step, runbook, mode, seq, event = event_name, attempt = number, code, "the attempt failed: {}", failure.message);
        }
        EventKind::AttemptFinished { outcome: Outcome::Unknown { reason }, number, .. } => {
            tracing::warn!(%run, step, runbook, mode, seq, event = event_name, attempt = number, "nobody knows what came of the attempt: {reason}");
        }
        EventKind::AttemptStarted { number, .. } | EventKind::AttemptFinished { number, .. } => {
            tracing::info!(%run, step, runbook, mode, seq, event = event_name, attempt = number);
        }
        kind => {
            let result = end(kind);
            tracing::info!(%run, step, runbook, mode, seq, event = event_name, result);
        }
    }
}
