//! The state of a run: what its events add up to. Only [`crate::apply`] changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::carry::{Continues, Origin};
use crate::event::{EvidenceFile, HeldLock, RunResult, Said};
use crate::ids::{Digest, RunId, StepId};
use crate::ledger::{Entry, Made};
use crate::outcome::Failure;
use crate::plan::{Mode, Plan, Step};
use crate::ports::Direction;
pub use crate::summary::Summary;

/// What a person is told about a run in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// Steps are under way, or can be.
    Running,
    /// For a person's approval, for a timer, or for a lock.
    Waiting,
    /// A person wants nothing new begun.
    Paused,
    /// What was done is being undone.
    Compensating,
    /// What was made is being removed.
    Cleaning,
    /// Nothing goes on without an operator verb.
    Stuck,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Ended by a person.
    Cancelled,
    /// Left as it was by a person who took over.
    Abandoned,
}

impl RunStatus {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Waiting => "waiting",
            RunStatus::Paused => "paused",
            RunStatus::Compensating => "compensating",
            RunStatus::Cleaning => "cleaning",
            RunStatus::Stuck => "stuck",
            RunStatus::Succeeded => "succeeded",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
            RunStatus::Abandoned => "abandoned",
        }
    }

    /// Whether the run has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled | RunStatus::Abandoned)
    }
}

/// Where a step is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// Waits for the steps before it, or for a free place.
    Pending,
    /// An attempt is under way; its intent is durable.
    Running {
        /// Forward or undo.
        direction: Direction,
        /// Which attempt.
        number: u32,
        /// Its fencing token.
        token: u64,
        /// Since when.
        since: u64,
    },
    /// Waits for the next attempt.
    Backoff {
        /// Forward or undo.
        direction: Direction,
        /// Until when.
        until: u64,
    },
    /// Nobody knows whether the last attempt happened; the plugin is to be asked.
    InDoubt {
        /// Which attempt.
        number: u32,
        /// What made it unknowable.
        reason: String,
        /// The engine stopped during the attempt.
        interrupted: bool,
    },
    /// Nobody knows, and a person has to decide: retry or skip.
    Asking {
        /// What made it unknowable.
        reason: String,
    },
    /// A switch that is held because of a suspect snapshot: a person has to attest that it may be used.
    Suspect {
        /// The steps whose outputs say that it is suspect.
        from: Vec<StepId>,
        /// Why, in words.
        because: Vec<String>,
    },
    /// People are asked for their approval.
    Approval {
        /// When the question ends.
        expires_at: Option<u64>,
        /// Who said yes so far.
        given: Vec<Said>,
    },
    /// A `wait` is under way.
    Timer {
        /// Until when.
        until: u64,
    },
    /// Done.
    Done,
    /// Failed for good.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// A person wants to go on without it.
    Skipped {
        /// Who and why.
        said: Said,
    },
    /// Its conditions do not hold: the run goes on without it.
    NotNeeded {
        /// What did not hold.
        because: String,
    },
    /// Done, and undone.
    Undone,
    /// Its undo failed for good.
    UndoFailed {
        /// Why.
        failure: Failure,
    },
}

impl Phase {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Phase::Pending => "pending",
            Phase::Running { direction: Direction::Forward, .. } => "running",
            Phase::Running { direction: Direction::Undo | Direction::Cleanup, .. } => "undoing",
            Phase::Backoff { .. } => "retrying",
            Phase::InDoubt { .. } => "in-doubt",
            Phase::Asking { .. } => "asking",
            Phase::Suspect { .. } => "suspect",
            Phase::Approval { .. } => "approval",
            Phase::Timer { .. } => "waiting",
            Phase::Done => "done",
            Phase::Failed { .. } => "failed",
            Phase::Skipped { .. } => "skipped",
            Phase::NotNeeded { .. } => "not-needed",
            Phase::Undone => "undone",
            Phase::UndoFailed { .. } => "undo-failed",
        }
    }
}

/// That a person saw to a step, and what shows it.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ByHand {
    /// Who and why.
    pub said: Said,
    /// Files that show it.
    #[serde(default)]
    pub evidence: Vec<EvidenceFile>,
}

impl ByHand {
    pub(crate) fn of(said: &Said, evidence: &[EvidenceFile]) -> Self {
        Self { said: said.clone(), evidence: evidence.to_vec() }
    }
}

/// All that is known of one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepState {
    /// Where it is.
    pub phase: Phase,
    /// Attempts forward so far.
    pub attempts: u32,
    /// Attempts of undo so far.
    pub undo_attempts: u32,
    /// Failures that count against the retry policy since the last operator retry.
    pub failures: u32,
    /// Its outputs, once done; kept when undone.
    pub outputs: Option<Value>,
    /// The last checkpoint.
    pub checkpoint: Option<Value>,
    /// When its first attempt (or question, or timer) began.
    pub started_at: Option<u64>,
    /// When it came to its present end.
    pub finished_at: Option<u64>,
    /// Whether its effect may be there: done or unknown. Decides whether it is undone.
    pub may_have_happened: bool,
    /// Who marked it as done, or as undone, if a person did.
    pub by_hand: Option<Box<ByHand>>,
    /// Who attested that it may use what is suspect, if a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attested: Option<Box<ByHand>>,
    /// What it makes, since it was about to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Box<Entry>>,
    /// The run that did it, where this one took it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carried: Option<Box<Origin>>,
    /// The run that began it, where this one goes on with that: it keeps that one's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun_in: Option<RunId>,
}

