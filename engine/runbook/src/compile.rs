//! From a checked runbook to a plan.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::ledger::{self, Makes};
use lifeboat_core::limits::{PARALLEL_PER_RUN_DEFAULT, STEP_TIMEOUT_DEFAULT_MS};
use lifeboat_core::plan::{
    Effect, InDoubt, Mode, OnFailure, PLAN_FORMAT, Plan, PluginPin, Policy, Step, StepKind, Target, UndoPolicy,
};
use lifeboat_core::plugin::Catalog;
use lifeboat_core::{Digest, StepId};
use serde_json::{Value, json};

use crate::locks;
use crate::model::{LockDef, Runbook, StepDef, WhenDef};
use crate::modes::Graph;
use crate::read::typed_input;
use crate::report::Report;
use crate::resolve::{Resolved, merged};
use crate::schema::wrap_lists;

/// The values of a run's inputs, checked against what the runbook declares.
pub(crate) fn inputs(
    runbook: &Runbook,
    given: &BTreeMap<String, String>,
    report: &mut Report,
) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for input in &runbook.inputs {
        let name = &input.name.text;
        if let Some(text) = given.get(name) {
            match typed_input(input.kind, text) {
                Ok(value) => {
                    values.insert(name.clone(), value);
                }
                Err(reason) => {
                    let message = format!("input '{name}' is not of type {}: {reason}", input.kind.as_str());
                    report.error("LB0221", input.name.span, message).help(format!("give it as --input {name}=VALUE"));
                }
            }
        } else if let Some(value) = &input.default {
            values.insert(name.clone(), value.clone());
        } else if input.required {
            report
                .error("LB0219", input.name.span, format!("input '{name}' is required and was not given"))
                .help(format!("give it as --input {name}=VALUE"));
        }
    }
    let known: Vec<&str> = runbook.inputs.iter().map(|input| input.name.text.as_str()).collect();
    for name in given.keys().filter(|name| !known.contains(&name.as_str())) {
        report
            .error("LB0220", runbook.head, format!("the runbook has no input '{name}'"))
            .did_you_mean(name, known.iter().copied());
    }
    values
}

/// Adds the inputs of child runbooks that have a value: they were checked when they were given.
pub(crate) fn inner_inputs(runbook: &Runbook, values: &mut BTreeMap<String, Value>) {
    for input in runbook.inputs.iter().filter(|input| input.name.text.contains('/')) {
        values.extend(input.default.clone().map(|value| (input.name.text.clone(), value)));
    }
}

/// The plan of one mode. Everything was checked before.
pub(crate) fn plan(
    runbook: &Runbook,
    resolved: &[Resolved],
    graph: &Graph,
    catalog: &Catalog,
    inputs: BTreeMap<String, Value>,
    source: Digest,
    report: &Report,
) -> Plan {
    let mut steps = Vec::new();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut written: BTreeSet<&str> = BTreeSet::new();
    for (index, (step, found)) in runbook.steps.iter().zip(resolved).enumerate() {
        if graph.included.get(index) != Some(&true) {
            continue;
        }
        used.extend(found.targets.iter().map(|target| target.target.as_str()));
        written.extend(locks::written(step.kind, found));
        let after = graph.before.get(index).into_iter().flatten();
        let after = after.filter_map(|on| runbook.steps.get(*on)).map(|on| StepId(on.id.text.clone())).collect();
        steps.push(one_step(step, found, after, catalog, report));
    }
    let targets: BTreeMap<String, Target> = runbook
        .targets
        .iter()
        .filter(|target| used.contains(target.name.text.as_str()))
        .map(|target| {
            let is_written = written.contains(target.name.text.as_str());
            (target.name.text.clone(), one_target(runbook, target, graph.mode, is_written, &inputs))
        })
        .collect();
    if graph.mode == Mode::Drill {
        let keep_ms = runbook.keep_ms.unwrap_or(ledger::KEEP_DEFAULT_MS);
        steps.iter_mut().for_each(|step| step.makes = makes(step, &targets, catalog, keep_ms));
    }
    let plugins = targets.values().map(|target| &target.plugin).chain(steps.iter().filter_map(|s| s.plugin.as_ref()));
    let plugins = plugins
        .filter_map(|name| catalog.get(name).map(|known| (name.clone(), known)))
        .map(|(name, known)| {
            (name, PluginPin { version: known.description.version.clone(), digest: known.digest.clone() })
        })
        .collect();
    Plan {
        format: PLAN_FORMAT,
        runbook: runbook.name.clone(),
        description: runbook.description.clone(),
        owner: runbook.owner.clone(),
        mode: graph.mode,
        objectives: runbook.objectives,
        inputs,
        targets,
        plugins,
        steps,
        on_failure: OnFailure { compensate: runbook.compensate_on_failure, notify: runbook.notify_on_failure.clone() },
        max_parallel: runbook.max_parallel.unwrap_or(PARALLEL_PER_RUN_DEFAULT),
        source,
    }
}

