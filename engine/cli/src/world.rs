//! The only place where the parts are put together: operator file, plugins, sandbox, vaults, store, engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_core::event::Said;
use lifeboat_core::grants::Operator;
use lifeboat_core::ids::RunId;
use lifeboat_core::plugin::Catalog;
use lifeboat_core::ports::StepExecutor;
use lifeboat_core::{Error, limits};
use lifeboat_host::{Host, HostOptions, OperatorSecrets};
use lifeboat_notify::{Courier, NotifySteps};
use lifeboat_runbook::operator::{Intake, parse_intake, parse_operator};
use lifeboat_runbook::{Diagnostic, SourceFile};
use lifeboat_runtime::{Engine, EngineParts};
use lifeboat_secrets::Secrets;
use lifeboat_store::{EmbeddedStore, Key, Opened, Options};
use lifeboat_vault::RusticVaults;

use crate::args::Cli;
use crate::clock::{SystemClock, SystemRng};
use crate::files;
use crate::screen::{Ink, Screen};

/// The plugins that are part of the binary. Their bytes are those of `plugins/dist`, whose digests CI checks.
const BUILT_IN: [(&str, &[u8]); 4] = [
    ("fs", include_bytes!("../../../plugins/dist/fs.wasm")),
    ("s3", include_bytes!("../../../plugins/dist/s3.wasm")),
    ("azure-blob", include_bytes!("../../../plugins/dist/azure_blob.wasm")),
    ("gcs", include_bytes!("../../../plugins/dist/gcs.wasm")),
];

/// Where things are and how to print.
#[derive(Clone)]
pub struct World {
    /// The data folder.
    pub data: PathBuf,
    /// The operator file, where one is used.
    pub config: Option<PathBuf>,
    /// How to print.
    pub screen: Screen,
}

impl World {
    /// From the command line.
    pub fn new(cli: &Cli) -> Self {
        let found = || Some(PathBuf::from("lifeboat.kdl")).filter(|path| path.exists());
        Self { data: cli.data.clone(), config: cli.config.clone().or_else(found), screen: Screen::new(cli) }
    }

    /// The operator file; without one, nothing is granted.
    ///
    /// # Errors
    /// `LB0901` when it cannot be read; `LB0400` when it is refused, with its diagnostics printed.
    pub fn operator(&self) -> Result<Operator, Error> {
        self.read(parse_operator)
    }

    /// What the operator file says of alerts.
    ///
    /// # Errors
    /// As [`World::operator`].
    pub fn intake(&self) -> Result<Intake, Error> {
        self.read(parse_intake)
    }

    fn read<T: Default>(
        &self,
        parse: impl FnOnce(&SourceFile, &Path) -> Result<T, Vec<Diagnostic>>,
    ) -> Result<T, Error> {
        let Some(path) = &self.config else { return Ok(T::default()) };
        let source = files::read_source(path)?;
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let folder = whole.parent().unwrap_or(Path::new("/"));
        parse(&source, folder).map_err(|diagnostics| {
            crate::commands::check::print(&self.screen, &diagnostics);
            Error::new("LB0903", format!("the operator file '{}' is refused", path.display()))
                .hint("mend what is listed above; nothing was started")
        })
    }

    /// The sandbox with all plugins loaded: the built-in ones, then those of the operator's folders.
    ///
    /// # Errors
    /// What the operator file, the sandbox, or a plugin has against it.
    pub fn host(&self) -> Result<(Host, Operator), Error> {
        let operator = self.operator()?;
        let host = self.host_of(operator.clone())?;
        for line in strangers(&operator, &host.catalog()) {
            self.screen.say(&format!("warning: {line}"));
        }
        Ok((host, operator))
    }

    /// The sandbox of an operator's file that was read already.
    ///
    /// # Errors
    /// As [`World::host`].
    pub fn host_of(&self, operator: Operator) -> Result<Host, Error> {
        let secrets = Arc::new(OperatorSecrets::new(&operator));
        let options = HostOptions { cache_dir: cache_dir(), ..HostOptions::default() };
        let host = Host::new(options, operator.clone(), secrets)?;
        for (name, bytes) in BUILT_IN {
            host.load_bytes(name, bytes)?;
        }
        for folder in &operator.plugin_dirs {
            for path in files::with_ending(folder, "wasm")? {
                host.load_file(&path)?;
            }
        }
        host.set_vaults(Arc::new(RusticVaults::new()));
        Ok(host)
    }

    /// What the compiler knows of plugins.
    ///
    /// # Errors
    /// As [`World::host`].
    pub fn catalog(&self) -> Result<Catalog, Error> {
        Ok(self.host()?.0.catalog())
    }

    /// How the journal is opened: with the secret that the operator's file names for it.
    ///
    /// # Errors
    /// What keeps the secret from being read.
    pub fn store_options(&self, operator: &Operator) -> Result<Options, Error> {
        let key = match &operator.journal_secret {
            Some(name) => Some(Key::new(OperatorSecrets::new(operator).get(name)?.expose().to_vec())),
            None => None,
        };
        Ok(Options { key, ..Options::default() })
    }

    /// An engine over the data folder, which is locked for it. Says what opening found.
    ///
    /// # Errors
    /// What the store or the sandbox has against it.
    pub fn engine(&self, host: &Host, operator: &Operator) -> Result<Engine, Error> {
        Ok(self.open(host, operator)?.0)
    }