impl StepState {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Pending,
            attempts: 0,
            undo_attempts: 0,
            failures: 0,
            outputs: None,
            checkpoint: None,
            started_at: None,
            finished_at: None,
            may_have_happened: false,
            by_hand: None,
            attested: None,
            ledger: None,
            carried: None,
            begun_in: None,
        }
    }

    /// Whether the steps after it may go on.
    pub fn is_complete(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Skipped { .. } | Phase::NotNeeded { .. })
    }
}

/// The end that a run is heading for, instead of success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Heading {
    /// Carry on.
    Forward,
    /// A person cancelled; what is under way comes to its end first.
    Cancelling {
        /// Whether what was done is undone.
        compensate: bool,
        /// Who and why.
        said: Said,
    },
    /// Undo in reverse order, then end with that result.
    Unwinding {
        /// The end.
        then: RunResult,
    },
    /// Remove what the run made, the newest first, then end with that result.
    Cleaning {
        /// The end.
        then: RunResult,
    },
}

/// Where a run is with its locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Locks {
    /// It needs none, or has ended and needs them no more.
    Free,
    /// It needs them before anything begins.
    Wanted {
        /// Which other runs have; empty before it was looked.
        held: Vec<HeldLock>,
    },
    /// It has them.
    Held,
}

/// The state of a run.
#[derive(Clone, Debug)]
pub struct RunState {
    /// The run.
    pub run: RunId,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// The digest that approvals name.
    pub fingerprint: Digest,
    /// Who started it and why.
    pub said: Said,
    /// When it was made.
    pub created_at: u64,
    /// When the alert began that started it, where one did.
    pub detected_at: Option<u64>,
    /// The run that it goes on with in another mode, where it does.
    pub continues: Option<Arc<Continues>>,
    /// The run that goes on with it in another mode, where one does.
    pub continued_as: Option<RunId>,
    /// The locks that it had when the other one went on with it.
    pub(crate) handed_locks: Vec<String>,
    /// When its last event happened.
    pub updated_at: u64,
    /// Number of events so far.
    pub seq: u64,
    /// The last fencing token given out.
    pub token: u64,
    /// The end that it is heading for.
    pub heading: Heading,
    /// Who paused it, while it is.
    pub paused: Option<Said>,
    /// The names of its locks, sorted.
    pub lock_names: Vec<String>,
    /// Where it is with them.
    pub locks: Locks,
    /// How it ended.
    pub result: Option<RunResult>,
    /// When it ended.
    pub finished_at: Option<u64>,
    /// When its last step came to an end, where what it made is removed after that: the cleanup is no part of a recovery.
    pub worked_until: Option<u64>,
    pub(crate) steps: Vec<StepState>,
    pub(crate) index: BTreeMap<StepId, usize>,
    /// For each step, the steps that come right after it.
    pub(crate) dependents: Vec<Vec<usize>>,
    /// For each step, how many steps right before it are not complete.
    pub(crate) unmet: Vec<usize>,
    /// Pending steps with nothing unmet.
    pub(crate) ready: BTreeSet<usize>,
    /// Steps with an attempt under way. Apart from `held`, so that a wide run costs no look at each of them.
    pub(crate) running: BTreeSet<usize>,
    /// Steps that began and are neither under way nor at an end: they wait for a time, a probe or a person.
    pub(crate) held: BTreeSet<usize>,
    /// Effects in the order in which they came about: the reverse is the order of undoing. A step that came about again
    /// stands here again; the last place counts.
    pub(crate) effects: Vec<usize>,
    pub(crate) complete: usize,
    pub(crate) failed: BTreeSet<usize>,
    /// Whether a step was found not to be needed: only then the references of others are looked at.
    pub(crate) some_not_needed: bool,
    /// The steps whose outputs say that a snapshot is suspect.
    pub(crate) suspects: BTreeSet<usize>,
    /// The steps with an entry in the ledger, in the order of their intents.
    pub(crate) made: Vec<usize>,
    /// Those of them whose things may still be there; the last is removed next.
    pub(crate) to_clean: Vec<usize>,
    /// The one whose things are being removed.
    pub(crate) removing: Option<usize>,
    /// Whether the plan has a fan-out, whose own limit is to be kept.
    pub(crate) has_fans: bool,
}

impl RunState {
    /// The mode.
    pub fn mode(&self) -> Mode {
        self.plan.mode
    }

    /// When the recovery was declared: when this run was made, or the first of those that it goes on with.
    pub fn declared_at(&self) -> u64 {
        self.continues.as_ref().map_or(self.created_at, |earlier| earlier.declared_at)
    }

