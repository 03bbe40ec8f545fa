//! A compiler of runbooks of one line: `runbook NAME WHAT`, with what starts it in the lines after it, and the library that is made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_alerts::Matchers;
use lifeboat_alerts::kernel::{Agree, Budget, Trigger};
use lifeboat_core::Error;
use lifeboat_core::plan::Effect;
use lifeboat_core::plan::{Mode, Plan};
use lifeboat_core::ports::BoxFuture;
use lifeboat_readiness::Row;
use lifeboat_schedule::{Missed, Overlap, Rule, Spec};
use lifeboat_service::{
    AlertTrigger, Asked, Compiled, Diagnosis, InputView, Looked, Refused, ScheduleRule, SnapshotView, Workshop,
};
use lifeboat_testkit::PlanBuilder;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::bench::{Bench, until};

/// The compiler. Who has which role is given.
#[derive(Default)]
pub struct Toy {
    pub roles: Option<BTreeMap<String, Vec<String>>>,
    pub estate: Arc<Estate>,
}

/// What looks at readiness and at vaults find.
#[derive(Default)]
pub struct Estate {
    /// The runbooks that lack something.
    pub lacking: Mutex<BTreeSet<String>>,
    /// How often it was looked at which runbook, in which mode.
    pub looks: Mutex<Vec<(String, &'static str)>>,
    /// Whoever looks waits until this is false.
    pub held: watch::Sender<bool>,
    /// What is in the one vault there is.
    pub vault: Mutex<Vec<SnapshotView>>,
}

fn plan(what: &str) -> Option<Plan> {
    let plan = match what {
        "chain" => PlanBuilder::chain(3),
        "approve" => PlanBuilder::new().approve("go", 1, None).step("after").after(["go"]),
        "two" => PlanBuilder::new().approve("go", 2, None),
        "slow" => PlanBuilder::new().step("slow").step("after").after(["slow"]),
        "edge" => PlanBuilder::new()
            .step("safe")
            .effect(Effect::Compensatable)
            .step("cut")
            .after(["safe"])
            .effect(Effect::Irreversible)
            .step("slow")
            .after(["cut"]),
        "undo" => PlanBuilder::new().step("safe").effect(Effect::Compensatable).approve("go", 1, None).after(["safe"]),
        // It has to recover in a millisecond.
        "late" => {
            let mut plan = PlanBuilder::new().step("slow").build();
            plan.objectives.rto_ms = Some(1);
            return Some(plan);
        }
        "fails" => PlanBuilder::new().step("bad").step("after").after(["bad"]),
        "lock" => PlanBuilder::new().approve("go", 1, None).step("held").after(["go"]).lock("the-lock"),
        _ => return None,
    };
    Some(plan.build())
}

/// `schedule OVERLAP MISSED CRON`
fn schedule(runbook: &str, line: &str) -> ScheduleRule {
    let mut words = line.splitn(3, ' ');
    let spec = Spec {
        overlap: Overlap::parse(words.next().unwrap()).unwrap(),
        missed: Missed::parse(words.next().unwrap()).unwrap(),
        cron: words.next().unwrap().to_owned(),
        zone: "UTC".to_owned(),
        ..Spec::default()
    };
    let rule = Rule::new(format!("{runbook}/often"), &spec).unwrap();
    ScheduleRule { runbook: runbook.to_owned(), mode: Mode::Drill, spec, rule }
}

/// `alert JSON`
fn alert(runbook: &str, line: &str) -> AlertTrigger {
    let said: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str, default: &str| said[name].as_str().unwrap_or(default).to_owned();
    let number = |name: &str| said[name].as_u64();
    let past = said["past"] == true;
    let budget = Budget { starts: number("budget").map_or(100, |n| n.try_into().unwrap()), ..Budget::default() };
    let trigger = Trigger {
        runbook: runbook.to_owned(),
        mode: text("mode", "drill"),
        sources: ["alertmanager", "grafana", "own"].map(str::to_owned).into(),
        matchers: Matchers::parse(&text("match", r#"severity="critical""#)).unwrap(),
        group: said["group"].as_str().map(str::to_owned).into_iter().collect(),
        hold_ms: number("hold").unwrap_or(0),
        agree: number("agree").map(|count| Agree::new(count.try_into().unwrap())),
        budget,
        runbook_past_no_return: past,
        operator_past_no_return: past,
    };
    AlertTrigger { trigger, allowed: said["off"] != true, verified: said["verified"] == true }
}

fn mistake(file: &Path, message: &str) -> Diagnosis {
    Diagnosis {
        code: "LB0103".to_owned(),
        severity: "error".to_owned(),
        message: message.to_owned(),
        file: file.display().to_string(),
        line: 1,
        column: 1,
        help: None,
    }
}

/// The input that all have, and those of lines `needs NAME`.
fn inputs(needed: &[String]) -> Vec<InputView> {
    let input = |name: &str, required| InputView { name: name.to_owned(), kind: "string".to_owned(), required };
    [input("reason", false)].into_iter().chain(needed.iter().map(|name| input(name, true))).collect()
}

impl Workshop for Toy {
    fn look(&self, file: &Path) -> Looked {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut words = text.split_whitespace();
        if words.next() != Some("runbook") {
            return Looked { diagnostics: vec![mistake(file, "this is no runbook")], ..Looked::default() };
        }
        let name = words.next().map(str::to_owned);
        let bad = words.next().and_then(plan).is_none();
        let book = name.clone().unwrap_or_default();
        let after = |word: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect()
        };
        Looked {
            name,
            modes: vec![Mode::Drill, Mode::Failover],
            inputs: inputs(&after("needs ")),
            objectives: lifeboat_core::plan::Objectives { rto_ms: Some(900_000), ..Default::default() },
            schedules: after("schedule ").iter().map(|line| schedule(&book, line)).collect(),
            alerts: after("alert ").iter().map(|line| alert(&book, line)).collect(),
            diagnostics: if bad { vec![mistake(file, "it does nothing")] } else { Vec::new() },
            ..Looked::default()
        }
    }

    fn compile(&self, file: &Path, mode: Mode, inputs: &BTreeMap<String, String>) -> Result<Compiled, Refused> {
        let text = std::fs::read_to_string(file).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut plan = plan(words[2]).ok_or_else(|| Refused::Mistakes(vec![mistake(file, "it does nothing")]))?;
        (plan.runbook, plan.mode) = (words[1].to_owned(), mode);
        plan.inputs = inputs.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        Ok(Compiled { plan, text, warnings: Vec::new(), verification: None })
    }

    fn readiness(&self, asked: Asked) -> BoxFuture<'_, Result<Vec<Row>, Error>> {
        let (runbook, mode) = (asked.plan.runbook.clone(), asked.plan.mode.as_str());
        self.estate.looks.lock().unwrap().push((runbook.clone(), mode));
        Box::pin(async move {
            let mut held = self.estate.held.subscribe();
            held.wait_for(|held| !held).await.unwrap();
            if asked.site_lost.as_deref().is_some_and(|site| site != "primary") {
                return Err(Error::new("LB1155", "no target of the plan is at that site"));
            }
            let given = asked.plan.inputs.keys().cloned().collect::<Vec<_>>().join(" ");
            let mut rows = vec![
                Row::good("inputs", given),
                Row::good("drills", format!("{} are known", asked.past.drills().len())),
            ];
            if self.estate.lacking.lock().unwrap().contains(&runbook) {
                rows.push(Row::bad("vault", Error::new("LB1160", "it holds no snapshot").hint("take one")));
            }
            Ok(rows)
        })
    }

    fn snapshots(&self, _: Plan, vault: String) -> BoxFuture<'_, Result<Vec<SnapshotView>, Error>> {
        let found = match vault.as_str() {
            "vault" => Ok(self.estate.vault.lock().unwrap().clone()),
            "away" => Err(Error::new("LB0760", "the server does not answer")),
            _ => Err(Error::new("LB0902", "the runbook has no target of that name")),
        };
        Box::pin(async move { found })
    }

