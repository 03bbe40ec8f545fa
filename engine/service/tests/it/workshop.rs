//! A compiler of runbooks of one line: `runbook NAME WHAT`, and the library that is made of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lifeboat_core::plan::{Mode, Plan};
use lifeboat_service::{Compiled, Diagnosis, InputView, Looked, Refused, Workshop};
use lifeboat_testkit::PlanBuilder;
use serde_json::{Value, json};

use crate::bench::{Bench, until};

/// The compiler. Who has which role is given.
#[derive(Default)]
pub struct Toy {
    pub roles: Option<BTreeMap<String, Vec<String>>>,
}

fn plan(what: &str) -> Option<Plan> {
    let plan = match what {
        "chain" => PlanBuilder::chain(3),
        "approve" => PlanBuilder::new().approve("go", 1, None).step("after").after(["go"]),
        "two" => PlanBuilder::new().approve("go", 2, None),
        "slow" => PlanBuilder::new().step("slow").step("after").after(["slow"]),
        "fails" => PlanBuilder::new().step("bad").step("after").after(["bad"]),
        "lock" => PlanBuilder::new().approve("go", 1, None).step("held").after(["go"]).lock("the-lock"),
        _ => return None,
    };
    Some(plan.build())
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

impl Workshop for Toy {
    fn look(&self, file: &Path) -> Looked {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut words = text.split_whitespace();
        if words.next() != Some("runbook") {
            return Looked { diagnostics: vec![mistake(file, "this is no runbook")], ..Looked::default() };
        }
        let name = words.next().map(str::to_owned);
        let bad = words.next().and_then(plan).is_none();
        Looked {
            name,
            modes: vec![Mode::Drill, Mode::Failover],
            inputs: vec![InputView { name: "reason".to_owned(), kind: "string".to_owned(), required: false }],
            objectives: lifeboat_core::plan::Objectives { rto_ms: Some(900_000), ..Default::default() },
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
        Ok(Compiled { plan, text, warnings: Vec::new() })
    }

    fn plugins(&self) -> Vec<Value> {
        vec![json!({ "name": "simulated" })]
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
