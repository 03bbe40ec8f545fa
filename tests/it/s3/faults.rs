//! What goes wrong with a server: it is killed in the middle, it refuses the key, its bucket is gone.

use lifeboat_servers::{Kind, Server};

use super::{bench, heavy, make_bucket, restic, runbook, shared, target, told};
use crate::bench::tree;

const VAULT: &str = r#"prefix "vault"; password secret="vault-password""#;

#[test]
fn a_server_that_is_killed_in_the_snapshot_and_in_the_restore_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(Kind::S3, dir.path()).unwrap();
    let access = server.access().clone();
    let bench = bench(&[&access]);
    heavy(&bench, 64);
    make_bucket(&access, "orders", false);
    let vault = target("vault", &access, 0, "orders", VAULT);
    let steps = r#"snapshot "take" of="live" into="vault" { retry 8 backoff="500ms" max="2s" }
        verify "prove" snapshot="{{steps.take.snapshot}}" depth="data" { retry 8 backoff="500ms" max="2s" }
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back" { retry 8 backoff="500ms" max="2s" }"#;
    let file = runbook(&bench, "orders", &vault, steps);
    let mut child = bench.start(&["run", "-y", &file]);
    for started in ["take     snapshot  started", "rebuild  restore   started"] {
        bench.wait_for(started);
        // Long enough that bytes are under way.
        std::thread::sleep(std::time::Duration::from_millis(150));
        server.kill();
        server.start_again().unwrap();
    }
    let status = child.wait().unwrap();
    let log = std::fs::read_to_string(bench.path("background.log")).unwrap();
    assert!(status.success(), "{log}");
    assert_eq!(tree(&bench.path("estate/live")), tree(&bench.path("estate/back")));
    let all = bench.run(&["snapshots", "vault", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 1, "one snapshot, however often it was tried");
    assert!(restic(&bench, &access, "orders/vault", &["check", "--read-data"]).contains("no errors were found"));
}

#[test]
fn servers_that_are_killed_in_a_transfer_between_regions_lose_nothing() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut servers = dirs.each_ref().map(|dir| Server::start(Kind::S3, dir.path()).unwrap());
    let access = servers.each_ref().map(|server| server.access().clone());
    let bench = bench(&[&access[0], &access[1]]);
    heavy(&bench, 48);
    make_bucket(&access[0], "here", false);
    make_bucket(&access[1], "there", false);
    let targets = target("vault", &access[0], 0, "here", VAULT) + &target("far", &access[1], 1, "there", VAULT);
    let steps = r#"snapshot "take" of="live" into="vault"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="far" { retry 8 backoff="500ms" max="2s" }
        verify "prove" snapshot="{{steps.send.snapshot}}" depth="data" { retry 4 backoff="500ms" max="2s" }
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back" { retry 4 backoff="500ms" max="2s" }"#;
    let file = runbook(&bench, "regions", &targets, steps);
    let mut child = bench.start(&["run", "-y", &file]);
    bench.wait_for("send     transfer  started");
    // First where the bytes go to, then where they come from.
    for server in servers.iter_mut().rev() {
        std::thread::sleep(std::time::Duration::from_millis(200));
        server.kill();
        server.start_again().unwrap();
    }
    let status = child.wait().unwrap();
    let log = std::fs::read_to_string(bench.path("background.log")).unwrap();
    assert!(status.success(), "{log}");
    assert!(tree(&bench.path("estate/live")) == tree(&bench.path("estate/back")));
    let all = bench.run(&["snapshots", "far", "--runbook", &file, "--json"]).expect(0).json();
    assert_eq!(all.as_array().unwrap().len(), 1, "one copy, however often it was tried");
    for (access, place) in access.iter().zip(["here/vault", "there/vault"]) {
        assert!(restic(&bench, access, place, &["check", "--read-data"]).contains("no errors were found"));
    }
}

#[test]
fn a_wrong_key_is_told_and_never_printed() {
    let access = shared();
    let bench = bench(&[&access]);
    make_bucket(&access, "keys", false);
    let vault = target("vault", &access, 0, "keys", VAULT);
    let file = runbook(&bench, "keys", &vault, r#"snapshot "take" of="live" into="vault""#);
    bench.write("s3-0", "aWrongKeyThatNobodyMaySee");
    let ran = bench.run(&["run", "-y", &file]).expect(1).says("SignatureDoesNotMatch");
    let events = bench.run(&["events", &bench.newest()]).expect(0);
    for text in [&ran.out, &ran.err, &events.out] {
        assert!(!text.contains("aWrongKey"), "{text}");
    }
    // The secret is read anew: the same run goes on with the right one.
    bench.write("s3-0", access.get("secret-key"));
    bench.run(&["run", "-y", &file]).expect(0);
}

#[test]
fn a_key_that_may_only_read_is_refused_when_it_writes() {
    let access = shared();
    let bench = bench(&[&access]);
    make_bucket(&access, "reader", false);
    bench.write("s3-0", access.get("reader-secret-key"));
    let vault =
        target("vault", &access, 0, "reader", VAULT).replace(access.get("access-key"), access.get("reader-access-key"));
    let file = runbook(&bench, "reader", &vault, r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(1).says("AccessDenied");
    assert_eq!(told(&access, &["lsf", "-R", ":s3:reader"]), "");
}

#[test]
fn a_bucket_that_vanishes_is_named_and_no_vault_is_made_elsewhere() {
    let access = shared();
    let bench = bench(&[&access]);
    make_bucket(&access, "fleeting", false);
    let vault = target("vault", &access, 0, "fleeting", VAULT);
    let file = runbook(&bench, "take", &vault, r#"snapshot "take" of="live" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(0);
    told(&access, &["purge", ":s3:fleeting"]);
    let check = runbook(&bench, "check", &vault, r#"verify "prove" snapshot="latest" from="vault""#);
    for file in [&check, &file] {
        bench.run(&["run", "-y", file]).expect(1).says("NoSuchBucket").says("the bucket is not there");
    }
    assert!(!told(&access, &["lsf", ":s3:"]).contains("fleeting"), "nothing made it anew");
}
