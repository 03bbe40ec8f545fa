//! The host: one engine, the plugins it knows, and the runtime that guests run on.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use lifeboat_core::grants::Operator;
use lifeboat_core::limits::{GUEST_MEMORY_BYTES_MAX, PARALLEL_GLOBAL_DEFAULT};
use lifeboat_core::plan::{Mode, Target};
use lifeboat_core::plugin::{Catalog, Known};
use lifeboat_core::ports::StepExecutor;
use lifeboat_core::{Error, Failure, FailureKind, Plan};
use serde_json::Value;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::bounds::{DESCRIBE_MS_MAX, PLUGIN_BYTES_MAX};
use crate::cache::Cache;
use crate::engine;
use crate::executor::Executor;
use crate::guest::{Call, Context, Guest};
use crate::http::{Hub, Times};
use crate::objects::PluginStore;
use crate::plugin::{self, Loaded, no_plugin};
use crate::ports::{ObjectStore, Secret, Secrets, VaultProvider};
use crate::voice::Quiet;

/// Settings of the sandbox.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Where compiled plugins are kept; `None`: each start compiles anew.
    pub cache_dir: Option<PathBuf>,
    /// Bytes of memory that one guest may have, summed over its memories and tables.
    pub guest_memory_bytes: usize,
    /// Milliseconds between two looks at whether a guest has to stop or to let others go on; 5 to 10 is right.
    pub epoch_tick_ms: u64,
    /// Threads that guests run on.
    pub guest_threads: usize,
    /// Guests that may live at once: three quarters of them for attempts, the rest for the stores of vaults.
    pub max_instances: u32,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            guest_memory_bytes: GUEST_MEMORY_BYTES_MAX,
            epoch_tick_ms: 8,
            guest_threads: std::thread::available_parallelism().map_or(2, usize::from).max(2),
            max_instances: PARALLEL_GLOBAL_DEFAULT.saturating_mul(4),
        }
    }
}

/// What all parts of the host share.
pub struct Inner {
    pub(crate) options: HostOptions,
    pub(crate) engine: Engine,
    linker: Linker<Guest>,
    cache: Option<Cache>,
    plugins: RwLock<BTreeMap<String, Arc<Loaded>>>,
    pub(crate) operator: Operator,
    pub(crate) secrets: Arc<dyn Secrets>,
    vaults: RwLock<Option<Arc<dyn VaultProvider>>>,
    /// Connections over HTTP, kept over calls.
    pub(crate) http: Arc<Hub>,
    /// Where guests run.
    pub(crate) runtime: Handle,
    owned: Option<Runtime>,
    /// The host whose threads these are, where they are another one's.
    _lent: Option<Arc<Inner>>,
    /// Turns of attempts.
    pub(crate) attempts: Arc<Semaphore>,
    /// The highest fencing token that each lock has seen in this process.
    pub(crate) fences: Mutex<HashMap<String, u64>>,
    /// Turns of stores. They are apart: an attempt holds its turn while its vault calls the store of a plugin.
    pub(crate) stores: Arc<Semaphore>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last owner may itself be on a runtime, where waiting is forbidden.
        if let Some(runtime) = self.owned.take() {
            runtime.shutdown_background();
        }
    }
}

