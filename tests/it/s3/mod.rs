//! Real buckets: the plugin `s3` against SeaweedFS and rclone, judged by stock restic and stock rclone.

use std::process::Output;
use std::sync::LazyLock;

use lifeboat_servers::{Access, Kind, Server};

use crate::bench::Bench;
use crate::remote::{below, heavy, runbook, said};

mod buckets;
mod demo;
mod faults;
mod keys;
mod lies;
mod room;
mod slow;
mod two;
mod vault;
mod way;

/// The server that tests share where they do it no harm; it ends with the process.
static SHARED: LazyLock<(tempfile::TempDir, Server)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Kind::S3, dir.path()).unwrap();
    (dir, server)
});

fn shared() -> Access {
    SHARED.1.access().clone()
}

/// A bench whose plugin `s3` may speak to these servers. Each has its key in a file of its own.
fn bench(servers: &[&Access]) -> Bench {
    let bench = Bench::new();
    let mut operator = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    for (number, access) in servers.iter().enumerate() {
        let port = access.endpoint.rsplit(':').next().unwrap();
        operator.push_str(&format!(
            "secret \"s3-{number}\" file=\"s3-{number}\"\n\
             grant \"s3\" {{ host \"127.0.0.1\" port={port} plain=#true }}\n"
        ));
        bench.write(&format!("s3-{number}"), access.get("secret-key"));
    }
    bench.write("lifeboat.kdl", &operator);
    bench
}

/// A target at the server of that number.
fn target(name: &str, access: &Access, number: usize, bucket: &str, more: &str) -> String {
    format!(
        "target \"{name}\" plugin=\"s3\" {{ endpoint \"{}\"; bucket \"{bucket}\"; access-key \"{}\"; \
         secret-key secret=\"s3-{number}\"; {more} }}\n",
        access.endpoint,
        access.get("access-key")
    )
}

/// Stock rclone at a server.
fn rclone(access: &Access, args: &[&str]) -> Output {
    access.s3().rclone(args).unwrap().output().unwrap()
}

/// What rclone says, where it has to succeed.
fn told(access: &Access, args: &[&str]) -> String {
    let output = rclone(access, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a bucket, with or without versions.
fn make_bucket(access: &Access, bucket: &str, versions: bool) {
    let place = format!(":s3:{bucket}");
    told(access, &["mkdir", &place]);
    if versions {
        assert!(told(access, &["backend", "versioning", &place, "Enabled"]).contains("Enabled"));
    }
}

/// Writes an object.
fn put(bench: &Bench, access: &Access, object: &str, text: &str) {
    bench.write("object", text);
    told(access, &["copyto", bench.path("object").to_str().unwrap(), &format!(":s3:{object}")]);
}

/// Stock restic on the vault in a bucket.
fn restic(bench: &Bench, access: &Access, place: &str, args: &[&str]) -> String {
    let mut command = access.restic(place, &bench.path("password"));
    command.arg("--no-cache").args(args);
    said(command, args)
}
