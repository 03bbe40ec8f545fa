//! The plans of the campaigns: chains, diamonds, fan-outs, child runbooks, retries, approvals, compensation, and mixtures.

use lifeboat_core::plan::{Effect, InDoubt, Plan};
use lifeboat_testkit::{PlanBuilder, RandomCase, SeededRng, random_case, random_script};

/// The shapes, in the order in which seeds take them.
pub const SHAPES: [&str; 8] =
    ["chain", "diamond", "fan-out", "child", "retries", "approvals", "compensation", "mixture"];

/// The shape of a seed's plan.
pub fn shape(seed: u64) -> &'static str {
    SHAPES[usize::try_from(seed % 8).unwrap()]
}

/// One step of a shape: its name, what it comes after, and its fan-out.
struct Node {
    id: String,
    after: Vec<String>,
    fan: Option<(&'static str, u32)>,
}

fn node(id: impl Into<String>, after: impl IntoIterator<Item = String>) -> Node {
    Node { id: id.into(), after: after.into_iter().collect(), fan: None }
}

fn chain(prefix: &str, count: u64, first_after: Option<String>) -> Vec<Node> {
    let name = |place: u64| format!("{prefix}{place}");
    let before = |place: u64| if place == 0 { first_after.clone() } else { Some(name(place - 1)) };
    (0..count).map(|place| node(name(place), before(place))).collect()
}

fn nodes(shape: &str, rng: &SeededRng) -> Vec<Node> {
    match shape {
        "diamond" => {
            let mut all = vec![node("top", None)];
            let sides: Vec<String> = (0..2 + rng.below(3)).map(|side| format!("side{side}")).collect();
            all.extend(sides.iter().map(|side| node(side.clone(), Some("top".to_owned()))));
            all.push(node("bottom", sides));
            all
        }
        "fan-out" => {
            let limit = 1 + u32::try_from(rng.below(3)).unwrap();
            let items: Vec<String> = (0..3 + rng.below(5)).map(|item| format!("fan/{item}")).collect();
            let one = |id: &String| Node { fan: Some(("fan", limit)), ..node(id.clone(), Some("list".to_owned())) };
            let mut all = vec![node("list", None)];
            all.extend(items.iter().map(one));
            all.push(node("join", items));
            all
        }
        // A child runbook is a part of its parent's plan: its steps come after what the parent's `run` comes after.
        "child" => {
            let mut all = chain("before", 1 + rng.below(2), None);
            let last = all.last().map(|node| node.id.clone());
            let child = chain("child/", 2 + rng.below(3), last);
            let end = child.last().map(|node| node.id.clone());
            all.extend(child);
            all.extend(chain("after", 1 + rng.below(2), end));
            all
        }
        _ => chain("s", 2 + rng.below(6), None),
    }
}

/// The plan of a seed, and how its steps behave.
pub fn case(seed: u64) -> RandomCase {
    let shape = shape(seed);
    if shape == "mixture" {
        return random_case(seed);
    }
    let rng = SeededRng::new(seed);
    let nodes = nodes(shape, &rng);
    let count = u64::try_from(nodes.len()).unwrap();
    let doomed = match shape {
        "compensation" => Some(count - 1 - rng.below(2)),
        _ => rng.chance(20).then(|| rng.below(count)),
    };
    let mut builder = PlanBuilder::new().max_parallel(u32::try_from(1 + rng.below(4)).unwrap());
    if shape == "compensation" || rng.chance(40) {
        builder = builder.compensate_on_failure();
    }
    let (mut scripts, mut doomed_name) = (Vec::new(), None);
    for (place, node) in (0..).zip(&nodes) {
        let is_doomed = doomed == Some(place);
        let after = node.after.iter().map(String::as_str);
        if shape == "approvals" && rng.chance(40) && !is_doomed {
            builder = builder.approve(&node.id, 1 + u32::try_from(rng.below(2)).unwrap(), None).after(after);
            continue;
        }
        let retries = if shape == "retries" { 2 + rng.below(4) } else { rng.below(3) };
        builder = builder.step(&node.id).effect(effect(shape, &rng)).after(after);
        builder = builder.retry(u32::try_from(retries).unwrap(), 1 + rng.below(2_000));
        if let Some((of, limit)) = node.fan {
            builder = builder.fan(of, limit);
        }
        if rng.chance(8) {
            builder = builder.in_doubt(if rng.chance(50) { InDoubt::Rerun } else { InDoubt::Ask });
        }
        if is_doomed {
            doomed_name = Some(node.id.clone());
        }
        scripts.push((node.id.clone(), random_script(&rng, retries, is_doomed)));
    }
    RandomCase { plan: builder.build(), scripts, doomed: doomed_name }
}

fn effect(shape: &str, rng: &SeededRng) -> Effect {
    if shape == "compensation" && rng.chance(80) {
        return Effect::Compensatable;
    }
    [Effect::Read, Effect::Reversible, Effect::Compensatable, Effect::Irreversible]
        [usize::try_from(rng.below(4)).unwrap()]
}

/// The same plan with these locks on all of its plugin steps.
pub fn locked(plan: Plan, locks: &[&str]) -> Plan {
    let donor = locks.iter().fold(PlanBuilder::new().step("x"), |donor, lock| donor.lock(lock)).build();
    let mut plan = plan;
    plan.targets.extend(donor.targets);
    let used = donor.steps[0].targets.clone();
    plan.steps.iter_mut().filter(|step| step.kind.by_plugin()).for_each(|step| step.targets.clone_from(&used));
    plan
}
