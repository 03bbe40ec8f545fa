//! Stock restic and stock rclone, as their users run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_servers::{Access, Kind, program};

use super::measure::{Measured, measure};

/// All phases of a repository in a bucket; with restic's own cache, which it has by default.
pub fn restic(place: &Path, access: &Access, source: &Path, change: &dyn Fn()) -> (Vec<Measured>, PathBuf) {
    let (out, password) = (place.join("out"), place.join("password"));
    fs::write(&password, "bench").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new("restic");
        command.args(["-q", "-o", "s3.bucket-lookup=path", "-r", &format!("s3:{}/bench/vault", access.endpoint)]);
        command.arg("--cache-dir").arg(place.join("cache")).args(args);
        command.env("RESTIC_PASSWORD_FILE", &password).env_remove("AWS_CA_BUNDLE");
        command.env("AWS_ACCESS_KEY_ID", access.get("access-key"));
        command.env("AWS_SECRET_ACCESS_KEY", access.get("secret-key"));
        measure(command)
    };
    let (from, to) = (source.to_str().unwrap(), out.to_str().unwrap());
    // Ours makes the vault at its first snapshot.
    let made = run(&["init", "--repository-version", "2"]);
    let mut first = run(&["backup", from]);
    first.seconds += made.seconds;
    change();
    let second = run(&["backup", from]);
    let measured = vec![first, second, run(&["check", "--read-data"]), run(&["restore", "latest", "--target", to])];
    (measured, out.join(source.strip_prefix("/").unwrap()))
}

/// All of a bucket from one server to another.
pub fn transfer(from: &Access, to: &Access) -> Measured {
    let mut command = Command::new(program(Kind::S3Weak).unwrap());
    command.env_remove("AWS_CA_BUNDLE").args([
        "copy",
        "here:bench/data",
        "there:bench/rclone",
        "--config",
        "/dev/null",
    ]);
    for (name, access) in [("HERE", from), ("THERE", to)] {
        let mut set = |key: &str, value: &str| {
            command.env(format!("RCLONE_CONFIG_{name}_{key}"), value);
        };
        set("TYPE", "s3");
        set("PROVIDER", "Other");
        set("ENDPOINT", &access.endpoint);
        set("ACCESS_KEY_ID", access.get("access-key"));
        set("SECRET_ACCESS_KEY", access.get("secret-key"));
    }
    measure(command)
}

/// rclone at a server; it has to succeed.
pub fn rclone(access: &Access, args: &[&str]) {
    let mut command = Command::new(program(Kind::S3Weak).unwrap());
    command.env_remove("AWS_CA_BUNDLE").args(args).args(["--config", "/dev/null", "--s3-provider", "Other"]);
    command.args(["--s3-endpoint", &access.endpoint, "--s3-access-key-id", access.get("access-key")]);
    command.args(["--s3-secret-access-key", access.get("secret-key")]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A bucket that keeps versions: a snapshot of one needs them.
pub fn make_bucket(access: &Access, bucket: &str) {
    rclone(access, &["mkdir", &format!(":s3:{bucket}")]);
    rclone(access, &["backend", "versioning", &format!(":s3:{bucket}"), "Enabled"]);
}
