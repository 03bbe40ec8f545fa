//! Verbs for hard cases: done by hand, held, given up; who may answer; and runs that wait for each other's locks.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, attempts};

const READY: &str = r#"validate "ready" target="live" { expect "file" path="go" }
    validate "after" target="live" after="ready" { expect "file" path="files/1.txt" }"#;

fn find<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[test]
fn a_step_that_was_done_by_hand_needs_its_outputs_and_keeps_its_evidence() {
    let bench = Bench::new();
    let file = bench.runbook("hand", READY);
    bench.run(&["run", "-y", &file]).expect(1).says("mark-done");
    let run = bench.newest();
    bench.write("proof.log", "looked at it twice\n");
    let mark = |outputs: &str| {
        let args = ["mark-done", &run, "ready", "-r", "by hand", "--outputs", outputs, "--evidence", "proof.log"];
        bench.run(&args)
    };
    mark("{}").expect(2).says("LB0508").says("checked");
    mark("{\"checked\": \"all\"}").expect(2).says("LB0508");
    mark("nonsense").expect(2).says("LB0902");
    assert!(find(&bench.events(), "step-marked-done").is_empty(), "a refused verb leaves no event");
    mark("{\"checked\": 1}").expect(0).says("succeeded");
    let events = bench.events();
    let [marked] = find(&events, "step-marked-done")[..] else { panic!("{events:?}") };
    assert_eq!((marked["why"].as_str(), marked["outputs"]["checked"].as_u64()), (Some("by hand"), Some(1)));
    let digest = marked["evidence"][0]["digest"].as_str().unwrap().replace(':', "-");
    let kept = bench.path(".lifeboat/evidence").join(&digest);
    assert_eq!(fs::read_to_string(kept).unwrap(), "looked at it twice\n");
    assert_eq!((attempts(&events, "ready"), attempts(&events, "after")), (1, 1));
    bench.run(&["show", &run]).expect(0).says("proof.log").says("tester");
    bench.run(&["doctor"]).expect(0);
    fs::write(bench.path(".lifeboat/evidence").join(&digest), "looked at it once\n").unwrap();
    bench.run(&["doctor"]).expect(1).says("proof.log").says("is not what was attached");
}

#[test]
fn a_paused_run_begins_nothing_until_it_is_let_go_on() {
    let bench = Bench::new();
    let steps = r#"approve "go" role="anyone"
    validate "after" target="live" after="go" { expect "file" path="files/1.txt" }"#;
    let file = bench.runbook("held", steps);
    bench.run(&["run", "-y", &file]).expect(3);
    let run = bench.newest();
    bench.run(&["pause", &run, "-r", "the vendor is on the phone"]).expect(3).says("paused").says("unpause");
    bench.run(&["pause", &run]).expect(2).says("LB0502");
    bench.run(&["approve", &run, "go"]).expect(3).says("paused");
    bench.run(&["resume"]).expect(3).says("unpause");
    assert_eq!(attempts(&bench.events(), "after"), 0);
    bench.run(&["show", &run]).expect(0).says("tester").says("the vendor is on the phone");
    bench.run(&["unpause", &run, "-r", "they are done"]).expect(0).says("succeeded");
    assert_eq!(attempts(&bench.events(), "after"), 1);
}

#[test]
fn an_abandoned_run_ends_as_it_is_and_nothing_is_undone() {
    let bench = Bench::new();
    let steps = r#"on-failure { compensate }
    snapshot "take" of="live" into="vault"
    approve "go" role="anyone" after="take""#;
    let file = bench.runbook("given-up", steps);
    bench.run(&["run", "-y", &file]).expect(3);
    let run = bench.newest();
    bench.run(&["abandon", &run, "-r", "done by hand from here"]).expect(1).says("abandoned");
    bench.run(&["approve", &run, "go"]).expect(2).says("LB0502");
    bench.run(&["resume"]).expect(0).says("every run has ended");
    let events = bench.events();
    assert_eq!(events.last().unwrap()["event"], "run-abandoned");
    assert!(find(&events, "unwind-started").is_empty());
}

