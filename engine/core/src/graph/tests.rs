//! The graph against an oracle that does everything the slow and obvious way, over generated plans.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::ids::Digest;
use crate::plan::{InDoubt, Mode, Objectives, OnFailure, PLAN_FORMAT, Policy, Retry, StepKind};

/// A plan from `(name, after, estimate, irreversible)`.
fn plan(steps: &[(String, Vec<String>, u64, bool)]) -> Plan {
    let step = |(line, (name, after, estimate, last)): (usize, &(String, Vec<String>, u64, bool))| Step {
        id: StepId(name.clone()),
        kind: StepKind::Switch,
        effect: if *last { Effect::Irreversible } else { Effect::Reversible },
        plugin: None,
        targets: Vec::new(),
        args: json!({}),
        after: after.iter().map(|name| StepId(name.clone())).collect(),
        policy: Policy { timeout_ms: 1, heartbeat_ms: None, retry: Retry::default(), in_doubt: InDoubt::Probe },
        compensate: false,
        undo: None,
        when: Vec::new(),
        fan: None,
        estimate_ms: Some(*estimate),
        capabilities: Vec::new(),
        approval: None,
        wait_ms: None,
        makes: Vec::new(),
        corruptions: Vec::new(),
        waivers: Vec::new(),
        scan: false,
        line: u32::try_from(line).unwrap() + 1,
    };
    Plan {
        format: PLAN_FORMAT,
        runbook: "test".into(),
        description: String::new(),
        owner: None,
        mode: Mode::Failover,
        objectives: Objectives::default(),
        inputs: BTreeMap::new(),
        targets: BTreeMap::new(),
        plugins: BTreeMap::new(),
        steps: steps.iter().enumerate().map(step).collect(),
        on_failure: OnFailure::default(),
        max_parallel: 8,
        source: Digest::of(b""),
    }
}

fn small(steps: &[(&str, &[&str])]) -> Plan {
    let owned = |(name, after): &(&str, &[&str])| {
        ((*name).to_owned(), after.iter().map(|name| (*name).to_owned()).collect(), 1, false)
    };
    plan(&steps.iter().map(owned).collect::<Vec<_>>())
}

fn ids(names: &[&str]) -> Vec<StepId> {
    names.iter().map(|name| StepId::from(*name)).collect()
}

/// A small generator of seeded numbers (splitmix64): a failing seed is printed and fails again.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A plan whose steps are shuffled against their dependencies, so that source order and topological order differ.
fn random_plan(seed: u64, steps: usize, density: u64) -> Plan {
    let mut random = Seeded(seed);
    let mut names: Vec<usize> = (0..steps).collect();
    for place in (1..steps).rev() {
        names.swap(place, usize::try_from(random.below(place as u64 + 1)).unwrap());
    }
    let mut list: Vec<(String, Vec<String>, u64, bool)> = Vec::new();
    for place in 0..steps {
        let after = (0..place).filter(|_| random.below(100) < density).map(|i| format!("s{}", names[i])).collect();
        list.push((format!("s{}", names[place]), after, random.below(5), random.below(8) == 0));
    }
    list.sort_by_key(|(name, ..)| name[1..].parse::<usize>().unwrap());
    plan(&list)
}

/// By name: the set of its ancestors, by repeating until nothing changes.
fn oracle_ancestors(plan: &Plan) -> BTreeMap<StepId, BTreeSet<StepId>> {
    let mut all: BTreeMap<StepId, BTreeSet<StepId>> =
        plan.steps.iter().map(|step| (step.id.clone(), step.after.clone())).collect();
    loop {
        let next: BTreeMap<_, _> = all
            .iter()
            .map(|(id, set)| (id.clone(), set.iter().flat_map(|up| all[up].clone()).chain(set.clone()).collect()))
            .collect();
        if next == all {
            return all;
        }
        all = next;
    }
}

