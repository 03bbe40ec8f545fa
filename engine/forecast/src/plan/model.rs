//! A plan made ready for being carried out many times: everything by number, nothing looked up by name.

use std::collections::HashMap;

use lifeboat_core::Error;
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Effect, InDoubt, Plan, Retry, Step, StepKind};
use lifeboat_core::state::{Phase, RunState};

use super::{Basis, Question};
use crate::history::{History, StepHistory};
use crate::models::recovery::moving;
use crate::quantity::Bytes;
use crate::span::{Span, for_bytes};

/// Where a step is when a sample begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Start {
    /// Not begun.
    Fresh,
    /// Complete: there is nothing left of it.
    Complete,
    /// Under way for so many seconds.
    UnderWay(f64),
    /// It is tried again after so many seconds.
    Due(f64),
    /// It ends after so many seconds, and needs nothing more.
    Ends(f64),
}

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// What an attempt takes that is done.
    pub span: Span,
    /// What an attempt takes that fails; `None`: as one that is done.
    pub fails_after: Option<Span>,
    /// The probability that an attempt fails, and may be tried again.
    pub fails: f64,
    /// The probability that it fails for good.
    pub fails_for_good: f64,
    /// The probability that the step is not needed.
    pub not_needed: f64,
    /// An attempt ends here at the latest.
    pub limit: f64,
    /// An attempt that reached its limit is tried again by itself.
    pub goes_on_after_limit: bool,
    /// How it is tried again.
    pub retry: Retry,
    /// Failures that count already.
    pub failures: u32,
    /// It takes room of the run.
    pub takes_room: bool,
    /// Its fan-out, by number.
    pub fan: Option<usize>,
    /// Where it is.
    pub start: Start,
    /// How many steps before it are not complete.
    pub unmet: u32,
    /// The steps after it: from and to in [`Model::after`].
    pub after: (usize, usize),
    /// What its time is known from.
    pub basis: Basis,
    /// Attempts whose ends are known.
    pub attempts: usize,
    /// It goes on when a person says so.
    pub needs_person: bool,
}

/// A plan that is ready.
pub(super) struct Model {
    pub nodes: Vec<Node>,
    pub after: Vec<u32>,
    /// The limits of the fan-outs.
    pub fans: Vec<u32>,
    pub room: u32,
    /// Times that runs waited for locks, in seconds; empty where none are to be waited for, or nothing is known.
    pub lock_waits: Vec<f64>,
    /// The run needs locks that it does not have.
    pub wants_locks: bool,
    /// What has passed already, in seconds: before the run, and in it.
    pub passed: f64,
}

/// Whether a phase is a failure that a person has to mend.
pub(super) fn has_failed(phase: &Phase) -> bool {
    matches!(phase, Phase::Failed { .. } | Phase::UndoFailed { .. })
}

impl Model {
    pub(super) fn new(
        plan: &Plan,
        history: &History,
        asked: &Question,
        live: Option<(&RunState, u64)>,
    ) -> Result<Self, Error> {
        PlanGraph::new(plan).map_err(|cause| Error::new("LB0912", "the plan is no graph").with("cause", cause))?;
        let bytes = asked.bytes.or_else(|| live.and_then(|(state, _)| known_bytes(state)));
        let mut fans: Vec<(&str, u32)> = Vec::new();
        let mut nodes = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let mut node = node(step, history.of(step), asked, bytes)?;
            node.fan = step.fan.as_ref().map(|fan| {
                fans.iter().position(|(name, _)| *name == fan.of).unwrap_or_else(|| {
                    // A limit of none at all would never end.
                    fans.push((&fan.of, fan.limit.max(1)));
                    fans.len() - 1
                })
            });
            nodes.push(node);
        }
        let mut passed = asked.before.get();
        if let Some((state, now)) = live {
            state.steps().zip(&mut nodes).for_each(|((_, is), node)| place(is, now, node));
            passed += now.saturating_sub(state.declared_at()) as f64 / 1e3;
        }
        let after = connect(plan, &mut nodes);
        let wants_locks = !plan.locks().is_empty() && live.is_none_or(|(state, _)| state.wants_locks());
        let lock_waits =
            if wants_locks { history.lock_waits.iter().map(|ms| *ms as f64 / 1e3).collect() } else { Vec::new() };
        let fans = fans.into_iter().map(|(_, limit)| limit).collect();
        Ok(Self { nodes, after, fans, room: plan.max_parallel.max(1), lock_waits, wants_locks, passed })
    }
}

/// The edges as one list, and for each step how much of what it waits for is open.
fn connect(plan: &Plan, nodes: &mut [Node]) -> Vec<u32> {
    let index: HashMap<&str, usize> = plan.steps.iter().enumerate().map(|(at, step)| (step.id.as_str(), at)).collect();
    let mut lists: Vec<Vec<u32>> = vec![Vec::new(); plan.steps.len()];
    for (place, step) in plan.steps.iter().enumerate() {
        for before in step.after.iter().filter_map(|id| index.get(id.as_str())) {
            let open = nodes.get(*before).is_some_and(|node| node.start != Start::Complete);
            if let (true, Some(list), Some(node)) = (open, lists.get_mut(*before), nodes.get_mut(place)) {
                list.push(place as u32);
                node.unmet += 1;
            }
        }
    }
    let mut all = Vec::new();
    for (list, node) in lists.iter().zip(nodes) {
        let from = all.len();
        all.extend(list);
        node.after = (from, all.len());
    }
    all
}

