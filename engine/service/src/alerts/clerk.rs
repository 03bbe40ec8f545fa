//! The clerk who deals with alerts: one task, so that there is one order of all that happens.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_alerts::kernel::{Decision, Fact, IncidentId, Phase, Trigger};
use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_runtime::Notice;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::book::{Came, Round};
use super::carry::{self, Carried};
use super::desk::{Answered, Ask, Reply, Task, unknown};
use super::ledger::Ledger;
use super::tally::Tally;
use super::writing::{Writing, may, would};
use crate::app::App;
use crate::held::lock;

/// Messages of one round, and alerts of them.
const ROUND: (usize, usize) = (256, 2_000);
/// How often all runs of incidents are looked at anew, whatever was heard of them.
const LOOK_ALL_MS: u64 = 60_000;

/// Who deals with what arrives.
struct Clerk {
    app: Arc<App>,
    ledger: Option<Ledger>,
    /// What is being carried out, or is not to be tried before its time.
    busy: HashMap<Task, Option<u64>>,
    /// When the start of a run was first tried.
    since: HashMap<u64, u64>,
    looked_ms: u64,
}

/// Begins to deal with alerts.
pub(crate) async fn begin(app: &Arc<App>) -> Vec<JoinHandle<()>> {
    let Some(inbox) = lock(&app.alerts.inbox).take() else { return Vec::new() };
    let mut notices = app.runs.engine.watch();
    let desk = Arc::clone(app);
    let ears = tokio::spawn(async move {
        loop {
            match notices.recv().await {
                Ok(Notice::Event { run, event, .. }) => {
                    if let Some(fact) = desk.alerts.watch.heard(&run, &event)
                        && desk.alerts.asks.send(Ask::Fact(fact)).await.is_err()
                    {
                        return;
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => desk.alerts.watch.clear(),
                Err(RecvError::Closed) => return,
            }
        }
    });
    let mut clerk =
        Clerk { app: Arc::clone(app), ledger: None, busy: HashMap::new(), since: HashMap::new(), looked_ms: 0 };
    if let Err(error) = clerk.load().await {
        // It is tried again at every round; the rest of the service goes on.
        tracing::error!("the record of alerts cannot be read: {error}");
    }
    vec![ears, tokio::spawn(clerk.work(inbox))]
}

/// Who waits for an answer, and what it is.
type Answers = Vec<(Reply, Result<Vec<Answered>, Error>)>;

impl Clerk {
    async fn work(mut self, mut inbox: mpsc::Receiver<Ask>) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut asks = Vec::new();
            let tick = tokio::select! {
                ask = inbox.recv() => match ask {
                    Some(ask) => { asks.push(ask); false }
                    None => return,
                },
                _ = ticks.tick() => true,
            };
            let weight = |ask: &Ask| if let Ask::Batch { batch, .. } = ask { batch.alerts.len() } else { 1 };
            let mut alerts: usize = asks.iter().map(weight).sum();
            while asks.len() < ROUND.0 && alerts < ROUND.1 {
                let Ok(ask) = inbox.try_recv() else { break };
                alerts += weight(&ask);
                asks.push(ask);
            }
            let stop = asks.iter().position(|ask| matches!(ask, Ask::Stop(_))).map(|at| asks.swap_remove(at));
            self.round(asks, tick, stop.is_some()).await;
            if let Some(Ask::Stop(done)) = stop {
                // Who asked may be gone.
                let _ = done.send(());
                return;
            }
        }
    }

    async fn load(&mut self) -> Result<(), Error> {
        let desk = &self.app.alerts;
        let (ledger, mut book) = Ledger::load(Arc::clone(&desk.store)).await?;
        let (now, mut seen) = (self.app.now(), lock(&desk.seen));
        for signed in std::mem::take(&mut book.came).iter().filter_map(Came::signed) {
            if signed.until_ms > now {
                // What is there twice is there.
                let _ = seen.take(&signed, now);
            }
        }
        *lock(&desk.tally) = Tally::default();
        *lock(&desk.book) = Some(book);
        desk.watch.clear();
        self.busy.retain(|_, again| again.is_none());
        self.ledger = Some(ledger);
        Ok(())
    }

    async fn round(&mut self, asks: Vec<Ask>, tick: bool, last: bool) {
        if self.ledger.is_none()
            && let Err(error) = self.load().await
        {
            tracing::error!("the record of alerts cannot be read: {error}");
            *lock(&self.app.alerts.book) = None;
            for ask in asks {
                match ask {
                    Ask::Batch { reply, .. } | Ask::NoNews { reply, .. } | Ask::Close { reply, .. } => {
                        // Who asked may be gone.
                        let _ = reply.send(Err(unknown().with("cause", &error.code)));
                    }
                    Ask::Carried { what, .. } => drop(self.busy.remove(&what)),
                    Ask::Fact(_) | Ask::Stop(_) => {}
                }
            }
            return;
        }
        let app = Arc::clone(&self.app);
        let (round, answers) = self.decide(asks, tick, last);
        if !round.is_empty()
            && let Some(ledger) = &mut self.ledger
            && let Err(error) = ledger.write(&round, || app.alerts.snapshot()).await
        {
            tracing::error!("what was said of alerts cannot be made durable: {error}");
            self.ledger = None;
            *lock(&app.alerts.book) = None;
            for (reply, _) in answers {
                // Who asked may be gone.
                let _ = reply.send(Err(error.clone()));
            }
            return;
        }
        for (reply, answer) in answers {
            let _ = reply.send(answer);
        }
        if !last && (tick || !round.events.is_empty()) {
            self.carry_out(tick);
        }
    }

    /// Decides on all that was asked. What follows is taken in at once; if it cannot be stored, all is loaded anew.
    fn decide(&mut self, asks: Vec<Ask>, tick: bool, last: bool) -> (Round, Answers) {
        let (app, now) = (Arc::clone(&self.app), self.app.now());
        let triggers = app.library.triggers();
        let (mut book, mut tally) = (lock(&app.alerts.book), lock(&app.alerts.tally));
        let book = book.get_or_insert_default();
        let mut desk = Writing::new(&app, now, book, &mut tally);
        let mut answers = Vec::new();
        for ask in asks {
            match ask {
                Ask::Batch { batch, signed, by, reply } => {
                    desk.round.came.extend(signed.as_ref().map(Came::of));
                    let mine = triggers.iter().filter(|one| by.as_ref().is_none_or(|by| may(by, &one.trigger)));
                    let (on, off): (Vec<_>, Vec<_>) = mine.partition(|one| one.allowed);
                    let on: Vec<Trigger> = on.into_iter().map(|one| one.trigger.clone()).collect();
                    let off = off.into_iter().find(|one| would(&one.trigger, &batch)).map(|one| &*one.trigger.runbook);
                    let source = batch.source.clone();
                    answers.push((reply, Ok(desk.fact(&Fact::Alerts(batch), &on, &source, off))));
                }
                Ask::NoNews { source, reason, signed, reply } => {
                    desk.round.came.extend(signed.as_ref().map(Came::of));
                    answers.push((reply, Ok(vec![desk.no_news(&source, reason)])));
                }
                Ask::Close { number, by, why, reply } => answers.push((reply, desk.close(number, by, why))),
                Ask::Fact(fact) => drop(desk.fact(&fact, &[], "", None)),
                Ask::Carried { what, carried } => {
                    self.busy.insert(what, Some(now.saturating_add(carried.again_ms)));
                    carried.facts.iter().for_each(|fact| drop(desk.fact(fact, &[], "", None)));
                }
                Ask::Stop(_) => {}
            }
        }
        if tick || last {
            desk.fact(&Fact::Tick, &[], "", None);
            desk.strangers(std::mem::take(&mut *lock(&app.alerts.strangers)).into_values(), last);
        }
        (desk.round, answers)
    }

    /// Begins what is to be done and is not being done.
    fn carry_out(&mut self, tick: bool) {
        let app = Arc::clone(&self.app);
        let now = app.now();
        if tick && now.saturating_sub(self.looked_ms) >= LOOK_ALL_MS {
            self.looked_ms = now;
            app.alerts.watch.clear();
        }
        let (pending, planned) = {
            let book = lock(&app.alerts.book);
            let Some(book) = book.as_ref() else { return };
            (book.state.pending(), book.planned.clone())
        };
        let mut wanted = HashSet::new();
        for decision in pending {
            let what = match &decision {
                Decision::Start { incident, .. } => (incident.serial, "start"),
                Decision::Abort { incident, .. } => (incident.serial, "abort"),
                Decision::Page { incident, .. } => (incident.serial, "page"),
                Decision::Attach { .. } => continue,
            };
            wanted.insert(what);
            if self.free(what, now) {
                let since = *self.since.entry(what.0).or_insert(now);
                let run = planned.get(&what.0).cloned();
                self.go(what, carry::carry(Arc::clone(&app), decision, run, since));
            }
        }
        self.look_after(&app, now, &mut wanted);
        self.busy.retain(|what, again| again.is_none() || wanted.contains(what));
        self.since.retain(|serial, _| wanted.contains(&(*serial, "start")));
    }

    /// Looks after the runs that are under way, and no others.
    fn look_after(&mut self, app: &Arc<App>, now: u64, wanted: &mut HashSet<Task>) {
        let running: Vec<(IncidentId, String)> = {
            let book = lock(&app.alerts.book);
            let incidents = book.iter().flat_map(|book| book.state.incidents());
            let running = incidents.filter(|found| matches!(found.phase, Phase::Running { .. }));
            running.filter_map(|found| Some((found.id.clone(), found.run()?.to_owned()))).collect()
        };
        app.alerts.watch.retain(|incident| running.iter().any(|(id, _)| id == incident));
        for (incident, run) in running {
            let what = (incident.serial, "look");
            wanted.insert(what);
            let known = RunId::parse(&run).is_ok_and(|run| app.alerts.watch.knows(&run));
            if !known && self.free(what, now) {
                self.go(what, carry::look(Arc::clone(app), incident, run));
            }
        }
    }

    fn free(&self, what: Task, now: u64) -> bool {
        match self.busy.get(&what) {
            None => true,
            Some(again) => again.is_some_and(|again| again <= now),
        }
    }

    fn go(&mut self, what: Task, work: impl Future<Output = Carried> + Send + 'static) {
        self.busy.insert(what, None);
        let app = Arc::clone(&self.app);
        let work = tokio::spawn(work);
        tokio::spawn(async move {
            // What came to a sudden end is tried again.
            let carried = work.await.unwrap_or_else(|_| Carried { facts: Vec::new(), again_ms: LOOK_ALL_MS });
            // The clerk may have stopped; the next one does it again.
            let _ = app.alerts.asks.send(Ask::Carried { what, carried }).await;
        });
    }
}
