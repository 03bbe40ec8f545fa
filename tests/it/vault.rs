//! Looking after a vault: what changes it is shown first, and is done only as it was shown.

use std::path::Path;

use crate::bench::{Bench, tree};

/// A vault with three snapshots, each with a file of its own.
fn protected() -> (Bench, String) {
    let bench = Bench::new();
    let file = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    for round in 0..3 {
        bench.write("estate/live/files/changes.txt", &format!("round {round}\n").repeat(20_000));
        bench.run(&["run", "-y", &file]).expect(0);
    }
    (bench, file)
}

fn fingerprint(plan: &serde_json::Value) -> &str {
    plan["fingerprint"].as_str().unwrap()
}

fn files(path: &Path) -> usize {
    tree(path).len()
}

#[test]
fn forget_and_prune_do_what_was_shown() {
    let (bench, file) = protected();
    let vault = |verb: &str, more: &[&str]| bench.run(&[&["vault", verb, "vault", "--runbook", &file], more].concat());
    vault("forget", &[]).expect(2).says("LB0810");
    vault("forget", &["--keep-within", "soon"]).expect(2);
    vault("prune", &["--max-unused", "100"]).expect(2);
    vault("forget", &["--keep-last", "3"]).expect(0).says("nothing to do");
    vault("prune", &[]).expect(0).says("nothing to do");
    let shown = vault("forget", &["--keep-last", "1"]).expect(0);
    let shown = shown.says("2 of 3 snapshots go").says("a prune after it frees").says("--apply").says("last snapshot");
    assert_eq!(shown.out.matches("remove").count(), 2, "{}", shown.out);
    let plan = vault("forget", &["--keep-last", "1", "--json"]).expect(0).json();
    assert_eq!(plan["applied"], false);
    assert!(shown.err.contains(fingerprint(&plan)), "{}", shown.err);
    // Other rules are another plan.
    vault("forget", &["--keep-last", "2", "--apply", fingerprint(&plan)]).expect(2).says("LB0811");
    let done = vault("forget", &["--keep-last", "1", "--apply", fingerprint(&plan), "--json"]).expect(0).json();
    assert_eq!(done["applied"], true);
    let left = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["id"], done["groups"][0]["keep"][0]["id"]);

    let before = files(&bench.path("vault/data"));
    vault("prune", &["--max-unused", "0"]).expect(0).says("1 snapshots stay whole").says("come free").says("--apply");
    assert_eq!(files(&bench.path("vault/data")), before);
    let plan = vault("prune", &["--max-unused", "0", "--json"]).expect(0).json();
    assert!(plan["bytes_freed"].as_u64().unwrap() > 0 && !plan["delete"].as_array().unwrap().is_empty(), "{plan:#}");
    vault("prune", &["--max-unused", "0", "--apply", fingerprint(&plan)]).expect(0).says("done");
    vault("prune", &["--max-unused", "0"]).expect(0).says("nothing to do");
    vault("check", &["--depth", "data"]).expect(0).says("no damage was found\n").says("1 snapshots");
    vault("check", &[]).expect(0).says("no data read").says("--depth data reads and hashes all");
    vault("unlock", &[]).expect(0).says("no locks");
    // What is left comes back.
    let restore = bench.runbook(
        "back",
        r#"verify "prove" snapshot="latest" from="vault" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back""#,
    );
    bench.run(&["run", "-y", &restore]).expect(0);
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
}

#[test]
fn damage_is_named_and_mended_as_it_was_shown() {
    let (bench, file) = protected();
    let vault = |verb: &str, more: &[&str]| bench.run(&[&["vault", verb, "vault", "--runbook", &file], more].concat());
    for entry in std::fs::read_dir(bench.path("vault/index")).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    vault("check", &[]).expect(1).says("whole after a repair").says("are in no index").says("vault repair");
    let report = vault("check", &["--json"]).expect(1).json();
    assert_eq!(report["damaged"].as_array().unwrap().len(), 3);
    vault("prune", &[]).expect(4).says("LB0803").says("nothing is deleted");
    vault("repair", &[]).expect(0).says("3 snapshots become whole, 0 are lost").says("--apply");
    let plan = vault("repair", &["--json"]).expect(0).json();
    vault("repair", &["--apply", fingerprint(&plan)]).expect(0).says("done");
    vault("check", &["--depth", "data"]).expect(0).says("no damage was found");
    vault("repair", &[]).expect(0).says("nothing to do");
}

#[test]
fn a_speed_is_the_engines_to_keep_and_the_plugin_is_not_shown_it() {
    let bench = Bench::new();
    let file = bench.runbook("protect", r#"snapshot "take" of="live" into="vault""#);
    let slow = |value: &str| {
        let text = std::fs::read_to_string(bench.path(&file)).unwrap();
        let password = "password secret=\"vault-password\"";
        bench.write("slow.kdl", &text.replace(password, &format!("{password}; upload-limit {value}")));
    };
    for (value, code) in [("\"10MB\"", "LB0120"), ("12", "LB0120"), ("#true", "LB0113"), ("", "LB0111")] {
        slow(value);
        bench.run(&["check", "slow.kdl"]).expect(2).says(code);
    }
    // The fs plugin refuses settings that it does not know.
    slow("\"512MiB\"");
    bench.run(&["check", "slow.kdl"]).expect(0);
    bench.run(&["run", "-y", "slow.kdl"]).expect(0);
    let plan = bench.run(&["plan", "slow.kdl", "--format", "json"]).expect(0).json();
    assert!(plan.to_string().contains("\"upload-limit\":536870912"), "{plan:#}");
    bench.run(&["vault", "check", "vault", "--runbook", "slow.kdl", "--depth", "data"]).expect(0);
}
