//! Keys that are changed while a step is at work.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lifeboat_servers::{Act, Fault, Kind, Server};

use super::way::{RECOVER, Way};

const SECOND: &str = "theSecondSecretOfTheTests";
const THIRD: &str = "theThirdSecretOfTheTests";

/// Gives the server's own user another secret, and takes the old one away.
fn change(server: &Server, folder: &Path, old: &str, new: &str) {
    let path = folder.join("s3.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(old, new)).unwrap();
    // SeaweedFS reads its users again.
    let pid = server.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
}

#[test]
fn a_new_key_is_used_without_a_restart_and_a_stale_one_ends_the_step_truthfully() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Kind::S3, dir.path()).unwrap();

    // Changed at both ends while a request is on its way that was signed before.
    let way = Way::new(server.access(), 24);
    let late = Duration::from_millis(1_200);
    let struck = way.proxy.fault(Fault::on("PUT", "/data/", Act::Delay(late)).times(1));
    let file = way.file("rotated", RECOVER);
    let mut child = way.bench.start(&["run", "-y", &file]);
    way.wait_for("/data/", 1);
    change(&server, dir.path(), server.access().get("secret-key"), SECOND);
    way.bench.write("s3-0", SECOND);
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", way.log());
    assert_eq!((struck.count(), way.attempts("take")), (1, 1));
    assert!(!way.log().contains(SECOND));

    // Changed at the server alone: nobody told us. It is told of, and goes on with the right one.
    change(&server, dir.path(), SECOND, THIRD);
    std::thread::sleep(Duration::from_millis(300));
    let file = way.file("stale", r#"verify "prove" snapshot="latest" from="vault" depth="data""#);
    way.run(&file).expect(1).says("SignatureDoesNotMatch").says("the key is wrong");
    for command in [&["vault", "check"][..], &["snapshots"]] {
        let refused = way.bench.run(&[command, &["vault", "--runbook", &file]].concat());
        refused.expect(1).says("LB0760").says("the key is wrong");
    }
    way.bench.write("s3-0", THIRD);
    way.retry("prove").expect(0).says("succeeded");
}
