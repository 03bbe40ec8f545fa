//! Schedules: looked at once a second, each by itself. What was decided, and the name of the run that begins, is durable before anything is
//! started; so after a crash the same run is made, or found.

mod kept;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::event::Said;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::Store;
use lifeboat_schedule::{Cause, Decision, Start, State, decide};
use tokio::task::JoinHandle;

use self::kept::{Kept, Planned};
use crate::app::App;
use crate::held::lock;
use crate::intake::Door;
use crate::workshop::ScheduleRule;

pub use self::kept::Decided;

/// How long the start of a run is tried before it is given up.
const GIVE_UP_MS: u64 = 30_000;

/// A schedule between two looks at it.
#[derive(Default)]
struct Held {
    /// What is kept of it, with the version of its document; `None`: it has to be read.
    kept: Option<(u64, Kept)>,
    /// When the start of the run was first tried that is about to be made.
    since: Option<(u64, u64)>,
}

/// All schedules.
pub(crate) struct Schedules {
    store: Arc<dyn Store>,
    held: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Held>>>>,
}

/// What is shown of a schedule.
pub(crate) struct Shown {
    pub(crate) decided: Vec<Decided>,
    pub(crate) waiting_ms: Option<u64>,
    pub(crate) last: Option<RunId>,
}

impl Schedules {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, held: Mutex::default() }
    }

    fn held(&self, name: &str) -> Arc<tokio::sync::Mutex<Held>> {
        let mut held = lock(&self.held);
        Arc::clone(held.entry(name.to_owned()).or_default())
    }

    fn retain(&self, names: &[ScheduleRule]) {
        let mut held = lock(&self.held);
        held.retain(|name, _| names.iter().any(|one| one.rule.name() == name));
    }

    /// What is kept of a schedule, its decisions newest first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn shown(&self, name: &str) -> Result<Shown, Error> {
        let Some((_, kept)) = kept::read(&self.store, name).await? else {
            return Ok(Shown { decided: Vec::new(), waiting_ms: None, last: None });
        };
        let waiting_ms = kept.state.waiting_ms();
        Ok(Shown { decided: kept.decided.into_iter().rev().collect(), waiting_ms, last: kept.last })
    }
}

/// Begins to look at schedules.
pub(crate) fn begin(app: &Arc<App>) -> JoinHandle<()> {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if app.is_stopping() {
                return;
            }
            let all = app.library.schedules();
            app.schedules.retain(&all);
            for one in all.iter().cloned() {
                let (app, held) = (Arc::clone(&app), app.schedules.held(one.rule.name()));
                tokio::spawn(async move {
                    // Where the last look still goes on, this one is not needed.
                    let Ok(mut held) = held.try_lock() else { return };
                    if let Err(error) = look(&app, &one, &mut held).await {
                        tracing::error!(schedule = one.rule.name(), "the schedule cannot be looked at: {error}");
                        held.kept = None;
                    }
                });
            }
        }
    })
}

/// Looks at a schedule once.
async fn look(app: &Arc<App>, one: &ScheduleRule, held: &mut Held) -> Result<(), Error> {
    let store = &app.schedules.store;
    let now = app.now();
    let (mut version, mut kept) = match held.kept.take() {
        Some(kept) => kept,
        None => match kept::read(store, one.rule.name()).await? {
            Some(kept) => kept,
            None => {
                let kept = Kept::new(one.rule.name(), State::new(&one.rule, now));
                (kept::write(store, 0, &kept).await?, kept)
            }
        },
    };
    let running = running(app, &kept).await?;
    let (state, decisions) = decide(&one.rule, &kept.state, now, running.as_ref().map(RunId::as_str));
    kept.state = state;
    let known =
        |planned: &Option<Planned>, start: &Start| planned.as_ref().is_some_and(|one| one.due_ms == start.due_ms);
    let mut news = false;
    for decision in decisions {
        if let Decision::Fire(start) = &decision {
            if known(&kept.planned, start) {
                continue;
            }
            kept.planned = Some(Planned { due_ms: start.due_ms, run: app.runs.engine.new_run() });
        }
        news = true;
        count(app, &decision);
        kept.note(Decided { at: now, decision, made: None, failed: None });
    }
    if news {
        version = kept::write(store, version, &kept).await?;
    }
    if let Some(planned) = kept.planned.clone()
        && let Some(ended) = start(app, one, &mut kept, &planned, &mut held.since).await?
    {
        kept.state.settled(planned.due_ms);
        kept.planned = None;
        if let Some(decided) = kept.firing(planned.due_ms) {
            match &ended {
                Ok(run) => decided.made = Some(run.clone()),
                Err(reason) => decided.failed = Some(reason.clone()),
            }
        }
        if let Ok(run) = ended {
            kept.last = Some(run);
        }
        version = kept::write(store, version, &kept).await?;
        held.since = None;
    }
    held.kept = Some((version, kept));
    Ok(())
}

/// The run of this schedule that has not ended.
async fn running(app: &App, kept: &Kept) -> Result<Option<RunId>, Error> {
    let Some(last) = &kept.last else { return Ok(None) };
    match app.runs.row(last).await {
        Ok(row) => Ok(Some(last.clone()).filter(|_| !row.summary.status.is_final())),
        // It was cut off by a repair.
        Err(error) if error.code.0 == "LB0501" => Ok(None),
        Err(error) => Err(error),
    }
}

fn count(app: &App, decision: &Decision) {
    let (word, count) = match decision {
        Decision::Fire(_) => ("fire", 1),
        Decision::Wait { .. } => ("wait", 1),
        Decision::Skipped { .. } => ("skipped", 1),
        Decision::Missed { count, .. } => ("missed", u64::from(*count)),
        Decision::Changed { .. } => ("changed", 1),
    };
    app.metrics.scheduled(word, count);
}

/// Makes the run, or finds it. `None`: it is tried again at the next look.
async fn start(
    app: &Arc<App>,
    one: &ScheduleRule,
    kept: &mut Kept,
    planned: &Planned,
    since: &mut Option<(u64, u64)>,
) -> Result<Option<Result<RunId, String>>, Error> {
    let door = Door::new(Arc::clone(app));
    if door.goes_on(&planned.run).await? {
        return Ok(Some(Ok(planned.run.clone())));
    }
    let cause = kept.firing(planned.due_ms).map(|one| one.decision.clone());
    let why = match cause {
        Some(Decision::Fire(Start { cause: Cause::Waited, .. })) => ", and waited for the run before",
        Some(Decision::Fire(Start { cause: Cause::Missed, .. })) => ", and was missed: no service was there",
        _ => "",
    };
    let why = format!("it was due at {}{why}", one.rule.local(planned.due_ms));
    let said = Said { by: format!("schedule {}", one.rule.name()), why };
    let made = door.start(planned.run.clone(), &one.runbook, one.mode, &std::collections::BTreeMap::new(), said).await;
    let Err(error) = made else { return Ok(Some(Ok(planned.run.clone()))) };
    tracing::error!(schedule = one.rule.name(), "its run could not be made: {error}");
    // A store that lost its answer may have made it.
    if door.goes_on(&planned.run).await? {
        return Ok(Some(Ok(planned.run.clone())));
    }
    let now = app.now();
    let first = match *since {
        Some((due, first)) if due == planned.due_ms => first,
        _ => now,
    };
    *since = Some((planned.due_ms, first));
    if now.saturating_sub(first) < GIVE_UP_MS || app.is_stopping() {
        return Ok(None);
    }
    app.metrics.scheduled("failed", 1);
    Ok(Some(Err(format!("{}: {}", error.code, error.message))))
}
