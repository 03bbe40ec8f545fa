//! What the events of a run say in figures. All of it is worked out from the events alone, and again by whoever verifies;
//! the one exception is [`Witness`], which is told and not proved, and is marked as such wherever it is used.

mod made;
mod people;
mod snapshots;
mod spent;
mod steps;

use std::collections::BTreeMap;

use lifeboat_core::Error;
use lifeboat_core::apply::{apply, create};
use lifeboat_core::carry::Continues;
use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::measure::measure;
use lifeboat_core::plan::{Mode, Objectives, PluginPin, StepKind};
use lifeboat_core::state::{Phase, RunState, RunStatus};
use lifeboat_core::verified::{Verdict, verdict};
use serde::{Deserialize, Serialize};

pub use made::{CheckFact, MadeFact, SuspectFact};
pub use people::{Answer, Asked, Attestation, Deed, Wait, WaitFor};
pub use snapshots::{DataLoss, Restored, SnapshotFact, Taken, Witness, data_loss, learn, used};
pub use spent::Spent;
pub use steps::{AttemptFacts, StepFacts};

/// The version of the rules by which figures are worked out. A later one may count otherwise.
pub const RULES: u32 = 1;

/// The points in time that a recovery passes, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// When the alert began that started the run, where one did.
    pub detected: Option<u64>,
    /// When the run was made, or the first of those that it goes on with: the recovery time counts from here, or from the alert.
    pub declared: u64,
    /// When the last approval was whole; none where nobody was asked or somebody said no.
    pub approved: Option<u64>,
    /// When the last step was done that changes something.
    pub executed: Option<u64>,
    /// When the last `validate` was done.
    pub validated: Option<u64>,
    /// When the last step came to its end; what the run made is removed after that.
    pub ended: Option<u64>,
}

/// The locks of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFacts {
    /// Their names.
    pub names: Vec<String>,
    /// When they were taken, and with which fence: each time a larger one.
    pub taken: Vec<(u64, u64)>,
}

/// The run that this one goes on with, in another mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The run.
    pub run: RunId,
    /// Its mode.
    pub mode: Mode,
    /// How many events it has.
    pub events: u64,
    /// The chain digest of the last of them: evidence of that run has to end with it.
    pub chain: Digest,
    /// The steps whose work was taken over.
    pub carried: Vec<lifeboat_core::StepId>,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// [`RULES`] of who made it.
    pub rules: u32,
    /// The run.
    pub run: RunId,
    /// The name of the runbook.
    pub runbook: String,
    /// What the runbook is for.
    pub description: String,
    /// Who owns it.
    pub owner: Option<String>,
    /// The mode.
    pub mode: Mode,
    /// How the run stands, in one word.
    pub status: RunStatus,
    /// The run that it goes on with, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Earlier>,
    /// The run that goes on with it, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_as: Option<RunId>,
    /// The fingerprint of the plan.
    pub fingerprint: Digest,
    /// The program that made the run.
    pub engine: String,
    /// What the business asked for.
    pub objectives: Objectives,
    /// Points in time.
    pub clock: Clock,
    /// Recovery time actual: from the alert, else from the making of the run, to the end of its last step, or to its last event. What
    /// is removed after that is no part of it. Milliseconds.
    pub rta_ms: u64,
    /// How the drill went, where it is one that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Verdict>,
    /// Whether that is within the objective; none without one, and while the run goes on.
    pub within_rto: Option<bool>,
    /// Where the time went.
    pub spent: Spent,
    /// What was waited for.
    pub waits: Vec<Wait>,
    /// Every step.
    pub steps: Vec<StepFacts>,
    /// What people were asked, and what they answered.
    pub approvals: Vec<Asked>,
    /// Everything that people did.
    pub people: Vec<Deed>,
    /// What people vouch for.
    pub attestations: Vec<Attestation>,
    /// The plugins that the plan pins.
    pub plugins: BTreeMap<String, PluginPin>,
    /// Recovery points that steps made, proved, copied or brought back.
    pub snapshots: Vec<SnapshotFact>,
    /// What was lost.
    pub data_loss: DataLoss,
    /// What the run made, and where it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledger: Vec<MadeFact>,
    /// What looked as if it had been tampered with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspects: Vec<SuspectFact>,
    /// Damages that were done to copies on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckFact>,
    /// Locks.
    pub locks: LockFacts,
}

