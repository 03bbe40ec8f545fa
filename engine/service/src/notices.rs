//! What people are told of the runs: it follows the engine, and puts what is news into the outbox. What was missed, by a crash or
//! by too much at once, is found again in the events of the runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::event::EventKind;
use lifeboat_core::ids::RunId;
use lifeboat_core::notify::About;
use lifeboat_core::plan::{Mode, Plan};
use lifeboat_core::state::RunState;
use lifeboat_notify::link::{LIFE_MS, Link};
use lifeboat_notify::{Dispatcher, Message, News, may_be_news, news};
use lifeboat_runtime::Notice;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::app::App;

/// Until when all events were looked at.
const SEEN: &str = "notify/seen";
/// How far before that it is looked again: the outbox knows what it has.
const AGAIN_MS: u64 = 3_600_000;
/// How often the objectives are looked at.
const TICK: Duration = Duration::from_secs(5);
/// How often it is noted until when all was looked at, in ticks.
const NOTED_EVERY: u32 = 12;

/// The objective of a run that has not ended.
struct Objective {
    since: u64,
    rto_ms: u64,
}

/// Follows the engine.
pub(crate) struct Notices {
    app: Arc<App>,
    objectives: BTreeMap<RunId, Objective>,
}

impl Notices {
    /// Follows the engine until it is gone. The receiver is to be made before anything is started.
    pub(crate) fn follow(app: &Arc<App>, mut notices: Receiver<Notice>) -> tokio::task::JoinHandle<()> {
        let mut this = Self { app: Arc::clone(app), objectives: BTreeMap::new() };
        tokio::spawn(async move {
            this.report(this.catch_up().await);
            let found = this.under_way().await;
            this.report(found);
            let mut tick = tokio::time::interval(TICK);
            let mut ticks = 0_u32;
            loop {
                tokio::select! {
                    notice = notices.recv() => match notice {
                        Ok(Notice::Event { run, event, .. }) => this.hear(&run, event.at, &event.kind).await,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => this.report(this.catch_up().await),
                        Err(RecvError::Closed) => return,
                    },
                    _ = tick.tick() => {
                        this.objectives().await;
                        ticks = ticks.wrapping_add(1);
                        if ticks.is_multiple_of(NOTED_EVERY) {
                            this.report(this.app.dispatcher.note(SEEN, this.app.now()).await);
                        }
                    }
                }
            }
        })
    }

    fn report(&self, done: Result<(), Error>) {
        if let Err(error) = done {
            tracing::error!("people cannot be told: {error}");
        }
    }

    async fn hear(&mut self, run: &RunId, at: u64, kind: &EventKind) {
        match kind {
            EventKind::RunCreated { plan, continues, .. } => {
                let since = continues.as_ref().map_or(at, |earlier| earlier.declared_at);
                self.watch(run, since, plan);
            }
            EventKind::RunFinished { .. } | EventKind::RunAbandoned { .. } | EventKind::RunContinued { .. } => {
                self.objectives.remove(run);
            }
            _ => {}
        }
        if may_be_news(kind) {
            self.report(tell(&self.app, run, 0).await);
        }
    }

    fn watch(&mut self, run: &RunId, since: u64, plan: &Plan) {
        if let (Some(rto_ms), true) = (plan.objectives.rto_ms, plan.mode != Mode::Drill) {
            self.objectives.insert(run.clone(), Objective { since, rto_ms });
        }
    }

    /// Looks at all runs that changed since the last time that is known.
    async fn catch_up(&self) -> Result<(), Error> {
        let now = self.app.now();
        let since = self.app.dispatcher.noted(SEEN).await?.unwrap_or(now).saturating_sub(AGAIN_MS);
        let changed = self.app.runs.look(|rows| {
            let changed = rows.iter().filter(|(_, row)| row.summary.updated_at >= since);
            changed.map(|(run, _)| run.clone()).collect::<Vec<_>>()
        });
        for run in changed.await? {
            // A run whose log is damaged does not keep the others from being told.
            self.report(tell(&self.app, &run, since).await);
        }
        self.app.dispatcher.note(SEEN, now).await
    }

