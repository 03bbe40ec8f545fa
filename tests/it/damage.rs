//! Damaged data folders from the command line: each is explained, repaired on request, and hits its run alone.

use std::fs;
use std::path::Path;

use crate::bench::{Bench, tree};

/// A run that takes a snapshot and then waits for a yes.
const ASKS: &str = r#"snapshot "take" of="live" into="vault"
    approve "go" role="incident-commander" after="take""#;

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in tree(from) {
        let target = to.join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, bytes).unwrap();
    }
}

/// Three runs that wait for a yes; a byte of an event of the second is wrong, and the index is gone.
fn three(bench: &Bench) -> Vec<String> {
    let file = bench.runbook("asks", ASKS);
    let mut runs = Vec::new();
    for _ in 0..3 {
        bench.run(&["run", "-y", &file]).expect(3);
        runs.push(bench.newest());
    }
    let segment = fs::read_dir(bench.path(".lifeboat/journal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    let text = b"approval-requested";
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text)).collect();
    bytes[places[1]] ^= 1;
    fs::write(&segment, bytes).unwrap();
    fs::remove_dir_all(bench.path(".lifeboat/state")).unwrap();
    runs
}

#[test]
fn doctor_says_of_each_damaged_store_what_is_written_beside_it() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/damaged");
    let mut seen = 0;
    for case in fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let bench = Bench::new();
        copy(&case.join("store"), &bench.path(".lifeboat"));
        let before = tree(&bench.path(".lifeboat"));
        let golden = fs::read_to_string(case.join("doctor.txt")).unwrap();
        let bad = golden.lines().any(|line| line.starts_with("BAD"));
        bench.run(&["doctor"]).expect(i32::from(bad)).says(&golden);
        let rows = bench.run(&["doctor", "--json"]).expect(i32::from(bad)).json();
        let kinds = rows.as_array().unwrap().iter().filter(|row| row["kind"].is_string()).count();
        assert_eq!(kinds, golden.lines().filter(|line| line.starts_with("BAD") || line.starts_with("ok ")).count());
        assert_eq!(tree(&bench.path(".lifeboat")), before, "{}: doctor changes nothing", case.display());
        // Every run that is broken is listed as such, with its reason.
        let runs = bench.run(&["runs"]).expect(0).out;
        let named = golden.lines().filter(|line| line.starts_with("BAD run ")).count();
        assert_eq!(runs.lines().filter(|line| line.contains("in quarantine after event")).count(), named, "{runs}");
        seen += 1;
    }
    assert!(seen >= 22, "only {seen}");
}

#[test]
fn a_run_in_quarantine_is_named_everywhere_and_the_others_go_on() {
    let bench = Bench::new();
    let runs = three(&bench);
    let list = bench.run(&["runs", "--json"]).expect(0).json();
    let quarantined: Vec<bool> = list.as_array().unwrap().iter().map(|row| !row["quarantine"].is_null()).collect();
    assert_eq!(quarantined, [false, true, false]);
    assert_eq!(list[1]["quarantine"]["kind"], "quarantined");
    let sick = &runs[1];
    let speaks: [&[&str]; 6] = [
        &["show", sick],
        &["events", sick],
        &["resume", sick],
        &["approve", sick, "go"],
        &["retry", sick, "take"],
        &["cancel", sick],
    ];
    for args in speaks {
        bench.run(args).expect(4).says("LB0602").says("quarantine").says("lifeboat doctor");
    }
    // Without a run, the others are taken up, and the sick one is named.
    bench.run(&["resume"]).expect(1).says(&runs[0]).says(&runs[2]).says("quarantine");
    bench.run(&["approve", &runs[0], "go", "--as", "ada"]).expect(0).says("succeeded");
    bench.run(&["approve", &runs[2], "go", "--as", "ada"]).expect(0).says("succeeded");
}

#[test]
fn a_resume_says_that_all_runs_are_in_quarantine_also_those_only_the_index_knows() {
    let bench = Bench::new();
    let file = bench.runbook("asks", ASKS);
    bench.run(&["run", "-y", &file]).expect(3);
    bench.run(&["run", "-y", &file]).expect(3);
    for segment in fs::read_dir(bench.path(".lifeboat/journal")).unwrap() {
        fs::File::create(segment.unwrap().path()).unwrap();
    }
    bench.run(&["resume"]).expect(1).says("2 runs are in quarantine").says("lifeboat doctor");
}

