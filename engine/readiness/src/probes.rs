//! What has to be asked of plugins, vaults and disks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lifeboat_core::ids::RunId;
use lifeboat_core::plan::{Plan, Step, StepKind, Target};
use lifeboat_core::ports::{Attempt, Direction};
use lifeboat_core::{Digest, Error, template};
use lifeboat_evidence::words::{bytes, duration};
use serde_json::{Value, json};

use crate::asks::{Asks, Newest};
use crate::lints::inside;
use crate::look::Question;
use crate::row::Row;

/// Asks the plugin of each step whether it could be done now. What an earlier step brings about first cannot be asked yet.
pub(crate) async fn steps(asks: &dyn Asks, question: &Question<'_>, rows: &mut Vec<Row>) {
    let plan = question.plan;
    for step in plan.steps.iter().filter(|step| step.kind.by_plugin()) {
        let about = format!("step {}", step.id);
        if let Some(first) = brought_about(question, step) {
            rows.push(Row::good(about, format!("can be asked only after step '{}' was done", first.id)));
            continue;
        }
        if step.targets.iter().any(|used| question.operator.lost.targets.contains(&used.target)) {
            // That it needs what is lost was said.
            continue;
        }
        match asks.step(&attempt(plan, step, question.run)).await {
            Ok(found) if found.is_empty() => rows.push(Row::good(about, "its plugin has nothing against it")),
            Ok(found) => rows.extend(found.into_iter().map(|finding| {
                if finding.ok {
                    return Row::good(about.clone(), finding.message);
                }
                let hint = "mend what the plugin names, and look again".to_owned();
                Row::bad(about.clone(), Error::new("LB1159", finding.message).hint(hint))
            })),
            Err(error) => rows.push(Row::bad(about, error)),
        }
    }
}

/// The step before this one that restores what this one looks at or acts on.
fn brought_about<'a>(question: &Question<'a>, step: &Step) -> Option<&'a Step> {
    let plan: &'a Plan = question.plan;
    if !matches!(step.kind, StepKind::Validate | StepKind::Switch) {
        return None;
    }
    let target = |step: &Step, role: &str| {
        let used = step.targets.iter().find(|used| used.role == role)?;
        plan.targets.get(&used.target)
    };
    let own = target(step, "target")?;
    let before = question.graph.ancestors(&step.id);
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
pub(crate) async fn vaults(asks: &dyn Asks, question: &Question<'_>, rows: &mut Vec<Row>) {
    let Question { plan, operator, now, .. } = *question;
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
    let context = json!({ "run": { "id": question.run, "mode": plan.mode.as_str() }, "inputs": plan.inputs });
    for (name, target) in sources.collect::<Vec<_>>() {
        let about = format!("vault {name}");
        match asks.newest(target, filled(&target.settings, &context), plan.mode).await {
            Err(error) => rows.push(Row::bad(about, error)),
            Ok(None) => {
                let hint = "take a snapshot first; nothing can be recovered from an empty vault";
                rows.push(Row::bad(about, Error::new("LB1160", "it holds no snapshot").hint(hint)));
            }
            Ok(Some(newest)) => {
                rows.push(age(&about, &newest, plan, now));
                rows.push(verified(&about, question.past.verified(name, &newest.id), now));
                rows.extend(capacity(asks, plan, name, &newest).await);
            }
        }
    }
}

/// Whether what would be lost now is within the objective.
fn age(about: &str, newest: &Newest, plan: &Plan, now: u64) -> Row {
    let old = now.saturating_sub(newest.time_ms);
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
fn verified(about: &str, found: Option<u64>, now: u64) -> Row {
    match found {
        Some(at) => {
            let ago = duration(now.saturating_sub(at));
            Row::good(about, format!("its newest snapshot was verified {ago} ago"))
        }
        None => Row::good(about, "its newest snapshot was not verified by a run of this data folder yet"),
    }
}

/// Whether the newest snapshot fits where it would be restored to.
async fn capacity(asks: &dyn Asks, plan: &Plan, vault: &str, newest: &Newest) -> Vec<Row> {
    let from = |step: &&Step| {
        step.kind == StepKind::Restore && step.targets.iter().any(|used| used.role == "from" && used.target == vault)
    };
    let into = plan.steps.iter().filter(from).filter_map(|step| {
        let used = step.targets.iter().find(|used| used.role == "into")?;
        let root = plan.targets.get(&used.target)?.settings.get("root")?.as_str()?;
        Some((&step.id, root))
    });
    let mut rows = Vec::new();
    for (step, root) in into {
        let Some(free) = asks.free(Path::new(root)).await else { continue };
        let text = format!("{} are free for {}", bytes(free), bytes(newest.bytes));
        let about = format!("step {step}");
        rows.push(if free >= newest.bytes {
            Row::good(about, text)
        } else {
            let hint = format!("make room on the disk of {root}, or restore to another one");
            Row::bad(about, Error::new("LB1162", format!("only {text}")).hint(hint))
        });
    }
    rows
}
