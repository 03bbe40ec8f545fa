//! The runs of the service: who carries them on, and what a list shows of them without reading their logs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lifeboat_core::Error;
use lifeboat_core::documents::told;
use lifeboat_core::event::{EventKind, Said};
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::{RunHead, Store, StoredEvent};
use lifeboat_core::state::{RunStatus, Summary};
use lifeboat_runtime::{Engine, Loaded, Notice, Rest, RunHandle, Verb, resume_all};
use tokio::sync::broadcast::error::RecvError;

use crate::held::lock;

/// Verbs that may be spoken at once, to different runs: two runs that share one of these wait for each other.
const TURNS: usize = 256;

/// What a list shows of a run.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) summary: Summary,
}

#[derive(Default)]
struct Index {
    rows: BTreeMap<RunId, Row>,
    /// Runs that changed since their row was read.
    stale: BTreeSet<RunId>,
    /// Whether something was missed, and all has to be read.
    all_stale: bool,
}

/// The runs.
pub(crate) struct Runs {
    pub(crate) engine: Engine,
    store: Arc<dyn Store>,
    /// The handles, each with a number of its own: a run that was taken up anew has another one.
    live: Mutex<HashMap<RunId, (u64, RunHandle)>>,
    taken: AtomicU64,
    /// Why nobody carries a run on that has not ended.
    stopped: Mutex<BTreeMap<RunId, Error>>,
    index: Mutex<Index>,
    turns: [tokio::sync::Mutex<()>; TURNS],
}

/// The only one who speaks to a run, until it is dropped.
pub(crate) struct Turn<'a> {
    runs: &'a Arc<Runs>,
    run: RunId,
    _guard: tokio::sync::MutexGuard<'a, ()>,
}

fn row(head: &RunHead) -> Option<Row> {
    Some(Row { seq: head.seq, summary: serde_json::from_slice(&head.summary).ok()? })
}

/// What is known of a run before its head is read.
fn first_row(plan: &Plan, at: u64) -> Row {
    let summary = Summary {
        runbook: plan.runbook.chars().take(200).collect(),
        mode: plan.mode,
        status: RunStatus::Running,
        complete: 0,
        steps: plan.steps.len(),
        created_at: at,
        updated_at: at,
        finished_at: None,
        left: 0,
        left_until: None,
        continues: None,
        declared_at: None,
        continued_as: None,
    };
    Row { seq: 1, summary }
}

impl Runs {
    pub(crate) fn new(engine: Engine, store: Arc<dyn Store>) -> Arc<Self> {
        let index = Index { all_stale: true, ..Index::default() };
        Arc::new(Self {
            engine,
            store,
            live: Mutex::default(),
            taken: AtomicU64::new(0),
            stopped: Mutex::default(),
            index: Mutex::new(index),
            turns: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
        })
    }

