//! A plan carried out in a world in which everything goes wrong, one thing at a time.
//!
//! The rules are the engine's own ([`lifeboat_core::decide`] and [`lifeboat_core::apply`]); only plugins, people and time are
//! played. Every step fails, is unknown, takes too long, and cannot be undone; every question is refused and left without an
//! answer; and the engine dies after every event, with what was under way done or not. What comes of it is looked at: a
//! branch in which something stays behind, somebody has to be asked, or nothing ever happens again, is one that the runbook
//! does not handle.
//!
//! What plugins give to later steps is made up so that conditions hold: a step that is not needed in such a world is not
//! looked at. Two things going wrong at once are not tried, but for an undo that fails after a failure.

mod cases;
mod life;
mod outputs;

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::plan::{Effect, Plan, StepKind};
use lifeboat_core::state::RunStatus;
use lifeboat_core::{Error, StepId};
use serde::Serialize;

use self::cases::{Case, Trouble};
use self::life::{Life, Rest};
use crate::words::some;

/// What a simulation has to know besides the plan.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// The steps whose plugin can tell afterwards whether an attempt happened.
    pub probes: BTreeSet<StepId>,
    /// Whether the operator's file keeps roles: then only the people of the plan may say yes.
    pub roles: bool,
    /// What draws the cases, where there are too many.
    pub seed: u64,
    /// The most cases; `None`: as many as take some seconds, by the size of the plan.
    pub cases: Option<usize>,
}

/// What an unhandled branch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// After a failure something stays behind that matters, and nothing undoes it.
    LeftBehind,
    /// Nobody knows whether the step happened, and a person is asked.
    AsksPerson,
    /// An undo that is refused once makes the run stuck: it is not tried again.
    UndoOnce,
    /// Nobody may say yes, or too few.
    NobodyMayAnswer,
    /// A question that stands for ever.
    WaitsForEver,
    /// The end is another one after the engine died.
    EndsOtherwise,
}

impl Gap {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Gap::LeftBehind => "left behind",
            Gap::AsksPerson => "asks a person",
            Gap::UndoOnce => "undo tried once",
            Gap::NobodyMayAnswer => "nobody may answer",
            Gap::WaitsForEver => "waits for ever",
            Gap::EndsOtherwise => "ends otherwise",
        }
    }
}

/// A branch that nobody handles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// What it is.
    pub gap: Gap,
    /// The step that it is about.
    pub step: StepId,
    /// What goes wrong for it to come about.
    pub when: Vec<String>,
    /// What to write, so that it is handled.
    pub hint: String,
}

/// What a simulation found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// What drew the cases.
    pub seed: u64,
    /// All cases that there are.
    pub possible: usize,
    /// How many of them were played.
    pub played: usize,
    /// Steps of the plan.
    pub steps: usize,
    /// Events of the run in which nothing goes wrong.
    pub events: usize,
    /// How the cases ended, by the word for it.
    pub ends: BTreeMap<String, usize>,
    /// What nobody handles.
    pub branches: Vec<Branch>,
}

/// Plays a plan.
///
/// # Errors
/// `LB1194` when even the run in which nothing goes wrong does not come to its end, which is a bug of the engine or a plan
/// that no compiler made.
pub fn simulate(plan: &Plan, setting: &Setting) -> Result<Found, Error> {
    let world = life::World::new(plan, setting)?;
    let (trail, end) = world.undisturbed()?;
    let all = cases::all(plan, &trail);
    let possible = all.len();
    let most = setting.cases.unwrap_or_else(|| cases::affordable(plan.steps.len()));
    let chosen = cases::draw(all, most, setting.seed);
    let mut gaps = Gaps { plan, found: BTreeMap::new() };
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let played = chosen.len();
    questions(plan, setting, &mut gaps);
    let mut walker = world.walker(&trail)?;
    for case in chosen {
        let life = match case.cut {
            Some((seq, happened)) => world.cut(walker.at(seq)?, happened),
            None => world.troubled(&case),
        };
        let (life, rest) = life.come_to_rest()?;
        let word = if rest == Rest::Person { "asks a person" } else { life.state.status().as_str() };
        *ends.entry(word.to_owned()).or_default() += 1;
        gaps.look(&case, &life, rest, end);
    }
    Ok(Found {
        seed: setting.seed,
        possible,
        played,
        steps: plan.steps.len(),
        events: trail.len(),
        ends,
        branches: gaps.branches(),
    })
}

/// What is wrong with questions whatever happens.
fn questions(plan: &Plan, setting: &Setting, gaps: &mut Gaps<'_>) {
    for step in plan.steps.iter().filter(|step| step.kind == StepKind::Approve) {
        let Some(approval) = &step.approval else { continue };
        if approval.expires_ms.is_none() {
            gaps.note(Gap::WaitsForEver, &step.id, "nobody answers".to_owned());
        }
        let people = u32::try_from(approval.people.len()).unwrap_or(u32::MAX);
        if setting.roles && people < approval.quorum {
            let why = format!("{} yes are asked for, and {people} have the role '{}'", approval.quorum, approval.role);
            gaps.note(Gap::NobodyMayAnswer, &step.id, why);
        }
    }
}

