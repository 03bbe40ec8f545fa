//! What people do: approve, deny, retry, skip, cancel; and how a run waits for them.

use crate::bench::{Bench, attempts};

const ASKS: &str = r#"snapshot "take" of="live" into="vault"
    approve "go" role="incident-commander" quorum=2 after="take"
    wait "breathe" "50ms" { after "go" }"#;

#[test]
fn a_quorum_of_different_people_lets_it_go_on() {
    let bench = Bench::new();
    let file = bench.runbook("asks", ASKS);
    bench.run(&["run", "-y", &file]).expect(3).says("asks for 2 yes from incident-commander").says("approve");
    let run = bench.newest();
    bench.run(&["approve", &run, "go", "--as", "ada"]).expect(3);
    bench.run(&["approve", &run, "go", "--as", "ada"]).expect(2).says("LB0502");
    bench.run(&["skip", &run, "go", "--as", "ada"]).expect(2).says("never skipped");
    let wrong = ["approve", &run, "go", "--as", "grace", "--fingerprint", "blake3:other"];
    bench.run(&wrong).expect(2).says("LB0506");
    bench.run(&["approve", &run, "go", "--as", "grace", "--reason", "primary is gone"]).expect(0).says("succeeded");
    assert_eq!(attempts(&bench.events(), "take"), 1);
    bench.run(&["report", &run]).expect(0).says("waiting for people and timers");
}

#[test]
fn a_no_fails_the_run_and_says_who() {
    let bench = Bench::new();
    let file = bench.runbook("asks", ASKS);
    bench.run(&["run", "-y", &file]).expect(3);
    let run = bench.newest();
    bench.run(&["deny", &run, "go", "--as", "ada", "-r", "false alarm"]).expect(1).says("ada said no: false alarm");
}

#[test]
fn a_failed_step_is_mended_and_retried() {
    let bench = Bench::new();
    let steps = r#"validate "ready" target="live" { expect "file" path="go" }
    snapshot "take" of="live" into="vault" after="ready""#;
    let file = bench.runbook("mend", steps);
    bench.run(&["run", "-y", &file]).expect(1).says("go").says("retry");
    let run = bench.newest();
    bench.run(&["retry", &run, "ready"]).expect(1);
    bench.write("estate/live/go", "");
    bench.run(&["retry", &run, "ready", "-r", "made the file"]).expect(0).says("succeeded");
    bench.run(&["retry", &run, "ready"]).expect(2).says("LB0502");
    assert_eq!(attempts(&bench.events(), "ready"), 3);
}

#[test]
fn a_failed_step_is_skipped() {
    let bench = Bench::new();
    let file = bench.runbook("skip", r#"validate "ready" target="live" { expect "file" path="go" }"#);
    bench.run(&["run", "-y", &file]).expect(1);
    let run = bench.newest();
    bench.run(&["skip", &run, "ready", "-r", "looked at it by hand"]).expect(0).says("skipped");
    bench.run(&["skip", &run, "nothing"]).expect(2).says("LB0504");
}

#[test]
fn a_waiting_run_is_cancelled() {
    let bench = Bench::new();
    let file = bench.runbook("asks", ASKS);
    bench.run(&["run", "-y", &file]).expect(3);
    let run = bench.newest();
    bench.run(&["cancel", &run, "-r", "drill is over"]).expect(1).says("cancelled");
    bench.run(&["approve", &run, "go"]).expect(2).says("LB0502");
    bench.run(&["resume"]).expect(0).says("every run has ended");
}
