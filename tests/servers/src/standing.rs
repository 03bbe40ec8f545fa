//! Servers that stay up for a person, and end by `down`.
//!
//! Each has a folder below `servers/up` in the target folder: its data, its log, and `server.json` with its process,
//! address and credentials. `servers.json` has the addresses and credentials of all that are up.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::launch::is_ready;
use crate::server::{LOG, prepare, tail};
use crate::{Access, Kind, home, process};

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(90);

/// A server that was started to stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// As on the command line.
    pub name: String,
    /// What it is.
    pub product: String,
    /// Its process.
    pub pid: u32,
    /// When that began, in ticks since the machine did.
    pub born: u64,
    /// Where its data and its log are.
    pub folder: PathBuf,
    /// Address and credentials.
    pub access: Access,
}

impl Standing {
    /// Whether its process is still the one that was started.
    #[must_use]
    pub fn is_up(&self) -> bool {
        process::born(self.pid) == Some(self.born)
    }
}

/// The file with all addresses and credentials, by name.
#[must_use]
pub fn summary() -> PathBuf {
    home().join("servers.json")
}

fn folder(name: &str) -> PathBuf {
    home().join("up").join(name)
}

fn known(name: &str) -> Result<Kind, String> {
    let names: Vec<&str> = Kind::NAMES.iter().map(|(name, _)| *name).collect();
    Kind::named(name).ok_or_else(|| format!("there is no server '{name}'; there are {}", names.join(", ")))
}

fn read(name: &str) -> Option<Standing> {
    let bytes = fs::read(folder(name).join("server.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Those that were started and not stopped, also where one has ended by itself.
#[must_use]
pub fn ls() -> Vec<Standing> {
    Kind::NAMES.iter().filter_map(|(name, _)| read(name)).collect()
}

/// Starts a server that stays, or finds it. What its folder holds of an earlier one is there again.
///
/// # Errors
/// There is no such server, it is not installed, or it does not come up.
pub fn up(name: &str) -> Result<Standing, String> {
    let kind = known(name)?;
    if let Some(found) = read(name).filter(Standing::is_up) {
        return Ok(found);
    }
    let folder = folder(name);
    let (ports, launch) = prepare(kind, &folder)?;
    let mut command = process::command(&launch, &folder, &folder.join(LOG), false)?;
    // In a group of its own, so that Ctrl-C at the terminal is not meant for it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", launch.program.display()))?;
    let start = Instant::now();
    while !is_ready(kind, &ports) {
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || start.elapsed() > START_MAX {
            process::end(&mut child);
            return Err(format!("{} did not come up\n{}", kind.product(), tail(&folder)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id();
    let born = process::born(pid).ok_or_else(|| format!("{} ended\n{}", kind.product(), tail(&folder)))?;
    let access = launch.access;
    let standing = Standing {
        name: name.to_owned(),
        product: kind.product().to_owned(),
        pid,
        born,
        folder: folder.clone(),
        access,
    };
    write(&folder.join("server.json"), &standing)?;
    summarize()?;
    Ok(standing)
}

/// Stops a server, and returns whether it was up. Its data stays.
///
/// # Errors
/// There is no such server, or a file cannot be removed.
pub fn down(name: &str) -> Result<bool, String> {
    known(name)?;
    let Some(standing) = read(name) else { return Ok(false) };
    let was_up = standing.is_up();
    process::end_by_id(standing.pid, standing.born);
    let path = folder(name).join("server.json");
    fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    summarize()?;
    Ok(was_up)
}

fn summarize() -> Result<(), String> {
    let all = ls().into_iter().filter(Standing::is_up).map(|standing| (standing.name, standing.access));
    write(&summary(), &all.collect::<BTreeMap<String, Access>>())
}

fn write<T: Serialize>(path: &std::path::Path, value: &T) -> Result<(), String> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| error.to_string())?;
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
