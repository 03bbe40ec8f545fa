//! Loss of power. The image of a disk in memory is copied at the instant at which every thread of a process was stopped
//! in full flight; the copy is mounted, and what was acknowledged must be there.
//!
//! Two loads take turns: a store that many runs append to at once, and a whole run of the binary with its vaults and
//! folders on that disk. All happens in name spaces of its own: mounts, loop devices and processes go with it, however
//! it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::disk::Disk;
use super::effects;
use super::history::History;
use super::plan::Plan;
use super::rng::Rng;
use super::world::{World, at, finish, wait};
use super::{CUTS, Options, Programs};
use crate::shell;

/// Tells the process inside of the name spaces where to work.
const INSIDE: &str = "LIFEBOAT_CAMPAIGN_INSIDE";
/// Cuts of one store, and of one run, at most.
const CUTS_PER_ROUND: u64 = 4;
/// How long the store is written to before a cut, in seconds at most.
const WRITING_S: f64 = 1.2;
/// The same for a run: about as long as one takes.
const RUNNING_S: f64 = 1.5;

/// What all rounds came to.
#[derive(Debug, Default)]
struct Totals {
    store_cuts: u64,
    run_cuts: u64,
    runs: u64,
    acknowledged: u64,
    rebuilt: u64,
    torn: u64,
    probed: u64,
    found: effects::Effects,
}

/// Runs the campaign, in name spaces of its own; without them it is skipped, and says how much.
///
/// # Errors
/// What was found, with the command that shows it again.
pub fn run(programs: &Programs, options: &Options) -> Result<(), String> {
    if let Some(memory) = std::env::var_os(INSIDE) {
        return inside(programs, options, Path::new(&memory));
    }
    println!("campaign power, seed {}", options.seed);
    let base = std::env::temp_dir().join(format!("lifeboat-power-{}", std::process::id()));
    std::fs::create_dir_all(&base).map_err(at(&base))?;
    let result = match usable(&base) {
        Ok(()) => enter(programs, options, &base),
        Err(cause) => {
            let cuts = options.count.unwrap_or(CUTS);
            println!("skipped: {cuts} cuts: there is no loop device to be had here ({cause})");
            Ok(())
        }
    };
    // Only the empty folder is left: all else was in the name space.
    std::fs::remove_dir_all(&base).map_err(at(&base)).and(result)
}

/// Whether this process is the one in name spaces of its own.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// The beginning of a command in name spaces of its own, where everything goes when its first process goes.
fn apart() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]);
    command
}

