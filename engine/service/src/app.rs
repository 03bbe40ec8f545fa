//! What all calls share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_core::ports::{Clock, Rng, Store};
use lifeboat_core::service::Service;
use lifeboat_notify::{Courier, Dispatcher};
use lifeboat_runtime::Engine;
use tokio::sync::{Semaphore, watch};

use crate::access::Tokens;
use crate::alerts::{Desk, Hooks};
use crate::audit::Audit;
use crate::library::Library;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::once::Once;
use crate::readiness::Looks;
use crate::runs::Runs;
use crate::schedules::Schedules;
use crate::workshop::Workshop;

/// Plans that are made at once.
const COMPILERS: usize = 4;

/// What a service is made of. The program that puts the parts together gives it.
pub struct Parts {
    /// The engine. Its store is to be a [`crate::Measured`] one over `store`, so that writes are timed.
    pub engine: Engine,
    /// Where tokens, keys and the record of calls are kept, too.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Compiles runbooks.
    pub workshop: Arc<dyn Workshop>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who may send alerts.
    pub hooks: Hooks,
    /// How the operator wants it.
    pub settings: Service,
    /// Sends messages by the channels of the operator's file.
    pub courier: Arc<Courier>,
    /// For keys, and for delays that are drawn.
    pub rng: Arc<dyn Rng>,
    /// The folder in which the socket is made: that of the data, which nobody else has.
    pub folder: std::path::PathBuf,
    /// What is told of the program: `lifeboat 0.1.0`.
    pub version: String,
}

/// What all calls share.
pub(crate) struct App {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) workshop: Arc<dyn Workshop>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) settings: Service,
    pub(crate) version: String,
    pub(crate) runs: Arc<Runs>,
    pub(crate) library: Arc<Library>,
    pub(crate) tokens: Tokens,
    pub(crate) audit: Audit,
    pub(crate) once: Once,
    pub(crate) alerts: Desk,
    pub(crate) schedules: Schedules,
    pub(crate) looks: Looks,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) calls: Limit<String>,
    pub(crate) strangers: Limit<std::net::IpAddr>,
    /// Streams at once. Each has a connection for long, and the others need some, too.
    pub(crate) streams: Arc<Semaphore>,
    /// Plans that are made at once: each takes a processor.
    pub(crate) compilers: Semaphore,
    /// True when the service is being stopped.
    pub(crate) stopping: watch::Sender<bool>,
    /// Whether the runs were taken up.
    pub(crate) ready: AtomicBool,
    /// Whether the files of TLS could be read the last time.
    pub(crate) tls_good: AtomicBool,
}

impl App {
    pub(crate) fn new(parts: Parts, dispatcher: Arc<Dispatcher>) -> Arc<Self> {
        let Parts { engine, store, clock, workshop, metrics, hooks, settings, version, .. } = parts;
        let (stopping, _) = watch::channel(false);
        let streams = usize::try_from(settings.connections / 2).unwrap_or(1).max(1);
        Arc::new(Self {
            runs: Runs::new(engine, Arc::clone(&store)),
            library: Arc::new(Library::new(settings.runbooks.clone(), Arc::clone(&workshop))),
            tokens: Tokens::new(Arc::clone(&store)),
            audit: Audit::new(Arc::clone(&store)),
            alerts: Desk::new(Arc::clone(&store), hooks),
            schedules: Schedules::new(Arc::clone(&store)),
            looks: Looks::new(Arc::clone(&store)),
            once: Once::new(store),
            dispatcher,
            calls: Limit::new(settings.rate),
            strangers: Limit::new(settings.rate),
            streams: Arc::new(Semaphore::new(streams)),
            compilers: Semaphore::new(COMPILERS),
            stopping,
            ready: AtomicBool::new(false),
            tls_good: AtomicBool::new(true),
            clock,
            workshop,
            metrics,
            settings,
            version,
        })
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now_ms()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.is_stopping()
    }
}