#[test]
fn a_repair_keeps_a_copy_and_a_cut_lets_the_run_go_on() {
    let bench = Bench::new();
    let runs = three(&bench);
    let before = tree(&bench.path(".lifeboat/journal"));
    bench.run(&["doctor"]).expect(1).says("checksum").says("--repair");
    bench.run(&["doctor", "--cut", &runs[1]]).expect(2);
    let repaired = bench.run(&["doctor", "--repair", "--json"]).expect(1).json();
    let copied = Path::new(repaired["copy"].as_str().unwrap()).file_name().unwrap().to_owned();
    assert_eq!(tree(&bench.path(".lifeboat").join(copied)), before);
    assert_eq!(repaired["remaining"][1]["run"], runs[1].as_str(), "{repaired:#}");
    bench.run(&["doctor", "--repair", "--cut", &runs[0]]).expect(2).says("LB0608");
    bench.run(&["doctor", "--repair", "--cut", &runs[1]]).expect(0).says("goes on after event");
    bench.run(&["doctor"]).expect(0);
    // The intent of the snapshot is its last event: it is probed, and the run comes to its question again.
    bench.run(&["resume", &runs[1]]).expect(3).says("asks for 1 yes");
    for run in &runs {
        bench.run(&["approve", run, "go", "--as", "ada"]).expect(0).says("succeeded");
    }
    bench.run(&["doctor", "--repair"]).expect(0).says("nothing to repair");
}

#[test]
fn a_repair_is_refused_while_an_engine_is_at_work() {
    let bench = Bench::new();
    let slow = bench.runbook("slow", r#"wait "long" "60s""#);
    let mut child = bench.start(&["run", "-y", &slow]);
    bench.wait_for("waits for");
    bench.run(&["doctor", "--repair"]).expect(2).says("LB0601").says(&child.id().to_string());
    bench.run(&["doctor"]).expect(0).says("an engine is at work");
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run(&["doctor", "--repair"]).expect(0);
}

#[test]
fn a_run_whose_plugin_is_gone_or_another_is_named_and_none_of_its_steps_fails() {
    let bench = Bench::new();
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist/fixture.wasm");
    fs::create_dir(bench.path("more")).unwrap();
    fs::copy(&plugin, bench.path("more/fixture.wasm")).unwrap();
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    let with = format!("plugins \"more\"\ngrant \"fixture\" {{ dir \"estate\" write=#true }}\n{operator}");
    bench.write("lifeboat.kdl", &with);
    let dir = bench.dir.path().display().to_string();
    let steps = format!(
        r#"approve "go" role="incident-commander"
    target "other" plugin="fixture" {{ root "{dir}/estate/live" }}
    validate "looks" target="other" after="go" misbehave="ok""#
    );
    let file = bench.runbook("pins", &steps);
    bench.run(&["run", "-y", &file]).expect(3);
    let run = bench.newest();
    let events = bench.events();
    // Gone.
    bench.write("lifeboat.kdl", &operator);
    bench.run(&["doctor"]).expect(1).says("cannot go on").says("LB0701").says(&run);
    bench.run(&["resume", &run]).expect(2).says("LB0701").says("cannot go on");
    bench.run(&["resume"]).expect(1).says("LB0701").says(&run);
    bench.run(&["approve", &run, "go", "--as", "ada"]).expect(2).says("LB0701");
    // Another one: the same, with a section more that means nothing.
    let mut bytes = fs::read(&plugin).unwrap();
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    fs::write(bench.path("more/fixture.wasm"), bytes).unwrap();
    bench.write("lifeboat.kdl", &with);
    bench.run(&["doctor"]).expect(1).says("LB0702").says(&run);
    bench.run(&["resume"]).expect(1).says("LB0702");
    assert_eq!(bench.events(), events, "nothing was begun, and nothing failed");
    // Back again; and a run whose plugin is gone can still be ended.
    fs::copy(&plugin, bench.path("more/fixture.wasm")).unwrap();
    bench.run(&["approve", &run, "go", "--as", "ada"]).expect(0).says("succeeded");
    bench.run(&["run", "-y", &file]).expect(3);
    let second = bench.newest();
    bench.write("lifeboat.kdl", &operator);
    bench.run(&["cancel", &second, "-r", "over"]).expect(1).says("cancelled");
}
