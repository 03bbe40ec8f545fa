//! From one cloud to another: a snapshot goes from a vault in a container of Azure to one in a bucket of Google, and comes back from
//! there when the first is gone.

use lifeboat_servers::{Kind, Server};

use super::{Gate, bench, target};
use crate::bench::tree;
use crate::remote::{Remote, VAULT, heavy, operator, port, runbook};

#[test]
fn a_vault_of_one_cloud_is_copied_to_another_and_outlives_it() {
    let gate = Gate::start();
    let bench = bench(&gate);
    let dir = tempfile::tempdir().unwrap();
    let mut azure = Server::start(Kind::Azure, dir.path()).unwrap();
    let access = azure.access().clone();
    let (account, key) = (access.get("account"), access.get("account-key"));
    operator(
        &bench,
        &format!(
            "secret \"azure-key\" file=\"azure-key\"\n\
             grant \"azure-blob\" {{ host \"127.0.0.1\" port={} plain=#true }}\n",
            port(&access.endpoint)
        ),
    );
    bench.write("azure-key", key);
    let remote = Remote::new("azureblob", &[("account", account), ("key", key), ("endpoint", &access.endpoint)]);
    remote.make("vaults");
    gate.make("vaults", false);
    heavy(&bench, 12);
    let targets = format!(
        "target \"vault\" plugin=\"azure-blob\" {{ endpoint \"{}\"; account \"{account}\"; container \"vaults\"; \
         account-key secret=\"azure-key\"; {VAULT} }}\n{}",
        access.endpoint,
        target("far", &gate, "vaults", VAULT)
    );
    let protect = r#"snapshot "take" of="live" into="vault"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="far""#;
    let file = runbook(&bench, "protect", &targets, protect);
    bench.run(&["run", "-y", &file]).expect(0);
    // What is there already is not copied once more, and a second snapshot is a second one in both.
    bench.write("estate/live/files/new.txt", "since then");
    bench.run(&["run", "-y", &file]).expect(0);
    azure.stop();
    let recover = r#"verify "prove" snapshot="latest" from="far" depth="data"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back""#;
    let file = runbook(&bench, "recover", &targets, recover);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    let listed = gate.remote().restic(&bench, "vaults/vault", &["snapshots", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(gate.remote().restic(&bench, "vaults/vault", &["check", "--read-data"]).contains("no errors were found"));
}
