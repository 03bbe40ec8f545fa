//! The description of the API against the service: calls that fit it and calls that do not, made by schemathesis.

use std::path::Path;
use std::process::{Command, Stdio};

use lifeboat_servers::{Tool, tool};

use super::Served;

/// Calls of each operation and phase at most.
const EXAMPLES: &str = "25";

/// Makes calls for so many seconds, to those operations that `which` says.
fn judge(served: &Served, token: &str, seconds: u32, which: &[&str]) -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let output = Command::new("timeout")
        .args(["--kill-after=5", &format!("{}", seconds + 90)])
        .arg(tool(Tool::Schemathesis).unwrap())
        .arg("run")
        .arg(document.canonicalize().unwrap())
        .args(["--url", &format!("http://{}", served.address())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "7", "--no-color"])
        // Whether a call is taken hangs on the run, too: a key that was used, a tag that is old. That is no matter of its form.
        .args(["--exclude-checks", "positive_data_acceptance,negative_data_rejection"])
        // A call that is not answered in ten seconds is one that hangs.
        .args(["--max-time", &seconds.to_string(), "--request-timeout", "10", "--continue-on-failure"])
        .args(which)
        .current_dir(served.bench.dir.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn no_call_that_the_description_can_think_of_breaks_the_service() {
    let served = Served::new("rate 1000000");
    let bench = &served.bench;
    // Something to ask for: a run that ended and one that waits.
    bench.run(&["drill", "books/good.kdl"]).expect(0);
    bench.run(&["run", "-y", "books/asks.kdl"]).expect(3);
    let token = served.token("admin");
    // It finds its own token in the list, and would go on without it.
    let revoke = "revoke-token";
    let text = judge(&served, &token, 90, &["--exclude-operation-id", revoke]);
    judge(&served, &served.token("admin"), 15, &["--include-operation-id", revoke]);
    assert_eq!(served.get("/readyz", "").0, 200, "it serves as before");
    let (_, metrics) = served.get("/metrics", &token);
    let calls: Vec<&str> = metrics.lines().filter(|line| line.starts_with("lifeboat_calls_total{")).collect();
    let failed: Vec<&&str> = calls.iter().filter(|line| line.contains("status=\"5")).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let count: f64 = calls.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!(count > 100.0, "only {count} calls were made\n{text}");
}
