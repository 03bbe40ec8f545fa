//! Golden files of every view of two plans. `LIFEBOAT_BLESS=1` writes them anew; look at the difference before you commit.

use std::path::Path;

use lifeboat_core::apply::{apply, create};
use lifeboat_core::event::{Event, EventKind, Said};
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::{Digest, RunId};
use lifeboat_core::outcome::Outcome;
use lifeboat_core::plan::Plan;
use lifeboat_core::ports::Direction;
use lifeboat_forecast::{History, Question, reforecast};
use serde_json::{Value, json};

use super::Outlook;

/// A step as JSON, with what all steps have.
fn step(id: &str, kind: &str, effect: &str, after: &[&str], more: Value) -> Value {
    let retry = json!({"count": 0, "backoff_ms": 1000, "max_ms": 60000, "jitter": true});
    let policy = json!({"timeout_ms": 600_000, "retry": retry, "in_doubt": "probe"});
    let mut step = json!({
        "id": id, "kind": kind, "effect": effect, "args": {}, "after": after, "policy": policy, "compensate": false, "line": 1,
    });
    for (name, value) in more.as_object().unwrap() {
        step[name] = value.clone();
    }
    step
}

fn recovery_steps() -> Value {
    let caps = json!(["dir", "vault"]);
    let retry = json!({"count": 3, "backoff_ms": 2000, "max_ms": 60000, "jitter": true});
    let policy = json!({"timeout_ms": 600_000, "heartbeat_ms": 30000, "retry": retry, "in_doubt": "probe"});
    json!([
        step(
            "take",
            "snapshot",
            "reversible",
            &[],
            json!({"plugin": "fs", "estimate_ms": 70_000, "capabilities": caps,
            "policy": policy, "targets": [{"role": "of", "target": "orders"}, {"role": "into", "target": "vault"}]})
        ),
        step(
            "prove",
            "verify",
            "read",
            &["take"],
            json!({"plugin": "fs", "estimate_ms": 30_000, "capabilities": ["vault"],
            "targets": [{"role": "from", "target": "vault"}]})
        ),
        step(
            "offsite",
            "transfer",
            "reversible",
            &["take"],
            json!({"plugin": "fs", "capabilities": ["vault"],
            "targets": [{"role": "from", "target": "vault"}, {"role": "into", "target": "second"}]})
        ),
        step(
            "rebuild",
            "restore",
            "compensatable",
            &["take", "prove"],
            json!({"plugin": "fs", "estimate_ms": 145_000,
            "capabilities": caps, "compensate": true,
            "targets": [{"role": "from", "target": "vault"}, {"role": "into", "target": "standby"}]})
        ),
        step(
            "smoke",
            "validate",
            "read",
            &["rebuild"],
            json!({"plugin": "fs", "estimate_ms": 5_000, "capabilities": ["dir"],
            "targets": [{"role": "target", "target": "standby"}]})
        ),
        step(
            "go",
            "approve",
            "read",
            &["smoke", "offsite"],
            json!({
            "approval": {"role": "incident-commander", "quorum": 2, "expires_ms": 1_800_000}})
        ),
        step(
            "cutover",
            "switch",
            "irreversible",
            &["go"],
            json!({"plugin": "fs", "estimate_ms": 400, "capabilities": ["dir"],
            "targets": [{"role": "target", "target": "edge"}],
            "waivers": [{"rule": "LB0301", "reason": "the name server keeps the old record for a day"}]})
        ),
    ])
}

fn target(name: &str, site: Option<&str>) -> Value {
    json!({"name": name, "plugin": "fs", "site": site, "settings": {"root": format!("/srv/{name}")}})
}

/// The recovery that the design sketches.
pub(crate) fn recovery() -> Plan {
    serde_json::from_value(json!({
        "format": 1, "runbook": "orders-region-loss", "owner": "sre-orders", "mode": "failover",
        "description": "Recover the orders service in the DR site when the primary is lost",
        "objectives": {"rto_ms": 900_000, "rpo_ms": 300_000, "mtpd_ms": 14_400_000},
        "inputs": {"reason": "storm"},
        "targets": {"orders": target("orders", Some("primary")), "vault": target("vault", Some("dr")),
            "second": target("second", Some("cloud")), "standby": target("standby", Some("dr")), "edge": target("edge", None)},
        "plugins": {"fs": {"version": "0.1.0", "digest": format!("blake3:{}", &"9f3c1a2b4d5e".repeat(6)[..64])}},
        "steps": recovery_steps(), "on_failure": {"compensate": true}, "max_parallel": 8,
        "source": "blake3:00",
    }))
    .unwrap()
}

