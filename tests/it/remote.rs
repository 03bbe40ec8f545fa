//! Stock rclone and stock restic at servers of any kind, and what the tests of clouds have in common.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::bench::Bench;

/// The steps that take a vault there and back.
pub const RECOVER: &str = r#"snapshot "take" of="live" into="vault"
    verify "prove" snapshot="{{steps.take.snapshot}}" depth="data"
    restore "rebuild" snapshot="{{steps.prove.snapshot}}" into="back"
    validate "smoke" target="back" after="rebuild" { expect "count" path="" min=1 }"#;

/// Settings of a vault's target, besides its place.
pub const VAULT: &str = r#"prefix "vault"; password secret="vault-password""#;

/// Names of objects that [`Remote::fill`] writes below `data/`: some have to be encoded, one is large enough for parts.
pub const NAMES: [&str; 5] = ["a.txt", "b/c d+e.txt", "b/ü&%.txt", "empty", "large.bin"];

/// What is in the large one.
pub fn large() -> String {
    "0123456789abcdef".repeat(12 * 65_536)
}

/// A server as rclone reaches it, and what tests do there.
#[derive(Clone)]
pub struct Remote(lifeboat_servers::Remote);

impl Remote {
    /// Of these settings, named as rclone names them.
    pub fn new(backend: &'static str, settings: &[(&str, &str)]) -> Self {
        Self(lifeboat_servers::Remote::new(backend, settings))
    }

    /// A place, as rclone writes it.
    pub fn place(&self, path: &str) -> String {
        self.0.place(path)
    }

    /// Stock rclone.
    pub fn rclone(&self, args: &[&str]) -> Output {
        self.0.rclone(args).unwrap().output().unwrap()
    }

    /// What rclone says, where it has to succeed.
    pub fn told(&self, args: &[&str]) -> String {
        let output = self.rclone(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes a bucket or container.
    pub fn make(&self, bucket: &str) {
        self.told(&["mkdir", &self.place(bucket)]);
    }

    /// Writes an object.
    pub fn put(&self, bench: &Bench, object: &str, text: &str) {
        bench.write("object", text);
        self.told(&["copyto", bench.path("object").to_str().unwrap(), &self.place(object)]);
    }

    /// Reads an object.
    pub fn read(&self, object: &str) -> String {
        self.told(&["cat", &self.place(object)])
    }

    /// Deletes an object.
    pub fn delete(&self, object: &str) {
        self.told(&["deletefile", &self.place(object)]);
    }

    /// The objects below a place, sorted.
    pub fn objects(&self, place: &str) -> Vec<String> {
        let listed = self.told(&["lsf", "-R", "--files-only", &self.place(place)]);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Objects below `data/`, and one that is not.
    pub fn fill(&self, bench: &Bench, bucket: &str) {
        for (name, text) in [("a.txt", "first"), ("b/c d+e.txt", "second"), ("b/ü&%.txt", "third"), ("empty", "")] {
            self.put(bench, &format!("{bucket}/data/{name}"), text);
        }
        self.put(bench, &format!("{bucket}/data/large.bin"), &large());
        self.put(bench, &format!("{bucket}/outside.txt"), "not below the prefix");
    }

    /// Stock restic on a vault, through stock rclone: it reads where it is, and nothing of Lifeboat's is in between.
    pub fn restic(&self, bench: &Bench, place: &str, args: &[&str]) -> String {
        let mut command = self.0.restic(place, &bench.path("password")).unwrap();
        command.arg("--no-cache").args(args);
        said(command, args)
    }
}

/// What a command says, where it has to succeed.
pub fn said(mut command: Command, args: &[&str]) -> String {
    let output = command.output().expect("stock restic is needed: apt-get install restic");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Adds lines to the operator's file of a bench.
pub fn operator(bench: &Bench, lines: &str) {
    let before = std::fs::read_to_string(bench.path("lifeboat.kdl")).unwrap();
    bench.write("lifeboat.kdl", &format!("{before}{lines}"));
}

/// The port of an address.
pub fn port(endpoint: &str) -> &str {
    let rest = endpoint.trim_start_matches("http://");
    rest.split('/').next().unwrap().rsplit(':').next().unwrap()
}

/// A runbook of a bench's folders and these targets.
pub fn runbook(bench: &Bench, name: &str, targets: &str, steps: &str) -> String {
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

/// A file that takes a while to move.
pub fn heavy(bench: &Bench, mib: usize) {
    let mut random = blake3::Hasher::new().update(b"heavy").finalize_xof();
    let mut bytes = vec![0; mib * 1024 * 1024];
    random.fill(&mut bytes);
    std::fs::write(bench.path("estate/live/model.bin"), bytes).unwrap();
}

/// A path of the bench as restic records it, below where it was restored to.
pub fn below(root: &Path, recorded: &Path) -> PathBuf {
    root.join(recorded.strip_prefix("/").unwrap())
}
