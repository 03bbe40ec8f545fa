//! Forecasts: whether a runbook will be in time, what earlier runs tell the plan, and what is left of a run under way.

use crate::bench::Bench;

const ASKS: &str = r#"snapshot "take" of="live" into="vault" { timeout "30h" }
    approve "go" role="incident-commander" after="take"
    wait "breathe" "50ms" { after "go" }"#;

#[test]
fn a_terabyte_is_not_saved_in_a_quarter_of_an_hour() {
    let bench = Bench::new();
    let file = bench.runbook("asks", ASKS);
    let asked = ["estimate", &file, "--bytes", "1TB", "--rto", "15m", "--takes", "go=1m", "--rate"];
    let slow = bench.run(&[&asked[..], &["20MB/s"]].concat()).expect(1).says("within 13h 54m").says("rate needed");
    slow.says("No: 0 % of runs meet the RTO of 15m").says("The longest part is take");
    bench.run(&[&asked[..], &["2GB/s"]].concat()).expect(0).says("Yes: 100 % of runs meet the RTO of 15m");
    let json = bench.run(&[&asked[..], &["20MB/s", "--json"]].concat()).expect(1).json();
    assert_eq!((&json["met"], &json["forecast"]["p50"]["ms"]), (&false.into(), &50_060_050.into()));
    // A bar of a rate that is enough: 1 TB in 14 minutes, less 50 ms.
    let needed = json["rate_needed"].as_f64().unwrap();
    assert!((1.19e9..1.21e9).contains(&needed), "{needed}");
    bench.run(&["estimate", &file, "--rto", "15m"]).expect(1).says("Not known").says("--takes go=5m");
    bench.run(&["estimate", &file, "--takes", "gone=1m"]).expect(2).says("LB0910").says("there is no step 'gone'");
    bench.run(&["estimate", "gone.kdl"]).expect(2).says("LB0901");
    bench.run(&["estimate", &file, "--samples", "0"]).expect(2).says("LB0912");
}

#[test]
fn models_have_names_and_exit_statuses() {
    let bench = Bench::new();
    let recovery = ["estimate", "recovery", "--bytes", "1000GB", "--rate", "20MB/s"];
    bench.run(&recovery).expect(0).says("13h 53m");
    bench.run(&[&recovery[..], &["--rto", "15m"]].concat()).expect(1).says("No: 13h 53m is more than 15m");
    bench.run(&[&recovery[..], &["--rto", "14h"]].concat()).expect(0).says("Yes: 13h 53m is within 14h");
    let found = bench.run(&["estimate", "availability", "--mtbf", "1000h", "--mttr", "2h", "--json"]).expect(0).json();
    assert_eq!(found["answer"]["availability"].as_f64().unwrap(), 1.0 / 1.002);
    let keep = ["estimate", "storage", "--bytes", "1TB", "--changed", "2%", "--keep", "30x1d", "--after", "100d"];
    bench.run(&keep).expect(0).says("1.58 TB");
    bench.run(&["estimate", "failure", "--parts", "100", "--each", "1%"]).expect(0).says("63.3 %");
    bench.run(&["estimate", "recovery", "--bytes", "1TB", "--rate", "20Mb/s"]).expect(2).says("read in two ways");
    bench.run(&["estimate", "recovery", "--bytes", "1TB", "--rate", "0MB/s"]).expect(2).says("LB0911");
    for code in ["LB0910", "LB0911", "LB0912"] {
        bench.run(&["explain", code]).expect(0).says(code);
    }
}

/// What a run took is what the next plan tells, and a run that waits is forecast from it.
#[test]
fn earlier_runs_tell_the_next_one() {
    let bench = Bench::new();
    let file = bench.runbook("asks", ASKS);
    bench.run(&["plan", &file]).expect(0).says("at least 50 ms of 15m RTO; from estimates alone");
    bench.run(&["run", "-y", &file]).expect(3);
    let first = bench.newest();
    let shown = bench.run(&["show", &first, "--json"]).expect(0).json();
    assert_eq!(shown["forecast"]["steps"][0]["known-from"], "complete");
    bench.run(&["approve", &first, "go", "--as", "ada"]).expect(0);
    let ended = bench.run(&["show", &first, "--json"]).expect(0).json();
    assert!(ended["forecast"].is_null(), "nothing is ahead of a run that has ended: {ended:#}");

    let plan = bench.run(&["plan", &file, "--format", "json"]).expect(0).json();
    let told = &plan["forecast"]["simulated"];
    assert_eq!((&told["earlier_runs"], &told["lower_bound"]), (&1.into(), &false.into()), "{plan:#}");
    assert_eq!((&told["steps"][0]["known-from"], &told["steps"][0]["attempts"]), (&"history".into(), &1.into()));
    bench.run(&["plan", &file]).expect(0).says("from 1");

    bench.run(&["run", "-y", &file]).expect(3);
    let second = bench.newest();
    assert_ne!(first, second);
    bench.run(&["show", &second]).expect(0).says("forecast").says("have passed").says("from 1 earlier run");
    let shown = bench.run(&["show", &second, "--json"]).expect(0).json();
    assert_eq!((&shown["forecast"]["earlier_runs"], &shown["forecast"]["lower_bound"]), (&1.into(), &false.into()));
}