/// A plan of odd names and little else: what has to be escaped, what is missing, two parts that do not hang together.
fn odd() -> Plan {
    serde_json::from_value(json!({
        "format": 1, "runbook": "a \"quoted\" <name> & #hash \\ back", "mode": "drill", "objectives": {}, "targets": {},
        "plugins": {}, "steps": [
            step("a<b>&\"c\"#\\", "wait", "read", &[], json!({"wait_ms": 1500})),
            step("a-name-that-is-much-longer-than-any-box-is-wide", "validate", "read", &["a<b>&\"c\"#\\"], json!({})),
            step("alone", "approve", "read", &[], json!({"approval": {"role": "sre", "quorum": 1}})),
        ],
        "on_failure": {"compensate": false}, "max_parallel": 1, "source": "blake3:00",
    }))
    .unwrap()
}

fn empty() -> Plan {
    Plan { steps: Vec::new(), ..odd() }
}

/// What is known of a plan without any earlier run.
fn outlook(plan: &Plan) -> Outlook {
    Outlook::of(plan, &History::new())
}

fn golden(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/view/golden").join(name);
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&file, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == actual, "{name} differs; LIFEBOAT_BLESS=1 accepts this:\n{actual}");
}

#[test]
fn golden_files() {
    for (name, plan) in [("recovery", recovery()), ("odd", odd())] {
        let graph = PlanGraph::new(&plan).unwrap();
        let outlook = outlook(&plan);
        golden(&format!("{name}.txt"), &super::plan_text::render(&plan, &graph, &outlook, false));
        golden(&format!("{name}.json"), &super::plan_json::render(&plan, &graph, &outlook, &[]));
        golden(&format!("{name}.mmd"), &super::plan_mermaid::render(&plan, &graph, &outlook));
        golden(&format!("{name}.dot"), &super::plan_dot::render(&plan, &graph, &outlook));
        golden(&format!("{name}.svg"), &super::plan_svg::render(&plan, &graph, &outlook));
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let plan = recovery();
    let graph = PlanGraph::new(&plan).unwrap();
    let mut plain = String::new();
    let coloured = super::plan_text::render(&plan, &graph, &outlook(&plan), true);
    assert!(coloured.contains("\x1b[1;31m"));
    for (at, part) in coloured.split('\x1b').enumerate() {
        plain.push_str(if at == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    let strip = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(strip(&plain), strip(&super::plan_text::render(&plan, &graph, &outlook(&plan), false)));
}

#[test]
fn text_stays_within_a_hundred_columns() {
    for plan in [recovery(), odd(), empty()] {
        let text = super::plan_text::render(&plan, &PlanGraph::new(&plan).unwrap(), &outlook(&plan), false);
        assert!(text.lines().all(|line| line.chars().count() <= 100 && line == line.trim_end()), "{text}");
    }
}

#[test]
fn json_reads_back_as_the_same_plan() {
    let plan = recovery();
    let graph = PlanGraph::new(&plan).unwrap();
    let value: Value = serde_json::from_str(&super::plan_json::render(&plan, &graph, &outlook(&plan), &[])).unwrap();
    let back: Plan = serde_json::from_value(value["plan"].clone()).unwrap();
    assert_eq!(back, plan);
    assert_eq!(value["fingerprint"], json!(plan.fingerprint()));
    assert_eq!(
        value["critical_path"],
        json!({"steps": ["take", "prove", "rebuild", "smoke", "go", "cutover"], "expected_ms": 250_400})
    );
    assert_eq!(value["point_of_no_return"], json!("cutover"));
    let mut forecast = value["forecast"].clone();
    let simulated = forecast.as_object_mut().unwrap().remove("simulated").unwrap();
    // The sum of the medians of a chain is less than the median of the sum, and what is not known adds nothing.
    assert!(simulated["p50"]["ms"].as_u64().unwrap() > 250_400 && simulated["lower_bound"] == json!(true));
    assert_eq!(
        forecast,
        json!({"expected_ms": 250_400, "rto_ms": 900_000, "within_rto": true, "steps": 7, "without_estimate": 2})
    );
}

#[test]
fn forecasts_say_what_they_do_not_know() {
    let say = |plan: &Plan| {
        super::forecast(plan, &PlanGraph::new(plan).unwrap(), &Outlook::default()).map(|found| found.brief())
    };
    let mut plan = recovery();
    assert_eq!(say(&plan).unwrap(), "4m 10s of 15m RTO; 2 of 7 steps have no estimate");
    plan.objectives.rto_ms = Some(60_000);
    assert_eq!(say(&plan).unwrap(), "4m 10s of 1m RTO, which is too long; 2 of 7 steps have no estimate");
    plan.steps.iter_mut().for_each(|step| step.estimate_ms = None);
    assert_eq!(say(&plan), None);
    assert_eq!(say(&empty()), None);
}

#[test]
fn a_path_without_estimates_has_no_time() {
    let critical = |plan: &Plan| {
        let text = super::plan_text::render(plan, &PlanGraph::new(plan).unwrap(), &outlook(plan), false);
        let from = &text[text.find("critical path").unwrap()..];
        from[..from.find("no return").unwrap()].split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut plan = recovery();
    plan.steps.iter_mut().for_each(|step| step.estimate_ms = None);
    let path = "take → prove → rebuild → smoke → go → cutover";
    assert_eq!(critical(&plan), format!("critical path no estimates; the most steps are along *: {path}"));
    plan.steps[0].estimate_ms = Some(1_000);
    assert!(critical(&plan).starts_with("critical path 1 s along *: take (1 s) → prove (?) → "));
    assert_eq!(critical(&empty()), "critical path none: there are no steps");
}

/// No plan is too big or too small for any view: the picture of 1,000 steps is placed wave by wave.
#[test]
fn big_and_empty_plans_are_drawn() {
    let name = |at: usize| format!("s{at}");
    let steps: Vec<Value> = (0..1_000)
        .map(|at| {
            step(
                &name(at),
                "validate",
                "read",
                &at.checked_sub(10).map(name).iter().map(String::as_str).collect::<Vec<_>>(),
                json!({}),
            )
        })
        .collect();
    let big = Plan { steps: serde_json::from_value(json!(steps)).unwrap(), ..odd() };
    for plan in [big, empty()] {
        let graph = PlanGraph::new(&plan).unwrap();
        let picture = super::plan_svg::render(&plan, &graph, &outlook(&plan));
        assert_eq!(picture.matches("<g ").count(), plan.steps.len());
        assert_eq!(
            super::plan_dot::render(&plan, &graph, &outlook(&plan)).matches(" -> ").count(),
            graph.edges().len()
        );
    }
}

/// What a person reads of a forecast: what is measured, what is not, and what it is worth.
#[test]
fn a_simulated_forecast_as_a_sentence() {
    let say = |plan: &Plan| super::outlook::sentence(outlook(plan).simulated.as_ref().unwrap());
    let mut plan = recovery();
    assert!(
        say(&plan).starts_with("at least 4m 2") && say(&plan).contains("of 15m RTO, which at most 99.9 % of runs meet")
    );
    assert!(say(&plan).ends_with("; from estimates alone; nothing is known of 2 of 7 steps"), "{}", say(&plan));
    plan.objectives.rto_ms = Some(60_000);
    assert!(say(&plan).contains("of 1m RTO, which at most 0 % of runs meet"));
    plan.steps.iter_mut().for_each(|step| step.policy.timeout_ms = 10);
    assert!(say(&plan).starts_with("no run succeeds without help; from estimates alone"), "{}", say(&plan));
    plan.steps.iter_mut().for_each(|step| step.estimate_ms = None);
    assert!(outlook(&plan).simulated.is_none());
    assert!(super::outlook::samples(10_000) >= 500 && super::outlook::samples(10) == 10_000);
}

/// What `show` says of a run under way: here two minutes in, with the first step done and a person asked about nothing yet.
#[test]
fn a_run_under_way_is_forecast_below_its_steps() {
    let plan = recovery();
    let mut state = create(&Event::new(0, created(&plan))).unwrap();
    let (step, direction, number) = (plan.steps[0].id.clone(), Direction::Forward, 1);
    let (key, outcome) = (Digest::of(b"key"), Outcome::Done { outputs: json!({}) });
    let begun = EventKind::AttemptStarted { step: step.clone(), direction, number, key, token: 1 };
    let done = EventKind::AttemptFinished { step, direction, number, outcome, retry_at: None, interrupted: false };
    apply(&mut state, &Event::new(1_000, begun)).unwrap();
    apply(&mut state, &Event::new(100_000, done)).unwrap();
    let at = |now| reforecast(&state, now, &History::new(), &Question::default()).unwrap();
    let mut text = String::new();
    for now in [120_000, 880_000, 1_000_000] {
        text.push_str(&format!("{}\n\n", super::outlook::ahead(&at(now))));
    }
    golden("ahead.txt", &text);
}

fn created(plan: &Plan) -> EventKind {
    EventKind::RunCreated {
        run: RunId("r-1".to_owned()),
        plan: Box::new(plan.clone()),
        fingerprint: plan.fingerprint(),
        runbook: String::new(),
        engine: "test".to_owned(),
        detected_at: None,
        continues: None,
        said: Said { by: "ann".to_owned(), why: String::new() },
    }
}
