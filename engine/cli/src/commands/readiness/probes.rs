//! What has to be asked of plugins, vaults and disks. Nothing is changed by it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lifeboat_core::event::{Event, EventKind};
use lifeboat_core::grants::Operator;
use lifeboat_core::outcome::Outcome;
use lifeboat_core::plan::{Plan, Step, StepKind, Target};
use lifeboat_core::ports::{Attempt, Clock, Direction, Rng};
use lifeboat_core::{Digest, Error, RunId, template};
use lifeboat_host::ports::{Secrets, SnapshotInfo};
use lifeboat_host::{Host, OperatorSecrets};
use serde_json::{Value, json};

use super::lints::inside;
use super::{Looked, Row, error_of};
use crate::clock::{SystemClock, SystemRng};
use crate::commands::{plan, runs};
use crate::view::duration::{bytes, duration};
use crate::world::World;

/// Asks the plugin of each step whether it could be done now. What an earlier step brings about first cannot be asked yet.
pub(super) async fn steps(host: &Host, operator: &Operator, compiled: &plan::Compiled, rows: &mut Vec<Row>) {
    let plan = Arc::new(compiled.plan.clone());
    let run = RunId::new(SystemClock.now_ms(), SystemRng.next_u64());
    for step in plan.steps.iter().filter(|step| step.kind.by_plugin()) {
        let about = format!("step {}", step.id);
        if let Some(first) = brought_about(&plan, compiled, step) {
            rows.push(Row::good(about, format!("can be asked only after step '{}' was done", first.id)));
            continue;
        }
        if step.targets.iter().any(|used| operator.lost.targets.contains(&used.target)) {
            // That it needs what is lost was said.
            continue;
        }
        match host.readiness(&attempt(&plan, step, &run)).await {
            Ok(found) if found.is_empty() => rows.push(Row::good(about, "its plugin has nothing against it")),
            Ok(found) => rows.extend(found.into_iter().map(|finding| {
                if finding.ok {
                    return Row::good(about.clone(), finding.message);
                }
                let hint = "mend what the plugin names, and look again".to_owned();
                Row::bad(about.clone(), Error::new("LB1159", finding.message).hint(hint))
            })),
            Err(failure) => rows.push(Row::bad(about, error_of(failure, "LB1159"))),
        }
    }
}

/// The step before this one that restores what this one looks at or acts on.
fn brought_about<'a>(plan: &'a Plan, compiled: &plan::Compiled, step: &Step) -> Option<&'a Step> {
    if !matches!(step.kind, StepKind::Validate | StepKind::Switch) {
        return None;
    }
    let target = |step: &Step, role: &str| {
        let used = step.targets.iter().find(|used| used.role == role)?;
        plan.targets.get(&used.target)
    };
    let own = target(step, "target")?;
    let before = compiled.graph.ancestors(&step.id);
    let restores = before.iter().filter_map(|id| plan.step(id)).filter(|step| step.kind == StepKind::Restore);
    let mut found =
        restores.filter(|restore| target(restore, "into").is_some_and(|into| inside(own, into) || inside(into, own)));
    found.next()
}

/// An attempt for looking only: references to outputs of earlier steps stay as they are written.
fn attempt(plan: &Arc<Plan>, step: &Step, run: &RunId) -> Attempt {
    let context = json!({ "run": { "id": run, "mode": plan.mode.as_str() }, "inputs": plan.inputs });
    let settings = step.targets.iter().filter_map(|used| {
        let target = plan.targets.get(&used.target)?;
        Some((used.role.clone(), filled(&target.settings, &context)))
    });
    Attempt {
        run: run.clone(),
        plan: Arc::clone(plan),
        step: step.id.clone(),
        direction: Direction::Forward,
        number: 1,
        key: Digest::of(run.as_str().as_bytes()),
        token: 0,
        mode: plan.mode,
        args: filled(&step.args, &context),
        settings: settings.collect(),
        checkpoint: None,
        outputs: None,
    }
}

/// The value with all that is known filled in.
fn filled(value: &Value, context: &Value) -> Value {
    match value {
        Value::String(text) => template::render(text, context).unwrap_or_else(|_| value.clone()),
        Value::Array(items) => items.iter().map(|item| filled(item, context)).collect(),
        Value::Object(map) => map.iter().map(|(name, item)| (name.clone(), filled(item, context))).collect(),
        other => other.clone(),
    }
}

