//! `cargo xtask bench`: the benchmarks by name.

use crate::shell;

/// Runs these benchmarks one after the other, so that they do not disturb each other.
///
/// # Errors
/// A benchmark that is not there, or that failed.
pub fn run(names: &[&str]) -> Result<(), String> {
    for name in names {
        // The whole workspace is selected: another selection takes other features of shared crates, and wasmtime is built twice.
        shell::run(&["cargo", "bench", "--quiet", "--locked", "--workspace", "--bench", name])?;
    }
    Ok(())
}