    /// Listens to the engine until it is gone. To be called before anything is started.
    pub(crate) fn listen(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let mut notices = self.engine.watch();
        let runs = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                match notices.recv().await {
                    Ok(Notice::Event { run, event, .. }) => {
                        let mut index = lock(&runs.index);
                        if let EventKind::RunCreated { plan, .. } = &event.kind {
                            index.rows.entry(run.clone()).or_insert_with(|| first_row(plan, event.at));
                        }
                        index.stale.insert(run);
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => lock(&runs.index).all_stale = true,
                    Err(RecvError::Closed) => return,
                }
            }
        })
    }

    /// Takes up all runs that have not ended. How many there are, and how many could not be taken up.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn take_up(self: &Arc<Self>) -> Result<(usize, usize), Error> {
        let unfinished: Vec<RunId> = self.engine.unfinished().await?.into_iter().map(|(run, _)| run).collect();
        let taken = resume_all(&self.engine, unfinished.clone()).await;
        let (all, mut bad) = (taken.len(), 0);
        for (run, taken) in unfinished.into_iter().zip(taken) {
            match taken {
                Ok(handle) => self.keep(handle),
                Err(error) => {
                    tracing::error!(%run, "the run cannot be taken up: {error}");
                    lock(&self.stopped).insert(run, error);
                    bad += 1;
                }
            }
        }
        Ok((all, bad))
    }

    /// Keeps a run's actor alive until the run has ended.
    pub(crate) fn keep(self: &Arc<Self>, handle: RunHandle) {
        let run = handle.run().clone();
        lock(&self.stopped).remove(&run);
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        lock(&self.live).insert(run.clone(), (number, handle.clone()));
        let runs = Arc::clone(self);
        tokio::spawn(async move { runs.watch(run, number, handle).await });
    }

    /// Lets go of a handle, unless the run was taken up anew meanwhile.
    fn let_go(&self, run: &RunId, number: u64) -> bool {
        let mut live = lock(&self.live);
        let same = live.get(run).is_some_and(|(now, _)| *now == number);
        if same {
            live.remove(run);
        }
        same
    }

    async fn watch(self: Arc<Self>, run: RunId, number: u64, mut handle: RunHandle) {
        loop {
            let rest = handle.rest().await;
            let turn = self.turn(&run).await;
            // A verb may have come between.
            match (handle.resting(), rest) {
                (Some(Rest::Ended(_)), _) => {
                    self.let_go(&run, number);
                    return;
                }
                (Some(Rest::Stopped(error)), _) | (None, Rest::Stopped(error)) => {
                    tracing::warn!(%run, "the run stopped: {error}");
                    if self.let_go(&run, number) {
                        lock(&self.stopped).insert(run, error);
                    }
                    return;
                }
                (Some(Rest::Person(_)), _) => {
                    drop(turn);
                    if !handle.changed().await && !handle.is_live() {
                        self.let_go(&run, number);
                        return;
                    }
                }
                (None, _) => {}
            }
        }
    }

    /// Waits until nobody else speaks to the run.
    pub(crate) async fn turn<'a>(self: &'a Arc<Self>, run: &RunId) -> Turn<'a> {
        let place = run.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let [first, ..] = &self.turns;
        let turn = self.turns.get(usize::from(place)).unwrap_or(first);
        Turn { runs: self, run: run.clone(), _guard: turn.lock().await }
    }

    /// Why nobody carries the run on, where it has not ended.
    pub(crate) fn why_stopped(&self, run: &RunId) -> Option<Error> {
        lock(&self.stopped).get(run).cloned()
    }

    /// How many runs that have not ended nobody carries on.
    pub(crate) fn stopped(&self) -> usize {
        lock(&self.stopped).len()
    }

    /// The handle of a run that is carried on here.
    pub(crate) fn handle(&self, run: &RunId) -> Option<RunHandle> {
        lock(&self.live).get(run).map(|(_, handle)| handle.clone()).filter(RunHandle::is_live)
    }

    /// The events of a run after that number, as they are stored.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn events(&self, run: &RunId, after: u64) -> Result<Vec<StoredEvent>, Error> {
        self.store.read(run, after).await.map_err(told)
    }

    /// What is stored of a run beside its events.
    ///
    /// # Errors
    /// `LB0501` no such run; the store's.
    pub(crate) async fn row(&self, run: &RunId) -> Result<Row, Error> {
        let head = self.store.head(run).await.map_err(told)?;
        head.as_ref()
            .and_then(row)
            .ok_or_else(|| Error::new("LB0501", format!("there is no run '{run}'")).hint("GET /v1/runs lists the runs"))
    }

    /// Looks at all runs as a list shows them, in the order of their making.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn look<T>(&self, at: impl FnOnce(&BTreeMap<RunId, Row>) -> T) -> Result<T, Error> {
        let (stale, all) = {
            let mut index = lock(&self.index);
            (std::mem::take(&mut index.stale), std::mem::take(&mut index.all_stale))
        };
        let heads = if all {
            self.store.list().await
        } else {
            let mut heads = Vec::new();
            let mut failed = None;
            for run in &stale {
                match self.store.head(run).await {
                    Ok(head) => heads.extend(head),
                    Err(error) => failed = Some(error),
                }
            }
            failed.map_or(Ok(heads), Err)
        };
        let mut index = lock(&self.index);
        match heads {
            Ok(heads) => {
                for head in heads {
                    let Some(row) = row(&head) else { continue };
                    let newer = index.rows.get(&head.run).is_none_or(|there| there.seq <= row.seq);
                    if newer {
                        index.rows.insert(head.run, row);
                    }
                }
                Ok(at(&index.rows))
            }
            Err(error) => {
                index.stale.extend(stale);
                index.all_stale |= all;
                Err(told(error))
            }
        }
    }
}

impl Turn<'_> {
    /// The run as it is.
    ///
    /// # Errors
    /// `LB0501` no such run; `LB0503` its log is damaged; the store's.
    pub(crate) async fn load(&self) -> Result<Loaded, Error> {
        self.runs.engine.load(&self.run).await
    }

    /// Speaks a verb; durable when this returns.
    ///
    /// # Errors
    /// What the engine refuses.
    pub(crate) async fn say(&self, verb: Verb, said: Said) -> Result<(), Error> {
        if let Some(handle) = self.runs.handle(&self.run) {
            let answer = handle.say(verb.clone(), said.clone()).await;
            // The actor may have ended just now; then the verb did not reach it.
            if answer.is_ok() || handle.is_live() {
                return answer;
            }
        }
        let handle = self.runs.engine.resume_saying(&self.run, verb, said).await?;
        self.runs.keep(handle);
        Ok(())
    }

    /// Takes the run up, if nobody carries it on.
    ///
    /// # Errors
    /// As [`Engine::resume`].
    pub(crate) async fn take_up(&self) -> Result<(), Error> {
        if self.runs.handle(&self.run).is_some() {
            return Ok(());
        }
        let handle = self.runs.engine.resume(&self.run).await?;
        self.runs.keep(handle);
        Ok(())
    }
}
