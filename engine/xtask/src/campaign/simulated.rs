//! The campaigns in a simulated world, which the program `lifeboat-campaign` carries out: real core, runtime and store, with
//! simulated time and effects.

use super::Programs;
use crate::shell;

/// Their names, in the order in which continuous integration runs them.
pub const NAMES: [&str; 4] = ["cut", "inject", "sim", "mutants"];

/// Runs one of them; it prints what it tried and found.
///
/// # Errors
/// The one with the bugs could not be built, or it found something.
pub fn run(programs: &Programs, name: &str, arguments: &[&str]) -> Result<(), String> {
    let program = if name == "mutants" { with_bugs()? } else { programs.simulated.clone() };
    let program = program.to_string_lossy().into_owned();
    let mut line = vec![program.as_str(), name];
    line.extend(arguments);
    shell::run(&line).map_err(|_| format!("campaign {name} found something, see above"))
}

/// The program with the deliberate bugs in it is built apart, so that nothing of it can come into another program.
fn with_bugs() -> Result<std::path::PathBuf, String> {
    let folder = shell::target().join("mutants");
    let text = folder.to_string_lossy().into_owned();
    let features = ["--package", "lifeboat-campaign", "--features", "mutants", "--target-dir", &text];
    let build = ["cargo", "build", "--release", "--locked", "--quiet"];
    shell::run(&build.into_iter().chain(features).collect::<Vec<_>>())?;
    Ok(folder.join("release/lifeboat-campaign"))
}
