//! An engine with a simulated world around it, in one value.

use std::future::Future;
use std::sync::Arc;

use lifeboat_core::event::{Event, Said};
use lifeboat_core::ids::{RunId, StepId};
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::Store;
use lifeboat_core::state::RunState;
use lifeboat_runtime::{Engine, EngineParts, Rest, RunHandle};

use crate::clock::SimClock;
use crate::executor::ScriptedExecutor;
use crate::rng::SeededRng;
use crate::store::SimStore;
use crate::world::World;

/// The time at which simulations begin: 14 November 2023.
const BEGIN_MS: u64 = 1_700_000_000_000;

/// Who speaks in tests.
pub fn said(by: &str) -> Said {
    Said { by: by.to_owned(), why: "a test".to_owned() }
}

/// Clock, store, world and engine.
pub struct Rig {
    /// The time.
    pub clock: SimClock,
    /// The store that is read back.
    pub store: Arc<SimStore>,
    /// The ledger of effects.
    pub world: World,
    /// The engine.
    pub engine: Engine,
}

impl Rig {
    /// A rig with an empty store, and 64 places.
    pub fn new() -> Self {
        Self::with(SimStore::new(), World::new(), 64)
    }

    /// A rig over this store and world, with that many places.
    pub fn with(store: SimStore, world: World, places: usize) -> Self {
        let store = Arc::new(store);
        let same: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        Self::over(store, same, world, places)
    }

    /// A rig whose engine writes to another store than the one that is read back, such as a wrapper around it.
    pub fn over(store: Arc<SimStore>, written: Arc<dyn Store>, world: World, places: usize) -> Self {
        Self::at(SimClock::at(BEGIN_MS), 7, store, written, world, places)
    }

    /// A rig whose time goes on from another one's, with randomness of its own: the next engine of the same world.
    pub fn at(
        clock: SimClock,
        seed: u64,
        store: Arc<SimStore>,
        written: Arc<dyn Store>,
        world: World,
        places: usize,
    ) -> Self {
        let executor = ScriptedExecutor::new(world.clone(), Arc::new(clock.clone()));
        let engine = Engine::new(EngineParts {
            store: written,
            executor: Arc::new(executor),
            clock: Arc::new(clock.clone()),
            rng: Arc::new(SeededRng::new(seed)),
            max_parallel: places,
            version: "lifeboat test".to_owned(),
        });
        Self { clock, store, world, engine }
    }

    /// Milliseconds since the rig was made.
    pub fn elapsed(&self) -> u64 {
        self.clock.now() - BEGIN_MS
    }

    /// Starts a run of a plan.
    pub async fn submit(&self, plan: Plan) -> RunHandle {
        let submitted = self.engine.submit(plan, String::new(), said("test"));
        self.clock.drive(submitted).await.expect("the run is made")
    }

    /// Lets everything go on until the run rests, and gives the state at rest.
    ///
    /// # Panics
    /// When the run's actor had to stop.
    pub async fn rest(&self, handle: &mut RunHandle) -> Arc<RunState> {
        match self.clock.drive(handle.rest()).await {
            Rest::Ended(state) | Rest::Person(state) => state,
            Rest::Stopped(error) => panic!("the run stopped: {error}"),
        }
    }

    /// Runs a plan to its rest.
    pub async fn run(&self, plan: Plan) -> Arc<RunState> {
        let mut handle = self.submit(plan).await;
        self.rest(&mut handle).await
    }

    /// Lets everything else go on while this future is under way.
    pub async fn drive<F: Future>(&self, future: F) -> F::Output {
        self.clock.drive(future).await
    }

    /// The events of a run.
    pub fn events(&self, run: &RunId) -> Vec<Event> {
        self.store.events(run)
    }

    /// When the attempts of a step began, in milliseconds since the rig was made; `undo a` for those that undo it.
    pub fn times(&self, what: &str) -> Vec<u64> {
        let started = self.world.started().into_iter();
        started.filter(|(_, did)| did == what).map(|(at, _)| at - BEGIN_MS).collect()
    }

    /// The word for where a step is.
    pub fn phase(state: &RunState, step: &str) -> &'static str {
        state.step(&StepId::from(step)).expect("the step is there").1.phase.as_str()
    }
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}
