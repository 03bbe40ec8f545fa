//! A runbook in one mode: which steps are in it, in which order, and whether that is safe.

use std::collections::BTreeSet;

use lifeboat_core::plan::{Effect, InDoubt, Mode, StepKind};

use crate::drill::Drill;
use crate::model::{Runbook, StepDef};
use crate::report::Report;
use crate::resolve::Resolved;
use crate::when::covers;

/// The graph of one mode, by index of step.
pub(crate) struct Graph {
    pub(crate) mode: Mode,
    pub(crate) included: Vec<bool>,
    /// The steps right before each step.
    pub(crate) before: Vec<BTreeSet<usize>>,
}

/// Builds the graph of a mode. A step that is not in the mode hands its own predecessors on to those that come after it.
pub(crate) fn graph(runbook: &Runbook, resolved: &[Resolved], mode: Mode, report: &mut Report) -> Graph {
    let included: Vec<bool> = runbook.steps.iter().map(|step| step.in_mode(mode)).collect();
    let is_in = |index: usize| included.get(index).copied().unwrap_or(false);
    let mut before = Vec::with_capacity(runbook.steps.len());
    for (index, found) in resolved.iter().enumerate() {
        let mut set = BTreeSet::new();
        if is_in(index) {
            let mut open: Vec<usize> = Vec::new();
            for edge in &found.edges {
                if is_in(edge.on) {
                    set.insert(edge.on);
                    continue;
                }
                if edge.data
                    && let Some(on) = runbook.steps.get(edge.on)
                {
                    let message = format!("step '{}' is no part of mode {}", on.id.text, mode.as_str());
                    report
                        .error("LB0207", edge.span, message)
                        .label(on.id.span, "excluded from that mode here")
                        .help("give both steps the same modes");
                }
                open.push(edge.on);
            }
            inherit(&mut set, open, resolved, &is_in);
        }
        before.push(set);
    }
    Graph { mode, included, before }
}

fn inherit(set: &mut BTreeSet<usize>, mut open: Vec<usize>, resolved: &[Resolved], is_in: &impl Fn(usize) -> bool) {
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if !seen.insert(next) {
            continue;
        }
        for edge in resolved.get(next).map(|found| found.edges.as_slice()).unwrap_or_default() {
            if is_in(edge.on) {
                set.insert(edge.on);
            } else {
                open.push(edge.on);
            }
        }
    }
}

impl Graph {
    fn before(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.before.get(index).into_iter().flatten().copied()
    }

    /// The steps in an order in which each comes after its predecessors. Those on a cycle, and after one, are left out.
    fn order(&self) -> Vec<usize> {
        let count = self.before.len();
        let mut open: Vec<usize> = self.before.iter().map(BTreeSet::len).collect();
        let mut after = vec![Vec::new(); count];
        for index in 0..count {
            for on in self.before(index) {
                if let Some(list) = after.get_mut(on) {
                    list.push(index);
                }
            }
        }
        let mut order: Vec<usize> = (0..count).filter(|index| open.get(*index) == Some(&0)).collect();
        let mut at = 0;
        while let Some(index) = order.get(at).copied() {
            at += 1;
            for next in after.get(index).into_iter().flatten() {
                if let Some(left) = open.get_mut(*next) {
                    *left -= 1;
                    if *left == 0 {
                        order.push(*next);
                    }
                }
            }
        }
        order
    }

    /// Some cycle among steps that `order` left out: every one of them has a predecessor there.
    fn cycle(&self, ordered: &[usize]) -> Option<Vec<usize>> {
        let mut left = vec![true; self.before.len()];
        for index in ordered {
            if let Some(flag) = left.get_mut(*index) {
                *flag = false;
            }
        }
        let mut at = left.iter().position(|flag| *flag)?;
        let mut path: Vec<usize> = Vec::new();
        let mut place = vec![None; self.before.len()];
        loop {
            if let Some(Some(first)) = place.get(at) {
                let mut cycle = path.get(*first..).unwrap_or_default().to_vec();
                cycle.reverse();
                return Some(cycle);
            }
            if let Some(slot) = place.get_mut(at) {
                *slot = Some(path.len());
            }
            path.push(at);
            at = self.before(at).find(|on| left.get(*on) == Some(&true))?;
        }
    }

