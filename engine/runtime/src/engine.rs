//! The engine: makes runs, takes them up again, and hands out handles on their actors.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_core::documents::told;
use lifeboat_core::event::{Event, EventKind, Said};
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::limits::RUNS_QUEUED_MAX;
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::{Append, Clock, Rng, RunHead, StepExecutor, Store, StoredEvent};
use lifeboat_core::state::{Heading, Phase, RunState, Summary};
use lifeboat_core::{Error, apply};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::actor::{Actor, Inbox};
use crate::closing::Closing;
use crate::locks::Locks;
use crate::notice::{Asked, Notice, Rest, Verb};
use crate::places::Places;
use crate::rooms::{Room, Rooms};
use crate::takeover::HandOver;

/// Notices that a slow watcher may be behind before it misses some.
const NOTICES_KEPT: usize = 4_096;

/// What an engine is made of.
pub struct EngineParts {
    /// Where events are kept.
    pub store: Arc<dyn Store>,
    /// What carries attempts out.
    pub executor: Arc<dyn StepExecutor>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// How many attempts of all runs may be under way at once.
    pub max_parallel: usize,
    /// What is written as the maker of new runs: `lifeboat 0.1.0`.
    pub version: String,
}

pub(crate) struct Inner {
    pub(crate) parts: EngineParts,
    pub(crate) places: Arc<Places>,
    pub(crate) locks: Arc<Locks>,
    pub(crate) rooms: Rooms,
    /// Runs that wait for room.
    queued: AtomicUsize,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) closing: watch::Sender<Closing>,
}

/// Carries runs out. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

/// A run as it is stored.
pub struct Loaded {
    /// Its state.
    pub state: RunState,
    /// Its events, oldest first.
    pub events: Vec<Event>,
    /// What the store knows of it.
    pub head: RunHead,
}

/// A run whose actor lives in this engine. The actor ends when all handles are dropped and the run rests.
#[derive(Clone)]
pub struct RunHandle {
    run: RunId,
    inbox: mpsc::UnboundedSender<Inbox>,
    rest: watch::Receiver<Option<Rest>>,
}

impl Engine {
    /// An engine of these parts. Nothing is started yet.
    pub fn new(parts: EngineParts) -> Self {
        let places = Places::new(parts.max_parallel);
        let (notices, _) = broadcast::channel(NOTICES_KEPT);
        let locks = Locks::new(Arc::clone(&parts.store));
        let (closing, _) = watch::channel(Closing::Open);
        let inner = Inner { parts, places, locks, rooms: Rooms::new(), queued: AtomicUsize::new(0), notices, closing };
        Self { inner: Arc::new(inner) }
    }

    /// All that happens from now on, in all runs.
    pub fn watch(&self) -> broadcast::Receiver<Notice> {
        self.inner.notices.subscribe()
    }

    /// Makes a run of a plan and starts it. The run exists when this returns.
    ///
    /// # Errors
    /// `LB0503` when the plan is not one that can run; `LB0510` when too many runs wait for room; the store's errors.
    pub async fn submit(&self, plan: Plan, runbook: String, said: Said) -> Result<RunHandle, Error> {
        self.submit_as(self.new_run(), plan, runbook, said).await
    }

    /// A name for a run that is to be made.
    pub fn new_run(&self) -> RunId {
        RunId::new(self.inner.parts.clock.now_ms(), self.inner.parts.rng.next_u64())
    }

    /// [`Engine::submit`] under a name that was noted before: who crashes in between finds out by the name whether the run was
    /// made.
    ///
    /// # Errors
    /// As [`Engine::submit`]; `LB0601` when there is a run of that name.
    pub async fn submit_as(&self, run: RunId, plan: Plan, runbook: String, said: Said) -> Result<RunHandle, Error> {
        self.submit_detected(run, plan, runbook, said, None).await
    }

    /// [`Engine::submit_as`] for a run that an alert starts: the recovery time counts from `detected_at`, the moment when the
    /// alert began.
    ///
    /// # Errors
    /// As [`Engine::submit_as`].
    pub async fn submit_detected(
        &self,
        run: RunId,
        plan: Plan,
        runbook: String,
        said: Said,
        detected_at: Option<u64>,
    ) -> Result<RunHandle, Error> {
        let parts = &self.inner.parts;
        let queued = self.inner.queued.load(Ordering::Acquire);
        if queued >= RUNS_QUEUED_MAX {
            return Err(Error::new("LB0510", format!("{queued} runs wait for room; no more are taken"))
                .hint("wait for some of them to end, or cancel them; 'lifeboat runs' lists them"));
        }
        let fingerprint = plan.fingerprint();
        let kind = EventKind::RunCreated {
            run,
            plan: Box::new(plan),
            fingerprint,
            runbook,
            engine: parts.version.clone(),
            detected_at,
            continues: None,
            said,
        };
        self.begin(Event::new(parts.clock.now_ms(), kind)).await
    }