impl Facts {
    /// Whether the run ended and did what it was for.
    pub fn succeeded(&self) -> bool {
        self.status == RunStatus::Succeeded
    }
}

/// The facts of a run, and its state, from all of its events.
///
/// # Errors
/// `LB0503` with the number of the first event that cannot follow.
pub fn of(events: &[Event], witness: &Witness) -> Result<(Facts, RunState), Error> {
    let none = || Error::new("LB0503", "the run has no events");
    let first = events.first().ok_or_else(none)?;
    let mut state = create(first)?;
    let EventKind::RunCreated { engine, said, .. } = &first.kind else { return Err(none()) };
    let mut spent = spent::Counter::new(&state);
    let mut steps = steps::Book::new(&state);
    let mut people = people::Book::new(first.at, said);
    let mut locks = LockFacts { names: state.lock_names.clone(), taken: Vec::new() };
    for event in events.iter().skip(1) {
        spent.pass(&state, event);
        let seq = state.seq + 1;
        apply(&mut state, event).map_err(|error| error.with("event", seq))?;
        spent.after(&state, event);
        steps.after(event);
        people.after(&state, event);
        if let EventKind::LocksTaken { fence, .. } = &event.kind {
            locks.taken.push((event.at, *fence));
        }
    }
    let clock = clock(&state, people.approved_at());
    let (approvals, waits, deeds, attestations) = people.close(&state);
    let (snapshots, data_loss) = snapshots::of(&state, witness);
    // The time of the cleanup is none of the recovery.
    let end = state.worked_until.or(state.finished_at).unwrap_or(state.updated_at);
    let rta_ms = end.saturating_sub(state.recovery_since().min(state.created_at));
    let ended = state.status().is_final();
    let drill = ended && state.plan.mode == Mode::Drill;
    let drill = if drill { Some(verdict(&state, &measure(events)?)) } else { None };
    let facts = Facts {
        rules: RULES,
        run: state.run.clone(),
        runbook: state.plan.runbook.clone(),
        description: state.plan.description.clone(),
        owner: state.plan.owner.clone(),
        mode: state.plan.mode,
        status: state.status(),
        continues: state.continues.as_deref().map(earlier),
        continued_as: state.continued_as.clone(),
        fingerprint: state.fingerprint.clone(),
        engine: engine.clone(),
        objectives: state.plan.objectives,
        clock,
        rta_ms,
        drill,
        within_rto: state.plan.objectives.rto_ms.filter(|_| ended).map(|rto| rta_ms <= rto),
        spent: spent.spent,
        waits,
        steps: steps.close(&state),
        approvals,
        people: deeds,
        attestations,
        plugins: state.plan.plugins.clone(),
        snapshots,
        data_loss,
        ledger: made::made(&state),
        suspects: made::suspects(&state),
        checks: made::checks(&state),
        locks,
    };
    Ok((facts, state))
}

fn earlier(from: &Continues) -> Earlier {
    let carried = from.steps.iter().map(|step| step.step.clone()).collect();
    Earlier { run: from.run.clone(), mode: from.mode, events: from.events, chain: from.chain.clone(), carried }
}

fn clock(state: &RunState, approved: Option<u64>) -> Clock {
    let (detected, declared) = (state.detected_at, state.declared_at());
    let ended = state.worked_until.or(state.finished_at);
    let mut clock = Clock { detected, declared, approved, ended, ..Clock::default() };
    for (step, now) in state.steps() {
        if !matches!(now.phase, Phase::Done) || !step.kind.by_plugin() {
            continue;
        }
        let at = match step.kind {
            StepKind::Validate => &mut clock.validated,
            StepKind::Verify => continue,
            _ => &mut clock.executed,
        };
        *at = (*at).max(now.finished_at);
    }
    clock
}
