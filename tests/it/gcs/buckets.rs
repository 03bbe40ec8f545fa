//! Buckets as what is protected: a recovery point by generations, copies of it in another bucket, and the way back.

use serde_json::json;

use super::{Gate, bench, target};
use crate::foresight::{Foresight, found};
use crate::remote::{NAMES, large, runbook};

#[test]
fn a_bucket_comes_back_as_it_was_at_the_snapshot() {
    let gate = Gate::start();
    let (bench, remote) = (bench(&gate), gate.remote());
    gate.make("shop", true);
    gate.make("shop-back", false);
    remote.fill(&bench, "shop");
    let targets = target("shop", &gate, "shop", "prefix \"data\"")
        + &target("points", &gate, "shop", "prefix \"points\"")
        + &target("copy", &gate, "shop-back", "");
    let take = r#"snapshot "take" of="shop" into="points"
        verify "prove" snapshot="{{steps.take.snapshot}}" depth="data""#;
    let file = runbook(&bench, "take", &targets, take);
    bench.run(&["run", "-y", &file]).expect(0);

    // The disaster: one object is overwritten, one deleted, one is new.
    remote.put(&bench, "shop/data/a.txt", "ransom");
    remote.delete("shop/data/empty");
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
}

#[test]
fn copies_in_another_bucket_outlive_the_first() {
    let gate = Gate::start();
    let (bench, remote) = (bench(&gate), gate.remote());
    gate.make("origin", true);
    gate.make("copies", false);
    gate.make("revived", false);
    remote.fill(&bench, "origin");
    let targets = target("origin", &gate, "origin", "prefix \"data\"")
        + &target("points", &gate, "origin", "")
        + &target("copies", &gate, "copies", "")
        + &target("revived", &gate, "revived", "");
    let protect = r#"snapshot "take" of="origin" into="points"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="copies""#;
    let file = runbook(&bench, "protect", &targets, protect);
    bench.run(&["run", "-y", &file]).expect(0);
    for name in NAMES {
        remote.delete(&format!("origin/data/{name}"));
    }
    let recover = r#"verify "prove" snapshot="latest" from="copies" depth="data"
        restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="revived""#;
    let file = runbook(&bench, "recover", &targets, recover);
    bench.run(&["run", "-y", &file]).expect(0);
    assert_eq!(remote.objects("revived"), NAMES);
    assert_eq!(remote.read("revived/b/ü&%.txt"), "third");

    // What verify promises is looked at: a copy that has other bytes is found.
    let copies = remote.objects("copies");
    let other = copies.iter().find(|name| name.ends_with("/a.txt")).unwrap();
    remote.put(&bench, &format!("copies/{other}"), "FIRST");
    let file = runbook(&bench, "again", &targets, r#"verify "prove" snapshot="latest" from="copies" depth="index""#);
    bench.run(&["run", "-y", &file]).expect(1).says("'a.txt' is ");
}

#[test]
fn a_copy_at_another_server_passes_this_machine_in_chunks() {
    let (near, far) = (Gate::start(), Gate::start());
    let bench = bench(&near);
    crate::remote::operator(
        &bench,
        &format!(
            "secret \"far-key\" file=\"far-key\"\ngrant \"gcs\" {{ host \"127.0.0.1\" port={} plain=#true }}\n",
            far.port
        ),
    );
    bench.write("far-key", &far.key_file("account"));
    near.make("origin", true);
    far.make("copies", false);
    near.remote().fill(&bench, "origin");
    let copies = target("copies", &far, "copies", "chunk-mib 1").replace("gcs-key", "far-key");
    let targets =
        target("origin", &near, "origin", "prefix \"data\"") + &target("points", &near, "origin", "") + &copies;
    let steps = r#"snapshot "take" of="origin" into="points"
        transfer "send" snapshot="{{steps.take.snapshot}}" into="copies"
        verify "prove" snapshot="{{steps.send.snapshot}}" depth="data""#;
    let file = runbook(&bench, "far", &targets, steps);
    bench.run(&["run", "-y", &file]).expect(0);
    let copies = far.remote().objects("copies");
    let name = copies.iter().find(|name| name.ends_with("/large.bin")).unwrap();
    assert_eq!(far.remote().read(&format!("copies/{name}")), large());
}

#[test]
fn without_versions_there_is_no_snapshot_of_a_bucket() {
    let gate = Gate::start();
    let (bench, remote) = (bench(&gate), gate.remote());
    gate.make("plain", false);
    remote.put(&bench, "plain/a.txt", "first");
    let targets = target("plain", &gate, "plain", "") + &target("points", &gate, "plain", "prefix \"points\"");
    let file = runbook(&bench, "no", &targets, r#"snapshot "take" of="plain" into="points""#);
    bench.run(&["run", "-y", &file]).expect(1).says("keeps no versions").says("turn object versioning on");
    assert_eq!(remote.objects("plain"), ["a.txt"], "nothing was written");
}

#[test]
fn what_is_absent_is_said_before_anything_is_done() {
    let gate = Gate::start();
    let bench = bench(&gate);
    gate.make("versions", true);
    gate.make("none", false);
    let foresight = Foresight::new("gcs", "gcs.wasm", gate.port, "credentials", &bench.path("gcs-key"));
    let settings = |bucket: &str| json!({ "endpoint": gate.endpoint(), "bucket": bucket, "chunk-mib": 64, "retain-mode": "unlocked" });
    let (preview, findings) = foresight.of_snapshot(&settings("versions"), &settings("none"));
    assert!(!preview.contains("refused") && preview.contains("nothing is retained in versions"), "{preview}");
    assert!(found(&findings, true, "can give a recovery point"), "{findings:?}");
    assert!(found(&findings, true, "none keeps no versions"), "{findings:?}");
    let (preview, findings) = foresight.of_snapshot(&settings("none"), &settings("none"));
    assert!(preview.contains("it will be refused: the bucket none keeps no versions"), "{preview}");
    assert!(found(&findings, false, "keeps no versions"), "{findings:?}");
    let mut kept = settings("none");
    kept["retain-days"] = json!(7);
    let (_, findings) = foresight.of_snapshot(&settings("versions"), &kept);
    assert!(found(&findings, false, "no object retention, and the target says retain-days"), "{findings:?}");
}
