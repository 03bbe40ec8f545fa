//! Metrics, rules and the dashboard, with Prometheus as the judge.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Served, example, judged};

/// Names of metrics in a text: `lifeboat_` and what follows. The parts of a histogram are named by its own name.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !word(c)).filter(|word| word.starts_with("lifeboat_"));
    words
        .map(|word| ["_bucket", "_sum", "_count"].iter().fold(word, |word, end| word.strip_suffix(end).unwrap_or(word)))
        .map(str::to_owned)
        .collect()
}

/// The queries of the dashboard.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_slice(&fs::read(example("observability/dashboard.json")).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn prometheus_takes_the_metrics_and_all_that_rules_and_dashboard_name_are_there() {
    let served = Served::new("");
    let bench = &served.bench;
    bench.run(&["drill", "books/good.kdl"]).expect(0);
    bench.run(&["run", "-y", "books/asks.kdl"]).expect(3);
    let token = served.token("viewer");
    let start = Instant::now();
    let text = loop {
        let (status, text) = served.get("/metrics", &token);
        assert_eq!(status, 200);
        if text.contains("lifeboat_runs_ended_total{") {
            break text;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{text}");
        std::thread::sleep(Duration::from_millis(50));
    };
    for line in [
        "lifeboat_runs{state=\"waiting\"} 1",
        "lifeboat_runs_ended_total{runbook=\"good\",mode=\"drill\",result=\"succeeded\"} 1",
        "lifeboat_step_seconds_count{runbook=\"good\",kind=\"verify\",plugin=\"fs\",outcome=\"done\"} 1",
        "lifeboat_recovery_seconds{runbook=\"good\",mode=\"drill\"}",
        "lifeboat_objective_seconds{runbook=\"good\",objective=\"rto\"} 900",
        "lifeboat_objective_seconds{runbook=\"good\",objective=\"rpo\"} 300",
        "lifeboat_drill_age_seconds{runbook=\"asks\"} +Inf",
        "lifeboat_drill_age_seconds{runbook=\"good\"} ",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in\n{text}");
    }
    let file = bench.path("metrics.txt");
    fs::write(&file, &text).unwrap();
    let said =
        judged(Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::from(fs::File::open(&file).unwrap())));
    assert_eq!(said, "", "promtool has something against a name or a help");

    let printed: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).flat_map(names).collect();
    let rules = fs::read_to_string(example("observability/lifeboat.rules.yml")).unwrap();
    let readme = fs::read_to_string(example("observability/README.md")).unwrap();
    for (what, named) in [("rules", names(&rules)), ("dashboard", names(&queries().join("\n")))] {
        let missing: Vec<&String> = named.difference(&printed).collect();
        assert!(missing.is_empty() && named.len() > 10, "{what} names {missing:?}");
    }
    let untold: Vec<&String> = printed.difference(&names(&readme)).collect();
    assert!(
        untold.iter().all(|name| *name == "lifeboat_info" || *name == "lifeboat_ready"),
        "not in README: {untold:?}"
    );

    // A restart loses nothing of what is told of the last run.
    let mut served = served;
    served.stop();
    served.child = served.bench.start(&["serve"]);
    served.bench.wait_for("refused (GET");
    let (_, again) = served.get("/metrics", &token);
    let of = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("lifeboat_recovery_seconds{runbook=\"good\"")).unwrap();
        line.to_owned()
    };
    assert_eq!(of(&again), of(&text));
}

#[test]
fn rules_and_dashboard_are_what_prometheus_reads() {
    let rules = example("observability/lifeboat.rules.yml");
    judged(Command::new("promtool").args(["check", "rules"]).arg(&rules));
    judged(Command::new("promtool").args(["test", "rules"]).arg(example("observability/lifeboat.rules.test.yml")));
    let config = example("observability/prometheus.yml");
    judged(Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(config));
    // Each query of the dashboard as a rule, for the parser of Prometheus.
    let rule =
        |(number, query): (usize, &String)| serde_json::json!({ "record": format!("q:{number}"), "expr": query });
    let all: Vec<Value> = queries().iter().enumerate().map(rule).collect();
    let group = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": all }] });
    let dir = tempfile::tempdir().unwrap();
    // JSON is YAML.
    let file = dir.path().join("queries.yml");
    fs::write(&file, group.to_string()).unwrap();
    let said = judged(Command::new("promtool").args(["check", "rules"]).arg(&file));
    assert!(said.contains(&format!("{} rules found", all.len())), "{said}");
}
