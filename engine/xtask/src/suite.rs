//! `cargo xtask test`: all tests, with one total at the end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use lifeboat_servers::{Kind, install_tools};

use crate::{servers, shell};

/// What the tests run besides Rust, as `(program, Debian package)`: restic is the judge of the vaults, HAProxy is the gate of a
/// server that would let everybody in, and the others judge what is made for them: rules, units, pages, completions, reports.
const NEEDED: [(&str, &str); 11] = [
    ("restic", "restic"),
    ("haproxy", "haproxy"),
    ("openssl", "openssl"),
    ("promtool", "prometheus"),
    ("systemd-analyze", "systemd"),
    ("mandoc", "mandoc"),
    ("man", "man-db"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("chromium", "chromium"),
    ("strace", "strace"),
];

/// Installs what is missing and runs every test of the workspace. One profile serves the demo, the tests and the
/// benchmarks, since the compiler of the guests takes minutes to build.
///
/// # Errors
/// Something that is needed is missing, or a test failed.
pub fn run() -> Result<(), String> {
    shell::ensure(&NEEDED)?;
    servers::prepare(&Kind::ALL)?;
    install_tools(&|line| println!("{line}"))?;
    let line = ["cargo", "test", "--release", "--workspace", "--locked", "--no-fail-fast"];
    println!("$ {}", line.join(" "));
    let mut child = shell::command(&line).stdout(Stdio::piped()).spawn().map_err(|error| format!("cargo: {error}"))?;
    let mut total = Total::default();
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).lines() {
            let text = text.map_err(|error| format!("the tests' output: {error}"))?;
            println!("{text}");
            total.add(&text);
        }
    }
    let status = child.wait().map_err(|error| format!("cargo: {error}"))?;
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if !status.success() {
        return Err("the tests did not all pass".to_owned());
    }
    if total.passed == 0 { Err("not one test was run".to_owned()) } else { Ok(()) }
}

/// The sum over the test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
}

impl Total {
    /// Adds a line as `test result: ok. 8 passed; 1 failed; 0 ignored; …`. Other lines count nothing.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        for part in rest.split(['.', ';']) {
            match part.trim().split_once(' ') {
                Some((count, "passed")) => self.passed += count.parse::<u64>().unwrap_or(0),
                Some((count, "failed")) => self.failed += count.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_summed_over_programs() {
        let mut total = Total::default();
        total.add("test result: ok. 8 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.03s");
        total.add("test passes ... ok");
        total.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.03s");
        assert_eq!(total, Total { passed: 11, failed: 2 });
    }
}
