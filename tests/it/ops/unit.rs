//! The unit of systemd and the container file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use lifeboat_servers::{Tool, tool};

use super::{bench, example, judged};
use crate::background::Background;

/// The unit, with a program that is there in the place of ours.
fn unit(folder: &std::path::Path) -> std::path::PathBuf {
    let text = fs::read_to_string(example("packaging/lifeboat.service")).unwrap();
    let path = folder.join("lifeboat.service");
    fs::write(&path, text.replace("/usr/bin/lifeboat", env!("CARGO_BIN_EXE_lifeboat"))).unwrap();
    path
}

#[test]
fn systemd_has_nothing_against_the_unit_and_little_to_fear_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let unit = unit(dir.path());
    let said = judged(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit));
    assert_eq!(said.lines().filter(|line| line.contains("lifeboat.service")).count(), 0, "{said}");
    // 10 is a service without any bounds; what is above 2.0 fails.
    judged(Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=20"]).arg(&unit));
}

#[test]
fn hadolint_has_nothing_against_the_container_file() {
    assert_eq!(judged(Command::new(tool(Tool::Hadolint).unwrap()).arg(example("packaging/Containerfile"))), "");
}

/// The calls of a set, with those of the sets in it.
fn calls_of(set: &str) -> BTreeSet<String> {
    let text = judged(Command::new("systemd-analyze").args(["syscall-filter", set]));
    let words = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty() && *line != set);
    words
        .flat_map(|word| if word.starts_with('@') { calls_of(word) } else { BTreeSet::from([word.to_owned()]) })
        .collect()
}

#[test]
fn every_system_call_of_a_service_is_in_the_filter_of_the_unit() {
    let bench = bench("");
    let trace = bench.path("calls");
    let serve = bench.command(&["serve"]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-c", "-U", "name", "-o"]).arg(&trace);
    // A group of its own: what strace looks at ends with it, also where it is killed.
    command.arg(serve.get_program()).args(serve.get_args()).process_group(0);
    command
        .current_dir(bench.dir.path())
        .env_clear()
        .envs(serve.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let log = fs::File::create(bench.path("background.log")).unwrap();
    let mut child = Background::spawn(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log));
    bench.wait_for("refused (GET");
    bench.run(&["drill", "books/good.kdl"]).expect(0);
    // The one that is traced, and not strace: it writes its sums when that ends.
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let pid: i32 = fs::read_to_string(children).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let used = fs::read_to_string(&trace).unwrap();
    let used: BTreeSet<String> = used.lines().skip(2).map(|line| line.trim().to_owned()).collect();
    let used: BTreeSet<String> =
        used.into_iter().filter(|name| !name.is_empty() && !name.starts_with('-') && name != "total").collect();
    assert!(used.contains("fdatasync") && used.len() > 30, "{used:?}");
    let refused = calls_of("@privileged");
    let allowed: BTreeSet<String> = calls_of("@system-service").difference(&refused).cloned().collect();
    let outside: Vec<&String> = used.difference(&allowed).collect();
    assert!(outside.is_empty(), "the unit would refuse {outside:?}");
}

#[test]
fn systemd_is_told_of_the_start_the_life_and_the_end() {
    let bench = bench("");
    let path = bench.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = bench.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut child = Background::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let told = || {
        let mut read = [0; 512];
        let count = socket.recv(&mut read).unwrap();
        String::from_utf8_lossy(&read[..count]).into_owned()
    };
    assert!(told().starts_with("READY=1\nSTATUS=serving on 127.0.0.1:"));
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let last = (0..5).map(|_| told()).find(|told| told != "WATCHDOG=1").unwrap();
    assert!(last.starts_with("STOPPING=1"), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
