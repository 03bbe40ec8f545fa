//! Looks at a world of paper.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lifeboat_core::grants::{DirGrant, Grant, Operator};
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::{Mode, Plan, StepKind, Target, TargetUse};
use lifeboat_core::ports::{Attempt, BoxFuture};
use lifeboat_core::verified::Policy;
use lifeboat_core::{Error, StepId};
use lifeboat_testkit::PlanBuilder;
use serde_json::{Value, json};

use crate::{Asks, Finding, Lesson, Newest, Past, Question, Row, look, lost, overlapping};

const NOW: u64 = 10_000_000;

/// What whoever is asked answers, and what was asked.
#[derive(Default)]
struct Paper {
    steps: BTreeMap<&'static str, Result<Vec<Finding>, Error>>,
    newest: Option<Newest>,
    free: Option<u64>,
    locked: bool,
    asked: Mutex<Vec<String>>,
    args: Mutex<Vec<Value>>,
}

impl Asks for Paper {
    fn step<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Vec<Finding>, Error>> {
        self.asked.lock().unwrap().push(attempt.step.to_string());
        self.args.lock().unwrap().push(attempt.args.clone());
        let found = self.steps.get(attempt.step.as_str()).cloned().unwrap_or_else(|| Ok(Vec::new()));
        Box::pin(async move { found })
    }

    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        let found = if self.locked { Err(Error::new("LB0711", format!("'{name}' is not set"))) } else { Ok(()) };
        Box::pin(async move { found })
    }

    fn newest<'a>(
        &'a self,
        target: &'a Target,
        settings: Value,
        _: Mode,
    ) -> BoxFuture<'a, Result<Option<Newest>, Error>> {
        self.asked.lock().unwrap().push(format!("{} {}", target.name, settings["root"].as_str().unwrap()));
        Box::pin(async move { Ok(self.newest.clone()) })
    }

    fn free<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move { self.free })
    }
}

fn target(name: &str, site: &str, root: &str) -> Target {
    let secrets = if name == "vault" { [("password".to_owned(), "key".to_owned())].into() } else { BTreeMap::new() };
    Target {
        name: name.to_owned(),
        plugin: "fs".to_owned(),
        site: Some(site.to_owned()),
        settings: json!({ "root": root }),
        secrets,
        lock: None,
    }
}

fn used(role: &str, target: &str) -> TargetUse {
    TargetUse { role: role.to_owned(), target: target.to_owned() }
}

/// Proves a snapshot, restores it, looks at what was restored.
fn recover() -> Plan {
    let builder = PlanBuilder::new().step("prove").step("rebuild").after(["prove"]).step("smoke").after(["rebuild"]);
    let mut plan = builder.input("reason", json!("a look")).build();
    plan.mode = Mode::Failover;
    for one in [target("vault", "second", "/v/{{inputs.reason}}"), target("back", "second", "/back")] {
        plan.targets.insert(one.name.clone(), one);
    }
    let kinds = [
        (StepKind::Verify, vec![used("from", "vault")]),
        (StepKind::Restore, vec![used("from", "vault"), used("into", "back")]),
        (StepKind::Validate, vec![used("target", "back")]),
    ];
    for (step, (kind, targets)) in plan.steps.iter_mut().zip(kinds) {
        (step.kind, step.targets) = (kind, targets);
    }
    plan.steps[1].args = json!({ "snapshot": "{{steps.prove.snapshot}}", "note": "{{inputs.reason}}" });
    plan
}

struct Case {
    plan: Plan,
    operator: Operator,
    past: Past,
    verification: Option<Policy>,
    site: Option<&'static str>,
}

impl Case {
    fn new() -> Self {
        let (operator, past) = (Operator::default(), Past::default());
        Self { plan: recover(), operator, past, verification: None, site: None }
    }

    async fn rows(self, paper: &Paper) -> Vec<Row> {
        let Self { plan, mut operator, past, verification, site } = self;
        let (graph, run) = (PlanGraph::new(&plan).unwrap(), RunId::new(1, 1));
        if let Some(site) = site {
            operator.lost = lost(&plan, site).unwrap();
        }
        let question = Question {
            plan: &Arc::new(plan),
            graph: &graph,
            operator: &operator,
            site_lost: site,
            verification,
            past: &past,
            run: &run,
            now: NOW,
        };
        let mut rows = Vec::new();
        look(paper, &question, &mut rows).await;
        rows
    }
}

fn snapshot(age_ms: u64) -> Option<Newest> {
    Some(Newest { id: "s1".to_owned(), time_ms: NOW - age_ms, bytes: 1_000 })
}

fn bad(rows: &[Row]) -> Vec<(&str, &str)> {
    let bad = rows.iter().filter(|row| !row.ok);
    bad.map(|row| (row.about.as_str(), row.code.as_deref().unwrap())).collect()
}

fn says(rows: &[Row], about: &str, words: &str) -> bool {
    rows.iter().any(|row| row.about == about && row.finding.contains(words))
}

