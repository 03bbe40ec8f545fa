//! The commands that only look: check, fmt, explain, plan, runs, doctor.

use std::path::Path;

use crate::bench::Bench;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn ten_mistakes_are_ten_diagnostics_in_one_pass() {
    let bench = Bench::new();
    let file = repository().join("engine/runbook/tests/ten-mistakes.kdl");
    let found = bench.run(&["check", "--format", "json", file.to_str().unwrap()]).expect(2).json();
    let found = found.as_array().unwrap();
    let errors: Vec<_> = found.iter().filter(|one| one["severity"] == "error").collect();
    assert_eq!(errors.len(), 10, "{found:#?}");
    for one in &errors {
        assert!(one["code"].as_str().unwrap().starts_with("LB0"));
        assert!(one["line"].as_u64().unwrap() > 0 && one["column"].as_u64().unwrap() > 0);
        assert!(!one["help"].as_str().unwrap().is_empty());
    }
    bench.run(&["check", file.to_str().unwrap()]).expect(2).says("10 mistakes");
}

#[test]
fn the_library_is_in_order_and_canonical() {
    let bench = Bench::new();
    let library = repository().join("runbooks");
    bench.run(&["check", library.to_str().unwrap()]).expect(0).says("in order");
    bench.run(&["fmt", "--check", library.to_str().unwrap()]).expect(0);
}

#[test]
fn an_operators_file_is_checked_as_one() {
    let bench = Bench::new();
    bench.write("drill/lifeboat.kdl", "grant \"fs\" { dir \"/srv\" }\n");
    bench.run(&["check", "drill"]).expect(0).says("1 operator's file: in order");
    bench.write("drill/lifeboat.kdl", "grnat \"fs\" { dir \"/srv\" }\n");
    bench.run(&["check", "drill"]).expect(2).says("LB0401").says("1 mistake");
    bench.run(&["check", "gone.kdl"]).expect(2).says("LB0901").says("help: look at the name");
}

#[test]
fn fmt_keeps_comments_and_is_idempotent() {
    let bench = Bench::new();
    bench.write("ugly.kdl", "// why\nrunbook   \"x\"  {\n  target \"a\" plugin=\"fs\" {root \"/a\"} // here\n}\n");
    bench.run(&["fmt", "--check", "ugly.kdl"]).expect(2).says("ugly.kdl");
    bench.run(&["fmt", "ugly.kdl"]).expect(0);
    let text = std::fs::read_to_string(bench.path("ugly.kdl")).unwrap();
    assert!(text.contains("// why") && text.contains("// here"), "{text}");
    bench.run(&["fmt", "--check", "ugly.kdl"]).expect(0);
}

#[test]
fn a_plan_has_five_forms_and_a_stable_fingerprint() {
    let bench = Bench::new();
    let file = bench.runbook("shapes", r#"snapshot "take" of="live" into="vault""#);
    let json = bench.run(&["plan", &file, "--format", "json"]).expect(0).json();
    let again = bench.run(&["plan", &file, "--format", "json"]).expect(0).json();
    assert_eq!(json["fingerprint"], again["fingerprint"]);
    bench.run(&["plan", &file]).expect(0).says(json["fingerprint"].as_str().unwrap());
    bench.run(&["plan", &file, "--format", "mermaid"]).expect(0).says("flowchart");
    bench.run(&["plan", &file, "--format", "dot"]).expect(0).says("digraph");
    bench.run(&["plan", &file, "--format", "svg"]).expect(0).says("<svg");
    bench.run(&["plan", &file, "--mode", "sideways"]).expect(2).says("there is no mode 'sideways'");
}

#[test]
fn every_code_that_is_printed_can_be_explained() {
    let bench = Bench::new();
    bench.run(&["explain", "LB0302"]).expect(0).says("LB0302");
    bench.run(&["explain", "LB9999"]).expect(2).says("there is no error code");
    for code in ["LB0501", "LB0601", "LB0702", "LB0707", "LB0801", "LB0901", "LB0902", "LB0903", "LB0904"] {
        bench.run(&["explain", code]).expect(0).says(code);
    }
}

#[test]
fn plugins_and_an_empty_estate_can_be_looked_at() {
    let bench = Bench::new();
    bench.run(&["plugin", "ls"]).expect(0).says("fs").says("holds vaults");
    bench.run(&["plugin", "inspect", "fs"]).expect(0).says("compensatable").says("can be undone");
    bench.run(&["plugin", "inspect", "fz"]).expect(2).says("LB0701");
    bench.run(&["runs"]).expect(0).says("no runs yet");
    bench.run(&["doctor"]).expect(0).says("plugin fs");
    bench.run(&["show", "r-1"]).expect(2).says("LB0501");
}

#[test]
fn schedules_are_listed_with_what_is_due_next() {
    let bench = Bench::new();
    let steps = r#"on "schedule" name="yearly" cron="0 0 3 1 Jan *" zone="Europe/Zurich" mode="failover"
        on "schedule" name="never" cron="0 0 4 * * *" mode="failover" { blackout from="00:00" to="12:00" reason="office hours" }
        snapshot "take" of="live" into="vault""#;
    let file = bench.runbook("shapes", steps);
    bench.write("broken.kdl", "runbook \"broken\" { on \"schedule\" cron=\"0 3 * * *\" }\n");
    let rows = bench.run(&["schedule", "ls", &file, "--json"]).expect(0).json();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["schedule"].as_str().unwrap()).collect();
    assert_eq!(names, ["shapes/yearly", "shapes/never"]);
    assert!(rows[0]["next"]["local"].as_str().unwrap().ends_with("-01-01T03:00:00+01:00"), "{rows}");
    bench.run(&["schedule", "ls", &file]).expect(0).says("overlap skip, missed skip");
    let next = bench.run(&["schedule", "next", &file, "-n", "2", "--json"]).expect(0).json();
    assert_eq!(next.as_array().unwrap().len(), 2, "{next}");
    assert!(next[0]["due_ms"].as_u64().unwrap() < next[1]["due_ms"].as_u64().unwrap());
    bench.run(&["schedule", "next", &file]).expect(0).says("starts nothing: blackout, office hours");
    // One that has mistakes takes nothing from the others.
    let both = bench.run(&["schedule", "next", &file, "broken.kdl"]).expect(2);
    both.says("shapes/never").says("LB0122").says("left out because of mistakes: 1 runbook");
}
