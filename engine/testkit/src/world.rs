//! The world that a scripted executor acts on: what is there, and how often it came about. It outlives engines.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lifeboat_core::outcome::FailureKind;
use serde_json::Value;

/// What one attempt does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Its effect happens, and it says so, with these outputs (`None`: the step's name).
    Done(Option<Value>),
    /// Nothing happens, and it says so.
    Fail(FailureKind),
    /// It says that it does not know. Whether its effect happened is only known here.
    Unknown {
        /// Whether it did.
        happened: bool,
    },
    /// It never ends by itself, and does not listen to a cancel.
    Hang {
        /// Whether its effect happened before it hung.
        happened: bool,
    },
    /// It takes that many milliseconds, then does the other. It listens to a cancel every 100 ms.
    Slow(u64, Box<Act>),
    /// It makes a checkpoint, then does the other.
    Checkpoint(Value, Box<Act>),
    /// It tells of its progress every so many milliseconds, so many times, then does the other.
    Beat {
        /// Milliseconds between two.
        every: u64,
        /// How many.
        times: u64,
        /// What then.
        then: Box<Act>,
    },
    /// It panics.
    Panic,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq)]
pub enum Tell {
    /// It looks and says what is there.
    Truth,
    /// It cannot tell.
    Nothing,
    /// It never ends.
    Hang,
}

/// What the attempts of one step do: by number from 1; past the end, the effect simply happens.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Forward.
    pub execute: Vec<Act>,
    /// Undo.
    pub undo: Vec<Act>,
    /// Cleanup.
    pub cleanup: Vec<Act>,
    /// Probes, by order; past the end, the truth.
    pub probe: Vec<Tell>,
}

/// What is known of one step's effect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Calls of execute.
    pub executed: u32,
    /// Calls of undo.
    pub undo_calls: u32,
    /// Calls of cleanup.
    pub cleanup_calls: u32,
    /// How often it was cleaned up.
    pub cleaned: u32,
    /// Calls of probe.
    pub probed: u32,
    /// How often the effect came about. More than once is a doubled effect.
    pub happened: u32,
    /// How often it was taken back.
    pub undone: u32,
    /// Whether it is there.
    pub present: bool,
    /// The fencing tokens of its attempts, in order.
    pub tokens: Vec<u64>,
    /// The idempotency keys seen; a set would hide an order.
    pub keys: Vec<String>,
    /// The checkpoints that its attempts were given.
    pub checkpoints: Vec<Option<Value>>,
    /// The arguments of its last attempt.
    pub args: Value,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) scripts: BTreeMap<String, Script>,
    pub(crate) entries: BTreeMap<(String, String), Entry>,
    pub(crate) log: Vec<String>,
    pub(crate) now: usize,
    pub(crate) most: usize,
    pub(crate) now_of: BTreeMap<String, usize>,
    pub(crate) most_of: BTreeMap<String, usize>,
    pub(crate) started: Vec<(u64, String)>,
    /// The highest token that each lock has seen.
    pub(crate) fences: BTreeMap<String, u64>,
    /// Effects that were refused because their attempt was overtaken.
    pub(crate) refused: u64,
}

/// The ledger of effects, kept outside of the engine. Cheap to clone; the clones are one world.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub(crate) inner: Arc<Mutex<Inner>>,
}

impl World {
    /// An empty world, where everything works at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the attempts of a step do, in every run.
    pub fn script(&self, step: &str, script: Script) -> &Self {
        self.inner.lock().unwrap().scripts.insert(step.to_owned(), script);
        self
    }

    /// What the attempts forward of a step do.
    pub fn acts(&self, step: &str, execute: impl IntoIterator<Item = Act>) -> &Self {
        self.inner.lock().unwrap().scripts.entry(step.to_owned()).or_default().execute = execute.into_iter().collect();
        self
    }

    /// What the attempts to undo a step do.
    pub fn undoes(&self, step: &str, undo: impl IntoIterator<Item = Act>) -> &Self {
        self.inner.lock().unwrap().scripts.entry(step.to_owned()).or_default().undo = undo.into_iter().collect();
        self
    }

    /// What the attempts to clean up after a step do.
    pub fn cleans(&self, step: &str, cleanup: impl IntoIterator<Item = Act>) -> &Self {
        self.inner.lock().unwrap().scripts.entry(step.to_owned()).or_default().cleanup = cleanup.into_iter().collect();
        self
    }

    /// What the probes of a step say.
    pub fn tells(&self, step: &str, probe: impl IntoIterator<Item = Tell>) -> &Self {
        self.inner.lock().unwrap().scripts.entry(step.to_owned()).or_default().probe = probe.into_iter().collect();
        self
    }

    /// Sets what is there of a step in a run, as an engine that died left it.
    pub fn preset(&self, run: &str, step: &str, present: bool) {
        let mut inner = self.inner.lock().unwrap();
        let entry = inner.entries.entry((run.to_owned(), step.to_owned())).or_default();
        entry.happened += u32::from(present && !entry.present);
        entry.undone += u32::from(!present && entry.present);
        entry.present = present;
    }

    /// What is known of a step's effect in a run.
    pub fn entry(&self, run: &str, step: &str) -> Entry {
        let inner = self.inner.lock().unwrap();
        inner.entries.get(&(run.to_owned(), step.to_owned())).cloned().unwrap_or_default()
    }

    /// What happened, in order: `do a`, `undo a`, `probe a`.
    pub fn log(&self) -> Vec<String> {
        self.inner.lock().unwrap().log.clone()
    }

    /// When attempts forward and undo began: the time and `do a` or `undo a`.
    pub fn started(&self) -> Vec<(u64, String)> {
        self.inner.lock().unwrap().started.clone()
    }

    /// How many effects were refused because their attempt was overtaken.
    pub fn refused(&self) -> u64 {
        self.inner.lock().unwrap().refused
    }

    /// The most attempts that were under way at once, in all runs.
    pub fn most_at_once(&self) -> usize {
        self.inner.lock().unwrap().most
    }

    /// The most attempts of one run that were under way at once.
    pub fn most_at_once_of(&self, run: &str) -> usize {
        self.inner.lock().unwrap().most_of.get(run).copied().unwrap_or(0)
    }
}
