//! Torn writes in the simulation: the real store on real files. The disk refuses a flush in the middle, the engine dies of it, and of
//! the batch that was being written only a part is found on the disk, cut anywhere. The next engine opens what is left.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use lifeboat_core::Error;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::{Append, BoxFuture, Clock, Document, Lease, RunHead, Store, StoreError, StoredEvent};
use lifeboat_runtime::RunHandle;
use lifeboat_store::{EmbeddedStore, Fault, Options};
use lifeboat_testkit::{Leftovers, RandomCase, Rig, SeededRng, SimClock, SimStore, World, said};

use crate::cases::case;
use crate::people::all_to_end;
use crate::report::Report;
use crate::truth::check;

/// Engines that die of a torn write before the last one.
const LIVES_MAX: u64 = 5;
/// The disk's error, as Linux numbers it.
const EIO: i32 = 5;
/// Simulated time that a life lasts at most.
const LIFE_MS: u64 = 8_000;

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the store's own threads on this one, so that no simulated time passes meanwhile.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// The real store, every call of which is over at once in simulated time.
struct AtOnce(EmbeddedStore);

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(async move { value })
}

impl Store for AtOnce {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<RunHead, StoreError>> {
        ready(wait(self.0.append(append)))
    }
    fn read<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<Vec<StoredEvent>, StoreError>> {
        ready(wait(self.0.read(run, after)))
    }
    fn head<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunHead>, StoreError>> {
        ready(wait(self.0.head(run)))
    }
    fn list(&self) -> BoxFuture<'_, Result<Vec<RunHead>, StoreError>> {
        ready(wait(self.0.list()))
    }
    fn get_document<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Document>, StoreError>> {
        ready(wait(self.0.get_document(key)))
    }
    fn put_document<'a>(&'a self, key: &'a str, at: u64, value: Vec<u8>) -> BoxFuture<'a, Result<u64, StoreError>> {
        ready(wait(self.0.put_document(key, at, value)))
    }
    fn acquire_lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        now_ms: u64,
        ttl_ms: u64,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        ready(wait(self.0.acquire_lease(name, holder, now_ms, ttl_ms)))
    }
    fn release_lease<'a>(&'a self, name: &'a str, holder: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        ready(wait(self.0.release_lease(name, holder)))
    }
    fn watch<'a>(&'a self, run: &'a RunId, after: u64) -> BoxFuture<'a, Result<RunHead, StoreError>> {
        self.0.watch(run, after)
    }
}

/// The newest segment, and where what was written to it ends.
fn end_of_journal(data: &Path) -> Option<(PathBuf, usize)> {
    let entries = std::fs::read_dir(data.join("journal")).ok()?;
    let newest = entries.filter_map(|entry| Some(entry.ok()?.path())).max()?;
    let bytes = std::fs::read(&newest).ok()?;
    Some((newest, bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)))
}

/// Where the journal ended before the batch whose flush failed.
type Before = Arc<Mutex<Option<(PathBuf, usize)>>>;

/// Options of a disk whose flush of that number fails, from 1.
fn dying(data: &Path, flush: u64) -> (Options, Before) {
    let (count, before) = (AtomicU64::new(0), Before::default());
    let (noted, folder) = (Arc::clone(&before), data.to_owned());
    let hook = move |fault: Fault| match fault {
        Fault::Write if count.load(Ordering::Relaxed) + 1 == flush => {
            *noted.lock().unwrap() = end_of_journal(&folder);
            Ok(())
        }
        Fault::Flush if count.fetch_add(1, Ordering::Relaxed) + 1 == flush => Err(io::Error::from_raw_os_error(EIO)),
        _ => Ok(()),
    };
    (Options { fault: Some(Arc::new(hook)), ..Options::default() }, before)
}

/// Of the batch that was not flushed, a part is on the disk. Whether there was one.
fn tear(data: &Path, before: &Before, rng: &SeededRng) -> bool {
    let (Some((old, from)), Some((newest, to))) = (before.lock().unwrap().take(), end_of_journal(data)) else {
        return false;
    };
    // A new segment holds nothing of the old one.
    let from = if old == newest { from } else { 0 };
    let Some(written) = to.checked_sub(from).filter(|written| *written > 0) else { return false };
    let keep = from + usize::try_from(rng.below(u64::try_from(written).unwrap())).unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[keep..].fill(0);
    std::fs::write(&newest, bytes).unwrap();
    true
}

/// One run, by engines that die of torn writes, and then by one that lives.
pub fn one(seed: u64, report: &mut Report) -> Result<(), String> {
    let rng = SeededRng::new(seed ^ 0x7042);
    let case: RandomCase = case(seed * 5);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let data = folder.path().join("data");
    let (clock, world) = (SimClock::at(crate::sim::BEGIN_MS), case.world());
    for life in 0..1 + rng.below(LIVES_MAX) {
        let (options, before) = dying(&data, 1 + rng.below(12));
        let (store, _) = EmbeddedStore::open(&data, options).map_err(|error| format!("life {life}: {error}"))?;
        let store: Arc<dyn Store> = Arc::new(AtOnce(store));
        let rig = rig(&clock, seed * 100 + life, &store, &world);
        crate::block(live(&rig, &store, &case, 1 + rng.below(LIFE_MS)));
        drop((rig, store));
        report.count("torn writes", u64::from(tear(&data, &before, &rng)));
    }
    let (store, opened) = EmbeddedStore::open(&data, Options::default()).map_err(|error| error.to_string())?;
    if !opened.damage.is_empty() || !opened.quarantined.is_empty() {
        return Err(format!("a torn write is taken for damage: {opened:?}"));
    }
    let store: Arc<dyn Store> = Arc::new(AtOnce(store));
    let state = crate::block(async {
        let rig = rig(&clock, seed * 100 + 99, &store, &world);
        let mut handle = taken_up(&rig, &store, &case).await.map_err(|error| error.to_string())?;
        let mut states = all_to_end(&rig, std::slice::from_mut(&mut handle), &world).await?;
        states.pop().ok_or_else(|| "no run".to_owned())
    })?;
    check(&state, &world, &Leftovers::new())?;
    let alone = crate::block(crate::sim::alone(&case))?;
    if state.status() == alone {
        report.count("runs on torn disks", 1);
        Ok(())
    } else {
        Err(format!("it ended as {}, undisturbed as {}", state.status().as_str(), alone.as_str()))
    }
}

fn rig(clock: &SimClock, seed: u64, store: &Arc<dyn Store>, world: &World) -> Rig {
    Rig::at(clock.clone(), seed, Arc::new(SimStore::new()), Arc::clone(store), world.clone(), 8)
}

/// The run that is there, or a new one.
async fn taken_up(rig: &Rig, store: &Arc<dyn Store>, case: &RandomCase) -> Result<RunHandle, Error> {
    let there = wait(store.list()).unwrap_or_default();
    match there.first() {
        Some(head) => rig.drive(rig.engine.resume(&head.run)).await,
        None => rig.drive(rig.engine.submit(case.plan.clone(), String::new(), said("test"))).await,
    }
}

async fn live(rig: &Rig, store: &Arc<dyn Store>, case: &RandomCase, ms: u64) {
    let end = rig.clock.now() + ms;
    let handle = taken_up(rig, store, case).await;
    rig.drive(rig.clock.sleep_until(end)).await;
    drop(handle);
}