impl Inner {
    /// The plugin of that name; with a plan, exactly the one that the plan was made for.
    pub(crate) fn plugin_for(&self, name: &str, plan: Option<&Plan>) -> Result<Arc<Loaded>, Error> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        let Some(loaded) = plugins.get(name) else {
            let there: Vec<&str> = plugins.keys().map(String::as_str).collect();
            return Err(Error::new("LB0701", format!("there is no plugin '{name}'"))
                .hint("put its .wasm file into a folder that lifeboat.kdl names as a plugin folder")
                .with("loaded", there.join(", ")));
        };
        let pinned = plan.and_then(|plan| plan.plugins.get(name));
        match pinned {
            Some(pin) if pin.digest != loaded.known.digest => {
                Err(Error::new("LB0702", format!("plugin '{name}' is not the one that this plan was made for"))
                    .hint("put the plugin's old file back, or start a new run: its plan takes the new one")
                    .with("planned", &pin.digest)
                    .with("loaded", &loaded.known.digest))
            }
            _ => Ok(Arc::clone(loaded)),
        }
    }

    /// A secret, read where waiting is allowed. What may pass is temporary.
    pub(crate) async fn secret(&self, name: &str) -> Result<Secret, Failure> {
        let (secrets, wanted) = (Arc::clone(&self.secrets), name.to_owned());
        let read = tokio::task::spawn_blocking(move || secrets.get(&wanted)).await;
        let read = read.unwrap_or_else(|_| Err(Error::new("LB0710", format!("reading the secret '{name}' broke off"))));
        read.map_err(|error| {
            let passes = lifeboat_secrets::may_pass(&error);
            let failure = Failure::from(error);
            if passes { Failure { kind: FailureKind::Temporary, ..failure } } else { failure }
        })
    }

    pub(crate) fn vault_provider(&self) -> Option<Arc<dyn VaultProvider>> {
        self.vaults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The sandbox. Clones share everything.
#[derive(Clone)]
pub struct Host {
    pub(crate) inner: Arc<Inner>,
}

impl Host {
    /// Starts the engine, its interrupting thread, and the threads of guests.
    ///
    /// # Errors
    /// `LB0709` when this machine does not give what it needs, or the folder for compiled plugins is not safe.
    pub fn new(options: HostOptions, operator: Operator, secrets: Arc<dyn Secrets>) -> Result<Host, Error> {
        let cache = options.cache_dir.as_deref().map(Cache::open).transpose()?;
        let engine = engine::build(&options)?;
        engine::start_ticker(&engine, Duration::from_millis(options.epoch_tick_ms.clamp(1, 1_000)))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.guest_threads.max(1))
            .thread_name("lifeboat-guest")
            // A guest that yields is ready again at once; at the default, timers would be looked at 61 polls later.
            .event_interval(1)
            .enable_all()
            .build()
            .map_err(|error| Error::new("LB0709", "the threads of plugins can't start").with("cause", error))?;
        let turns = usize::try_from(options.max_instances).unwrap_or(usize::MAX).clamp(4, Semaphore::MAX_PERMITS);
        let inner = Inner {
            linker: plugin::linker(&engine)?,
            engine,
            cache,
            plugins: RwLock::default(),
            http: Arc::new(Hub::new(&operator, Times::of(&operator.http))),
            operator,
            secrets,
            vaults: RwLock::default(),
            runtime: runtime.handle().clone(),
            owned: Some(runtime),
            _lent: None,
            attempts: Arc::new(Semaphore::new(turns - turns / 4)),
            fences: Mutex::default(),
            stores: Arc::new(Semaphore::new(turns / 4)),
            options,
        };
        Ok(Host { inner: Arc::new(inner) })
    }

    /// The same plugins, threads and bounds under another operator's file: one that takes more for lost. For looks, and not for
    /// attempts: fences are not shared. What is loaded into one of the two afterwards is not in the other.
    pub fn under(&self, operator: Operator) -> Host {
        let lender = &self.inner;
        let plugins = lender.plugins.read().unwrap_or_else(PoisonError::into_inner).clone();
        let vaults = lender.vaults.read().unwrap_or_else(PoisonError::into_inner).clone();
        let inner = Inner {
            options: lender.options.clone(),
            engine: lender.engine.clone(),
            linker: lender.linker.clone(),
            // What is loaded here is compiled anew: nothing is, where only a look is taken.
            cache: None,
            plugins: RwLock::new(plugins),
            http: Arc::new(Hub::new(&operator, Times::of(&operator.http))),
            operator,
            secrets: Arc::clone(&lender.secrets),
            vaults: RwLock::new(vaults),
            runtime: lender.runtime.clone(),
            owned: None,
            _lent: Some(Arc::clone(lender)),
            attempts: Arc::clone(&lender.attempts),
            fences: Mutex::default(),
            stores: Arc::clone(&lender.stores),
        };
        Host { inner: Arc::new(inner) }
    }

    /// Loads a plugin from a `.wasm` file: a component, or a core module that carries its interface. A plugin of the same
    /// name that was loaded before is replaced. Blocks; not to be called from a guest's thread.
    ///
    /// # Errors
    /// `LB0701` when the file can't be read, `LB0702` when the operator pins another digest, `LB0703` when it is no plugin.
    pub fn load_file(&self, path: &Path) -> Result<Known, Error> {
        let shown = path.display().to_string();
        let fail = |cause: String| {
            Error::new("LB0701", format!("the plugin '{shown}' can't be read"))
                .hint("the file has to exist and be readable by the user that runs lifeboat")
                .with("cause", cause)
        };
        let size = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?.len();
        if size > PLUGIN_BYTES_MAX {
            return Err(no_plugin(&shown, format!("{size} bytes; the limit is {PLUGIN_BYTES_MAX}")));
        }
        let bytes = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        self.load_bytes(&shown, &bytes)
    }

    /// Loads a plugin from the bytes of its file. `name` is for messages.
    ///
    /// # Errors
    /// As [`Host::load_file`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Known, Error> {
        let inner = &self.inner;
        let mut loaded = plugin::prepare(&inner.engine, &inner.linker, inner.cache.as_ref(), name, bytes)?;
        let has_store = loaded.store.is_some();
        let (text, again) = self.describe(name, loaded)?;
        loaded = again;
        loaded.known.description = plugin::description(name, &text, has_store)?;
        plugin::check_pin(&inner.operator, &loaded.known)?;
        let known = loaded.known.clone();
        let mut plugins = inner.plugins.write().unwrap_or_else(PoisonError::into_inner);
        plugins.insert(known.description.name.clone(), Arc::new(loaded));
        Ok(known)
    }

    /// Asks the plugin for its description, bounded as every call of a guest.
    fn describe(&self, name: &str, loaded: Loaded) -> Result<(String, Loaded), Error> {
        let plugin = Arc::new(loaded);
        let call = Call {
            plugin: Arc::clone(&plugin),
            context: Context {
                host: Arc::clone(&self.inner),
                plugin: name.to_owned(),
                mode: None,
                makes: false,
                kind: None,
                capabilities: Vec::new(),
                targets: Vec::new(),
                plan: None,
                looked: crate::doubt::Looked::default(),
            },
            sink: Arc::new(Quiet),
            limit: Duration::from_millis(DESCRIBE_MS_MAX),
            gate: Arc::clone(&self.inner.attempts),
        };
        let indices = plugin.steps.clone();
        let (send, receive) = std::sync::mpsc::channel();
        // Not `block_on`: the caller may be on a runtime of its own, where that is forbidden.
        self.inner.runtime.spawn(async move {
            let answer = call
                .run(move |store, instance| {
                    Box::pin(async move { indices.load(&mut *store, instance)?.call_describe(store).await })
                })
                .await;
            let _ = send.send(answer);
        });
        let answer = receive.recv().map_err(|error| no_plugin(name, error))?;
        let text = answer.map_err(|ended| {
            let broken = ended.explain();
            no_plugin(name, format!("`describe` failed: {}: {}", broken.code, broken.message))
        })?;
        let Loaded { known, pre, steps, store } = &*plugin;
        let again = Loaded { known: known.clone(), pre: pre.clone(), steps: steps.clone(), store: store.clone() };
        Ok((text, again))
    }

    /// All plugins that are loaded.
    pub fn catalog(&self) -> Catalog {
        let plugins = self.inner.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins.iter().map(|(name, loaded)| (name.clone(), loaded.known.clone())).collect()
    }

    /// Names who opens vaults.
    pub fn set_vaults(&self, provider: Arc<dyn VaultProvider>) {
        *self.inner.vaults.write().unwrap_or_else(PoisonError::into_inner) = Some(provider);
    }

    /// The target as a place for objects, through the `store` of its plugin. `settings` are the target's with all
    /// references filled in. Whether its folder is granted shows at the first call.
    ///
    /// # Errors
    /// `LB0701` when its plugin is not loaded, `LB0703` when that has no store.
    pub fn object_store(&self, target: &Target, settings: Value, mode: Mode) -> Result<Arc<dyn ObjectStore>, Error> {
        let plugin = self.inner.plugin_for(&target.plugin, None)?;
        Ok(Arc::new(PluginStore::new(&self.inner, plugin, target.clone(), settings, mode)?))
    }

    /// What carries out the steps of plans.
    pub fn executor(&self) -> Arc<dyn StepExecutor> {
        Arc::new(Executor::new(Arc::clone(&self.inner)))
    }
}