/// The newest snapshot of each vault that is recovered from: how old it is, when it was last verified, and whether it fits on
/// the disk that it goes to.
pub(super) async fn vaults(world: &World, host: &Host, operator: &Operator, plan: &Plan, rows: &mut Vec<Row>) {
    let mut sources: BTreeMap<&str, &Target> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| matches!(step.kind, StepKind::Restore | StepKind::Verify)) {
        let used = step.targets.iter().filter(|used| used.role == "from");
        sources.extend(used.filter_map(|used| Some((used.target.as_str(), plan.targets.get(&used.target)?))));
    }
    let takes = |target: &str| {
        let into = |step: &Step| step.targets.iter().any(|used| used.role == "into" && used.target == target);
        plan.steps.iter().any(|step| matches!(step.kind, StepKind::Snapshot | StepKind::Transfer) && into(step))
    };
    let sources = sources.into_iter().filter(|(name, target)| {
        target.secrets.contains_key("password") && !operator.lost.targets.contains(*name) && !takes(name)
    });
    for (name, target) in sources.collect::<Vec<_>>() {
        let about = format!("vault {name}");
        match newest((host, operator), target, plan).await {
            Err(error) => rows.push(Row::bad(about, error)),
            Ok(None) => {
                let hint = "take a snapshot first; nothing can be recovered from an empty vault";
                rows.push(Row::bad(about, Error::new("LB1160", "it holds no snapshot").hint(hint)));
            }
            Ok(Some(snapshot)) => {
                rows.push(age(&about, &snapshot, plan));
                rows.push(verified(world, &about, name, &snapshot));
                rows.extend(capacity(plan, name, &snapshot));
            }
        }
    }
}

async fn newest((host, operator): Looked<'_>, target: &Target, plan: &Plan) -> Result<Option<SnapshotInfo>, Error> {
    let context = json!({ "run": { "id": RunId::new(0, 0), "mode": plan.mode.as_str() }, "inputs": plan.inputs });
    let name = target.secrets.get("password").map_or("", String::as_str);
    let password = OperatorSecrets::new(operator).get(name)?;
    let store = host.object_store(target, filled(&target.settings, &context), plan.mode)?;
    let failed = |failure| error_of(failure, "LB0806");
    let vault = lifeboat_vault::open(store, password, false).await.map_err(failed)?;
    Ok(vault.snapshots(None).await.map_err(failed)?.pop())
}

/// Whether what would be lost now is within the objective.
fn age(about: &str, snapshot: &SnapshotInfo, plan: &Plan) -> Row {
    let old = SystemClock.now_ms().saturating_sub(snapshot.time_ms);
    let text = format!("its newest snapshot is {} old", duration(old));
    match plan.objectives.rpo_ms {
        Some(rpo) if old > rpo => {
            let message = format!("{text}, and the RPO is {}", duration(rpo));
            Row::bad(about, Error::new("LB1161", message).hint("take a snapshot, and take them more often"))
        }
        _ => Row::good(about, text),
    }
}

/// When a step of an earlier run last verified that snapshot.
fn verified(world: &World, about: &str, vault: &str, snapshot: &SnapshotInfo) -> Row {
    let found = last_verified(world, vault, &snapshot.id);
    match found {
        Some(at) => {
            let ago = duration(SystemClock.now_ms().saturating_sub(at));
            Row::good(about, format!("its newest snapshot was verified {ago} ago"))
        }
        None => Row::good(about, "its newest snapshot was not verified by a run of this data folder yet"),
    }
}

fn last_verified(world: &World, vault: &str, snapshot: &str) -> Option<u64> {
    if !world.data.exists() {
        return None;
    }
    let journal = runs::journal(world).ok()?;
    let mut last = None;
    for run in journal.known() {
        let Ok(stored) = journal.read(&run) else { continue };
        let events: Vec<Event> = stored.iter().filter_map(|event| Event::decode(&event.bytes).ok()).collect();
        let Some(EventKind::RunCreated { plan, .. }) = events.first().map(|event| &event.kind) else { continue };
        for event in &events {
            let EventKind::AttemptFinished { step, outcome: Outcome::Done { outputs }, .. } = &event.kind else {
                continue;
            };
            let of_vault = plan.step(step).is_some_and(|step| {
                step.kind == StepKind::Verify && step.targets.iter().any(|used| used.target == vault)
            });
            if of_vault && outputs.get("snapshot").and_then(Value::as_str) == Some(snapshot) {
                last = last.max(Some(event.at));
            }
        }
    }
    last
}

/// Whether the newest snapshot fits where it would be restored to.
fn capacity(plan: &Plan, vault: &str, snapshot: &SnapshotInfo) -> Vec<Row> {
    let from = |step: &&Step| {
        step.kind == StepKind::Restore && step.targets.iter().any(|used| used.role == "from" && used.target == vault)
    };
    let into = plan.steps.iter().filter(from).filter_map(|step| {
        let used = step.targets.iter().find(|used| used.role == "into")?;
        let root = plan.targets.get(&used.target)?.settings.get("root")?.as_str()?;
        Some((&step.id, root))
    });
    into.filter_map(|(step, root)| {
        let free = free(Path::new(root))?;
        let text = format!("{} are free for {}", bytes(free), bytes(snapshot.bytes));
        let about = format!("step {step}");
        Some(if free >= snapshot.bytes {
            Row::good(about, text)
        } else {
            let hint = format!("make room on the disk of {root}, or restore to another one");
            Row::bad(about, Error::new("LB1162", format!("only {text}")).hint(hint))
        })
    })
    .collect()
}

/// Bytes that are free on the disk of a folder that may not be there yet.
fn free(root: &Path) -> Option<u64> {
    let there = root.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