    /// The objectives of runs that were taken up.
    async fn under_way(&mut self) -> Result<(), Error> {
        if !self.app.dispatcher.tells(About::RtoAtRisk) {
            return Ok(());
        }
        let open = self.app.runs.look(|rows| {
            let open = rows.iter().filter(|(_, row)| !row.summary.status.is_final() && row.summary.mode != Mode::Drill);
            open.map(|(run, _)| run.clone()).collect::<Vec<_>>()
        });
        for run in open.await? {
            if let Ok(loaded) = self.app.runs.engine.load(&run).await {
                self.watch(&run, loaded.state.declared_at(), &loaded.state.plan);
            }
        }
        Ok(())
    }

    /// Tells of runs that have used three quarters of their objective.
    async fn objectives(&mut self) {
        let now = self.app.now();
        let late = |objective: &Objective| now.saturating_sub(objective.since) >= objective.rto_ms / 4 * 3;
        let late: Vec<RunId> =
            self.objectives.iter().filter(|(_, objective)| late(objective)).map(|(run, _)| run.clone()).collect();
        for run in late {
            let told = tell_late(&self.app, &run, now).await;
            if told.is_ok() {
                self.objectives.remove(&run);
            }
            self.report(told);
        }
    }
}

async fn tell_late(app: &App, run: &RunId, now: u64) -> Result<(), Error> {
    let state = app.runs.engine.load(run).await?.state;
    if state.result.is_some() {
        return Ok(());
    }
    let news = News { seq: 1, at: now, about: About::RtoAtRisk, step: None, expires_at: None, because: Vec::new() };
    let key = format!("{run}/rto");
    app.dispatcher.tell(&key, &news.message(&state), &[], &|_| None).await
}

/// Puts what is news of a run, since then, into the outbox.
async fn tell(app: &App, run: &RunId, since: u64) -> Result<(), Error> {
    let loaded = app.runs.engine.load(run).await?;
    let (all, state) = news(&loaded.events)?;
    let dispatcher: &Dispatcher = &app.dispatcher;
    for one in all.iter().filter(|one| one.at >= since) {
        let key = format!("{run}/{}/{}", one.seq, one.about.as_str());
        let failed = matches!(one.about, About::Failed | About::DrillFailed);
        let besides = if failed { state.plan.on_failure.notify.as_slice() } else { &[] };
        let now = app.now();
        dispatcher.tell(&key, &one.message(&state), besides, &|person| link(&state, one, person, now)).await?;
    }
    Ok(())
}

/// The link of a person who may answer. Where the plan names who may, nobody else gets one.
fn link(state: &RunState, news: &News, person: &str, now: u64) -> Option<Link> {
    let step = news.step.as_ref().filter(|_| news.about == About::Approval)?;
    let approval = state.plan.step(step)?.approval.as_ref()?;
    if !approval.people.is_empty() && !approval.people.iter().any(|name| name == person) {
        return None;
    }
    let end = now.saturating_add(LIFE_MS);
    Some(Link {
        run: state.run.clone(),
        step: step.clone(),
        seq: news.seq,
        fingerprint: state.fingerprint.clone(),
        person: person.to_owned(),
        until: news.expires_at.map_or(end, |at| at.min(end)),
    })
}

/// Tells that what starts runs by itself needs a person. `key` names the matter: it is told once.
pub(crate) async fn tell_automation(app: &App, key: &str, runbook: &str, text: &str) -> Result<(), Error> {
    let title = format!("{runbook}: what starts it by itself needs a person");
    let message = Message {
        id: key.to_owned(),
        runbook: runbook.to_owned(),
        ..Message::new(About::Automation, app.now(), &title, text)
    };
    app.dispatcher.tell(&format!("automation/{key}"), &message, &[], &|_| None).await
}
