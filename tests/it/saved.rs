//! A plan as an approved value: saved, compared, and run exactly as it is or not at all.

use std::fs;

use crate::bench::{Bench, attempts};

const STEPS: &str = r#"input "label" type="string" default="daily"
    on "schedule" cron="0 0 3 * * Sun" zone="Europe/Berlin"
    snapshot "take" of="live" into="vault" { label "{{inputs.label}}" }
    verify "prove" snapshot="{{steps.take.snapshot}}" from="vault"
    approve "go" role="commander" after="prove" timeout="30m"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back" after="go""#;

#[test]
fn exactly_what_was_saved_runs() {
    let bench = Bench::new();
    let file = bench.runbook("orders", STEPS);
    let saved =
        bench.run(&["plan", &file, "--mode", "switchover", "--input", "label=evening", "--save", "orders.plan"]);
    let saved = saved.expect(0).says("run --plan orders.plan --fingerprint blake3:");
    let print = saved.err.split("--fingerprint ").nth(1).unwrap().trim().to_owned();
    // The runbook is changed afterwards, and gone: the plan is what it was.
    bench.runbook("orders", &STEPS.replace("daily", "nightly"));
    fs::remove_file(bench.path(&file)).unwrap();
    bench.run(&["run", "-y", "--plan", "orders.plan", "--fingerprint", &print]).expect(3).says("asks for approval");
    let events = bench.events();
    assert_eq!((&events[0]["fingerprint"], &events[0]["plan"]["mode"]), (&print.as_str().into(), &"switchover".into()));
    assert_eq!(events[0]["plan"]["inputs"]["label"], "evening");
    assert!(events[0]["runbook"].as_str().unwrap().contains("cron="), "the text is kept with the run");
    // The approval is bound to the fingerprint.
    let run = bench.newest();
    bench.run(&["approve", &run, "go", "--fingerprint", "blake3:00"]).expect(2).says("LB0506");
    bench.run(&["approve", &run, "go", "--fingerprint", &print]).expect(0);
    assert_eq!(attempts(&bench.events(), "rebuild"), 1);
}

#[test]
fn anything_else_is_refused_with_what_differs() {
    let bench = Bench::new();
    let file = bench.runbook("orders", STEPS);
    bench.run(&["plan", &file, "--save", "orders.plan"]).expect(0);
    let text = fs::read_to_string(bench.path("orders.plan")).unwrap();
    let refused = |name: &str, text: &str, code: &str, words: &str| {
        bench.write(name, text);
        bench.run(&["run", "-y", "--plan", name]).expect(2).says(code).says(words);
    };
    refused("a.plan", &text.replacen("estate/back", "estate/live", 1), "LB1191", "found: blake3:");
    refused("b.plan", &text.replacen("cron=\\\"0 0 3", "cron=\\\"0 0 4", 1), "LB1191", "text or the triggers");
    refused("c.plan", &text.replacen("\n  \"plan\"", "\n   \"plan\"", 1), "LB1191", "not in the form");
    refused("d.plan", "runbook \"orders\" {}", "LB1190", "no saved plan");
    refused("e.plan", &text.replacen("\"lifeboat-plan\": 1", "\"lifeboat-plan\": 9", 1), "LB1190", "later form 9");
    bench.run(&["run", "-y", "--plan", "gone.plan"]).expect(2).says("LB0901");
    bench.run(&["run", "-y", "--plan", "orders.plan", "--fingerprint", "blake3:00"]).expect(2).says("LB1191");
    bench.run(&["run", "-y", "--plan", "orders.plan", &file]).expect(2);
    bench.run(&["run", "-y"]).expect(2);
    assert!(!bench.path(".lifeboat").exists(), "nothing was started");
    for code in ["LB1190", "LB1191", "LB1192", "LB1194", "LB1195", "LB1196"] {
        bench.run(&["explain", code]).expect(0).says(code);
    }
}

#[test]
fn a_review_says_what_is_dangerous_first() {
    let bench = Bench::new();
    let file = bench.runbook("orders", STEPS);
    bench.run(&["plan", &file, "--mode", "switchover", "--input", "label=evening", "--save", "old.plan"]).expect(0);
    // The mode and the inputs are those of the saved plan.
    bench.run(&["diff", "old.plan", &file]).expect(0).says("no differences");
    let worse = STEPS
        .replace("    approve \"go\" role=\"commander\" after=\"prove\" timeout=\"30m\"\n", "")
        .replace(" after=\"go\"", " { timeout \"2h\" }")
        .replace("0 0 3", "0 0 4");
    bench.runbook("orders", &worse);
    let told = bench.run(&["diff", "old.plan", &file]).expect(1);
    let lines: Vec<&str> = told.out.lines().collect();
    assert!(lines[2].starts_with("danger   approval 'go' removed: role commander"), "{}", told.out);
    let told = told
        .says("caution  step rebuild: timeout: 1h -> 2h")
        .says("worst case")
        .says("started by itself now: schedule");
    assert!(told.out.contains("0 0 4 * * Sun in Europe/Berlin, mode drill"), "{}", told.out);
    let json = bench.run(&["diff", "old.plan", &file, "--json"]).expect(1).json();
    assert_eq!((&json["same"], &json["changes"][0]["kind"]), (&false.into(), &"approval-removed".into()));
    assert_eq!(json["old"]["mode"], "switchover");
    // The other way round it is safer.
    bench.run(&["diff", &file, "old.plan"]).expect(1).says("note     approve go (read) is new");
    bench.write("broken.kdl", "runbook {");
    bench.run(&["diff", "old.plan", "broken.kdl"]).expect(2);
}
