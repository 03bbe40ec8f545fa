//! A vault in a bucket, through the steps of the plugin `fs`; restic and Lifeboat read what the other wrote.

use lifeboat_servers::{Kind, Server};

use super::{below, bench, heavy, make_bucket, restic, runbook, shared, target};
use crate::bench::tree;

const RECOVER: &str = r#"snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back"
    validate "smoke" target="back" after="rebuild" { expect "count" path="" min=1 }"#;

const VAULT: &str = r#"prefix "vault"; password secret="vault-password""#;

#[test]
fn stock_restic_and_lifeboat_read_each_others_vaults_in_a_bucket() {
    let access = shared();
    let bench = bench(&[&access]);
    make_bucket(&access, "both", false);
    let vault = target("vault", &access, 0, "both", VAULT);
    let file = runbook(&bench, "recover", &vault, RECOVER);
    bench.run(&["run", "-y", &file]).expect(0).says("succeeded");
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    assert!(restic(&bench, &access, "both/vault", &["check", "--read-data"]).contains("no errors were found"));
    restic(
        &bench,
        &access,
        "both/vault",
        &["restore", "latest", "--target", bench.path("by-restic").to_str().unwrap()],
    );
    let live = bench.path("estate/live");
    assert_eq!(tree(&below(&bench.path("by-restic"), &live)), tree(&live));

    bench.write("estate/live/files/new.txt", "only restic has this");
    restic(&bench, &access, "both/vault", &["backup", live.to_str().unwrap()]);
    let all = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let theirs = r#"verify "prove" snapshot="latest" from="vault" depth="data"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back""#;
    let file = runbook(&bench, "theirs", &vault, theirs);
    // A restore replaces nobody's files unasked.
    std::fs::remove_dir_all(bench.path("estate/back")).unwrap();
    std::fs::create_dir(bench.path("estate/back")).unwrap();
    bench.run(&["run", "-y", &file]).expect(0);
    // restic records the whole path of a folder, and Lifeboat restores what the snapshot says.
    let back = bench.path("estate/back");
    let restored = [back.clone(), below(&back, &live)].map(|root| root.join("files/new.txt"));
    let found: Vec<String> = restored.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    assert_eq!(found, ["only restic has this"]);
}

#[test]
fn a_snapshot_goes_from_a_folder_to_one_region_and_on_to_another() {
    let access = shared();
    let dir = tempfile::tempdir().unwrap();
    let other = Server::start(Kind::S3, dir.path()).unwrap();
    let bench = bench(&[&access, other.access()]);
    make_bucket(&access, "here", false);
    make_bucket(other.access(), "there", false);
    let targets = target("vault", &access, 0, "here", VAULT) + &target("far", other.access(), 1, "there", VAULT);
    let steps = r#"snapshot "take" of="live" into="vault"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="far"
        verify "prove" snapshot="{{steps.send.snapshot}}" depth="data"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back""#;
    let file = runbook(&bench, "regions", &targets, steps);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    assert!(restic(&bench, other.access(), "there/vault", &["check", "--read-data"]).contains("no errors were found"));
}

#[test]
fn a_server_that_knows_neither_versions_nor_conditions_can_hold_a_vault() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Kind::S3Weak, dir.path()).unwrap();
    let bench = bench(&[server.access()]);
    make_bucket(server.access(), "weak", false);
    // Objects of more than five mebibytes go in parts here.
    heavy(&bench, 12);
    let vault = target("vault", server.access(), 0, "weak", &format!("part-mib 5; {VAULT}"));
    let file = runbook(&bench, "recover", &vault, RECOVER);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    assert!(restic(&bench, server.access(), "weak/vault", &["check", "--read-data"]).contains("no errors were found"));
}
