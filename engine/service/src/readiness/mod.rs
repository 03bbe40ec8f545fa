//! Readiness, looked at when somebody asks and, where the operator wants that, by itself ([`begin`]). What is looked at and what is
//! said of it is in `lifeboat-readiness`; who is asked is behind the workshop.

mod kept;
mod past;
mod unasked;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_core::Error;
use lifeboat_core::documents::Documents;
use lifeboat_core::ports::Store;
use lifeboat_readiness::Readiness;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::kept::Kept;
use crate::app::App;
use crate::held::lock;
use crate::workshop::{Asked, Compiled};

pub use self::kept::LookedAt;
pub(crate) use self::unasked::begin;

/// Looks at once, over readiness and vaults: each may hold guests, connections and the index of a vault in memory.
const PLACES: usize = 4;
/// How long a look waits for its place.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a look may take: a vault over a slow line is read within it, and a server that says nothing is given up.
const LOOK_MAX: Duration = Duration::from_secs(120);

/// The last look of each runbook and mode.
type Last = BTreeMap<(String, &'static str), Kept>;

/// The looks.
pub(crate) struct Looks {
    documents: Documents,
    places: Semaphore,
    lessons: past::Lessons,
    last: Mutex<Last>,
}

impl Looks {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            documents: Documents::new(store),
            places: Semaphore::new(PLACES),
            lessons: past::Lessons::default(),
            last: Mutex::default(),
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        lock(&self.last)
    }

    /// The last looks that the service took by itself, by runbook and mode.
    pub(crate) fn shown(&self) -> Vec<LookedAt> {
        self.last().values().map(|kept| kept.look.clone()).collect()
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        match tokio::time::timeout(PATIENCE, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Error::new("LB1202", format!("{PLACES} looks are under way, and none has ended"))
                .hint("ask again in a while")),
        }
    }

    /// Does something that looks at the world: in a place of its own, and within the time.
    ///
    /// # Errors
    /// `LB1202` too many are looking; `LB1201` it took too long; its own.
    pub(crate) async fn within<T>(&self, look: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let _place = self.place().await?;
        tokio::time::timeout(LOOK_MAX, look).await.unwrap_or_else(|_| Err(too_long(LOOK_MAX)))
    }
}

/// What is told of a look that was cut off.
pub fn too_long(limit: Duration) -> Error {
    Error::new("LB1201", format!("the look took longer than {} s", limit.as_secs()))
        .hint("find out who does not answer: a server, a disk, or a program that gives a secret")
}

/// Looks whether a plan could be carried out now.
///
/// # Errors
/// `LB1155` the plan has nothing at that site; `LB1202` too many are looking; the store's.
pub(crate) async fn look(app: &App, compiled: Compiled, site_lost: Option<String>) -> Result<Readiness, Error> {
    let _place = app.looks.place().await?;
    let Compiled { plan, verification, .. } = compiled;
    let past = app.looks.lessons.of(app, &plan.runbook).await?;
    let plan = Arc::new(plan);
    let asked = Asked { plan: Arc::clone(&plan), verification, past, site_lost: site_lost.clone(), limit: LOOK_MAX };
    let rows = app.workshop.readiness(asked).await?;
    Ok(Readiness::of(&plan, site_lost, rows, app.now()))
}
