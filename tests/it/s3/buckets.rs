//! Buckets as what is protected: a recovery point by versions, copies of it in another region, and the way back.

use lifeboat_servers::{Access, Kind, Server};

use super::{bench, make_bucket, put, rclone, runbook, shared, target, told};
use crate::bench::{Bench, attempts};

fn objects(access: &Access, place: &str) -> Vec<String> {
    let listed = told(access, &["lsf", "-R", "--files-only", &format!(":s3:{place}")]);
    let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
    names.sort();
    names
}

fn read(access: &Access, object: &str) -> String {
    told(access, &["cat", &format!(":s3:{object}")])
}

/// Five objects, among them names that have to be encoded, and one that is large enough for parts.
fn fill(bench: &Bench, access: &Access, bucket: &str) {
    for (name, text) in [("a.txt", "first"), ("b/c d+e.txt", "second"), ("b/ü&%.txt", "third"), ("empty", "")] {
        put(bench, access, &format!("{bucket}/data/{name}"), text);
    }
    put(bench, access, &format!("{bucket}/data/large.bin"), &"0123456789abcdef".repeat(12 * 65_536));
    put(bench, access, &format!("{bucket}/outside.txt"), "not below the prefix");
}

const NAMES: [&str; 5] = ["a.txt", "b/c d+e.txt", "b/ü&%.txt", "empty", "large.bin"];

#[test]
fn a_bucket_comes_back_as_it_was_at_the_snapshot() {
    let access = shared();
    let bench = bench(&[&access]);
    make_bucket(&access, "shop", true);
    make_bucket(&access, "shop-back", false);
    fill(&bench, &access, "shop");
    let targets = target("shop", &access, 0, "shop", "prefix \"data\"")
        + &target("points", &access, 0, "shop", "prefix \"points\"")
        + &target("copy", &access, 0, "shop-back", "");
    let take = r#"snapshot "take" of="shop" into="points"
        verify "prove" snapshot="{{steps.take.snapshot}}" depth="data""#;
    let file = runbook(&bench, "take", &targets, take);
    bench.run(&["run", "-y", &file]).expect(0);

    // The disaster: one object is overwritten, one deleted, one is new.
    put(&bench, &access, "shop/data/a.txt", "ransom");
    told(&access, &["deletefile", ":s3:shop/data/empty"]);
    put(&bench, &access, "shop/data/new.txt", "after the snapshot");
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
    assert_eq!(objects(&access, "shop-back"), NAMES);
    assert_eq!(read(&access, "shop-back/a.txt"), "first");
    assert_eq!(read(&access, "shop-back/large.bin"), "0123456789abcdef".repeat(12 * 65_536));

    let wrong = r#"validate "smoke" target="copy" {
            expect "object" path="a.txt" min_size=6
            expect "count" max=1
        }"#;
    let file = runbook(&bench, "wrong", &targets, wrong);
    bench.run(&["run", "-y", &file]).expect(1).says("2 of 2 expectations fail").says("expected at least 6");
}

#[test]
fn copies_in_another_region_outlive_the_bucket() {
    let access = shared();
    let dir = tempfile::tempdir().unwrap();
    let other = Server::start(Kind::S3, dir.path()).unwrap();
    let bench = bench(&[&access, other.access()]);
    make_bucket(&access, "origin", true);
    make_bucket(other.access(), "copies", false);
    make_bucket(other.access(), "revived", false);
    fill(&bench, &access, "origin");
    let targets = target("origin", &access, 0, "origin", "prefix \"data\"")
        + &target("points", &access, 0, "origin", "")
        + &target("copies", other.access(), 1, "copies", "part-mib 5")
        + &target("revived", other.access(), 1, "revived", "");
    let protect = r#"snapshot "take" of="origin" into="points"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="copies""#;
    let file = runbook(&bench, "protect", &targets, protect);
    bench.run(&["run", "-y", &file]).expect(0);
    told(&access, &["purge", ":s3:origin"]);
    let recover = r#"verify "prove" snapshot="latest" from="copies" depth="data"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="revived""#;
    let file = runbook(&bench, "recover", &targets, recover);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(objects(other.access(), "revived"), NAMES);
    assert_eq!(read(other.access(), "revived/b/ü&%.txt"), "third");

    // What verify promises is looked at: a copy that is gone is found.
    let copies = objects(other.access(), "copies");
    let gone = copies.iter().find(|name| name.ends_with("/a.txt")).unwrap();
    told(other.access(), &["deletefile", &format!(":s3:copies/{gone}")]);
    let file = runbook(&bench, "again", &targets, r#"verify "prove" snapshot="latest" from="copies" depth="index""#);
    bench.run(&["run", "-y", &file]).expect(1).says("'a.txt' is not there any more");
}

#[test]
fn without_versions_there_is_no_snapshot_of_a_bucket() {
    let access = shared();
    let bench = bench(&[&access]);
    make_bucket(&access, "plain", false);
    put(&bench, &access, "plain/a.txt", "first");
    let targets = target("plain", &access, 0, "plain", "")
        + &target("points", &access, 0, "plain", "prefix \"points\"")
        + &target("vault", &access, 0, "plain", "prefix \"v\"; password secret=\"vault-password\"");
    let file = runbook(&bench, "no", &targets, r#"snapshot "take" of="plain" into="points""#);
    bench.run(&["run", "-y", &file]).expect(1).says("keeps no versions").says("turn versioning on");
    let file = runbook(&bench, "vault", &targets, r#"snapshot "take" of="plain" into="vault""#);
    bench.run(&["run", "-y", &file]).expect(1).says("a vault takes folders");
    assert_eq!(objects(&access, "plain"), ["a.txt"], "nothing was written");
}

#[test]
fn an_engine_that_is_killed_in_a_restore_goes_on_and_writes_nothing_twice() {
    let access = shared();
    let bench = bench(&[&access]);
    make_bucket(&access, "many", true);
    // Versions tell how often an object was written.
    make_bucket(&access, "many-back", true);
    for number in 0..150 {
        bench.write(&format!("estate/live/files/{number}.txt"), &format!("object {number}"));
    }
    told(&access, &["copy", bench.path("estate/live/files").to_str().unwrap(), ":s3:many"]);
    let targets = target("many", &access, 0, "many", "")
        + &target("points", &access, 0, "many", "")
        + &target("copy", &access, 0, "many-back", "");
    let steps = r#"snapshot "take" of="many" into="points"
        verify "prove" snapshot="{{steps.take.snapshot}}" depth="index"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="copy""#;
    let file = runbook(&bench, "many", &targets, steps);
    let mut child = bench.start(&["run", "-y", &file]);
    bench.wait_for("rebuild  restore   started");
    while objects(&access, "many-back").len() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run(&["resume"]).expect(0).says("succeeded");
    assert_eq!(attempts(&bench.events(), "rebuild"), 2);
    let versions = rclone(&access, &["lsf", "--s3-versions", ":s3:many-back"]);
    let versions = String::from_utf8_lossy(&versions.stdout).into_owned();
    // At most the one that was under way when it was killed.
    let count = versions.lines().count();
    assert!((150..=151).contains(&count), "{count} versions of 150 objects");
}
