//! Running other programs, and the little that is needed around it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A command that runs in the root of the repository.
pub fn command(line: &[&str]) -> Command {
    let (program, arguments) = line.split_first().map_or(("true", line), |(program, rest)| (*program, rest));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command whose output goes where ours goes.
///
/// # Errors
/// It could not be started, or it did not end well.
pub fn run(line: &[&str]) -> Result<(), String> {
    println!("$ {}", line.join(" "));
    let status = command(line).status().map_err(|error| format!("{}: {error}", line.join(" ")))?;
    if status.success() { Ok(()) } else { Err(format!("'{}' ended with {status}", line.join(" "))) }
}

/// Runs a command and returns what it wrote to its standard output.
///
/// # Errors
/// It could not be started, did not end well, or wrote something that is not UTF-8.
pub fn output(line: &[&str]) -> Result<String, String> {
    let ended =
        command(line).stderr(Stdio::inherit()).output().map_err(|error| format!("{}: {error}", line.join(" ")))?;
    if !ended.status.success() {
        return Err(format!("'{}' ended with {}", line.join(" "), ended.status));
    }
    String::from_utf8(ended.stdout).map_err(|_| format!("'{}' wrote something that is not UTF-8", line.join(" ")))
}

/// Whether a program of that name is on the path.
pub fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Makes sure that programs are there, given as `(program, Debian package)`: installs what is missing, and says so.
///
/// # Errors
/// Something is missing and we are not root, or are not on Debian, or the installation failed.
pub fn ensure(programs: &[(&str, &str)]) -> Result<(), String> {
    let missing: Vec<&str> =
        programs.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Installs packages of Debian, and says so.
///
/// # Errors
/// We are not root, or are not on Debian, or the installation failed.
pub fn install(missing: &[&str]) -> Result<(), String> {
    let list = missing.join(" ");
    if !has("apt-get") {
        return Err(format!("missing: {list}. There is no apt-get here to install it with; install it by hand"));
    }
    if output(&["id", "-u"])?.trim() != "0" {
        return Err(format!("missing: {list}. Only root can install it: sudo apt-get install {list}"));
    }
    println!("installing what the tests need: {list}");
    run(&["apt-get", "update", "-q"])?;
    let mut line = vec!["apt-get", "install", "-q", "-y", "--no-install-recommends"];
    line.extend(missing);
    run(&line)
}

/// The files that git tracks, as paths from the root.
///
/// # Errors
/// Git is not there, or this is not a repository.
pub fn tracked() -> Result<Vec<String>, String> {
    let list = output(&["git", "ls-files", "-z"])?;
    let exists = |path: &&str| !path.is_empty() && root().join(path).is_file();
    Ok(list.split('\0').filter(exists).map(str::to_owned).collect())
}
