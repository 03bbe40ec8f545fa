//! Ours: the built binary, a runbook for each phase.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_servers::Access;

use super::measure::{Measured, measure};

const TAKE: &str = r#"snapshot "take" of="live" into="vault""#;

/// What a vault's runbook is about: the source, where it is restored to, and the vault in a bucket.
fn estate(place: &Path, access: &Access, source: &Path, out: &Path) -> String {
    fs::create_dir_all(out).unwrap();
    let dirs = format!("grant \"fs\" {{ dir {source:?} write=#true; dir {out:?} write=#true }}\n");
    operator(place, &[access], &dirs);
    format!(
        "target \"live\" plugin=\"fs\" {{ root {source:?} }}\ntarget \"back\" plugin=\"fs\" {{ root {out:?} }}\n{}",
        target("vault", access, 0, "prefix \"vault\"; password secret=\"vault-password\"")
    )
}

/// One snapshot into a vault that is made by it.
pub fn snapshot(place: &Path, access: &Access, source: &Path) -> Measured {
    let targets = estate(place, access, source, &place.join("out"));
    step(place, &targets, TAKE)
}

/// All phases of a vault in a bucket.
pub fn vault(place: &Path, access: &Access, source: &Path, change: &dyn Fn()) -> (Vec<Measured>, PathBuf) {
    let out = place.join("out");
    let targets = estate(place, access, source, &out);
    let run = |steps: &str| step(place, &targets, steps);
    let first = run(TAKE);
    change();
    let second = run(TAKE);
    let check = run(r#"verify "prove" snapshot="latest" from="vault" depth="data""#);
    // Verified before, and what is measured is the restore alone.
    let restore = run(r#"restore "rebuild" snapshot="latest" from="vault" into="back" {
        waive "LB0302" reason="a run of its own checked every byte just before"
    }"#);
    (vec![first, second, check, restore], out)
}

/// All objects of a snapshot of a bucket into one at another server.
pub fn transfer(place: &Path, from: &Access, to: &Access) -> Measured {
    operator(place, &[from, to], "");
    let targets = target("here", from, 0, "prefix \"data\"")
        + &target("points", from, 0, "prefix \"points\"")
        + &target("there", to, 1, "prefix \"lifeboat\"");
    step(place, &targets, r#"snapshot "take" of="here" into="points""#);
    step(place, &targets, r#"transfer "send" snapshot="latest" from="points" into="there""#)
}

fn step(place: &Path, targets: &str, steps: &str) -> Measured {
    let text = format!("runbook \"bench\" {{\nobjectives rto=\"4h\" rpo=\"4h\" mtpd=\"8h\"\n{targets}{steps}\n}}\n");
    fs::write(place.join("bench.kdl"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(["run", "-y", "bench.kdl"]).current_dir(place);
    command.env("LIFEBOAT_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    measure(command)
}

fn operator(place: &Path, servers: &[&Access], more: &str) {
    fs::create_dir_all(place).unwrap();
    let mut text = format!("secret \"vault-password\" file=\"password\"\n{more}");
    for (number, access) in servers.iter().enumerate() {
        let port = access.endpoint.rsplit(':').next().unwrap();
        text.push_str(&format!(
            "secret \"s3-{number}\" file=\"s3-{number}\"\ngrant \"s3\" {{ host \"127.0.0.1\" port={port} plain=#true }}\n"
        ));
        fs::write(place.join(format!("s3-{number}")), access.get("secret-key")).unwrap();
    }
    fs::write(place.join("password"), "bench").unwrap();
    fs::write(place.join("lifeboat.kdl"), text).unwrap();
}

fn target(name: &str, access: &Access, number: usize, more: &str) -> String {
    format!(
        "target \"{name}\" plugin=\"s3\" {{ endpoint \"{}\"; bucket \"bench\"; access-key \"{}\"; \
         secret-key secret=\"s3-{number}\"; {more} }}\n",
        access.endpoint,
        access.get("access-key")
    )
}
