//! A program's time and its peak of memory, and tables of them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a program took.
#[derive(Clone, Copy)]
pub struct Measured {
    pub seconds: f64,
    /// Most bytes of memory that it held at once, in MiB.
    pub peak: u64,
}

/// Runs a program to its end. It has to succeed. All that it wrote to this machine is on the disk when the time is taken.
pub fn measure(mut command: Command) -> Measured {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut errors).unwrap_or_default());
    let mut peak = 0;
    let status = loop {
        peak = peak.max(high_water(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    rustix::fs::sync();
    let seconds = start.elapsed().as_secs_f64();
    assert!(status.success(), "{command:?}: {}", reader.join().unwrap());
    Measured { seconds, peak: peak / 1024 }
}

/// The high-water mark of a process that lives, in KiB.
fn high_water(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Ours beside a peer's, phase by phase. Both ratios are ours over theirs.
pub fn compare(what: &str, peer: &str, phases: &[&str], results: &[Vec<Measured>]) {
    let [ours, theirs] = results else { panic!("two results are compared") };
    println!("\n{what} (ours / {peer})");
    for ((phase, ours), theirs) in phases.iter().zip(ours).zip(theirs) {
        println!(
            "{phase:<24} {:>7.1} s / {:>7.1} s  {:>5.2} | {:>5} MiB / {:>5} MiB  {:>5.2}",
            ours.seconds,
            theirs.seconds,
            ours.seconds / theirs.seconds,
            ours.peak,
            theirs.peak,
            ours.peak as f64 / theirs.peak as f64
        );
    }
}
