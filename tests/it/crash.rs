//! `kill -9` of the real binary, and `resume`: finished steps do not run again, and the end is the same.

use std::time::Duration;

use crate::bench::{Bench, attempts, tree};

const RECOVER: &str = r#"snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back"
    validate "smoke" target="back" after="rebuild" { expect "count" path="" min=1 }"#;

/// A bench whose restore takes long enough to be hit.
fn heavy() -> Bench {
    let bench = Bench::new();
    let mut random = blake3::Hasher::new().update(b"heavy").finalize_xof();
    let mut bytes = vec![0; 48 * 1024 * 1024];
    random.fill(&mut bytes);
    std::fs::write(bench.path("estate/live/model.bin"), bytes).unwrap();
    bench
}

#[test]
fn killed_in_the_restore_it_goes_on_where_it_was() {
    let bench = heavy();
    let file = bench.runbook("recover", RECOVER);
    let mut child = bench.start(&["run", "-y", &file]);
    bench.wait_for("rebuild  restore   started");
    child.kill().unwrap();
    child.wait().unwrap();
    let run = bench.newest();
    bench.run(&["show", &run]).expect(0).says("resume");
    bench.run(&["resume", &run]).expect(0).says("succeeded");
    let events = bench.events();
    assert_eq!((attempts(&events, "take"), attempts(&events, "prove")), (1, 1));
    assert_eq!(attempts(&events, "rebuild"), 2);
    let probed = events.iter().filter(|event| event["event"] == "probed" && event["step"] == "rebuild").count();
    assert_eq!(probed, 1, "an in-doubt step is probed, not repeated blindly");
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
}

#[test]
fn killed_at_many_instants_it_always_ends_the_same() {
    let bench = heavy();
    let file = bench.runbook("recover", RECOVER);
    for round in 0..12 {
        std::fs::remove_dir_all(bench.path("estate/back")).unwrap();
        std::fs::create_dir_all(bench.path("estate/back")).unwrap();
        let mut child = bench.start(&["run", "-y", &file]);
        std::thread::sleep(Duration::from_millis(30 + 110 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        // A second kill, in the resume.
        let mut child = bench.start(&["resume"]);
        std::thread::sleep(Duration::from_millis(20 + 70 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        bench.run(&["resume"]).expect(if bench.path(".lifeboat").exists() { 0 } else { 2 });
        let runs = bench.run(&["runs", "--json"]).expect(0).json();
        for run in runs.as_array().unwrap() {
            assert_eq!(run["summary"]["status"], "succeeded", "{run}");
        }
        if runs.as_array().is_some_and(|all| !all.is_empty()) {
            let events = bench.events();
            for step in ["take", "prove", "rebuild", "smoke"] {
                let done = |event: &&serde_json::Value| {
                    event["step"] == step && (event["outcome"] == "done" || event["answer"] == "happened")
                };
                assert_eq!(events.iter().filter(done).count(), 1, "round {round}, step {step}: {events:#?}");
            }
        }
    }
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
}

#[test]
fn the_state_folder_may_be_deleted_or_damaged() {
    let bench = Bench::new();
    let file = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(0);
    let run = bench.newest();
    std::fs::remove_dir_all(bench.path(".lifeboat/state")).unwrap();
    bench.run(&["run", "-y", &file]).expect(0).says("built anew");
    std::fs::write(bench.path(".lifeboat/state/conf"), [0; 64]).unwrap();
    std::fs::write(bench.path(".lifeboat/state/db"), b"garbage").unwrap();
    bench.run(&["run", "-y", &file]).expect(0).says("built anew");
    let runs = bench.run(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs.as_array().unwrap().len(), 3);
    bench.run(&["show", &run]).expect(0).says("succeeded");
    bench.run(&["doctor"]).expect(0).says("3 runs");
}