/// Collects what is found, one branch a step and gap.
struct Gaps<'a> {
    plan: &'a Plan,
    found: BTreeMap<(Gap, StepId), Vec<String>>,
}

impl Gaps<'_> {
    fn note(&mut self, gap: Gap, step: &StepId, when: String) {
        let whens = self.found.entry((gap, step.clone())).or_default();
        if !whens.contains(&when) {
            whens.push(when);
        }
    }

    /// Looks at where one case came to rest.
    fn look(&mut self, case: &Case, life: &Life<'_>, rest: Rest, whole: RunStatus) {
        let state = &life.state;
        let when = case.words();
        for (step, now) in state.steps() {
            match &now.phase {
                lifeboat_core::state::Phase::Asking { .. } => self.note(Gap::AsksPerson, &step.id, when.clone()),
                lifeboat_core::state::Phase::UndoFailed { .. } if case.undo_busy() => {
                    self.note(Gap::UndoOnce, &step.id, "it fails once for a reason that may pass".to_owned());
                }
                _ => {}
            }
        }
        if rest == Rest::Person {
            return;
        }
        if state.status() == RunStatus::Failed {
            let matters = |effect: Effect| matches!(effect, Effect::Compensatable | Effect::Irreversible);
            let left = state.steps().filter(|(step, now)| now.may_have_happened && matters(step.effect));
            for step in left.map(|(step, _)| step.id.clone()).collect::<Vec<_>>() {
                self.note(Gap::LeftBehind, &step, when.clone());
            }
        }
        if case.cut.is_some()
            && state.status() != whole
            && let Some(step) = life.in_doubt.first()
        {
            self.note(Gap::EndsOtherwise, step, when);
        }
    }

    fn branches(self) -> Vec<Branch> {
        let plan = self.plan;
        let branch = |((gap, step), when): ((Gap, StepId), Vec<String>)| {
            let effect = plan.step(&step).map_or(Effect::Irreversible, |step| step.effect);
            let hint = hint(gap, effect, plan.on_failure.compensate).to_owned();
            Branch { gap, step, when, hint }
        };
        self.found.into_iter().map(branch).collect()
    }
}

fn hint(gap: Gap, effect: Effect, compensates: bool) -> &'static str {
    match gap {
        Gap::LeftBehind if effect == Effect::Irreversible => {
            "nothing undoes it: put what can fail before it, or write down what a person does then"
        }
        Gap::LeftBehind if compensates => "write compensate #true in the step",
        Gap::LeftBehind => "write on-failure { compensate } in the runbook",
        Gap::AsksPerson => "use a plugin that can tell, or write in-doubt \"rerun\" where doing it twice does no harm",
        Gap::UndoOnce => "write compensate { retry 5 backoff=\"1s\" } in the step",
        Gap::NobodyMayAnswer => "name people in the operator's file: role \"NAME\" \"PERSON\"",
        Gap::WaitsForEver => "write timeout=\"30m\" in the approval",
        Gap::EndsOtherwise => "look at the step's in-doubt and retry",
    }
}

impl Found {
    /// The finding as text, one branch a line, with a line end.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for branch in &self.branches {
            text.push_str(&format!("{:<17} {}: when {}\n", branch.gap.as_str(), branch.step, some(&branch.when)));
            text.push_str(&format!("{:<17}   help: {}\n", "", branch.hint));
        }
        let ends: Vec<String> = self.ends.iter().map(|(word, count)| format!("{count} {word}")).collect();
        text.push_str(&format!("{} of {} cases played", self.played, self.possible));
        if self.played < self.possible {
            text.push_str(&format!(", drawn with seed {}", self.seed));
        }
        text.push_str(&format!(" ({} steps, {} events): {}\n", self.steps, self.events, ends.join(", ")));
        let count = self.branches.len();
        let all = if self.played < self.possible { " among them" } else { "" };
        text.push_str(&match count {
            0 => format!("every branch{all} is handled\n"),
            1 => "1 branch that nobody handles\n".to_owned(),
            _ => format!("{count} branches that nobody handles\n"),
        });
        text
    }
}

/// What a case is about, for [`Trouble`] in words.
fn told(trouble: Trouble, step: &StepId) -> String {
    match trouble {
        Trouble::Fails => format!("{step} fails"),
        Trouble::Unknown { happened } => format!("{step} gives no answer and {}", did(happened)),
        Trouble::TooLong { happened } => format!("{step} takes too long and {}", did(happened)),
        Trouble::UndoFails => format!("{step} cannot be undone"),
        Trouble::UndoBusy => format!("the undo of {step} fails once"),
        Trouble::Denied => format!("{step} is denied"),
        Trouble::Unanswered => format!("nobody answers {step}"),
    }
}

fn did(happened: bool) -> &'static str {
    if happened { "happened" } else { "did not happen" }
}
