//! A vault in a container, through the steps of the plugin `fs`; restic and Lifeboat read what the other wrote.

use super::{Account, bench, shared, target};
use crate::bench::tree;
use crate::remote::{RECOVER, VAULT, below, heavy, runbook};

#[test]
fn stock_restic_and_lifeboat_read_each_others_vaults_in_a_container() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("both");
    let vault = target("vault", &access, Account::First, "both", VAULT);
    let file = runbook(&bench, "recover", &vault, RECOVER);
    bench.run(&["run", "-y", &file]).expect(0).says("succeeded");
    let live = bench.path("estate/live");
    assert_eq!(tree(&live), tree(&bench.path("estate/back")));
    assert!(remote.restic(&bench, "both/vault", &["check", "--read-data"]).contains("no errors were found"));
    let by_restic = bench.path("by-restic");
    remote.restic(&bench, "both/vault", &["restore", "latest", "--target", by_restic.to_str().unwrap()]);
    assert_eq!(tree(&below(&by_restic, &live)), tree(&live));

    bench.write("estate/live/files/new.txt", "only restic has this");
    remote.restic(&bench, "both/vault", &["backup", live.to_str().unwrap()]);
    let all = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let theirs = r#"verify "prove" snapshot="latest" from="vault" depth="data""#;
    let file = runbook(&bench, "theirs", &vault, theirs);
    bench.run(&["run", "-y", &file]).expect(0);
}

#[test]
fn a_snapshot_goes_from_one_account_to_the_other() {
    let access = shared();
    let bench = bench(&access);
    let (first, second) = (Account::First.remote(&access), Account::Second.remote(&access));
    first.make("here");
    second.make("there");
    // Packs are larger than a mebibyte, so they go in blocks.
    heavy(&bench, 12);
    let targets = target("vault", &access, Account::First, "here", &format!("block-mib 1; {VAULT}"))
        + &target("far", &access, Account::Second, "there", VAULT);
    let steps = r#"snapshot "take" of="live" into="vault"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="far"
        verify "prove" snapshot="{{steps.send.snapshot}}" depth="data"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back""#;
    let file = runbook(&bench, "regions", &targets, steps);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    for (remote, place) in [(&first, "here/vault"), (&second, "there/vault")] {
        assert!(remote.restic(&bench, place, &["check", "--read-data"]).contains("no errors were found"));
    }
}

#[test]
fn an_engine_that_is_killed_in_an_upload_goes_on_and_leaves_a_whole_vault() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("killed");
    heavy(&bench, 64);
    // So slow that the kill comes in the middle.
    let vault =
        target("vault", &access, Account::First, "killed", &format!("block-mib 1; upload-limit \"24MiB\"; {VAULT}"));
    let file = runbook(&bench, "recover", &vault, RECOVER);
    let mut child = bench.start(&["run", "-y", &file]);
    while !remote.objects("killed").iter().any(|name| name.starts_with("vault/data/")) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before the kill");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run(&["resume"]).expect(0).says("succeeded");
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    let all = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 1, "one snapshot, however often it was tried");
    assert!(remote.restic(&bench, "killed/vault", &["check", "--read-data"]).contains("no errors were found"));
}
