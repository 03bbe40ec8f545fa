//! What Lifeboat is for: what was lost comes back, to the byte.

use std::process::Command;

use crate::bench::{Bench, tree};

#[test]
fn the_demo_recovers_twice_and_stock_restic_reads_its_vault() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.run(&["demo", "--dir", "d", "--model-mib", "8"]).expect(0).says("the same to the byte");
    }
    let runs = bench.run(&["runs", "--json", "--data", "d/data"]).expect(0).json();
    assert_eq!(runs.as_array().unwrap().len(), 4);
    let link = std::fs::read_link(bench.path("d/site/current")).unwrap();
    assert_eq!(link.to_str(), Some("standby"));
    let restic = |args: &[&str]| {
        let mut command = Command::new("restic");
        command.args(["--no-cache", "-r"]).arg(bench.path("d/remote-vault")).args(args);
        let output = command.env("RESTIC_PASSWORD_FILE", bench.path("d/vault-password")).output();
        let output = output.expect("stock restic is needed: apt-get install restic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(restic(&["check", "--read-data"]).contains("no errors were found"));
    restic(&["restore", "latest", "--target", bench.path("by-restic").to_str().unwrap()]);
    let theirs = bench.path("by-restic").join(bench.path("d/site/primary").strip_prefix("/").unwrap());
    assert_eq!(tree(&theirs), tree(&bench.path("d/site/standby")));
}

#[test]
fn a_drill_of_the_demo_leaves_the_live_site_alone() {
    let bench = Bench::new();
    bench.run(&["demo", "--dir", "d", "--model-mib", "1"]).expect(0);
    let before = tree(&bench.path("d/site/standby"));
    let flags = ["--data", "d/data", "--config", "d/lifeboat.kdl"];
    let ran = bench.run(&[&flags[..], &["drill", "d/runbooks/recover.kdl", "--json"]].concat()).expect(0).json();
    assert_eq!(ran["mode"], "drill");
    assert_eq!(tree(&bench.path("d/site/standby")), before);
    assert_eq!(ran["drill"]["passed"], true, "{ran:#}");
    assert_eq!((&ran["left"], &ran["made"]), (&0.into(), &2.into()));
    assert_eq!(std::fs::read_dir(bench.path("d/drill")).unwrap().count(), 0, "the drill left something");
    // The drill's grants are the only ones: without them, the same drill is refused by the sandbox.
    let operator = std::fs::read_to_string(bench.path("d/lifeboat.kdl")).unwrap();
    bench.write("d/lifeboat.kdl", operator.split("drill {").next().unwrap());
    let refused = bench.run(&[&flags[..], &["drill", "d/runbooks/recover.kdl"]].concat()).expect(1);
    refused.says("LB0707").says("drill");
}

#[test]
fn a_second_snapshot_is_incremental_and_the_vault_lists_both() {
    let bench = Bench::new();
    let file = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(0);
    bench.write("estate/live/files/new.txt", "one more");
    bench.run(&["run", "-y", &file]).expect(0);
    let all = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1]["parent"], all[0]["id"]);
    assert_eq!(all[1]["files"], 42);
    let added = |row: usize| all[row]["bytes_added"].as_u64().unwrap();
    assert!(added(1) < added(0), "{all:#?}");
}

#[test]
fn a_failed_switch_is_unwound() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("live", bench.path("estate/current")).unwrap();
    let dir = bench.dir.path().display();
    let file = bench.runbook(
        "unwind",
        &format!(
            r#"target "service" plugin="fs" {{ root "{dir}/estate" }}
    switch "cutover" target="service" {{ link "current"; to "back" }}
    validate "smoke" target="back" after="cutover" {{ expect "file" path="never" }}
    on-failure {{ compensate }}"#
        ),
    );
    bench.run(&["run", "-y", &file]).expect(1).says("undone");
    assert_eq!(std::fs::read_link(bench.path("estate/current")).unwrap().to_str(), Some("live"));
}
