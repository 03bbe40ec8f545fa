//! One call of a guest: a fresh instance, bounded in memory, time and payload, and ended with the future that waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::Plan;
use lifeboat_core::plan::{Mode, StepKind, Target};
use lifeboat_core::ports::{AttemptSink, BoxFuture};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use wasmtime::component::{Instance, ResourceTable};
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::lifeboat::plugin::types::Error as GuestError;
use crate::bounds::{CANCEL_GRACE_MS, GUEST_TO_HOST_BYTES_MAX, HANDLES_MAX};
use crate::doubt::Looked;
use crate::fault::{Stop, refused};
use crate::host::Inner;
use crate::meter::Meter;
use crate::plugin::Loaded;
use crate::voice::Voice;

/// A target as a guest may use it in this call.
#[derive(Clone, Debug)]
pub struct Bound {
    /// What the guest calls it by.
    pub role: String,
    /// The target, as the plan has it.
    pub target: Target,
    /// Its settings, with all references filled in.
    pub settings: Value,
}

/// What a call may reach.
pub struct Context {
    /// The host.
    pub host: Arc<Inner>,
    /// The name of the plugin whose code runs.
    pub plugin: String,
    /// The mode of the run; `None` where no target can be reached at all (`describe`).
    pub mode: Option<Mode>,
    /// Whether a missing root may be made: not where things are removed.
    pub makes: bool,
    /// The kind of step; `None` for `describe` and calls of `store`.
    pub kind: Option<StepKind>,
    /// What the plugin declared.
    pub capabilities: Vec<String>,
    /// Targets by role.
    pub targets: Vec<Bound>,
    /// The plan, for the pins of other plugins.
    pub plan: Option<Arc<Plan>>,
    /// The snapshots that it had in its hands.
    pub looked: Looked,
}

impl Context {
    /// Whether the plugin declared the capability for this kind of step.
    pub fn need(&self, capability: &str) -> Result<(), GuestError> {
        if self.capabilities.iter().any(|declared| declared == capability) {
            return Ok(());
        }
        let what =
            self.kind.map_or_else(|| "this call".to_owned(), |kind| format!("steps of kind '{}'", kind.as_str()));
        let message = format!("plugin '{}' does not declare the capability '{capability}' for {what}", self.plugin);
        let hint = "the plugin's author has to add it to `capabilities` in its description".to_owned();
        Err(refused(message, Some(hint)))
    }

    /// The target of that role.
    pub fn target(&self, role: &str) -> Result<&Bound, GuestError> {
        self.targets.iter().find(|bound| bound.role == role).ok_or_else(|| {
            let there: Vec<&str> = self.targets.iter().map(|bound| bound.role.as_str()).collect();
            let hint =
                format!("this step has: {}", if there.is_empty() { "none".to_owned() } else { there.join(", ") });
            refused(format!("this step has no target in the role '{}'", crate::fault::cut(role.to_owned())), Some(hint))
        })
    }
}

/// What the host keeps for one guest.
pub struct Guest {
    /// Its handles.
    pub table: ResourceTable,
    /// Its memory.
    pub meter: Meter,
    /// What it may reach.
    pub context: Context,
    /// Its way to the attempt's sink.
    pub voice: Arc<Voice>,
    /// When it started: the fixed point of its monotonic clock.
    pub started: Instant,
    /// How long it may run.
    pub limit: Duration,
    cancelled_at: Option<Instant>,
}

impl Guest {
    /// Whether its time is over.
    fn due(&mut self) -> Option<Stop> {
        if self.started.elapsed() >= self.limit {
            return Some(Stop::Deadline(self.limit.as_millis().try_into().unwrap_or(u64::MAX)));
        }
        if self.voice.cancelled() {
            let since = self.cancelled_at.get_or_insert_with(Instant::now);
            if since.elapsed() >= Duration::from_millis(CANCEL_GRACE_MS) {
                return Some(Stop::Cancelled(CANCEL_GRACE_MS));
            }
        }
        None
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Threads that still move bytes for it end soon.
        self.voice.stop();
    }
}