    fn ancestors(&self, index: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = self.before(index).collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(self.before(next));
            }
        }
        found
    }
}

/// Reports what is unsafe in that mode. Waivers that were needed go into `used`, as step and rule.
pub(crate) fn check(
    runbook: &Runbook,
    resolved: &[Resolved],
    graph: &Graph,
    used: &mut BTreeSet<(usize, &'static str)>,
    report: &mut Report,
) {
    let order = graph.order();
    if order.len() < runbook.steps.len()
        && let Some(cycle) = graph.cycle(&order)
    {
        report_cycle(runbook, &cycle, report);
        return;
    }
    let approved = approved(runbook, graph, &order);
    let drill = Drill::new(runbook);
    for (index, (step, found)) in runbook.steps.iter().zip(resolved).enumerate() {
        if graph.included.get(index) != Some(&true) {
            continue;
        }
        if found.effect == Effect::Irreversible && graph.mode != Mode::Drill && approved.get(index) != Some(&true) {
            unapproved(runbook, graph, index, used, report);
        }
        if step.kind == StepKind::Restore
            && !reported(runbook, step, report)
            && !verified(runbook, resolved, graph, index)
            && !waived(step, index, "LB0302", used)
        {
            let message = format!("step '{}' restores a snapshot that no step verified", step.id.text);
            let span = step.snapshot.as_ref().map_or(step.head, |snapshot| snapshot.span);
            report
                .error("LB0302", span, message)
                .help("verify it first and restore {{steps.VERIFY.snapshot}}, or waive \"LB0302\" reason=\"...\"");
        }
        if graph.mode == Mode::Drill {
            drill.check(step, found, report);
        }
        policies(step, index, found, used, report);
    }
}

/// Whether the snapshot of a step is unknown for a reason that was reported: then nothing follows from it.
fn reported(runbook: &Runbook, step: &StepDef, report: &Report) -> bool {
    const UNKNOWN: [&str; 8] = ["LB0201", "LB0202", "LB0203", "LB0204", "LB0206", "LB0208", "LB0212", "LB0216"];
    !runbook.broken.is_empty()
        || runbook.incomplete
        || step.snapshot.as_ref().is_none_or(|snapshot| report.any_at(snapshot.span.offset, &UNKNOWN))
}

fn waived(step: &StepDef, index: usize, rule: &'static str, used: &mut BTreeSet<(usize, &'static str)>) -> bool {
    let waived = step.waives(rule);
    if waived {
        used.insert((index, rule));
    }
    waived
}

fn report_cycle(runbook: &Runbook, cycle: &[usize], report: &mut Report) {
    let start = cycle.iter().position(|index| Some(index) == cycle.iter().min()).unwrap_or(0);
    let steps: Vec<&StepDef> =
        cycle.iter().cycle().skip(start).take(cycle.len()).filter_map(|index| runbook.steps.get(*index)).collect();
    let Some(first) = steps.first() else { return };
    let mut names: Vec<&str> = steps.iter().map(|step| step.id.text.as_str()).collect();
    names.push(&first.id.text);
    if names.len() > 12 {
        names.drain(6..names.len() - 5);
        names.insert(6, "...");
    }
    let message = format!("these steps wait for each other: {}", names.join(" -> "));
    let diagnostic = report.error("LB0303", first.id.span, message);
    diagnostic.help("an arrow means 'comes before': remove one of them");
    for step in steps.iter().skip(1).take(5) {
        diagnostic.label(step.id.span, "on the cycle");
    }
}