    /// [`World::engine`], with what opening found.
    ///
    /// # Errors
    /// As [`World::engine`].
    pub fn open(&self, host: &Host, operator: &Operator) -> Result<(Engine, Opened), Error> {
        let (store, opened) = self.store(operator)?;
        let parallel = operator.max_parallel.unwrap_or(limits::PARALLEL_GLOBAL_DEFAULT);
        let engine = Engine::new(EngineParts {
            store: Arc::new(store),
            executor: Self::executor(host, &Self::courier(operator)?),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            max_parallel: usize::try_from(parallel).unwrap_or(usize::MAX),
            version: concat!("lifeboat ", env!("CARGO_PKG_VERSION")).to_owned(),
        });
        Ok((engine, opened))
    }

    /// What sends messages by the channels of the operator's file.
    ///
    /// # Errors
    /// `LB1091` a template of a channel cannot be used.
    pub fn courier(operator: &Operator) -> Result<Arc<Courier>, Error> {
        Ok(Arc::new(Courier::new(&operator.notify, Arc::new(OperatorSecrets::new(operator)))?))
    }

    /// What carries steps out: plugins, and the courier for steps that tell somebody.
    pub fn executor(host: &Host, courier: &Arc<Courier>) -> Arc<dyn StepExecutor> {
        Arc::new(NotifySteps::new(host.executor(), Arc::clone(courier), Arc::new(SystemClock)))
    }

    /// The store in the data folder, which is locked for it. Says what opening found.
    ///
    /// # Errors
    /// What the store has against it.
    pub fn store(&self, operator: &Operator) -> Result<(EmbeddedStore, Opened), Error> {
        let (store, opened) = EmbeddedStore::open(&self.data, self.store_options(operator)?)?;
        self.tell(&opened);
        Ok((store, opened))
    }

    fn tell(&self, opened: &Opened) {
        let warn = |text: String| self.screen.say(&format!("{}: {text}", self.screen.err(Ink::Yellow, "note")));
        if let Some(rebuilt) = &opened.rebuilt
            && !opened.created
        {
            let (frames, reason) = (rebuilt.frames, &rebuilt.reason);
            warn(format!("the state was built anew from {frames} records of the journal: {reason}"));
        }
        if opened.truncated > 0 {
            let what = if opened.rebuilt.is_some() {
                "a write that was interrupted, or damaged since: without the index nobody can tell which"
            } else {
                "an interrupted, unacknowledged write"
            };
            warn(format!("{} bytes of {what}; they were cut off", opened.truncated));
        }
        for damage in &opened.damage {
            warn(format!("{} at byte {}: {}", damage.segment, damage.offset, damage.reason));
        }
        for run in &opened.quarantined {
            warn(format!("run {} is in quarantine: {}; the others go on", run.run, run.reason));
        }
    }

    /// The run that a person means: a full id, or the unique beginning of one, with or without `r-`.
    ///
    /// # Errors
    /// `LB0501` when there is no such run, or more than one.
    pub fn find_run(text: &str, runs: &[RunId]) -> Result<RunId, Error> {
        let with_prefix = if text.starts_with("r-") { text.to_owned() } else { format!("r-{text}") };
        let fits: Vec<&RunId> = runs.iter().filter(|run| run.as_str().starts_with(&with_prefix)).collect();
        match fits.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Error::new("LB0501", format!("there is no run '{text}'"))
                .hint("'lifeboat runs' lists the runs of this data folder; --data names another folder")),
            many => {
                let names: Vec<&str> = many.iter().take(5).map(|run| run.as_str()).collect();
                Err(Error::new("LB0501", format!("'{text}' is the beginning of {} runs", many.len()))
                    .hint(format!("give more of it: {}", names.join(", "))))
            }
        }
    }
}

/// Who speaks: the name given, or the login name.
///
/// # Errors
/// `LB0902` for a name or a reason with control characters: on a terminal they could say anything.
pub fn said(by: Option<&str>, why: &str) -> Result<Said, Error> {
    let login = || std::env::var("LOGNAME").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "unknown".to_owned());
    let said = Said { by: by.map_or_else(login, str::to_owned), why: why.to_owned() };
    for (what, text) in [("the name", &said.by), ("the reason", &said.why)] {
        if text.chars().any(char::is_control) {
            return Err(Error::new("LB0902", format!("{what} has control characters in it"))
                .hint("write it in one line of plain text; attach what is longer with --evidence"));
        }
    }
    Ok(said)
}

/// Where compiled plugins are kept: they are the same for all data folders.
fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("LIFEBOAT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("lifeboat")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/lifeboat")))?;
    // A home that cannot be written to costs time at each start, but nothing else.
    std::fs::create_dir_all(&base).ok()?;
    Some(base.join("plugins"))
}

/// Grants to plugins that are not there: a misspelt one grants nothing to anybody.
fn strangers(operator: &Operator, catalog: &Catalog) -> Vec<String> {
    let grants = operator.grants.iter().chain(&operator.drill_grants);
    let mut names: Vec<&str> = grants.map(|grant| grant.plugin.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let unknown = names.into_iter().filter(|name| !catalog.contains_key(*name));
    unknown
        .map(|name| {
            let like = lifeboat_runbook::closest(name, catalog.keys().map(String::as_str));
            let like = like.map(|like| format!(": did you mean '{like}'?")).unwrap_or_default();
            format!("the operator's file grants something to plugin '{name}', and there is none of that name{like}")
        })
        .collect()
}
