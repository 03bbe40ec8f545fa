//! Containers as what is protected: a recovery point by snapshots of blobs, copies of it in another account, and the way back.

use std::collections::BTreeMap;

use lifeboat_servers::Access;
use serde_json::json;

use super::{Account, bench, sas, shared, target};
use crate::bench::attempts;
use crate::foresight::{Foresight, found};
use crate::remote::{NAMES, large, port, runbook};

fn three(access: &Access, name: &str, back: &str) -> String {
    target("shop", access, Account::First, name, "prefix \"data\"")
        + &target("points", access, Account::First, name, "prefix \"points\"")
        + &target("copy", access, Account::First, back, "")
}

#[test]
fn a_container_comes_back_as_it_was_at_the_snapshot() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("shop");
    remote.make("shop-back");
    remote.fill(&bench, "shop");
    let targets = three(&access, "shop", "shop-back");
    let take = r#"snapshot "take" of="shop" into="points"
        verify "prove" snapshot="{{steps.take.snapshot}}" depth="data""#;
    let file = runbook(&bench, "take", &targets, take);
    bench.run(&["run", "-y", &file]).expect(0);

    // The disaster: one blob is overwritten, one is new.
    remote.put(&bench, "shop/data/a.txt", "ransom");
    remote.put(&bench, "shop/data/new.txt", "after the snapshot");
    let back = r#"verify "prove" snapshot="latest" from="points" depth="index"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="copy"
        validate "smoke" target="copy" after="rebuild" {
            expect "object" path="a.txt" max_size=5 max_age_hours=1
            expect "absent" path="new.txt"
            expect "count" min=5 max=5 min_bytes=1000
            expect "newest" max_age_hours=1
        }"#;
    let file = runbook(&bench, "back", &targets, back);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(remote.objects("shop-back"), NAMES);
    assert_eq!(remote.read("shop-back/a.txt"), "first");
    assert_eq!(remote.read("shop-back/large.bin"), large());
    // In one account the service copied by itself, which it remembers of each.
    let (account, key) = (access.get("account"), access.get("account-key"));
    let signature = sas(account, key, "shop-back", "rl", "2099-01-01T00:00:00Z");
    let path = format!("/{account}/shop-back?restype=container&comp=list&include=copy&{signature}");
    let (status, listed) = lifeboat_servers::get(port(&access.endpoint).parse().unwrap(), &path).unwrap();
    assert_eq!((status, listed.matches("<CopyStatus>success</CopyStatus>").count()), (200, 5), "{listed}");

    let wrong = r#"validate "smoke" target="copy" {
            expect "object" path="a.txt" min_size=6
            expect "count" max=1
        }"#;
    let file = runbook(&bench, "wrong", &targets, wrong);
    bench.run(&["run", "-y", &file]).expect(1).says("2 of 2 expectations fail").says("expected at least 6");
}

