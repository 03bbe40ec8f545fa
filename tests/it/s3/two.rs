//! Two engines on one vault: each with its own data folder, its own way to the server, and its own site.

use std::time::Duration;

use lifeboat_servers::{Act, Fault, Proxy};

use super::way::{RECOVER, Way};
use super::{restic, shared};
use crate::bench::{Bench, tree};

/// Another engine at the same bucket.
fn beside(way: &Way) -> Way {
    let proxy = Proxy::start(&way.direct.endpoint).unwrap();
    let mut other = Way::new(&way.direct, 3);
    let operator = std::fs::read_to_string(other.bench.path("lifeboat.kdl")).unwrap();
    let port = |endpoint: &str| format!("port={}", endpoint.rsplit(':').next().unwrap());
    let operator = operator.replace(&port(&other.proxied.endpoint), &port(&proxy.endpoint()));
    other.bench.write("lifeboat.kdl", &operator);
    other.bench.write("estate/live/files/only-here.txt", "the second site");
    other.proxied.endpoint = proxy.endpoint();
    other.proxy = proxy;
    other.bucket = way.bucket.clone();
    other
}

fn same(bench: &Bench) {
    assert!(tree(&bench.path("estate/live")) == tree(&bench.path("estate/back")));
}

#[test]
fn two_engines_that_are_both_the_first_make_one_vault_and_lose_nothing() {
    for (object, lead) in [("/config", 0), ("/config", 400), ("/making", 2_500), ("/keys/", 2_500), ("/config", 2_500)]
    {
        let first = Way::new(&shared(), 3);
        let second = beside(&first);
        // Whoever is slow with what decides, with the key or with the config, finds that the other was there.
        first.proxy.fault(Fault::on("PUT", object, Act::Delay(Duration::from_millis(lead))));
        let files = [first.file("first", RECOVER), second.file("second", RECOVER)];
        let mut one = first.bench.start(&["run", "-y", &files[0]]);
        std::thread::sleep(Duration::from_millis((lead / 2).min(400)));
        let mut two = second.bench.start(&["run", "-y", &files[1]]);
        assert!(one.wait().unwrap().success(), "{object} {lead}: {}", first.log());
        assert!(two.wait().unwrap().success(), "{object} {lead}: {}", second.log());
        same(&first.bench);
        same(&second.bench);
        assert_eq!(first.snapshots(&files[0]), 2, "{object} {lead}");
        first.check();
        let place = format!("{}/vault", first.bucket);
        let keys = restic(&first.bench, &first.direct, &place, &["list", "keys"]);
        assert_eq!(keys.lines().count(), 1, "{object} {lead}: {keys}");
    }
}

#[test]
fn an_engine_that_was_killed_leaves_a_lock_that_keeps_nobody_out_and_packs_that_are_used() {
    let first = Way::new(&shared(), 48);
    let files = [first.file("first", RECOVER)];
    first.proxy.fault(Fault::on("PUT", "/data/", Act::Delay(Duration::from_millis(500))));
    let mut one = first.bench.start(&["run", "-y", &files[0]]);
    first.wait_for("PUT", 6);
    std::thread::sleep(Duration::from_millis(700));
    one.kill().unwrap();
    one.wait().unwrap();
    first.proxy.heal();
    let second = beside(&first);
    let file = second.file("second", RECOVER);
    second.run(&file).expect(0);
    same(&second.bench);
    // A prune wants the vault for itself, and the dead do not count.
    let shown = second.bench.run(&["vault", "prune", "vault", "--runbook", &file, "--json"]).expect(0).json();
    let print = shown["fingerprint"].as_str().unwrap().to_owned();
    second.bench.run(&["vault", "prune", "vault", "--runbook", &file, "--apply", &print]).expect(0);
    first.bench.run(&["resume"]).expect(0).says("succeeded");
    same(&first.bench);
    assert_eq!(first.snapshots(&files[0]), 2);
    first.check();
}

#[test]
fn who_deletes_is_told_who_is_at_work_and_deletes_nothing() {
    let first = Way::new(&shared(), 24);
    let second = beside(&first);
    let (file, steps) = (second.file("second", RECOVER), first.file("first", RECOVER));
    second.run(&file).expect(0);
    second.bench.write("estate/live/files/more.txt", "more");
    second.bench.run(&["run", "-y", &second.file("take", r#"snapshot "take" of="live" into="vault""#)]).expect(0);
    let forget = |more: &[&str]| {
        second.bench.run(&[&["vault", "forget", "vault", "--runbook", &file, "--keep-last", "1"], more].concat())
    };
    let plan = forget(&["--json"]).expect(0).json();
    first.proxy.fault(Fault::on("PUT", "/data/", Act::Delay(Duration::from_millis(700))));
    let mut one = first.bench.start(&["run", "-y", &steps]);
    first.wait_for("/data/", 1);
    let refused = forget(&["--apply", plan["fingerprint"].as_str().unwrap()]);
    assert!(refused.code != 0, "{}", refused.out);
    refused.says("LB0805").says("is locked");
    assert!(one.wait().unwrap().success(), "{}", first.log());
    assert_eq!(first.snapshots(&steps), 3);
    same(&first.bench);
    first.check();
}
