//! What goes wrong: a wrong key, a signature that allows too little or has expired, a container that vanishes, a vault that is
//! no place for containers, a server that goes away in the middle.

use lifeboat_servers::{Kind, Server};

use super::{Account, bench, sas, shared, target};
use crate::bench::tree;
use crate::remote::{RECOVER, VAULT, heavy, runbook};

#[test]
fn a_wrong_key_is_told_and_never_printed() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("keys");
    let vault = target("vault", &access, Account::First, "keys", VAULT);
    let file = runbook(&bench, "keys", &vault, r#"snapshot "take" of="live" into="vault""#);
    let wrong = "YVdyb25nS2V5VGhhdE5vYm9keU1heVNlZQ==";
    bench.write("azure-key", wrong);
    let ran = bench.run(&["run", "-y", &file]).expect(1).says("AuthorizationFailure").says("secrets of the target");
    let events = bench.run(&["events", &bench.newest()]).expect(0);
    for text in [&ran.out, &ran.err, &events.out] {
        assert!(!text.contains(wrong), "{text}");
    }
    // The secret is read anew: the same run goes on with the right one.
    bench.write("azure-key", access.get("account-key"));
    bench.run(&["run", "-y", &file]).expect(0);
}

#[test]
fn a_signature_opens_what_it_allows_as_long_as_it_allows_it() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("signed");
    let key = |name: &str| target(name, &access, Account::First, "signed", VAULT);
    let vault = key("vault").replace("account-key secret=\"azure-key\"", "sas secret=\"azure-sas\"");
    let file = runbook(&bench, "recover", &vault, RECOVER);
    let sign = |rights: &str, until: &str| {
        sas(Account::First.name(&access), access.get("account-key"), "signed", rights, until)
    };
    bench.write("azure-sas", &sign("racwdl", "2099-01-01T00:00:00Z"));
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    assert!(remote.restic(&bench, "signed/vault", &["check"]).contains("no errors were found"));

    let take = runbook(&bench, "take", &vault, r#"snapshot "take" of="live" into="vault""#);
    bench.write("estate/live/files/more.txt", "something new to write");
    let reading = sign("rl", "2099-01-01T00:00:00Z");
    bench.write("azure-sas", &reading);
    let ran = bench.run(&["run", "-y", &take]).expect(1).says("Authorization");
    let signature = reading.rsplit_once("sig=").unwrap().1.to_owned();
    assert!(!ran.out.contains(&signature) && !ran.err.contains(&signature), "{}{}", ran.out, ran.err);
    bench.write("azure-sas", &sign("racwdl", "2020-01-01T00:00:00Z"));
    bench.run(&["run", "-y", &take]).expect(1).says("Auth");
}

#[test]
fn a_container_that_vanishes_is_named_and_no_vault_is_made_elsewhere() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("fleeting");
    let vault = target("vault", &access, Account::First, "fleeting", VAULT);
    let file = runbook(&bench, "take", &vault, r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(0);
    remote.told(&["purge", &remote.place("fleeting")]);
    let check = runbook(&bench, "check", &vault, r#"verify "prove" snapshot="latest" from="vault""#);
    for file in [&check, &file] {
        bench.run(&["run", "-y", file]).expect(1).says("ContainerNotFound").says("the container is not there");
    }
    assert!(!remote.told(&["lsf", &remote.place("")]).contains("fleeting"), "nothing made it anew");
}

#[test]
fn a_vault_takes_no_containers() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("plain");
    let targets = target("plain", &access, Account::First, "plain", "prefix \"data\"")
        + &target("vault", &access, Account::First, "plain", VAULT);
    let file = runbook(&bench, "vault", &targets, r#"snapshot "take" of="plain" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(1).says("a vault takes folders");
    assert!(remote.objects("plain").is_empty(), "nothing was written");
}

#[test]
fn a_server_that_restarts_in_the_snapshot_and_in_the_restore_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(Kind::Azure, dir.path()).unwrap();
    let access = server.access().clone();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    heavy(&bench, 64);
    remote.make("orders");
    let vault = target("vault", &access, Account::First, "orders", &format!("block-mib 1; {VAULT}"));
    let steps = r#"snapshot "take" of="live" into="vault" { retry 8 backoff="500ms" max="2s" }
        verify "prove" snapshot="{{steps.take.snapshot}}" depth="data" { retry 8 backoff="500ms" max="2s" }
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back" { retry 8 backoff="500ms" max="2s" }"#;
    let file = runbook(&bench, "orders", &vault, steps);
    let mut child = bench.start(&["run", "-y", &file]);
    for started in ["take     snapshot  started", "rebuild  restore   started"] {
        bench.wait_for(started);
        // Long enough that bytes are under way. It is asked to end, since this server acknowledges before it saves.
        std::thread::sleep(std::time::Duration::from_millis(300));
        server.stop();
        server.start_again().unwrap();
    }
    let status = child.wait().unwrap();
    let log = std::fs::read_to_string(bench.path("background.log")).unwrap();
    assert!(status.success(), "{log}");
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    let all = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 1, "one snapshot, however often it was tried");
    assert!(remote.restic(&bench, "orders/vault", &["check", "--read-data"]).contains("no errors were found"));
}
