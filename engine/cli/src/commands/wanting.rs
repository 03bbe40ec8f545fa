//! What a plan needs of the operator's file and does not find there: told all at once, before anybody presses yes.

use std::collections::BTreeSet;

use lifeboat_core::grants::Operator;
use lifeboat_core::plan::{Mode, Plan, Step, StepKind, Target};
use lifeboat_host::missing_grant;

/// The lines, in the order of the targets' names; none where nothing is missing.
pub fn wanting(plan: &Plan, operator: &Operator) -> Vec<String> {
    let (mut grants, mut secrets, mut passwords) = (Vec::new(), BTreeSet::new(), Vec::new());
    for target in plan.targets.values() {
        let uses: Vec<Use> = plan.steps.iter().flat_map(|step| uses(step, target)).collect();
        if uses.is_empty() {
            continue;
        }
        let store = uses.iter().any(|one| one.vault) || !target.secrets.is_empty();
        let (http, write) = (store || uses.iter().any(|one| one.http), uses.iter().any(|one| one.write));
        if let Some(line) = missing_grant(operator, target, plan.mode, http, write) {
            grants.push(line);
        }
        for (setting, name) in target.secrets.iter().filter(|(_, name)| !operator.secrets.contains_key(*name)) {
            secrets.insert(format!("secret \"{name}\" file=\"PATH\"   // '{setting}' of target '{}'", target.name));
        }
        if uses.iter().any(|one| one.vault) && !target.secrets.contains_key("password") {
            passwords.push(format!("target \"{}\" in the runbook: password secret=\"NAME\"", target.name));
        }
    }
    let inside = if plan.mode == Mode::Drill { "drill { … } of the operator's file" } else { "the operator's file" };
    let mut lines = Vec::new();
    lines.extend(grants.into_iter().map(|line| format!("{inside}: {line}")));
    lines.extend(secrets.into_iter().map(|line| format!("the operator's file: {line}")));
    lines.extend(passwords);
    lines
}

/// What a step does with a target.
struct Use {
    http: bool,
    write: bool,
    /// It is a vault for it and can be nothing else.
    vault: bool,
}

fn uses(step: &Step, target: &Target) -> impl Iterator<Item = Use> {
    let can = |what: &str| step.capabilities.iter().any(|one| one == what);
    let (vault, http) = (can("vault"), can("http"));
    step.targets.iter().filter(|one| one.target == target.name).map(move |one| {
        let kept = match step.kind {
            StepKind::Snapshot => one.role == "into",
            StepKind::Verify | StepKind::Restore => one.role == "from",
            StepKind::Transfer => true,
            _ => false,
        };
        let write = one.role == "into" || step.kind == StepKind::Switch;
        Use { http, write, vault: vault && !http && kept }
    })
}
