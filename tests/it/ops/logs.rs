//! The log for machines.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bench;

#[test]
fn a_log_for_machines_is_json_alone_with_runs_and_steps() {
    let bench = bench("");
    let mut child = bench.start(&["serve", "--log", "json"]);
    bench.wait_for("\"serving\"");
    bench.run(&["drill", "books/good.kdl"]).expect(0);
    let run = bench.newest();
    let start = Instant::now();
    let lines = || -> Vec<Value> {
        let text = fs::read_to_string(bench.path("background.log")).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    };
    while !lines().iter().any(|line| line["event"] == "run-finished") {
        assert!(start.elapsed() < Duration::from_secs(20), "{:#?}", lines());
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let lines = lines();
    let mine: Vec<&Value> = lines.iter().filter(|line| line["run"] == run.as_str()).collect();
    let told: Vec<(&str, &str)> = mine
        .iter()
        .filter(|line| line["event"].as_str().is_some_and(|event| !event.starts_with("locks")))
        .map(|line| (line["event"].as_str().unwrap(), line["step"].as_str().unwrap_or("")))
        .collect();
    let expected = [
        ("run-created", ""),
        ("resources-intended", "take"),
        ("attempt-started", "take"),
        ("attempt-finished", "take"),
        ("attempt-started", "prove"),
        ("attempt-finished", "prove"),
        // The drill's own snapshot is removed again.
        ("cleanup-started", ""),
        ("attempt-started", "take"),
        ("attempt-finished", "take"),
        ("run-finished", ""),
    ];
    assert_eq!(told, expected);
    assert!(mine.iter().all(|line| line["runbook"] == "good" && line["mode"] == "drill"), "{mine:#?}");
    assert_eq!(mine.last().unwrap()["result"], "succeeded");
    assert_eq!(lines.last().unwrap()["message"], "stopped");
    // What keeps a service from its start is in the log, too, and nowhere else.
    bench.write("lifeboat.kdl", "service { tls cert=\"none.pem\" key=\"none.pem\" }\n");
    let ran = bench.run(&["serve", "--log", "json"]).expect(2);
    let last: Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
    assert_eq!((&last["code"], &last["level"]), (&"LB1051".into(), &"ERROR".into()), "{}", ran.err);
}