    /// Makes a run of its first event, and starts it.
    pub(crate) async fn begin(&self, event: Event) -> Result<RunHandle, Error> {
        let parts = &self.inner.parts;
        let state = apply::create(&event)?;
        let (run, summary) = (state.run.clone(), summary(&state)?);
        let append = Append { run, expected: 0, epoch: 1, events: vec![event.encode()?], summary };
        parts.store.append(append).await.map_err(told)?;
        let _ = self.inner.notices.send(Notice::Event { run: state.run.clone(), seq: 1, event: Arc::new(event) });
        Ok(self.spawn(state, 1, false, None))
    }

    /// Takes a run up again: after a crash, a stop, or to speak a verb on it. Where it was decided that another run goes on with it,
    /// and that one is not there yet, it is made, and the handle is on that one.
    ///
    /// # Errors
    /// `LB0501` no such run; `LB0503` its log is damaged; `LB0701` or `LB0702` a plugin that its plan pins is not there, and
    /// nothing was begun; the store's errors.
    pub async fn resume(&self, run: &RunId) -> Result<RunHandle, Error> {
        self.go_on(self.load(run).await?).await
    }

    /// Gives a run that was read its actor, if all is there that it needs.
    pub(crate) async fn go_on(&self, loaded: Loaded) -> Result<RunHandle, Error> {
        if loaded.state.continued_as.is_some()
            && let Some(successor) = self.make_successor(&loaded).await?
        {
            return Ok(successor);
        }
        self.ready(&loaded.state).map_err(|error| *error)?;
        Ok(self.spawn(loaded.state, loaded.head.epoch + 1, true, None))
    }

    /// Takes a run up again to speak a verb on it: the verb comes first, and nothing is begun before it. So a run that is
    /// taken up to be paused or abandoned does not run on for a step. To end a run without undoing it, none of its plugins
    /// has to be there.
    ///
    /// # Errors
    /// As [`Engine::resume`] and [`RunHandle::say`]; a refused verb leaves the run as it is, and nobody carries it on.
    pub async fn resume_saying(&self, run: &RunId, verb: Verb, said: Said) -> Result<RunHandle, Error> {
        let loaded = self.load(run).await?;
        if !matches!(verb, Verb::Cancel { compensate: false } | Verb::Abandon) {
            self.ready(&loaded.state).map_err(|error| *error)?;
        }
        let (answer, wait) = oneshot::channel();
        let first = Inbox::First(Asked { verb, said }, answer);
        let handle = self.spawn(loaded.state, loaded.head.epoch + 1, true, Some(first));
        wait.await.map_err(|_| actor_gone(run))??;
        Ok(handle)
    }

    /// Whether everything is there that the run needs to go on; a run that has ended needs nothing.
    ///
    /// # Errors
    /// `LB0701` or `LB0702`, with the run in its words.
    pub fn ready(&self, state: &RunState) -> Result<(), Box<Error>> {
        if state.result.is_some() {
            return Ok(());
        }
        let run = &state.run;
        self.inner.parts.executor.ready(&state.plan).map_err(|error| {
            let message = format!("run {run} cannot go on: {}", error.message);
            Box::new(Error { message, ..error }.with("run", run))
        })
    }

    /// Reads a run.
    ///
    /// # Errors
    /// `LB0501` no such run; `LB0503` its log is damaged; the store's errors.
    pub async fn load(&self, run: &RunId) -> Result<Loaded, Error> {
        let store = &self.inner.parts.store;
        let head = store.head(run).await.map_err(told)?;
        let head = head.ok_or_else(|| {
            Error::new("LB0501", format!("there is no run '{run}'"))
                .hint("'lifeboat runs' lists the runs of this data folder")
        })?;
        let stored = store.read(run, 0).await.map_err(told)?;
        let decode = |event: &StoredEvent| Event::decode(&event.bytes).map_err(|error| error.with("event", event.seq));
        let events = stored.iter().map(decode).collect::<Result<Vec<_>, _>>();
        let events = events.map_err(|error| error.with("run", run))?;
        let state = apply::replay(&events).map_err(|error| error.with("run", run))?;
        Ok(Loaded { state, events, head })
    }

    /// How many runs wait for room.
    pub fn queued(&self) -> usize {
        self.inner.queued.load(Ordering::Acquire)
    }

