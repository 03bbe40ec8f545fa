//! Real buckets: the plugin `s3` against SeaweedFS and rclone, judged by stock restic and stock rclone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use lifeboat_servers::{Access, Kind, Server, program};

use crate::bench::Bench;

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

/// A runbook of a bench's folders and these targets.
fn runbook(bench: &Bench, name: &str, targets: &str, steps: &str) -> String {
    let dir = bench.dir.path().display();
    let text = format!(
        "runbook \"{name}\" {{\n\
         objectives rto=\"15m\" rpo=\"5m\" mtpd=\"4h\"\n\
         target \"live\" plugin=\"fs\" site=\"primary\" {{ root \"{dir}/estate/live\" }}\n\
         target \"back\" plugin=\"fs\" site=\"second\" {{ root \"{dir}/estate/back\" }}\n{targets}{steps}\n}}\n"
    );
    let file = format!("{name}.kdl");
    bench.write(&file, &text);
    file
}

/// Stock rclone at a server.
fn rclone(access: &Access, args: &[&str]) -> Output {
    let mut command = Command::new(program(Kind::S3Weak).unwrap());
    command.env_remove("AWS_CA_BUNDLE").args(args).args(["--config", "/dev/null", "--s3-provider", "Other"]);
    command.args(["--s3-endpoint", &access.endpoint, "--s3-access-key-id", access.get("access-key")]);
    command.args(["--s3-secret-access-key", access.get("secret-key")]).output().unwrap()
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
    let repository = format!("s3:{}/{place}", access.endpoint);
    let mut command = Command::new("restic");
    command.env_remove("AWS_CA_BUNDLE").env("RESTIC_PASSWORD_FILE", bench.path("password"));
    command.env("AWS_ACCESS_KEY_ID", access.get("access-key")).env("AWS_SECRET_ACCESS_KEY", access.get("secret-key"));
    command.args(["--no-cache", "-o", "s3.bucket-lookup=path", "-r", &repository]).args(args);
    let output = command.output().expect("stock restic is needed: apt-get install restic");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file that takes a while to move.
fn heavy(bench: &Bench, mib: usize) {
    let mut random = blake3::Hasher::new().update(b"heavy").finalize_xof();
    let mut bytes = vec![0; mib * 1024 * 1024];
    random.fill(&mut bytes);
    std::fs::write(bench.path("estate/live/model.bin"), bytes).unwrap();
}

/// A path of the bench as restic records it, below where it was restored to.
fn below(root: &Path, recorded: &Path) -> PathBuf {
    root.join(recorded.strip_prefix("/").unwrap())
}