/// The longest chain that ends in a step, by trying every chain.
fn oracle_longest(plan: &Plan, id: &StepId, cost: &dyn Fn(&Step) -> u64) -> u64 {
    let step = plan.step(id).unwrap();
    cost(step) + step.after.iter().map(|up| oracle_longest(plan, up, cost)).max().unwrap_or(0)
}

fn in_source_order(plan: &Plan, wanted: impl Fn(&StepId) -> bool) -> Vec<StepId> {
    plan.steps.iter().map(|step| step.id.clone()).filter(|id| wanted(id)).collect()
}

#[test]
fn equals_the_oracle_on_random_plans() {
    for seed in 0..400 {
        let size = usize::try_from(seed % 11).unwrap();
        let plan = random_plan(seed, size, 10 + (seed * 7) % 60);
        let graph = PlanGraph::new(&plan).unwrap();
        let up = oracle_ancestors(&plan);
        for (wave, members) in graph.waves().iter().enumerate() {
            let depth = |id: &StepId| oracle_longest(&plan, id, &|_| 1) - 1;
            assert_eq!(*members, in_source_order(&plan, |id| depth(id) == wave as u64), "seed {seed}");
        }
        assert_eq!(graph.waves().concat().len(), size, "seed {seed}");
        for step in &plan.steps {
            let id = &step.id;
            assert_eq!(graph.ancestors(id), in_source_order(&plan, |other| up[id].contains(other)), "seed {seed}");
            assert_eq!(graph.descendants(id), in_source_order(&plan, |other| up[other].contains(id)), "seed {seed}");
            assert_eq!(graph.predecessors(id), in_source_order(&plan, |other| step.after.contains(other)));
            let after_it = |other: &StepId| plan.step(other).unwrap().after.contains(id);
            assert_eq!(graph.successors(id), in_source_order(&plan, after_it));
        }
        check_order(&plan, &graph);
        check_edges(&plan, &graph, &up);
        check_critical_path(&plan, &graph);
    }
}

/// The order is the one that always takes the first step in the source that could come next.
fn check_order(plan: &Plan, graph: &PlanGraph) {
    let mut done: Vec<StepId> = Vec::new();
    while done.len() < plan.steps.len() {
        let free = |step: &&Step| !done.contains(&step.id) && step.after.iter().all(|up| done.contains(up));
        done.push(plan.steps.iter().find(free).unwrap().id.clone());
    }
    assert_eq!(graph.order(), done);
    let irreversible = |id: &&StepId| plan.step(id).unwrap().effect == Effect::Irreversible;
    assert_eq!(graph.point_of_no_return(plan), done.iter().find(irreversible).cloned());
}

/// An edge is kept exactly if no other dependency of the later step has the earlier one among its ancestors.
fn check_edges(plan: &Plan, graph: &PlanGraph, up: &BTreeMap<StepId, BTreeSet<StepId>>) {
    let mut kept = Vec::new();
    for later in &plan.steps {
        let needed = |id: &StepId| later.after.contains(id) && !later.after.iter().any(|other| up[other].contains(id));
        kept.extend(in_source_order(plan, needed).into_iter().map(|earlier| (earlier, later.id.clone())));
    }
    assert_eq!(graph.edges(), kept);
}

fn check_critical_path(plan: &Plan, graph: &PlanGraph) {
    let cost = |step: &Step| step.estimate_ms.unwrap();
    let (path, total) = graph.critical_path(plan, cost);
    let longest = plan.steps.iter().map(|step| oracle_longest(plan, &step.id, &cost)).max().unwrap_or(0);
    assert_eq!(total, longest);
    assert_eq!(path.iter().map(|id| cost(plan.step(id).unwrap())).sum::<u64>(), total);
    assert!(path.windows(2).all(|pair| plan.step(&pair[1]).unwrap().after.contains(&pair[0])));
}

#[test]
fn reduction_crosses_the_blocks_of_64() {
    let plan = random_plan(7, 150, 20);
    let graph = PlanGraph::new(&plan).unwrap();
    check_edges(&plan, &graph, &oracle_ancestors(&plan));
}

