//! The demo's own runbooks with the second vault in a bucket. The engine is killed, then the server, in each of the two runs,
//! and the lost site comes back to the byte.

use std::time::{Duration, Instant};

use lifeboat_servers::{Access, Kind, Server};

use super::{bench, make_bucket, restic, target};
use crate::bench::{Bench, attempts, tree};

/// The demo's runbook, with the bucket in the place of the folder and patience for a server that is away.
fn with_bucket(bench: &Bench, access: &Access, name: &str) {
    let path = format!("shop/runbooks/{name}.kdl");
    let text = std::fs::read_to_string(bench.path(&path)).unwrap();
    let begin = text.find("target \"remote-vault\"").unwrap();
    let end = begin + text[begin..].find("\n    }\n").unwrap() + "\n    }\n".len();
    let vault = target("remote-vault", access, 0, "demo", "prefix \"vault\"; password secret=\"vault-password\"");
    let patience = "    defaults { retry 8 backoff=\"500ms\" max=\"2s\" }\n";
    bench.write(&path, &format!("{}{vault}{patience}{}", &text[..begin], &text[end..]));
}

/// Waits until the step has begun, and a little longer, so that bytes are under way.
fn wait_for(bench: &Bench, step: &str) {
    let begun = |log: String| log.lines().any(|line| line.contains(step) && line.contains("started"));
    let start = Instant::now();
    while !begun(std::fs::read_to_string(bench.path("background.log")).unwrap_or_default()) {
        assert!(start.elapsed() < Duration::from_secs(60), "'{step}' never began");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(150));
}

/// A run whose engine dies in the step, and whose server dies in the same step of the resume.
fn carry_out(bench: &Bench, server: &mut Server, name: &str, mode: &str, step: &str) {
    let file = format!("shop/runbooks/{name}.kdl");
    let mut engine = bench.start(&["run", "-y", &file, "--mode", mode]);
    wait_for(bench, step);
    engine.kill().unwrap();
    engine.wait().unwrap();
    let mut engine = bench.start(&["resume"]);
    wait_for(bench, step);
    server.kill();
    server.start_again().unwrap();
    let status = engine.wait().unwrap();
    assert!(status.success(), "{}", std::fs::read_to_string(bench.path("background.log")).unwrap());
    let events = bench.events();
    assert!(attempts(&events, step) >= 2, "the kill came too late");
    let finished = events.iter().filter(|event| event["step"] == step && event["outcome"] == "done");
    assert!(finished.count() <= 1, "a step that is done runs again");
}

#[test]
fn the_demo_with_its_second_vault_in_a_bucket_outlives_engine_and_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(Kind::S3, dir.path()).unwrap();
    let access = server.access().clone();
    let bench = bench(&[&access]);
    make_bucket(&access, "demo", false);
    bench.run(&["demo", "--dir", "shop", "--model-mib", "64"]).expect(0);
    // The recovered site is the primary one again.
    std::fs::remove_file(bench.path("shop/site/current")).unwrap();
    std::fs::rename(bench.path("shop/site/standby"), bench.path("shop/site/primary")).unwrap();
    std::fs::create_dir_all(bench.path("shop/site/standby")).unwrap();
    std::os::unix::fs::symlink("primary", bench.path("shop/site/current")).unwrap();
    let both = ["shop/lifeboat.kdl", "lifeboat.kdl"].map(|name| std::fs::read_to_string(bench.path(name)).unwrap());
    let servers = both[1].lines().filter(|line| line.contains("s3")).collect::<Vec<_>>().join("\n");
    let operator = both[0].replace("\"site", "\"shop/site").replace("dir \"vault\"", "dir \"shop/vault\"");
    let operator = operator.replace("file=\"vault-", "file=\"shop/vault-");
    bench.write("lifeboat.kdl", &format!("{operator}\n{servers}\n"));
    with_bucket(&bench, &access, "protect");
    with_bucket(&bench, &access, "recover");
    let before = tree(&bench.path("shop/site/primary"));

    carry_out(&bench, &mut server, "protect", "switchover", "offsite");
    std::fs::remove_dir_all(bench.path("shop/site/primary")).unwrap();
    std::fs::remove_dir_all(bench.path("shop/vault")).unwrap();
    carry_out(&bench, &mut server, "recover", "failover", "rebuild");

    assert_eq!(tree(&bench.path("shop/site/standby")), before, "the same to the byte");
    assert_eq!(std::fs::read_link(bench.path("shop/site/current")).unwrap().to_str(), Some("standby"));
    std::fs::copy(bench.path("shop/vault-password"), bench.path("password")).unwrap();
    assert!(restic(&bench, &access, "demo/vault", &["check", "--read-data"]).contains("no errors were found"));
}