    fn plugins(&self) -> Vec<Value> {
        vec![json!({ "name": "simulated" })]
    }

    fn people(&self) -> Vec<String> {
        self.roles.iter().flatten().flat_map(|(_, people)| people.clone()).collect()
    }

    fn roles_of(&self, person: &str) -> Option<Vec<String>> {
        let roles = self.roles.as_ref()?;
        let has = |people: &Vec<String>| people.iter().any(|name| name == person);
        Some(roles.iter().filter(|(_, people)| has(people)).map(|(role, _)| role.clone()).collect())
    }
}

#[tokio::test]
async fn a_bad_file_takes_nothing_from_the_good_ones_and_changes_are_seen() {
    let bench = Bench::new().await;
    bench.runbook("deep/er/chain2.kdl", "runbook chain2 chain");
    bench.runbook("bad.kdl", "this is not KDL {{{");
    bench.runbook("worse.kdl", "runbook worse nothing");
    bench.runbook("twin.kdl", "runbook chain slow");
    bench.runbook("notes.txt", "not looked at");
    bench.runbook(".hidden.kdl", "not looked at");
    let admin = bench.admin().await;
    let list = || async { bench.get("/v1/runbooks", &admin).await.json["runbooks"].as_array().unwrap().clone() };
    until(Duration::from_secs(10), || async { list().await.iter().any(|book| book["name"] == "chain2") }).await;
    let books = list().await;
    let good: Vec<&str> =
        books.iter().filter(|book| book["good"] == true).map(|b| b["name"].as_str().unwrap()).collect();
    assert_eq!(good, ["approve", "chain", "chain2", "fails", "lock", "slow", "two"]);
    let codes = |name: &str| -> Vec<String> {
        let bad = books.iter().filter(|book| book["good"] == false && book["file"].as_str().unwrap().contains(name));
        bad.flat_map(|book| book["diagnostics"].as_array().unwrap())
            .map(|d| d["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(codes("bad.kdl"), ["LB0103"]);
    assert_eq!(codes("worse.kdl"), ["LB0103"]);
    assert_eq!(codes("twin.kdl"), ["LB1069"], "the first file keeps the name");
    let refused = bench.post("/v1/runs", &admin, &json!({ "runbook": "worse", "mode": "drill" })).await;
    assert_eq!((refused.status, refused.code()), (422, "LB1064"));
    assert_eq!(refused.json["diagnostics"][0]["message"], "it does nothing");
    assert_eq!(bench.start("chain", "drill", &admin).await.status, 201);

    bench.runbook("worse.kdl", "runbook worse chain");
    std::fs::remove_file(bench.folder.path().join("runbooks/deep/er/chain2.kdl")).unwrap();
    until(Duration::from_secs(10), || async {
        let books = list().await;
        books.iter().any(|book| book["name"] == "worse" && book["good"] == true)
            && !books.iter().any(|book| book["name"] == "chain2")
    })
    .await;
    assert_eq!(bench.start("worse", "drill", &admin).await.status, 201);
}