    /// The runs that have not ended, oldest first, and those that another one was to go on with that is not there yet.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn unfinished(&self) -> Result<Vec<(RunId, Summary)>, Error> {
        let heads = self.inner.parts.store.list().await.map_err(told)?;
        let read = |head: RunHead| Some((head.run, serde_json::from_slice::<Summary>(&head.summary).ok()?));
        let known: BTreeSet<RunId> = heads.iter().map(|head| head.run.clone()).collect();
        let goes_on = |summary: &Summary| match &summary.continued_as {
            Some(successor) => !known.contains(successor),
            None => !summary.status.is_final(),
        };
        Ok(heads.into_iter().filter_map(read).filter(|(_, summary)| goes_on(summary)).collect())
    }

    /// Gives the run its actor. Where there is no room now, its state leaves the memory until there is.
    fn spawn(&self, state: RunState, epoch: u64, recovering: bool, first: Option<Inbox>) -> RunHandle {
        let (inbox, messages) = mpsc::unbounded_channel();
        // The receiver is at hand, so this cannot fail.
        if let Some(first) = first {
            let _ = inbox.send(first);
        }
        let (rests, rest) = watch::channel(None);
        let run = state.run.clone();
        self.inner.locks.note(&run, Some(true));
        let handle = RunHandle { run: run.clone(), inbox, rest };
        let steps = state.plan.steps.len();
        if let Some(room) = self.inner.rooms.try_enter(steps) {
            let actor = Actor::new(Arc::clone(&self.inner), state, epoch, messages, rests);
            tokio::spawn(actor.live(recovering, room));
            return handle;
        }
        drop(state);
        self.inner.queued.fetch_add(1, Ordering::AcqRel);
        let engine = self.clone();
        tokio::spawn(async move {
            let room: Room = engine.inner.rooms.enter(steps).await;
            engine.inner.queued.fetch_sub(1, Ordering::AcqRel);
            match engine.load(&run).await {
                Ok(loaded) => {
                    Actor::new(engine.inner, loaded.state, epoch, messages, rests).live(recovering, room).await;
                }
                Err(error) => {
                    engine.inner.locks.note(&run, None);
                    rests.send_replace(Some(Rest::Stopped(error)));
                }
            }
        });
        handle
    }
}

pub(crate) fn summary(state: &RunState) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&Summary::of(state))
        .map_err(|cause| Error::new("LB0503", "a summary cannot be written as JSON").with("cause", cause))
}

impl RunHandle {
    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Waits until the run rests: it ended, it waits for a person, or its actor had to stop.
    pub async fn rest(&mut self) -> Rest {
        let found = self.rest.wait_for(Option::is_some).await;
        let rest = found.ok().and_then(|rest| rest.clone());
        rest.unwrap_or_else(|| Rest::Stopped(actor_gone(&self.run)))
    }

    /// Whether the run's actor still lives. Where it has ended, [`Engine::resume_saying`] speaks a verb.
    pub fn is_live(&self) -> bool {
        !self.inbox.is_closed()
    }

    /// Where the run rests now; `None` while it goes on.
    pub fn resting(&self) -> Option<Rest> {
        self.rest.borrow().clone()
    }

    /// Waits until another rest is told, or none. False when its actor has ended, and nothing will change any more.
    pub async fn changed(&mut self) -> bool {
        self.rest.changed().await.is_ok()
    }

    /// Speaks a verb. When this returns, it is durable.
    ///
    /// # Errors
    /// What [`lifeboat_core::decide`] refuses; the store's errors.
    pub async fn say(&self, verb: Verb, said: Said) -> Result<(), Error> {
        let (answer, wait) = oneshot::channel();
        self.inbox.send(Inbox::Asked(Asked { verb, said }, answer)).map_err(|_| actor_gone(&self.run))?;
        wait.await.map_err(|_| actor_gone(&self.run))?
    }

    pub(crate) async fn hand_over(&self, to: HandOver) -> Result<(), Error> {
        let (answer, wait) = oneshot::channel();
        self.inbox.send(Inbox::HandOver(Box::new(to), answer)).map_err(|_| actor_gone(&self.run))?;
        wait.await.map_err(|_| actor_gone(&self.run))?
    }

    /// Asks the attempts of a paused run to stop; who does not is stopped a while later. What is not known then is asked about.
    pub(crate) fn settle(&self) {
        // A run whose actor has ended has no attempts.
        let _ = self.inbox.send(Inbox::Settle);
    }

    /// The steps that a person has to see to, with the plan's fingerprint, from the state at rest.
    pub fn asking(state: &RunState) -> Vec<StepId> {
        let unwinding = matches!(state.heading, Heading::Unwinding { .. } | Heading::Cleaning { .. });
        let asks = |phase: &Phase| match phase {
            // A question that was overtaken by the unwinding, or by the end, is nobody's to answer.
            Phase::Approval { .. } | Phase::Asking { .. } | Phase::Suspect { .. } => {
                state.result.is_none() && !unwinding
            }
            Phase::UndoFailed { .. } => state.result.is_none(),
            _ => false,
        };
        state.steps().filter(|(_, now)| asks(&now.phase)).map(|(step, _)| step.id.clone()).collect()
    }
}

fn actor_gone(run: &RunId) -> Error {
    Error::new("LB0502", format!("run '{run}' is not being carried out any more"))
        .hint("'lifeboat show' tells its state, 'lifeboat resume' takes it up again")
}
