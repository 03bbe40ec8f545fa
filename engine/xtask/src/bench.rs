//! `cargo xtask bench`: the benchmarks by name.

use crate::shell;

/// Runs these benchmarks one after the other, so that they do not disturb each other.
///
/// # Errors
/// A benchmark that is not there, or that failed.
pub fn run(names: &[&str]) -> Result<(), String> {
    for name in names {
        // All of the workspace: a part of it takes other features of shared crates, and wasmtime would be built twice.
        shell::run(&["cargo", "bench", "--quiet", "--locked", "--workspace", "--bench", name])?;
    }
    Ok(())
}
