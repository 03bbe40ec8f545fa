//! What a bundle says of itself: the part that is signed, and the words that come with a signature.

use lifeboat_core::event::RunResult;
use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::plan::Mode;
use lifeboat_core::state::{RunState, RunStatus};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::{PublicKey, hex};

/// The parts that every bundle has, in their order. What people attached follows.
pub const EVENTS: &str = "events.log";
/// The plan, as it was approved.
pub const PLAN: &str = "plan.json";
/// The text of the runbook.
pub const RUNBOOK: &str = "runbook.kdl";
/// What the events say in figures.
pub const FACTS: &str = "facts.json";
/// What the engine knew from elsewhere.
pub const WITNESS: &str = "witness.json";
/// What the names of attached files begin with.
pub const FILES: &str = "file/";

/// The SHA-256 of some bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}

/// The name of the part that holds an attached file.
pub fn file_part(digest: &Digest) -> String {
    format!("{FILES}{}", digest.0.replace(':', "-"))
}

/// A part, as the manifest has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Where a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnd {
    /// Its name.
    pub step: StepId,
    /// The word for where it is, as `done`.
    pub phase: String,
}

/// How the run stood when the bundle was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// In one word.
    pub status: RunStatus,
    /// How it ended, if it did.
    pub result: Option<RunResult>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_at: u64,
    /// When it ended.
    pub finished_at: Option<u64>,
    /// Every step, in the order of the plan.
    pub steps: Vec<StepEnd>,
}

impl End {
    /// The end of a state.
    pub fn of(state: &RunState) -> Self {
        let steps =
            state.steps().map(|(step, now)| StepEnd { step: step.id.clone(), phase: now.phase.as_str().to_owned() });
        Self {
            status: state.status(),
            result: state.result,
            created_at: state.created_at,
            finished_at: state.finished_at,
            steps: steps.collect(),
        }
    }
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The program that made it.
    pub made_by: String,
    /// When, in milliseconds since the Unix epoch, by its clock.
    pub made_at: u64,
    /// The run.
    pub run: RunId,
    /// The name of the runbook.
    pub runbook: String,
    /// The mode of the run.
    pub mode: Mode,
    /// The fingerprint of the plan.
    pub fingerprint: Digest,
    /// How many events there are.
    pub events: u64,
    /// The chain digest of the last one, in hexadecimal digits.
    pub chain: String,
    /// How the run stood.
    pub end: End,
    /// Files that people attached and that are not in the bundle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_files: Vec<Digest>,
    /// The parts, in their order.
    pub parts: Vec<PartEntry>,
}

/// The words that a signature is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The SHA-256 of the manifest.
    pub manifest: String,
    /// The public key of who signs.
    pub key: PublicKey,
    /// The name of who signs, in its own words.
    pub by: String,
    /// When, in milliseconds since the Unix epoch, by the clock of who signs.
    pub at: u64,
}