#[test]
fn copies_in_another_account_outlive_the_container() {
    let access = shared();
    let bench = bench(&access);
    let (first, second) = (Account::First.remote(&access), Account::Second.remote(&access));
    first.make("origin");
    second.make("copies");
    second.make("revived");
    first.fill(&bench, "origin");
    let targets = target("origin", &access, Account::First, "origin", "prefix \"data\"")
        + &target("points", &access, Account::First, "origin", "")
        + &target("copies", &access, Account::Second, "copies", "block-mib 1")
        + &target("revived", &access, Account::Second, "revived", "");
    let protect = r#"snapshot "take" of="origin" into="points"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="copies""#;
    let file = runbook(&bench, "protect", &targets, protect);
    bench.run(&["run", "-y", &file]).expect(0);
    first.told(&["purge", &first.place("origin")]);
    let recover = r#"verify "prove" snapshot="latest" from="copies" depth="data"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="revived""#;
    let file = runbook(&bench, "recover", &targets, recover);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(second.objects("revived"), NAMES);
    assert_eq!(second.read("revived/b/ü&%.txt"), "third");
    assert_eq!(second.read("revived/large.bin"), large());

    // What verify promises is looked at: a copy that is gone is found.
    let copies = second.objects("copies");
    let gone = copies.iter().find(|name| name.ends_with("/a.txt")).unwrap();
    second.delete(&format!("copies/{gone}"));
    let file = runbook(&bench, "again", &targets, r#"verify "prove" snapshot="latest" from="copies" depth="index""#);
    bench.run(&["run", "-y", &file]).expect(1).says("'a.txt' is not there any more");
}

#[test]
fn an_engine_that_is_killed_in_a_transfer_goes_on_and_copies_nothing_twice() {
    let access = shared();
    let bench = bench(&access);
    let (first, second) = (Account::First.remote(&access), Account::Second.remote(&access));
    first.make("many");
    second.make("many-copies");
    for number in 0..150 {
        bench.write(&format!("estate/live/files/{number}.txt"), &format!("object {number}"));
    }
    first.told(&["copy", bench.path("estate/live/files").to_str().unwrap(), &first.place("many")]);
    let targets = target("many", &access, Account::First, "many", "")
        + &target("points", &access, Account::First, "many", "")
        + &target("copies", &access, Account::Second, "many-copies", "");
    let steps = r#"snapshot "take" of="many" into="points"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="copies"
        verify "prove" snapshot="{{steps.send.snapshot}}" depth="data""#;
    let file = runbook(&bench, "many", &targets, steps);
    let mut child = bench.start(&["run", "-y", &file]);
    bench.wait_for("send   transfer  started");
    while second.objects("many-copies").len() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The service tells whole seconds: what is written from now on is told from what was.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let times = || -> BTreeMap<String, String> {
        let listed = second.told(&["lsf", "-R", "--files-only", "--format", "pt", &second.place("many-copies")]);
        listed
            .lines()
            .map(|line| line.split_once(';').unwrap())
            .map(|(name, time)| (name.into(), time.into()))
            .collect()
    };
    let before = times();
    bench.run(&["resume"]).expect(0).says("succeeded");
    let after = times();
    let again: Vec<_> = before.iter().filter(|(name, time)| after.get(*name) != Some(time)).collect();
    assert!(before.len() >= 10 && again.is_empty(), "{again:?} were written twice");
    assert_eq!(attempts(&bench.events(), "send"), 2);
    let copies = second.objects("many-copies");
    assert_eq!(copies.iter().filter(|name| name.contains("/objects/")).count(), 150);
    assert_eq!(copies.iter().filter(|name| name.contains("/snapshots/")).count(), 1, "{copies:?}");
}

#[test]
fn what_is_absent_is_said_before_anything_is_done() {
    let access = shared();
    let (bench, remote) = (bench(&access), Account::First.remote(&access));
    remote.make("absent");
    remote.put(&bench, "absent/data/a.txt", "first");
    let port = port(&access.endpoint).parse().unwrap();
    let foresight = Foresight::new("azure-blob", "azure_blob.wasm", port, "account-key", &bench.path("azure-key"));
    let settings = |container: &str, prefix: &str| {
        json!({ "endpoint": access.endpoint, "account": access.get("account"), "container": container,
            "prefix": prefix, "block-mib": 64, "retain-mode": "unlocked" })
    };
    let (of, into) = (settings("absent", "data"), settings("absent", "points"));
    let (preview, findings) = foresight.of_snapshot(&of, &into);
    assert!(preview.contains("a snapshot is taken of each blob"), "{preview}");
    assert!(preview.contains("absent is not immutable"), "{preview}");
    assert!(found(&findings, true, "can give a recovery point"), "{findings:?}");
    assert!(found(&findings, true, "is not immutable: its key may delete"), "{findings:?}");

    let mut kept = settings("absent", "points");
    kept["retain-days"] = json!(7);
    let (_, findings) = foresight.of_snapshot(&of, &kept);
    assert!(found(&findings, false, "the target says retain-days"), "{findings:?}");
    let (_, findings) = foresight.of_snapshot(&of, &settings("nowhere", ""));
    assert!(found(&findings, false, "ContainerNotFound"), "{findings:?}");
}