/// An irreversible step without an approve before it that always asks: one that asks whenever the step is needed will do.
fn unapproved(
    runbook: &Runbook,
    graph: &Graph,
    index: usize,
    used: &mut BTreeSet<(usize, &'static str)>,
    report: &mut Report,
) {
    let Some(step) = runbook.steps.get(index) else { return };
    let is_approve = |on: &usize| runbook.steps.get(*on).is_some_and(|step| step.kind == StepKind::Approve);
    let asked: Vec<usize> = graph.ancestors(index).into_iter().filter(is_approve).collect();
    if asked.iter().any(|on| needed(runbook, *on, index)) || waived(step, index, "LB0301", used) {
        return;
    }
    let message = format!("step '{}' cannot be undone, and nobody approves it", step.id.text);
    let diagnostic = report.error("LB0301", step.head, message);
    match asked.first().and_then(|on| runbook.steps.get(*on)) {
        Some(approve) => diagnostic
            .label(approve.head, "has a condition, and may not ask")
            .help("give this step the conditions of the approve, or waive \"LB0301\" reason=\"...\""),
        None => diagnostic.help("put an approve before it with after=, or waive \"LB0301\" reason=\"...\""),
    };
}

/// For each step, whether an approve that always asks is among the steps before it.
fn approved(runbook: &Runbook, graph: &Graph, order: &[usize]) -> Vec<bool> {
    let mut approved = vec![false; runbook.steps.len()];
    for index in order {
        let is = graph.before(*index).any(|on| {
            let asks = |step: &StepDef| step.kind == StepKind::Approve && step.when.is_empty();
            approved.get(on) == Some(&true) || runbook.steps.get(on).is_some_and(asks)
        });
        if let Some(slot) = approved.get_mut(*index) {
            *slot = is;
        }
    }
    approved
}

/// Whether a step is needed whenever a later one is.
fn needed(runbook: &Runbook, first: usize, later: usize) -> bool {
    let when = |index: usize| runbook.steps.get(index).map(|step| step.when.as_slice()).unwrap_or_default();
    covers(when(first), when(later))
}

/// Whether the snapshot of a restore was verified: on the way of its reference, or beside it by a step before.
fn verified(runbook: &Runbook, resolved: &[Resolved], graph: &Graph, index: usize) -> bool {
    let text = |index: usize| runbook.steps.get(index).and_then(|step| step.snapshot.as_ref()).map(|s| s.text.trim());
    let mut sources = BTreeSet::new();
    let mut at = resolved.get(index).and_then(|found| found.source);
    while let Some(step) = at {
        if runbook.steps.get(step).is_some_and(|step| step.kind == StepKind::Verify) {
            return true;
        }
        if !sources.insert(step) {
            break;
        }
        at = resolved.get(step).and_then(|found| found.source);
    }
    let from = |index: usize| resolved.get(index).and_then(|r| r.targets.iter().find(|used| used.role == "from"));
    graph.ancestors(index).into_iter().any(|other| {
        let verifies = runbook.steps.get(other).is_some_and(|step| step.kind == StepKind::Verify);
        if !verifies || !needed(runbook, other, index) {
            return false;
        }
        match resolved.get(other).and_then(|found| found.source) {
            Some(source) => sources.contains(&source),
            None => text(other).is_some() && text(other) == text(index) && from(other) == from(index),
        }
    })
}

fn policies(
    step: &StepDef,
    index: usize,
    found: &Resolved,
    used: &mut BTreeSet<(usize, &'static str)>,
    report: &mut Report,
) {
    let timeout = step.policy.timeout_ms.or(step.defaults.timeout_ms);
    if let (Some((heartbeat, span)), Some(timeout)) = (step.policy.heartbeat, timeout)
        && heartbeat >= timeout
    {
        report
            .error("LB0310", span, "the heartbeat is not shorter than the time-out")
            .help("a silent step is only noticed before its time-out if heartbeat is shorter");
    }
    if let Some((InDoubt::Rerun, span)) = step.policy.in_doubt
        && found.effect == Effect::Irreversible
        && !waived(step, index, "LB0311", used)
    {
        report
            .error("LB0311", span, format!("step '{}' cannot be undone, and would be done twice", step.id.text))
            .help("write in-doubt=\"ask\", or waive \"LB0311\" reason=\"why a second time does no harm\"");
    }
}