/// What a step of a drill makes, and the run removes at its end.
fn makes(step: &Step, targets: &BTreeMap<String, Target>, catalog: &Catalog, keep_ms: u64) -> Vec<Makes> {
    let (role, what) = match step.kind {
        StepKind::Snapshot => ("into", "a snapshot"),
        StepKind::Transfer => ("into", "a copy of a snapshot"),
        StepKind::Restore => ("into", "what is restored"),
        StepKind::Switch => ("target", "what is switched"),
        _ => return Vec::new(),
    };
    if step.effect == Effect::Read {
        return Vec::new();
    }
    let kind = step.plugin.as_ref().and_then(|name| catalog.get(name)?.description.kind(step.kind));
    let cleans = kind.is_some_and(|kind| kind.cleanup);
    let used = step.targets.iter().filter(|used| used.role == role).filter_map(|used| targets.get(&used.target));
    used.map(|target| {
        let own = ledger::is_own(&target.settings);
        let (target, what) = (target.name.clone(), what.to_owned());
        Makes { target, what, own, removable: own || cleans, keep_ms }
    })
    .collect()
}

fn one_target(
    runbook: &Runbook,
    target: &crate::model::TargetDef,
    mode: Mode,
    is_written: bool,
    inputs: &BTreeMap<String, Value>,
) -> Target {
    let mut made = Target {
        name: target.name.text.clone(),
        plugin: target.plugin.text.clone(),
        site: target.site.clone(),
        settings: target.settings.clone(),
        secrets: target.secrets.clone(),
        lock: None,
    };
    let mut said = target.lock.as_ref();
    let mut upload_limit = target.upload_limit;
    for change in
        runbook.overrides.iter().filter(|change| change.mode == mode && change.target.text == target.name.text)
    {
        // A name stands for a place: a mode that uses another place does not hold the lock of the first one.
        let moved = change.settings.as_object().is_some_and(|settings| !settings.is_empty());
        said = change.lock.as_ref().or(said.filter(|said| !moved || **said == LockDef::Off));
        made.settings = merged(&made.settings, &change.settings);
        made.secrets.extend(change.secrets.clone());
        upload_limit = change.upload_limit.or(upload_limit);
        if change.site.is_some() {
            made.site.clone_from(&change.site);
        }
    }
    if is_written {
        made.lock = locks::name(said, &made, inputs);
    }
    if let Some(limit) = upload_limit {
        made.limit_uploads(limit);
    }
    made
}

fn one_step(step: &StepDef, found: &Resolved, after: BTreeSet<StepId>, catalog: &Catalog, report: &Report) -> Step {
    let kind = found.plugin.as_ref().and_then(|name| catalog.get(name)?.description.kind(step.kind));
    let mut args = if step.args.is_null() { json!({}) } else { step.args.clone() };
    if let Some(kind) = kind {
        wrap_lists(&mut args, &kind.args);
    }
    let policy = policy(step, found);
    let undo = undo(step, &policy);
    Step {
        id: StepId(step.id.text.clone()),
        kind: step.kind,
        effect: found.effect,
        plugin: found.plugin.clone(),
        targets: found.targets.clone(),
        args,
        after,
        policy,
        compensate: step
            .compensate
            .map_or(found.can_compensate && found.effect == Effect::Compensatable, |(compensate, _)| compensate),
        undo,
        when: step.when.iter().map(WhenDef::condition).collect(),
        fan: step.fan.clone(),
        estimate_ms: step.estimate_ms,
        capabilities: found.capabilities.clone(),
        approval: step.approval.clone(),
        wait_ms: step.wait_ms,
        makes: Vec::new(),
        corruptions: Vec::new(),
        waivers: step.waivers.iter().map(|(waiver, _)| waiver.clone()).collect(),
        scan: step.scan,
        line: u32::try_from(report.line_of(step.head.offset)).unwrap_or(u32::MAX),
    }
}

/// What a block of `compensate` says; what it leaves out is as for the step itself.
fn undo(step: &StepDef, policy: &Policy) -> Option<UndoPolicy> {
    let undo = step.undo.as_ref()?;
    Some(UndoPolicy {
        timeout_ms: undo.timeout_ms.unwrap_or(policy.timeout_ms),
        retry: undo.retry.clone().unwrap_or_else(|| policy.retry.clone()),
    })
}

fn policy(step: &StepDef, found: &Resolved) -> Policy {
    let (own, defaults) = (&step.policy, &step.defaults);
    let natural = match step.kind {
        StepKind::Approve | StepKind::Wait | StepKind::Notify => InDoubt::Rerun,
        _ if found.can_probe => InDoubt::Probe,
        _ if found.effect == Effect::Read => InDoubt::Rerun,
        _ => InDoubt::Ask,
    };
    // A default of the runbook is a wish: a plugin that cannot be asked is not asked, and nothing final is repeated.
    let wished = defaults.in_doubt.map(|(in_doubt, _)| in_doubt).filter(|wish| match wish {
        InDoubt::Probe => found.can_probe,
        InDoubt::Rerun => found.effect != Effect::Irreversible,
        InDoubt::Ask => step.kind.by_plugin(),
    });
    Policy {
        timeout_ms: own.timeout_ms.or(defaults.timeout_ms).unwrap_or(STEP_TIMEOUT_DEFAULT_MS),
        heartbeat_ms: own.heartbeat.or(defaults.heartbeat).map(|(ms, _)| ms),
        retry: own.retry.clone().or_else(|| defaults.retry.clone()).unwrap_or_default(),
        in_doubt: own.in_doubt.map(|(in_doubt, _)| in_doubt).or(wished).unwrap_or(natural),
    }
}