/// Whether a disk can be made here.
fn usable(base: &Path) -> Result<(), String> {
    for program in ["unshare", "mount", "umount", "mkfs.ext4"] {
        if !shell::has(program) {
            return Err(format!("no program {program}"));
        }
    }
    let script = "mount -t tmpfs -o size=64m none \"$1\" && mkdir \"$1/m\" && truncate -s 16m \"$1/i\" \
        && mkfs.ext4 -q -F \"$1/i\" && mount -o loop \"$1/i\" \"$1/m\" && umount \"$1/m\"";
    let output = apart().args(["sh", "-c", script, "sh"]).arg(base).stdin(Stdio::null()).output();
    let output = output.map_err(|cause| cause.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

/// Starts this program again, inside.
fn enter(programs: &Programs, options: &Options, base: &Path) -> Result<(), String> {
    let mut command = apart();
    command.arg(&programs.xtask).args(["campaign", "power", "--seed", &options.seed.to_string()]).env(INSIDE, base);
    for (name, value) in [("--only", options.only), ("--count", options.count)] {
        if let Some(value) = value {
            command.args([name, &value.to_string()]);
        }
    }
    if let Some(length) = options.length {
        command.args(["--hours", &(length.as_secs_f64() / 3600.0).to_string()]);
    }
    let status = command.status().map_err(|cause| format!("unshare: {cause}"))?;
    if status.success() { Ok(()) } else { Err("campaign power found something, see above".to_owned()) }
}

fn inside(programs: &Programs, options: &Options, base: &Path) -> Result<(), String> {
    let start = Instant::now();
    let memory = base.to_string_lossy();
    shell::run(&["mount", "-t", "tmpfs", "-o", "size=1g", "none", &memory])?;
    let mut totals = Totals::default();
    let mut number = options.only.unwrap_or(0);
    loop {
        round(programs, options.seed, number, base, &mut totals).map_err(|cause| {
            let seed = options.seed;
            format!("power, round {number}: {cause}\n  again: cargo xtask campaign power --seed {seed} --only {number}")
        })?;
        number += 1;
        let enough = match options.length {
            Some(length) => start.elapsed() >= length,
            None => totals.store_cuts + totals.run_cuts >= options.count.unwrap_or(CUTS),
        };
        if enough || options.only.is_some() {
            break;
        }
    }
    println!("cuts: {} under the store, {} under runs of the binary", totals.store_cuts, totals.run_cuts);
    println!("acknowledged appends and documents: {}, lost: 0", totals.acknowledged);
    println!("stores opened: all; sled built anew from the journal: {}", totals.rebuilt);
    println!("bytes of interrupted writes cut off: {}", totals.torn);
    println!("runs that ended as they should: {}, in doubt and asked about: {}", totals.runs, totals.probed);
    let found = totals.found;
    println!(
        "effects, each as often as expected: {} snapshots, {} files brought back, {} links, {} swaps",
        found.snapshots, found.files, found.links, found.swaps
    );
    println!("{:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn round(programs: &Programs, seed: u64, number: u64, base: &Path, totals: &mut Totals) -> Result<(), String> {
    let mut rng = Rng::new(seed, number);
    let mut disk = Disk::make(base, &base.join("disk"))?;
    if number.is_multiple_of(2) {
        store(programs, &mut disk, &mut rng, base, totals)
    } else {
        binary(programs, &mut disk, &mut rng, base, totals)
    }
}

/// The store alone: many runs at once, each append acknowledged in a file that is not on the disk.
fn store(programs: &Programs, disk: &mut Disk, rng: &mut Rng, base: &Path, totals: &mut Totals) -> Result<(), String> {
    let acknowledged = base.join("acknowledged");
    std::fs::write(&acknowledged, "").map_err(at(&acknowledged))?;
    let data = disk.mount.join("data");
    for _ in 0..1 + rng.below(CUTS_PER_ROUND) {
        let told = std::fs::OpenOptions::new().append(true).open(&acknowledged).map_err(at(&acknowledged))?;
        let writers = [1, 4, 32, 128].get(rng.below(4) as usize).copied().unwrap_or(4);
        let mut child = Command::new(&programs.writer)
            .args(["write", &data.to_string_lossy(), &writers.to_string()])
            .stdin(Stdio::null())
            .stdout(told)
            .spawn()
            .map_err(|cause| format!("the writer: {cause}"))?;
        if let Some(status) = wait(&mut child, rng.instant(WRITING_S))? {
            return Err(format!("the writer ended with {status}"));
        }
        disk.cut(&mut child)?;
        totals.store_cuts += 1;
        let output = Command::new(&programs.writer)
            .args(["check", &data.to_string_lossy(), &acknowledged.to_string_lossy()])
            .output()
            .map_err(|cause| format!("the check: {cause}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("after a cut: {text}{}", String::from_utf8_lossy(&output.stderr)));
        }
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        totals.rebuilt += number("rebuilt");
        totals.torn += number("torn");
    }
    let text = std::fs::read_to_string(&acknowledged).map_err(at(&acknowledged))?;
    totals.acknowledged += text.lines().count() as u64;
    Ok(())
}

/// A run of the binary with everything on the disk: its journal, its vaults, and the folders that it works on.
fn binary(programs: &Programs, disk: &mut Disk, rng: &mut Rng, base: &Path, totals: &mut Totals) -> Result<(), String> {
    let log: PathBuf = base.join("last.log");
    let world = World::make(&disk.mount, Plan::random(rng), programs, rng)?;
    // The machine was well for a while before the disaster.
    disk.settle()?;
    let mut history = History::default();
    for cut in 0..1 + rng.below(CUTS_PER_ROUND) {
        let words = world.go_on(history.run.as_deref(), rng);
        let mut child = world.start(&[], &words, &log)?;
        let longest = if cut == 0 { 2.0 * RUNNING_S } else { RUNNING_S };
        if let Some(status) = wait(&mut child, rng.instant(longest))? {
            history.look(&world, &log)?;
            if status.success() && history.ended() {
                break;
            }
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("'{}' ended with {status} before the cut:\n{text}", words.join(" ")));
        }
        disk.cut(&mut child)?;
        totals.run_cuts += 1;
        history.look(&world, &log)?;
    }
    if !history.ended() {
        let words = world.go_on(history.run.as_deref(), rng);
        finish(&mut world.start(&[], &words, &log)?, &log)?;
        totals.rebuilt += u64::from(std::fs::read_to_string(&log).unwrap_or_default().contains("built anew"));
        history.look(&world, &log)?;
    }
    totals.probed += history.close(&world)?.probed;
    totals.found.add(effects::check(&world)?);
    totals.runs += 1;
    Ok(())
}
