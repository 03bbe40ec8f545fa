//! `cargo xtask fuzz`: the fuzz targets, built with the coverage that libFuzzer is steered by, and run for a while.
//!
//! cargo-fuzz wants a nightly compiler for its sanitizers. Coverage alone needs none: LLVM puts it in by stable flags, which are
//! those that cargo-fuzz uses (`cargo fuzz build --sanitizer none`). What is looked for are panics, hangs and memory without bounds,
//! and the code under test has no `unsafe`.

use std::path::PathBuf;
use std::process::Command;

use crate::shell;

/// What each target gets in CI, in seconds.
const IN_CI_S: u32 = 8;
/// What each target gets by hand where nothing is said, in seconds.
const BY_HAND_S: u32 = 60;
/// The host, which has to be named, so that the flags are for the targets and not for what builds them.
const HOST: &str = "x86_64-unknown-linux-gnu";
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions=on",
    "--cfg=fuzzing",
];

/// The targets by the names of their files.
fn targets() -> Result<Vec<String>, String> {
    let folder = shell::root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    if names.is_empty() { Err("there are no fuzz targets".to_owned()) } else { Ok(names) }
}

/// Builds all targets, and runs each for a few seconds.
///
/// # Errors
/// As [`run`].
pub fn ci() -> Result<(), String> {
    run(&[], IN_CI_S)
}

/// `cargo xtask fuzz [NAME…] [SECONDS]`.
///
/// # Errors
/// As [`run`].
pub fn command(arguments: &[&str]) -> Result<(), String> {
    let seconds = arguments.last().and_then(|last| last.parse().ok());
    let names =
        if seconds.is_some() { arguments.split_last().map_or(arguments, |(_, names)| names) } else { arguments };
    run(names, seconds.unwrap_or(BY_HAND_S))
}

/// Builds all targets, and runs these, or all where none is named, each for so many seconds. What they have found to be of
/// interest is kept in the target folder, and the next run begins with it.
///
/// # Errors
/// A name that is no target; the build; a target that found something, with the command that shows it again.
pub fn run(names: &[&str], seconds: u32) -> Result<(), String> {
    let all = targets()?;
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|one| one == *name)) {
        return Err(format!("there is no fuzz target '{unknown}'; there are {}", all.join(", ")));
    }
    let folder = shell::target().join("fuzz");
    build(&folder)?;
    let mut found = Vec::new();
    for name in all.iter().filter(|name| names.is_empty() || names.contains(&name.as_str())) {
        found.extend(one(&folder, name, seconds).err());
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

fn build(folder: &std::path::Path) -> Result<(), String> {
    let target = folder.to_string_lossy().into_owned();
    let line = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--bins",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--target",
        HOST,
        "--target-dir",
        &target,
    ];
    println!("$ {}", line.join(" "));
    let status = shell::command(&line).env("RUSTFLAGS", FLAGS.join(" ")).env_remove("CARGO_TARGET_DIR").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the fuzz targets cannot be built: {status}")),
        Err(error) => Err(format!("cargo: {error}")),
    }
}

fn one(folder: &std::path::Path, name: &str, seconds: u32) -> Result<(), String> {
    let program = folder.join(HOST).join("release").join(name);
    let corpus = folder.join("corpus").join(name);
    let finds = folder.join("finds");
    for made in [&corpus, &finds] {
        std::fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
    }
    println!("fuzz {name}: {seconds} s");
    let mut command = Command::new(&program);
    // The message says enough; frames of the fuzzer would hide it.
    command.env("RUST_BACKTRACE", "0");
    command.arg(format!("-max_total_time={seconds}")).args(["-timeout=10", "-rss_limit_mb=1024", "-verbosity=0"]);
    command.args(["-print_final_stats=1"]).arg(prefix(&finds, name)).arg(&corpus);
    let ended = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&ended.stderr);
    let tries = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("  {} inputs", tries.map_or("no", str::trim));
    if ended.status.success() {
        return Ok(());
    }
    let last: Vec<&str> = text.lines().rev().take(30).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(format!("fuzz target '{name}' found something; the input is in {}\n{}", finds.display(), last.join("\n")))
}

fn prefix(finds: &std::path::Path, name: &str) -> String {
    let path: PathBuf = finds.join(format!("{name}-"));
    format!("-artifact_prefix={}", path.display())
}
