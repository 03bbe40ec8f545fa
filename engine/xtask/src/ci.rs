//! `cargo xtask ci`: every check, each timed. A failed one does not keep the others from running: one round tells all.

use std::time::{Duration, Instant};

use crate::{campaign, deny, fuzz, plugins, schemas, shell, suite, tidy};

type Stage = (&'static str, fn() -> Result<(), String>);

const STAGES: [Stage; 12] = [
    ("tidy", tidy::run),
    ("fmt", format),
    ("deny", deny::run),
    ("plugins", plugin_drift),
    ("clippy", clippy),
    ("test", suite::run),
    ("schemas", schemas::check),
    ("fuzz", fuzz::ci),
    ("campaign", campaign::ci),
    ("demo", demo),
    ("examples", examples),
    ("readme", readme),
];

/// Runs the stages of these names, or all if there are none.
///
/// # Errors
/// The names of the stages that failed, or a name that is no stage.
pub fn run(names: &[&str]) -> Result<(), String> {
    if let Some(unknown) = names.iter().find(|name| !STAGES.iter().any(|(stage, _)| stage == *name)) {
        let all: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no stage '{unknown}'; there are {}", all.join(", ")));
    }
    let mut rows: Vec<(&str, Duration, Result<(), String>)> = Vec::new();
    for (name, stage) in STAGES.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        println!("\n==> {name}");
        let start = Instant::now();
        let result = stage();
        if let Err(message) = &result {
            eprintln!("{name}: {message}");
        }
        rows.push((name, start.elapsed(), result));
    }
    println!("\nstage          time  result");
    for (name, time, result) in &rows {
        println!("{name:<10} {:>6.1} s  {}", time.as_secs_f64(), if result.is_ok() { "ok" } else { "FAILED" });
    }
    let whole: Duration = rows.iter().map(|(_, time, _)| *time).sum();
    println!("{:<10} {:>6.1} s", "all", whole.as_secs_f64());
    let failed: Vec<String> = rows
        .iter()
        .filter_map(|(name, _, result)| Some(format!("\n  {name}: {}", result.as_ref().err()?.lines().next()?)))
        .collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("{} failed:{}", failed.len(), failed.concat())) }
}

fn format() -> Result<(), String> {
    shell::run(&["cargo", "fmt", "--all", "--check"])?;
    shell::run(&["cargo", "fmt", "--all", "--check", "--manifest-path", "plugins/Cargo.toml"])
}

fn clippy() -> Result<(), String> {
    shell::run(&[
        "cargo",
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ])
}

/// The committed plugins against their sources, and against a build of today where the recorded toolchain is installed.
fn plugin_drift() -> Result<(), String> {
    plugins::check(false)?;
    plugins::check(true)
}

fn demo() -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("lifeboat-ci-demo-{}", std::process::id()));
    let text = folder.to_string_lossy().into_owned();
    let result = shell::run(&["cargo", "run", "--release", "--locked", "--", "demo", "--dir", &text]);
    // What is left of a demo that failed is worth a look; what is left of a good one is not.
    if result.is_ok() {
        std::fs::remove_dir_all(&folder).map_err(|error| format!("{text}: {error}"))?;
    }
    result
}

/// The example of the engine in another program; the example of a plugin is built by the stage `plugins`.
fn examples() -> Result<(), String> {
    // All of the workspace: a part of it takes other features of shared crates, and much would be built twice.
    shell::run(&["cargo", "build", "--release", "--locked", "--workspace", "--quiet"])?;
    let program = shell::target().join("release/lifeboat-example-embed");
    shell::run(&[&program.to_string_lossy()])
}

/// The two commands that the README promises have to be in it, as they are.
fn readme() -> Result<(), String> {
    let path = shell::root().join("README.md");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("README.md: {error}"))?;
    let promised = ["cargo run --release -- demo", "cargo xtask test"];
    let missing: Vec<&str> =
        promised.into_iter().filter(|line| !text.lines().any(|found| found.trim() == *line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("README.md lacks a line with only: {}", missing.join("; ")))
}