    /// From when the recovery time counts: from the alert, where one started it, else from its declaring.
    pub fn recovery_since(&self) -> u64 {
        self.detected_at.unwrap_or_else(|| self.declared_at())
    }

    /// Up to when data may have been written that is lost: to the alert, else to the start. Where a switchover or a failback is
    /// continued in another mode, the source was there until then, as far as anybody knows.
    pub fn disaster_at(&self) -> u64 {
        match &self.continues {
            Some(earlier) => earlier.disaster_at.unwrap_or(self.created_at),
            None => self.detected_at.unwrap_or(self.created_at),
        }
    }

    /// Each step of the plan with its state, in the order of the source.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &StepState)> {
        self.plan.steps.iter().zip(&self.steps)
    }

    /// The steps that are neither pending nor at an end.
    pub fn steps_active(&self) -> impl Iterator<Item = &StepState> {
        self.running.iter().chain(&self.held).filter_map(|place| self.steps.get(*place))
    }

    /// The same with their places in the plan.
    pub fn active(&self) -> impl Iterator<Item = (&Step, &StepState)> {
        let both = |place: &usize| Some((self.plan.steps.get(*place)?, self.steps.get(*place)?));
        self.running.iter().chain(&self.held).filter_map(both)
    }

    /// Whether the run goes on by itself when a time comes or a probe answers, without any attempt under way.
    pub fn waits_for_time(&self) -> bool {
        let unwinding = matches!(self.heading, Heading::Unwinding { .. } | Heading::Cleaning { .. });
        if self.removal_waits_until().is_some() {
            return self.result.is_none() && self.paused.is_none();
        }
        self.result.is_none()
            && self.paused.is_none()
            && self.held_phases().any(|phase| match phase {
                Phase::Backoff { direction, .. } => !unwinding || *direction == Direction::Undo,
                Phase::Timer { .. } | Phase::InDoubt { .. } => !unwinding,
                _ => false,
            })
    }

    /// When the next removal is tried again, where one waits for that.
    pub(crate) fn removal_waits_until(&self) -> Option<u64> {
        let cleaning = matches!(self.heading, Heading::Cleaning { .. });
        let next = self.to_clean.last().filter(|_| cleaning && self.removing.is_none());
        match self.steps.get(*next?)?.ledger.as_ref()?.made {
            Made::Waiting { until } => Some(until),
            _ => None,
        }
    }

    fn held_phases(&self) -> impl Iterator<Item = &Phase> {
        self.held.iter().filter_map(|place| self.steps.get(*place)).map(|step| &step.phase)
    }

    /// Whether it has to have locks before anything goes on.
    pub fn wants_locks(&self) -> bool {
        self.result.is_none()
            && self.paused.is_none()
            && matches!(self.locks, Locks::Wanted { .. })
            && !matches!(self.heading, Heading::Cancelling { .. })
    }

    /// One step with its state.
    pub fn step(&self, id: &StepId) -> Option<(&Step, &StepState)> {
        let place = *self.index.get(id)?;
        Some((self.plan.steps.get(place)?, self.steps.get(place)?))
    }

    /// Steps that are done or were skipped.
    pub fn complete(&self) -> usize {
        self.complete
    }

    /// What a person is told.
    pub fn status(&self) -> RunStatus {
        match self.result {
            Some(RunResult::Succeeded) => return RunStatus::Succeeded,
            Some(RunResult::Failed) => return RunStatus::Failed,
            Some(RunResult::Cancelled) => return RunStatus::Cancelled,
            Some(RunResult::Abandoned) => return RunStatus::Abandoned,
            None => {}
        }
        if self.paused.is_some() {
            return RunStatus::Paused;
        }
        if self.wants_locks() {
            let waits = matches!(&self.locks, Locks::Wanted { held } if !held.is_empty());
            return if waits { RunStatus::Waiting } else { RunStatus::Running };
        }
        if let Heading::Cleaning { .. } = self.heading {
            return RunStatus::Cleaning;
        }
        if let Heading::Unwinding { .. } = self.heading {
            // What went forward and was left behind (a doubt, a question) is not waited for any more.
            let stuck = self.running.is_empty()
                && !self.waits_for_time()
                && self.held_phases().any(|phase| matches!(phase, Phase::UndoFailed { .. }));
            return if stuck { RunStatus::Stuck } else { RunStatus::Compensating };
        }
        let working = self.held_phases().any(|phase| matches!(phase, Phase::InDoubt { .. } | Phase::Backoff { .. }));
        let can_start = self.heading == Heading::Forward && !self.ready.is_empty();
        if working || can_start || !self.running.is_empty() {
            return RunStatus::Running;
        }
        if self.held_phases().any(|phase| matches!(phase, Phase::Asking { .. })) {
            return RunStatus::Stuck;
        }
        let waits =
            |phase: &Phase| matches!(phase, Phase::Approval { .. } | Phase::Timer { .. } | Phase::Suspect { .. });
        if self.held_phases().any(waits) {
            return RunStatus::Waiting;
        }
        RunStatus::Running
    }
}