#[test]
fn only_who_has_the_role_may_answer_where_roles_are_kept() {
    let bench = Bench::new();
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write("lifeboat.kdl", &format!("role \"incident-commander\" \"ada\" \"grace\"\n{operator}"));
    let file = bench.runbook("roles", r#"approve "go" role="incident-commander""#);
    bench.run(&["run", "-y", &file]).expect(3);
    let run = bench.newest();
    bench.run(&["approve", &run, "go", "--as", "bob"]).expect(2).says("LB0509").says("incident-commander");
    bench.run(&["deny", &run, "go", "--as", "bob"]).expect(2).says("LB0509").says("ada, grace");
    bench.run(&["approve", &run, "go", "--as", "ada\u{1b}[2J"]).expect(2).says("LB0902");
    // The people are a part of the plan that was made: no other operator file changes them.
    bench.write("lifeboat.kdl", &operator);
    bench.run(&["approve", &run, "go", "--as", "bob"]).expect(2).says("LB0509").says("ada, grace");
    bench.run(&["approve", &run, "go", "--as", "grace"]).expect(0).says("succeeded");
    let events = bench.events();
    assert_eq!(find(&events, "approved")[0]["role"], "incident-commander");
}

#[test]
fn a_run_that_needs_a_locked_target_says_who_has_it_and_goes_on_when_it_is_free() {
    let bench = Bench::new();
    let first = r#"snapshot "take" of="live" into="vault"
    approve "go" role="anyone" after="take"
    restore "bring" snapshot="{{steps.take.snapshot}}" into="back" after="go" { waive "LB0302" reason="a test" }"#;
    let second = r#"snapshot "take" of="live" into="vault"
    restore "bring" snapshot="{{steps.take.snapshot}}" into="back" overwrite=#true { waive "LB0301" reason="a test"; waive "LB0302" reason="a test" }"#;
    let (first, second) = (bench.runbook("first", first), bench.runbook("second", second));
    bench.run(&["run", "-y", &first]).expect(3);
    let holder = bench.newest();
    bench.run(&["run", "-y", &second]).expect(3).says("waits for the lock").says(&holder);
    let waiting = bench.newest();
    assert_eq!(attempts(&bench.events(), "take"), 0, "nothing of it begins before it has the lock");
    bench.run(&["show", &waiting]).expect(0).says(&holder).says("/estate/back");
    bench.run(&["resume", &waiting]).expect(3).says(&holder);
    bench.run(&["approve", &holder, "go"]).expect(0).says("succeeded");
    bench.run(&["resume"]).expect(0).says("succeeded");
    let events = bench.events();
    assert_eq!((find(&events, "locks-awaited").len(), find(&events, "locks-taken").len()), (1, 1));
}

#[test]
fn runs_that_are_resumed_together_pass_their_lock_on() {
    let bench = Bench::new();
    let steps = r#"approve "go" role="anyone" timeout="1s"
    snapshot "take" of="live" into="vault" after="go"
    restore "bring" snapshot="{{steps.take.snapshot}}" into="back" { waive "LB0302" reason="a test" }"#;
    let asks = bench.runbook("asks", steps);
    let plain = r#"snapshot "take" of="live" into="vault"
    restore "bring" snapshot="{{steps.take.snapshot}}" into="back" { waive "LB0302" reason="a test" }"#;
    let plain = bench.runbook("plain", plain);
    // The question expires while nobody carries the runs on; then the first fails, and the second has its turn.
    bench.run(&["run", "-y", &asks]).expect(3);
    bench.run(&["run", "-y", &plain]).expect(3);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let ran = bench.run(&["resume"]).expect(1).says("nobody answered in time").says("succeeded");
    let both = ran.out + &ran.err;
    assert_eq!(both.matches("started").count(), 2, "each line is shown once: {both}");
}

#[test]
fn a_role_that_too_few_have_is_refused_before_anything_starts() {
    let bench = Bench::new();
    let operator = fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write("lifeboat.kdl", &format!("role \"dba\" \"ada\"\n{operator}"));
    let file = bench.runbook("roles", r#"approve "go" role="incident-commander""#);
    bench.run(&["run", "-y", &file]).expect(2).says("LB0509").says("which 0 have");
    let file = bench.runbook("quorum", r#"approve "go" role="dba" quorum=2"#);
    bench.run(&["plan", &file]).expect(2).says("LB0509").says("which 1 have");
}

#[test]
fn a_question_whose_time_is_over_is_not_answered_any_more() {
    let bench = Bench::new();
    let file = bench.runbook("late", r#"approve "go" role="anyone" timeout="1s""#);
    bench.run(&["run", "-y", &file]).expect(3);
    let run = bench.newest();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    bench.run(&["approve", &run, "go"]).expect(2).says("is over").says("resume");
    bench.run(&["resume"]).expect(1).says("nobody answered in time");
}

#[test]
fn a_step_whose_outputs_are_needed_is_not_skipped() {
    let bench = Bench::new();
    let steps = r#"verify "prove" snapshot="latest" from="vault"
    restore "bring" snapshot="{{steps.prove.snapshot}}" into="back""#;
    let file = bench.runbook("needed", steps);
    bench.run(&["run", "-y", &file]).expect(1);
    let run = bench.newest();
    bench.run(&["skip", &run, "prove"]).expect(2).says("step 'bring' uses its output 'snapshot'").says("mark-done");
}

#[test]
fn a_restore_replaces_nobodys_files_unless_it_is_told_to() {
    let bench = Bench::new();
    let steps = |more: &str| {
        format!(
            r#"snapshot "take" of="live" into="vault"
    restore "bring" snapshot="{{{{steps.take.snapshot}}}}" into="back"{more} {{ waive "LB0302" reason="a test" }}"#
        )
    };
    bench.write("estate/back/newer.txt", "what somebody wrote after the snapshot");
    let file = bench.runbook("careful", &steps(""));
    bench.run(&["run", "-y", &file]).expect(1).says("has 1 entries").says("overwrite=#true");
    assert_eq!(fs::read_dir(bench.path("estate/back")).unwrap().count(), 1);
    let file = bench.runbook("told", &steps(" overwrite=#true"));
    bench.run(&["check", &file]).expect(2).says("LB0301");
    let told =
        steps(" overwrite=#true").replace("waive \"LB0302\"", "waive \"LB0301\" reason=\"a test\"; waive \"LB0302\"");
    let file = bench.runbook("told", &told);
    bench.run(&["plan", &file]).expect(0).says("irreversible");
    bench.run(&["run", "-y", &file]).expect(0).says("succeeded");
}