#[test]
fn names_what_is_wrong() {
    let unknown = PlanGraph::new(&small(&[("a", &["ghost"])])).unwrap_err();
    assert_eq!(unknown, GraphError::UnknownStep { step: "a".into(), after: "ghost".into() });
    let twice = PlanGraph::new(&small(&[("a", &[]), ("a", &[])])).unwrap_err();
    assert_eq!(twice, GraphError::Duplicate("a".into()));
    let own = PlanGraph::new(&small(&[("a", &["a"])])).unwrap_err();
    assert_eq!(own, GraphError::Cycle(ids(&["a"])));
    assert_eq!(own.to_string(), "these steps wait for each other: a -> a");
}

#[test]
fn a_cycle_lists_its_own_steps_only_in_the_order_in_which_they_wait() {
    // "tail" waits for the cycle and "head" is before it: neither belongs to it.
    let plan = small(&[("tail", &["c"]), ("head", &[]), ("b", &["a"]), ("c", &["b"]), ("a", &["c", "head"])]);
    assert_eq!(PlanGraph::new(&plan).unwrap_err(), GraphError::Cycle(ids(&["b", "c", "a"])));
}

#[test]
fn an_empty_plan_has_an_empty_graph() {
    let plan = small(&[]);
    let graph = PlanGraph::new(&plan).unwrap();
    assert!(graph.is_empty() && graph.waves().is_empty() && graph.edges().is_empty());
    assert_eq!(graph.critical_path(&plan, |_| 1), (Vec::new(), 0));
    assert_eq!(graph.point_of_no_return(&plan), None);
    assert_eq!(graph.ancestors(&"ghost".into()), Vec::new());
}

#[test]
fn equal_paths_are_settled_by_length_then_by_the_source() {
    let plan = small(&[("b", &[]), ("a", &[]), ("end", &["a", "b"])]);
    let graph = PlanGraph::new(&plan).unwrap();
    assert_eq!(graph.critical_path(&plan, |_| 0), (ids(&["b", "end"]), 0));
    assert_eq!(graph.critical_path(&plan, |_| u64::MAX), (ids(&["b", "end"]), u64::MAX));
}

/// Ten thousand steps, as a chain (the deepest graph) and as a mesh: nothing recurses, nothing is quadratic. The answers
/// are checked; `cargo xtask bench plan` has the time.
#[test]
fn ten_thousand_steps() {
    let steps = 10_000_usize;
    let previous = |i: usize| i.checked_sub(1).map(|i| format!("s{i}")).into_iter().collect();
    let chain = plan(&(0..steps).map(|i| (format!("s{i}"), previous(i), 1, false)).collect::<Vec<_>>());
    let graph = PlanGraph::new(&chain).unwrap();
    assert_eq!(graph.waves().len(), steps);
    assert_eq!(graph.edges().len(), steps - 1);
    assert_eq!(graph.critical_path(&chain, |_| 1).1, steps as u64);
    assert_eq!(graph.ancestors(&"s9999".into()).len(), steps - 1);
    // Layers of 100, each step after three of the layer before and (needlessly) one of the layer before that.
    let up = |i: usize| {
        let layer = (i / 100) * 100;
        let near = (1..=3).filter_map(move |k| layer.checked_sub(100).map(|base| base + (i + k) % 100));
        let far = layer.checked_sub(200).map(|base| base + (i + 2) % 100);
        near.chain(far).map(|i| format!("s{i}")).collect::<Vec<_>>()
    };
    let mesh = plan(&(0..steps).map(|i| (format!("s{i}"), up(i), 1, false)).collect::<Vec<_>>());
    let graph = PlanGraph::new(&mesh).unwrap();
    assert_eq!(graph.waves().len(), 100);
    // The far step i+2 is an ancestor through i+1 of the near layer, so only the near edges are left.
    assert_eq!(graph.edges().len(), 99 * 100 * 3);
    assert_eq!(graph.critical_path(&mesh, |_| 2).1, 200);
}
