//! The description of the API against the service: calls that fit it and calls that do not, made by schemathesis.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lifeboat_servers::{Tool, tool};
use serde_json::Value;

use super::Served;

/// Calls of each operation and phase at most, and seconds of the whole.
const EXAMPLES: &str = "25";
const SECONDS: u32 = 150;

#[test]
fn no_call_that_the_description_can_think_of_breaks_the_service() {
    let served = Served::new("rate 1000000");
    let bench = &served.bench;
    // Something to ask for: a run that ended and one that waits.
    bench.run(&["drill", "books/good.kdl"]).expect(0);
    bench.run(&["run", "-y", "books/asks.kdl"]).expect(3);
    let token = served.token("admin");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let report = bench.path("report.json");
    let output = Command::new("timeout")
        .args(["--kill-after=5", &format!("{}", SECONDS + 30)])
        .arg(tool(Tool::Schemathesis).unwrap())
        .arg("run")
        .arg(document.canonicalize().unwrap())
        .args(["--url", &format!("http://{}", served.address())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "7", "--no-color"])
        .args(["--max-time", &SECONDS.to_string(), "--request-timeout", "10", "--continue-on-failure"])
        .args(["--report", "json", "--report-json-path"])
        .arg(&report)
        .current_dir(bench.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let _: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(served.get("/readyz", "").0, 200, "it serves as before");
    let (_, metrics) = served.get("/metrics", &token);
    let failed = metrics.lines().filter(|line| line.starts_with("lifeboat_calls_total") && line.contains("status=\"5"));
    let failed: Vec<&str> = failed.collect();
    assert!(failed.is_empty(), "{failed:?}");
    let calls = metrics.lines().filter(|line| line.starts_with("lifeboat_calls_total"));
    let calls: f64 = calls.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!(calls > 500.0, "only {calls} calls were made\n{text}");
}