#[tokio::test]
async fn what_is_in_order_is_said_and_nothing_is_asked_that_cannot_be_told_yet() {
    let paper = Paper { newest: snapshot(5_000), free: Some(5_000), ..Paper::default() };
    let mut case = Case::new();
    case.past.learn(&Lesson { drill: None, verified: vec![("vault".to_owned(), "s1".to_owned(), NOW - 2_000)] }, "x");
    let rows = case.rows(&paper).await;
    assert_eq!(bad(&rows), []);
    assert!(says(&rows, "vault vault", "is 5 s old") && says(&rows, "vault vault", "verified 2 s ago"), "{rows:#?}");
    assert!(says(&rows, "secret key", "it can be read"));
    assert!(says(&rows, "step smoke", "only after step 'rebuild'"));
    assert!(says(&rows, "step rebuild", "are free for"));
    assert!(says(&rows, "verification", "it was never drilled"), "without a policy that is no problem");
    // Known values are filled in, and what earlier steps will say is not.
    assert_eq!(*paper.asked.lock().unwrap(), ["prove", "rebuild", "vault /v/a look"]);
    assert_eq!(paper.args.lock().unwrap()[1], json!({ "snapshot": "{{steps.prove.snapshot}}", "note": "a look" }));
}

#[tokio::test]
async fn all_that_is_in_the_way_is_told_at_once() {
    let no = Finding { ok: false, message: "the folder is not there".to_owned() };
    let yes = Finding { ok: true, message: "the vault opens".to_owned() };
    let failed = Err(Error::new("LB0723", "no host is granted").hint("grant it"));
    let paper = Paper {
        steps: [("prove", Ok(vec![yes, no])), ("rebuild", failed)].into(),
        newest: snapshot(100_000),
        free: Some(10),
        locked: true,
        ..Paper::default()
    };
    let mut case = Case::new();
    case.plan.objectives.rpo_ms = Some(60_000);
    case.verification = Some(Policy { every_ms: 1 });
    let rows = case.rows(&paper).await;
    let expected = [
        ("secret key", "LB0711"),
        ("verification", "LB1153"),
        ("step prove", "LB1159"),
        ("step rebuild", "LB0723"),
        ("vault vault", "LB1161"),
        ("step rebuild", "LB1162"),
    ];
    assert_eq!(bad(&rows), expected);
    assert!(rows.iter().filter(|row| !row.ok).all(|row| row.mend.is_some()));
    assert!(says(&rows, "step prove", "the vault opens"), "what is in order is said, too");
    let empty = Case::new().rows(&Paper::default()).await;
    assert_eq!(bad(&empty), [("vault vault", "LB1160")]);
}

#[tokio::test]
async fn a_lost_site_is_in_the_way_of_what_uses_it_and_is_not_asked() {
    let paper = Paper { newest: snapshot(1), free: Some(5_000), ..Paper::default() };
    let rows = Case { site: Some("second"), ..Case::new() }.rows(&paper).await;
    let all = bad(&rows);
    assert_eq!(all.iter().filter(|(_, code)| *code == "LB1156").count(), 4, "{all:?}");
    assert!(paper.asked.lock().unwrap().is_empty());
    let error = lost(&recover(), "moon").unwrap_err();
    assert_eq!((error.code.0.as_ref(), error.hint.as_deref()), ("LB1155", Some("its targets are at: second")));
    let mut plan = recover();
    plan.targets.insert("live".to_owned(), target("live", "primary", "/live"));
    let rows = Case { plan, site: Some("primary"), ..Case::new() }.rows(&paper).await;
    assert!(bad(&rows).is_empty() && says(&rows, "site primary", "no step uses"), "{rows:#?}");
}

#[tokio::test]
async fn a_step_that_needs_what_is_brought_back_later_is_told() {
    let mut case = Case::new();
    let smoke = case.plan.steps.iter_mut().find(|step| step.id == StepId::from("smoke")).unwrap();
    smoke.after.clear();
    let paper = Paper { newest: snapshot(1), free: Some(5_000), ..Paper::default() };
    let rows = case.rows(&paper).await;
    assert_eq!(bad(&rows), [("step smoke", "LB1158")]);
}

#[tokio::test]
async fn a_vault_that_the_plan_itself_fills_is_not_judged_by_what_is_in_it_now() {
    let mut case = Case::new();
    let first = &mut case.plan.steps[0];
    (first.kind, first.targets) = (StepKind::Snapshot, vec![used("of", "back"), used("into", "vault")]);
    let rows = case.rows(&Paper::default()).await;
    assert!(!rows.iter().any(|row| row.about == "vault vault"), "{rows:#?}");
}

#[test]
fn folders_that_drills_and_production_share_are_found() {
    let grant = |target: Option<&str>, path: &str| Grant {
        plugin: "fs".to_owned(),
        target: target.map(str::to_owned),
        dirs: vec![DirGrant { path: path.into(), write: true }],
        hosts: Vec::new(),
    };
    let mut operator = Operator { grants: vec![grant(None, "/srv/live")], ..Operator::default() };
    operator.drill_grants = vec![grant(None, "/srv")];
    assert_eq!(overlapping(&operator), [("/srv".to_owned(), "/srv/live".to_owned())]);
    operator.drill_grants = vec![grant(None, "/srv/live/drill")];
    assert_eq!(overlapping(&operator), [], "a smaller place inside is a drill's own");
    operator.drill_grants = vec![grant(Some("vault"), "/srv")];
    operator.grants = vec![grant(Some("vault"), "/srv/vault")];
    assert_eq!(overlapping(&operator), [], "what is shared under one name is shared on purpose");
}
