//! Events: everything that happens to a run, in the order in which it was made durable.
//!
//! One event is one JSON object in the journal, so a log is read with nothing but `cat` and a JSON reader. Its form is a
//! promise: fields are added, never renamed, and a reader refuses what is newer than it knows ([`EVENT_VERSION`]).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::carry::Continues;
use crate::ids::{Digest, RunId, StepId};
use crate::ledger::Resource;
use crate::outcome::{Failure, Outcome, ProbeAnswer};
use crate::plan::Plan;
use crate::ports::Direction;

/// The version of the events' format that this engine writes, and the highest that it reads.
pub const EVENT_VERSION: u32 = 1;

/// Something that happened, with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Format version.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = EVENT_VERSION)))]
    pub v: u32,
    /// When, in milliseconds since the Unix epoch, by the engine's clock.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Who did something and why: for every operator verb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Said {
    /// Who, as the engine knows the person.
    pub by: String,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// A file that a person attached to what was said: kept apart, named by what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EvidenceFile {
    /// Its name, for people.
    pub name: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
}

/// A lock that another run has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeldLock {
    /// The name of the lock.
    pub lock: String,
    /// The run that holds it, or stands before this one in its queue.
    pub holder: RunId,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// A run was made. Always the first event; it pins all that the run depends on.
    RunCreated {
        /// The run.
        run: RunId,
        /// Its plan.
        plan: Box<Plan>,
        /// The digest that approvals name.
        fingerprint: Digest,
        /// The runbook's text, as it was compiled.
        runbook: String,
        /// The engine that made it.
        engine: String,
        /// When the alert began that started it, where one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detected_at: Option<u64>,
        /// The run that it goes on with in another mode, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continues: Option<Box<Continues>>,
        /// Who started it and why.
        #[serde(flatten)]
        said: Said,
    },
    /// The intent to carry out a step: durable before anything is done.
    AttemptStarted {
        /// The step.
        step: StepId,
        /// Forward or undo.
        direction: Direction,
        /// From 1, over the step and direction.
        number: u32,
        /// The idempotency key.
        key: Digest,
        /// The fencing token.
        token: u64,
    },
    /// What came of it.
    AttemptFinished {
        /// The step.
        step: StepId,
        /// Forward or undo.
        direction: Direction,
        /// Which attempt.
        number: u32,
        /// The outcome.
        #[serde(flatten)]
        outcome: Outcome,
        /// When it is tried again, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<u64>,
        /// The engine stopped or crashed during the attempt; it is no fault of the step, and costs it no retry.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        interrupted: bool,
    },
    /// A fact for the next attempt.
    Checkpointed {
        /// The step.
        step: StepId,
        /// Which attempt.
        number: u32,
        /// The fact.
        value: Value,
    },
    /// The plugin was asked whether an attempt with unknown outcome happened.
    Probed {
        /// The step.
        step: StepId,
        /// Which attempt.
        number: u32,
        /// What it said.
        #[serde(flatten)]
        answer: ProbeAnswer,
        /// When it is tried again, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<u64>,
    },
    /// People were asked.
    ApprovalRequested {
        /// The step.
        step: StepId,
        /// The fingerprint that they are asked about.
        fingerprint: Digest,
        /// When the question ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<u64>,
    },
    /// One person said yes.
    Approved {
        /// The step.
        step: StepId,
        /// The fingerprint that the person saw.
        fingerprint: Digest,
        /// The role in which the person spoke; none where the operator keeps no list of roles.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// One person said no: the step fails.
    Denied {
        /// The step.
        step: StepId,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// Nobody answered in time: the step fails.
    ApprovalExpired {
        /// The step.
        step: StepId,
    },
    /// A `wait` step began.
    WaitStarted {
        /// The step.
        step: StepId,
        /// Until when.
        until: u64,
    },
    /// Its time has come.
    WaitEnded {
        /// The step.
        step: StepId,
    },
    /// A person wants a failed or in-doubt step tried again.
    StepRetried {
        /// The step.
        step: StepId,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A person wants the run to go on without the step.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A person saw to it that a step is done, or undone where its undo failed.
    StepMarkedDone {
        /// The step.
        step: StepId,
        /// Its outputs, as its plugin would have given them.
        outputs: Value,
        /// Files that show it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<EvidenceFile>,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A switch whose turn has come is held: a snapshot that comes before it is suspect.
    SuspectHeld {
        /// The switch.
        step: StepId,
        /// The steps whose outputs say so.
        from: Vec<StepId>,
        /// Why the snapshots are suspect, in words.
        because: Vec<String>,
    },
    /// A person looked at what is suspect, and attests that the switch may use it.
    SuspectAttested {
        /// The switch.
        step: StepId,
        /// Files that show what was looked at.
        evidence: Vec<EvidenceFile>,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A condition of the step does not hold, or what it needs was not needed: the run goes on without it.
    StepNotNeeded {
        /// The step.
        step: StepId,
        /// What did not hold.
        because: String,
    },
    /// A condition of the step cannot be told: the step fails before its first attempt.
    ConditionUnclear {
        /// The step.
        step: StepId,
        /// Why not.
        failure: Failure,
    },
    /// The run waits for locks that other runs have.
    LocksAwaited {
        /// Which, and who has them.
        held: Vec<HeldLock>,
    },
    /// The run has its locks until it ends. Said again when an engine takes the run up again.
    LocksTaken {
        /// Their names.
        locks: Vec<String>,
        /// Grows with every taking of locks in a store. The fencing tokens that follow are larger than those of every run
        /// that had one of the locks before.
        fence: u64,
    },
    /// A person wants nothing new begun.
    RunPaused {
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A person wants it to go on.
    RunUnpaused {
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A person takes over: the run ends as it is, and nothing is undone.
    RunAbandoned {
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A person goes on in another mode: the run ends as it is, nothing is undone, and another one takes up what is done. That
    /// one is made of this event, so it is made also after a crash, and only once.
    RunContinued {
        /// The run that goes on.
        successor: RunId,
        /// Its plan.
        plan: Box<Plan>,
        /// The fingerprint of that plan.
        fingerprint: Digest,
        /// The text that it was compiled from.
        runbook: String,
        /// The steps whose work is taken over, in the order in which they were done.
        carried: Vec<StepId>,
        /// The steps that were begun, and that the other run goes on with.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        begun: Vec<StepId>,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// A person wants the run to end.
    CancelRequested {
        /// Whether what was done is undone.
        compensate: bool,
        /// Who and why.
        #[serde(flatten)]
        said: Said,
    },
    /// What was done is undone from here on, in reverse order.
    UnwindStarted {
        /// The step whose failure caused it, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<StepId>,
    },
    /// What a step is about to make, and somebody has to remove: durable before its first attempt.
    ResourcesIntended {
        /// The step.
        step: StepId,
        /// What it will make; at least one.
        resources: Vec<Resource>,
    },
    /// What the run made is removed from here on, the newest first.
    CleanupStarted {
        /// How the run ends afterwards, or had ended before.
        then: RunResult,
        /// The person who wants it, where it does not follow by itself from the end of the run.
        #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
        said: Option<Said>,
    },
    /// The run ended.
    RunFinished {
        /// `succeeded`, `failed` or `cancelled`; a run that is abandoned ends with that event.
        result: RunResult,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// Every step is done or was skipped.
    Succeeded,
    /// A step failed for good. `retry` and `skip` open the run again, unless it was unwound.
    Failed,
    /// A person ended it.
    Cancelled,
    /// A person took over, and left everything as it was.
    Abandoned,
}

impl Event {
    /// An event of the present format.
    pub fn new(at: u64, kind: EventKind) -> Self {
        Self { v: EVENT_VERSION, at, kind }
    }

    /// The exact bytes that are stored.
    ///
    /// # Errors
    /// `LB0503` when the event cannot be written as JSON, which no event of this crate's own types causes.
    pub fn encode(&self) -> Result<Vec<u8>, crate::Error> {
        serde_json::to_vec(self)
            .map_err(|cause| crate::Error::new("LB0503", "an event cannot be written as JSON").with("cause", cause))
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// `LB0503` when the bytes are no event, or one of a later format.
    pub fn decode(bytes: &[u8]) -> Result<Self, crate::Error> {
        #[derive(Deserialize)]
        struct Head<'a> {
            v: u32,
            #[serde(borrow, default)]
            event: std::borrow::Cow<'a, str>,
        }
        let bad = |cause: serde_json::Error| {
            let cause = cause.to_string();
            // What else there could be is a long list, and grows.
            let brief = cause.split_once(", expected one of").map_or(cause.as_str(), |(brief, _)| brief);
            crate::Error::new("LB0503", "a stored event cannot be read")
                .with("cause", brief)
                .hint("run 'lifeboat doctor' to see what is damaged")
        };
        let head: Head<'_> = serde_json::from_slice(bytes).map_err(bad)?;
        if head.v > EVENT_VERSION {
            return Err(crate::Error::new("LB0503", format!("an event has the later format version {}", head.v))
                .hint("use the Lifeboat that wrote this data folder, or a later one"));
        }
        if head.event == "run-created" {
            return serde_json::from_slice::<Created>(bytes).map(Created::event).map_err(bad);
        }
        serde_json::from_slice(bytes).map_err(bad)
    }
}

/// [`EventKind::RunCreated`] as it is stored, field by field. It holds a whole plan, and to read it through the tag and the
/// flattened parts of [`Event`] copies all of that twice more: to take 10,000 runs up again then took a quarter longer.
#[derive(Deserialize)]
struct Created {
    v: u32,
    at: u64,
    run: RunId,
    plan: Box<Plan>,
    fingerprint: Digest,
    runbook: String,
    engine: String,
    #[serde(default)]
    detected_at: Option<u64>,
    #[serde(default)]
    continues: Option<Box<Continues>>,
    by: String,
    #[serde(default)]
    why: String,
}

impl Created {
    fn event(self) -> Event {
        let Self { v, at, run, plan, fingerprint, runbook, engine, detected_at, continues, by, why } = self;
        let said = Said { by, why };
        let kind = EventKind::RunCreated { run, plan, fingerprint, runbook, engine, detected_at, continues, said };
        Event { v, at, kind }
    }
}
