//! `cargo xtask campaign …`: the engine is broken on purpose, at random and reproducibly, and must end as if nothing had
//! happened.
//!
//! `cut`, `inject`, `sim` and `mutants` work in a simulated world. The others work on the real binary, on real folders, and
//! look at it from outside only: at its exit status, its lines, its events, and at what became of the folders.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::shell;

mod disk;
mod effects;
mod history;
mod kill;
mod plan;
mod power;
mod rng;
mod simulated;
mod strace;
mod world;

const HELP: &str = "\
cargo xtask campaign NAME [OPTION…]

  cut        generated plans: the log is cut after every event, taken up again, and must end the same
  inject     generated plans: every step fails, is unknown, times out, cannot be undone, is repeated
  sim        several runs, one engine after the other, stores that fail, engines that are overtaken: by seeds
  mutants    seven deliberate bugs, each of which the campaigns have to find
  kill       kill -9 of the binary at random instants of random runs, each resumed and killed again until it ends
  power      loss of power: the disk as it is at a random instant, under the store and under the binary
  inject-io  errors and kills at the n-th system call on the data folder, by strace

  --seed N   the first seed. Of cut, inject and sim it is 0, and each plan has the next one; of the others a new one is drawn.
             It is printed, and so is the command for each failure
  --only K   only the round with this number (kill, power, inject-io)
  --count N  how many plans, seeds, kills or cuts
  --hours H  go on for so long (kill, power)
";

/// Kills in one round of continuous integration.
const KILLS: u64 = 320;
/// Losses of power in one round of continuous integration.
const CUTS: u64 = 48;

/// What the command line asks of a campaign.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of all that is random.
    pub seed: u64,
    /// Only the round of that number.
    pub only: Option<u64>,
    /// Kills or cuts at least.
    pub count: Option<u64>,
    /// How long it goes on; without it, until the count is reached.
    pub length: Option<Duration>,
}

impl Options {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Short enough to be typed.
        Self { seed: u64::from(now.subsec_nanos() ^ std::process::id()), only: None, count: None, length: None }
    }

    fn read(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self::new();
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            let value = rest.next().ok_or_else(|| format!("{name} needs a value\n\n{HELP}"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{name}: '{value}' is no number"));
            match *name {
                "--seed" => options.seed = number()?,
                "--only" => options.only = Some(number()?),
                "--count" => options.count = Some(number()?),
                "--hours" => {
                    let hours = value.parse::<f64>().ok().filter(|hours| (0.0..10_000.0).contains(hours));
                    let hours = hours.ok_or_else(|| format!("--hours: '{value}' is no number of hours"))?;
                    options.length = Some(Duration::from_secs_f64(hours * 3600.0));
                }
                other => return Err(format!("there is no option '{other}'\n\n{HELP}")),
            }
        }
        Ok(options)
    }
}

/// The programs that the campaigns run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// This program: it starts itself anew in name spaces of its own.
    pub xtask: PathBuf,
    /// `lifeboat`.
    pub lifeboat: PathBuf,
    /// The campaigns in a simulated world.
    pub simulated: PathBuf,
    /// The example of the store that writes until it is stopped, and checks what is there.
    pub writer: PathBuf,
    /// Where compiled plugins are kept over all rounds.
    pub cache: PathBuf,
}

/// Builds what the campaigns run, and says where it is.
fn programs() -> Result<Programs, String> {
    let folder = shell::target();
    let programs = Programs {
        xtask: folder.join("release/xtask"),
        lifeboat: folder.join("release/lifeboat"),
        simulated: folder.join("release/lifeboat-campaign"),
        writer: folder.join("release/examples/durable_writer"),
        cache: folder.join("campaign-cache"),
    };
    if power::is_inside() {
        // It was built before.
        return Ok(programs);
    }
    // All of the workspace: a part of it takes other features of shared crates, and much would be built twice.
    shell::run(&["cargo", "build", "--release", "--locked", "--workspace", "--bins", "--examples", "--quiet"])?;
    Ok(programs)
}

/// Runs a campaign, or prints the list.
///
/// # Errors
/// What was found, with the command that shows it again; or a wrong command line.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    let Some((name, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    let campaign = match *name {
        name if simulated::NAMES.contains(&name) => return simulated::run(&programs()?, name, rest),
        "kill" => kill::run,
        "power" => power::run,
        "inject-io" => strace::run,
        other => return Err(format!("there is no campaign '{other}'\n\n{HELP}")),
    };
    let options = Options::read(rest)?;
    campaign(&programs()?, &options)
}

/// The campaigns of continuous integration, with its sizes.
///
/// # Errors
/// What was found.
pub fn ci() -> Result<(), String> {
    let programs = programs()?;
    let simulated = simulated::NAMES.iter().filter_map(|name| simulated::run(&programs, name, &[]).err());
    let mut found: Vec<String> = simulated.collect();
    for campaign in [kill::run, strace::run, power::run] {
        // One after the other: each makes the machine busy by itself.
        found.extend(campaign(&programs, &Options::new()).err());
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}