/// What is called, by whom and for how long.
pub struct Call {
    /// The plugin.
    pub plugin: Arc<Loaded>,
    /// What it may reach.
    pub context: Context,
    /// Where it reports to.
    pub sink: Arc<dyn AttemptSink>,
    /// How long it may run.
    pub limit: Duration,
    /// Where it waits for its turn.
    pub gate: Arc<Semaphore>,
}

/// A guest that was ended.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub error: wasmtime::Error,
    /// Its last line of level `error`: a panic's message, where its hook logs one.
    pub last_error: Option<String>,
}

/// What is done with a fresh instance.
pub trait Body<R>:
    for<'a> FnOnce(&'a mut Store<Guest>, &'a Instance) -> BoxFuture<'a, wasmtime::Result<R>> + Send + 'static
{
}

impl<R, F> Body<R> for F where
    F: for<'a> FnOnce(&'a mut Store<Guest>, &'a Instance) -> BoxFuture<'a, wasmtime::Result<R>> + Send + 'static
{
}

impl Call {
    /// Runs the body with a fresh instance on the guests' own runtime. Dropping the future ends the guest.
    pub async fn run<R: Send + 'static>(self, body: impl Body<R>) -> Result<R, Ended> {
        let runtime = self.context.host.runtime.clone();
        let mut task = AbortOnDrop(runtime.spawn(self.carry_out(body)));
        match (&mut task.0).await {
            Ok(result) => result,
            Err(error) => {
                Err(Ended { error: wasmtime::format_err!("the thread of the guest died: {error}"), last_error: None })
            }
        }
    }

    async fn carry_out<R: Send + 'static>(self, body: impl Body<R>) -> Result<R, Ended> {
        let Call { plugin, context, sink, limit, gate } = self;
        let closed = |_| Ended { error: wasmtime::format_err!("the host is shutting down"), last_error: None };
        let _turn = gate.acquire_owned().await.map_err(closed)?;
        let voice = Voice::new(sink);
        let host = Arc::clone(&context.host);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let guest = Guest {
            table,
            meter: Meter::new(host.options.guest_memory_bytes),
            context,
            voice: Arc::clone(&voice),
            started: Instant::now(),
            limit,
            cancelled_at: None,
        };
        let mut store = Store::new(&host.engine, guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(GUEST_TO_HOST_BYTES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| match store.data_mut().due() {
            Some(stop) => Err(stop.into()),
            None => Ok(UpdateDeadline::Yield(1)),
        });
        let work = async {
            let instance = plugin.pre.instantiate_async(&mut store).await?;
            body(&mut store, &instance).await
        };
        // Epochs stand still while the guest waits for the host: then this ends it.
        let result = tokio::select! {
            result = work => result,
            stop = overdue(&voice, limit) => Err(stop.into()),
        };
        voice.finish();
        let last_error = voice.last_error();
        result.map_err(|error| Ended { error, last_error })
    }
}

async fn overdue(voice: &Voice, limit: Duration) -> Stop {
    /// How often it is looked whether the attempt was cancelled.
    const LOOK: Duration = Duration::from_millis(100);
    // A little later than the epoch's own check, which has the better place to stop at.
    let end = tokio::time::Instant::now() + limit + Duration::from_millis(50);
    let mut cancelled_at = None;
    loop {
        let now = tokio::time::Instant::now();
        if now >= end {
            return Stop::Deadline(limit.as_millis().try_into().unwrap_or(u64::MAX));
        }
        if voice.cancelled() {
            let since = *cancelled_at.get_or_insert(now);
            if now.duration_since(since) >= Duration::from_millis(CANCEL_GRACE_MS) {
                return Stop::Cancelled(CANCEL_GRACE_MS);
            }
        }
        tokio::time::sleep_until(end.min(now + LOOK)).await;
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs work that blocks on a thread of its own.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GuestError> + Send + 'static,
) -> Result<T, crate::fault::Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => Err(crate::fault::Fault::Trap(wasmtime::format_err!("a thread of the host died: {error}"))),
    }
}
