//! Stock restic and stock rclone, as their users run them.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_servers::Access;

use super::measure::{Measured, measure};

/// All phases of a repository in a bucket; with restic's own cache, which it has by default.
pub fn restic(place: &Path, access: &Access, source: &Path, change: &dyn Fn()) -> (Vec<Measured>, PathBuf) {
    let (out, password) = (place.join("out"), place.join("password"));
    fs::write(&password, "bench").unwrap();
    let run = |args: &[&str]| {
        let mut command = access.restic("bench/vault", &password);
        command.args(["-q", "--cache-dir"]).arg(place.join("cache")).args(args);
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
    let mut command = from.s3().rclone(&["copy", "here:bench/data", "there:bench/rclone"]).unwrap();
    from.s3().reach_as("here", &mut command);
    to.s3().reach_as("there", &mut command);
    measure(command)
}

/// rclone at a server; it has to succeed.
pub fn rclone(access: &Access, args: &[&str]) {
    let output = access.s3().rclone(args).unwrap().output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A bucket that keeps versions: a snapshot of one needs them.
pub fn make_bucket(access: &Access, bucket: &str) {
    rclone(access, &["mkdir", &format!(":s3:{bucket}")]);
    rclone(access, &["backend", "versioning", &format!(":s3:{bucket}"), "Enabled"]);
}
