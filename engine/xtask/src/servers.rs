//! `cargo xtask servers …`: the real servers of the tests, for a person.

use lifeboat_servers::{Kind, down, install, install_tools, ls, needs, summary, up};

use crate::shell;

const HELP: &str = "\
cargo xtask servers up NAME…      install what is missing, start, wait until they answer, print addresses and credentials
cargo xtask servers down [NAME…]  stop these, or all; their data stays
cargo xtask servers ls            those that are up
cargo xtask servers install       install all; starts none

  s3        SeaweedFS, an S3 that checks everything; s3-dr is a second one, another region
  s3-weak   rclone's S3: no versions, no locks, no conditions
  azure     Azurite: blobs, two accounts
  gcs       fake-gcs-server: checks no credentials
  openbao   OpenBao, with Vault's API, in development mode
  traces    Rotel, a collector of traces: what it is sent is in its log
";

/// Starts, stops or lists servers.
///
/// # Errors
/// A wrong command line, a missing client of a registry, or a server that does not come up.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    match arguments {
        ["up", names @ ..] if !names.is_empty() => start(names),
        ["down", names @ ..] => stop(names),
        ["ls"] => {
            list();
            Ok(())
        }
        ["install"] => {
            prepare(&Kind::ALL)?;
            install_tools(&|line| println!("{line}"))
        }
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("there is no 'servers {}'\n\n{HELP}", other.join(" "))),
    }
}

/// Installs servers and what they need of the machine, and says so.
///
/// # Errors
/// Something cannot be installed.
pub fn prepare(kinds: &[Kind]) -> Result<(), String> {
    shell::ensure(&needs(kinds))?;
    // Debian has Python without the part that makes environments.
    if shell::output(&["python3", "-c", "import ensurepip"]).is_err() {
        shell::install(&["python3-venv"])?;
    }
    install(kinds, &|line| println!("{line}"))
}

fn start(names: &[&str]) -> Result<(), String> {
    let known: Vec<&str> = Kind::NAMES.iter().map(|(name, _)| *name).collect();
    let mut kinds = Vec::new();
    for name in names {
        let kind = Kind::named(name);
        kinds.push(kind.ok_or_else(|| format!("there is no server '{name}'; there are {}", known.join(", ")))?);
    }
    prepare(&kinds)?;
    for name in names {
        let server = up(name)?;
        println!("{} ({}, pid {})", server.name, server.product, server.pid);
        println!("  endpoint  {}", server.access.endpoint);
        for (what, value) in &server.access.values {
            println!("  {what}  {value}");
        }
        println!("  data and log in {}", server.folder.display());
    }
    println!("all of this as JSON: {}", summary().display());
    Ok(())
}

fn stop(names: &[&str]) -> Result<(), String> {
    let all: Vec<String> = match names {
        [] => ls().into_iter().map(|server| server.name).collect(),
        names => names.iter().map(|name| (*name).to_owned()).collect(),
    };
    if all.is_empty() {
        println!("nothing is up");
    }
    for name in &all {
        println!("{name}: {}", if down(name)? { "stopped" } else { "was not up" });
    }
    Ok(())
}

fn list() {
    for server in ls() {
        let state = if server.is_up() { "up" } else { "ended by itself" };
        println!("{:<8}  {state:<15}  pid {:<7}  {}", server.name, server.pid, server.access.endpoint);
    }
}