/// The largest amount of data that an output of the run tells.
fn known_bytes(state: &RunState) -> Option<Bytes> {
    let told = state.steps().filter_map(|(_, step)| step.outputs.as_ref()?.get("bytes")?.as_u64());
    told.max().and_then(|bytes| Bytes::new(bytes as f64).ok())
}

/// Whether the step reads or writes all of the data.
fn moves_data(step: &Step) -> bool {
    match step.kind {
        StepKind::Snapshot | StepKind::Transfer | StepKind::Restore => true,
        StepKind::Verify => step.args.get("depth").and_then(serde_json::Value::as_str) != Some("index"),
        _ => false,
    }
}

fn node(step: &Step, known: Option<&StepHistory>, asked: &Question, bytes: Option<Bytes>) -> Result<Node, Error> {
    let (span, basis) = span(step, known, asked, bytes)?;
    let mut node = Node {
        span,
        fails_after: None,
        fails: 0.0,
        fails_for_good: 0.0,
        not_needed: 0.0,
        limit: limit(step),
        // What does no harm has simply failed then; else it is in doubt, and its policy may ask a person.
        goes_on_after_limit: step.kind.has_attempts()
            && (step.effect <= Effect::Reversible || step.policy.in_doubt != InDoubt::Ask),
        retry: step.policy.retry.clone(),
        failures: 0,
        takes_room: step.kind.has_attempts(),
        fan: None,
        start: Start::Fresh,
        unmet: 0,
        after: (0, 0),
        basis,
        attempts: 0,
        needs_person: false,
    };
    if let Some(known) = known {
        let count = known.attempts() as f64;
        let for_good = known.failed.iter().filter(|failed| failed.for_good).count();
        if count > 0.0 {
            node.fails = (known.failed.len() - for_good) as f64 / count;
            node.fails_for_good = for_good as f64 / count;
        }
        let times: Vec<f64> = known.failed.iter().map(|failed| failed.ms as f64 / 1e3).collect();
        node.fails_after = (!times.is_empty()).then(|| Span::measured(&times));
        node.attempts = known.attempts();
        let runs = known.needed + known.not_needed;
        if runs > 0 && !step.when.is_empty() {
            node.not_needed = f64::from(known.not_needed) / f64::from(runs);
        }
    }
    Ok(node)
}

/// How long an attempt, or a question, lasts at most, in seconds.
fn limit(step: &Step) -> f64 {
    match step.kind {
        StepKind::Approve => {
            step.approval.as_ref().and_then(|asked| asked.expires_ms).map_or(f64::INFINITY, |ms| ms as f64 / 1e3)
        }
        StepKind::Wait => f64::INFINITY,
        _ => step.policy.timeout_ms as f64 / 1e3,
    }
}

fn span(
    step: &Step,
    known: Option<&StepHistory>,
    asked: &Question,
    bytes: Option<Bytes>,
) -> Result<(Span, Basis), Error> {
    if let Some(told) = asked.takes.get(&step.id) {
        return Ok((Span::Exactly(told.get()), Basis::Told));
    }
    if let (Some(bytes), Some(rate)) = (asked.bytes, asked.rate)
        && moves_data(step)
    {
        return Ok((Span::Exactly(moving(bytes, rate)?.get()), Basis::Rate));
    }
    if let Some(ms) = step.wait_ms {
        return Ok((Span::Exactly(ms as f64 / 1e3), Basis::Timer));
    }
    let done = known.map_or(&[][..], |known| known.done.as_slice());
    if !done.is_empty() {
        let sized: Vec<(f64, f64)> = done
            .iter()
            .filter_map(|sample| Some((sample.ms as f64 / 1e3, sample.bytes.filter(|bytes| *bytes > 0)? as f64)))
            .collect();
        if let (Some(bytes), false) = (bytes, sized.is_empty()) {
            let times = for_bytes(&sized, bytes.get());
            return Ok((Span::measured(&times), Basis::PerByte { attempts: sized.len() }));
        }
        let times: Vec<f64> = done.iter().map(|sample| sample.ms as f64 / 1e3).collect();
        return Ok((Span::measured(&times), Basis::History { attempts: times.len() }));
    }
    Ok(match step.estimate_ms {
        Some(ms) => (Span::declared(ms as f64 / 1e3), Basis::Declared),
        None => (Span::Exactly(0.0), Basis::Unknown),
    })
}

/// Puts a step where it is in a run under way.
fn place(is: &lifeboat_core::state::StepState, now: u64, node: &mut Node) {
    let since = |at: u64| now.saturating_sub(at) as f64 / 1e3;
    let until = |at: u64| at.saturating_sub(now) as f64 / 1e3;
    node.failures = is.failures;
    node.start = match &is.phase {
        _ if is.is_complete() => Start::Complete,
        Phase::Running { since: at, .. } => Start::UnderWay(since(*at)),
        Phase::Approval { expires_at, .. } => {
            let open = is.started_at.map_or(0.0, since);
            if let Some(at) = expires_at {
                node.limit = open + until(*at);
            }
            Start::UnderWay(open)
        }
        Phase::Backoff { until: at, .. } => Start::Due(until(*at)),
        Phase::Timer { until: at } => Start::Ends(until(*at)),
        // The plugin is asked, and the step is tried again at once.
        Phase::InDoubt { .. } => Start::Due(0.0),
        _ => Start::Fresh,
    };
    // Somebody has to say what becomes of it; from then on it is as if it had not begun.
    node.needs_person = has_failed(&is.phase) || matches!(is.phase, Phase::Asking { .. } | Phase::Suspect { .. });
    if node.start == Start::Complete {
        node.basis = Basis::Complete;
    } else if matches!(is.phase, Phase::Timer { .. }) {
        node.basis = Basis::Timer;
    }
}
