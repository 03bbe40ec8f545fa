//! A vault in a bucket, through the steps of the plugin `fs`; restic and Lifeboat read what the other wrote.

use super::{Gate, bench, target};
use crate::bench::tree;
use crate::remote::{RECOVER, VAULT, below, heavy, runbook};

#[test]
fn stock_restic_and_lifeboat_read_each_others_vaults_in_a_bucket() {
    let gate = Gate::start();
    let (bench, remote) = (bench(&gate), gate.remote());
    gate.make("both", false);
    // Packs are larger than a mebibyte, so they go in chunks.
    heavy(&bench, 12);
    let vault = target("vault", &gate, "both", &format!("chunk-mib 1; {VAULT}"));
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
fn an_engine_that_is_killed_in_an_upload_goes_on_and_leaves_a_whole_vault() {
    let gate = Gate::start();
    let (bench, remote) = (bench(&gate), gate.remote());
    gate.make("killed", false);
    heavy(&bench, 64);
    // So slow that the kill comes in the middle.
    let vault = target("vault", &gate, "killed", &format!("chunk-mib 1; upload-limit \"24MiB\"; {VAULT}"));
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
