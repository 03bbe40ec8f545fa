//! Each server here starts, answers, is killed, and starts again with what it had.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Output;

use lifeboat_servers::{Access, Kind, Server, get};

fn port(access: &Access) -> u16 {
    let rest = access.endpoint.strip_prefix("http://127.0.0.1:").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

/// Stock rclone as a client of an S3.
fn rclone(access: &Access, key: (&str, &str), args: &[&str]) -> Output {
    let access = Access::new(access.endpoint.clone(), &[("access-key", key.0), ("secret-key", key.1)]);
    let mut command = access.s3().rclone(args).unwrap();
    command.args(["--retries", "1", "--low-level-retries", "1"]).output().unwrap()
}

fn admin(access: &Access) -> (&str, &str) {
    (access.get("access-key"), access.get("secret-key"))
}

#[test]
fn two_regions_are_apart_check_keys_and_outlive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut here = Server::start(Kind::S3, &dir.path().join("here")).unwrap();
    let there = Server::start(Kind::S3, &dir.path().join("there")).unwrap();
    let access = here.access().clone();
    let put = |key, name: &str| {
        let file = dir.path().join("file");
        std::fs::write(&file, "content").unwrap();
        rclone(&access, key, &["copyto", file.to_str().unwrap(), &format!(":s3:bucket/{name}")])
    };
    assert!(rclone(&access, admin(&access), &["mkdir", ":s3:bucket"]).status.success());
    let done = put(admin(&access), "one");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let reader = (access.get("reader-access-key"), access.get("reader-secret-key"));
    assert!(!put(reader, "two").status.success(), "a key that may only read wrote");
    assert!(!put((reader.0, "wrong"), "two").status.success(), "a wrong key wrote");
    here.kill();
    assert_eq!(get(port(&access), "/"), None);
    here.start_again().unwrap();
    assert_eq!(here.access(), &access);
    let read = rclone(&access, reader, &["cat", ":s3:bucket/one"]);
    assert_eq!(String::from_utf8_lossy(&read.stdout), "content");
    let elsewhere = rclone(there.access(), admin(there.access()), &["lsf", ":s3:"]);
    assert_eq!(String::from_utf8_lossy(&elsewhere.stdout), "", "the other region knows nothing of it");
}

#[test]
fn the_others_answer_where_they_say_and_are_gone_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [Kind::S3Weak, Kind::Azure, Kind::Gcs, Kind::OpenBao, Kind::Traces] {
        let mut server = Server::start(kind, &dir.path().join(format!("{kind:?}"))).unwrap();
        let port = port(server.access());
        assert!(get(port, "/").is_some(), "{kind:?}");
        server.stop();
        assert_eq!(get(port, "/"), None, "{kind:?}");
        server.start_again().unwrap();
        assert!(get(port, "/").is_some(), "{kind:?}");
        drop(server);
        assert_eq!(get(port, "/"), None, "{kind:?}");
    }
}

#[test]
fn what_watches_and_what_sends_are_ready_and_know_their_settings() {
    let dir = tempfile::tempdir().unwrap();
    let sends = Server::start(Kind::Alertmanager, &dir.path().join("sends")).unwrap();
    let folder = dir.path().join("watches");
    std::fs::create_dir_all(&folder).unwrap();
    let alerting = format!(
        "alerting: {{ alertmanagers: [ {{ static_configs: [ {{ targets: [\"127.0.0.1:{}\"] }} ] }} ] }}\n",
        port(sends.access())
    );
    std::fs::write(folder.join("prometheus.yml"), alerting).unwrap();
    let watches = Server::start(Kind::Prometheus, &folder).unwrap();
    let (status, config) = get(port(watches.access()), "/api/v1/status/config").unwrap();
    assert_eq!(status, 200);
    assert!(config.contains(&format!("127.0.0.1:{}", port(sends.access()))), "{config}");
    let (status, told) = get(port(sends.access()), "/api/v2/status").unwrap();
    assert!(status == 200 && told.contains("receiver: none"), "{told}");
}
