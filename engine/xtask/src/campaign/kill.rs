//! `kill -9`: runs of the real binary, killed at random instants, taken up again and killed again, until they end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::effects::{self, Effects};
use super::history::{History, Sums};
use super::plan::Plan;
use super::rng::Rng;
use super::world::{World, at, finish, wait};
use super::{KILLS, Options, Programs};

/// Rounds at once: more than one makes the instants more varied, and uses the processors.
const WORKERS: u64 = 2;
/// Kills of one run at most; after that it may end.
const KILLS_PER_RUN: u64 = 16;
/// How often in a hundred the rebuildable state is deleted between two commands.
const STATE_LOST: u64 = 7;

/// How often in a hundred a kill comes after a line of the command, and not after a time.
const BY_LINE: u64 = 45;

/// What all rounds came to.
#[derive(Debug, Default)]
struct Totals {
    kills: u64,
    runs: u64,
    states: u64,
    phases: BTreeMap<String, u64>,
    sums: Sums,
    found: Effects,
    steps: u64,
    failures: Vec<String>,
}

/// Runs the campaign.
///
/// # Errors
/// What was found, with the command that shows it again.
pub fn run(programs: &Programs, options: &Options) -> Result<(), String> {
    let start = Instant::now();
    println!("campaign kill, seed {}", options.seed);
    let base = std::env::temp_dir().join(format!("lifeboat-kill-{}", std::process::id()));
    let length = measure(programs, options.seed, &base)?;
    println!("a run that nobody disturbs takes {length:.1} s");
    let totals = Mutex::new(Totals::default());
    let next = AtomicU64::new(0);
    let more = |totals: &Totals| match (options.length, totals.failures.is_empty()) {
        (_, false) => false,
        (Some(length), _) => start.elapsed() < length,
        (None, _) => totals.kills < options.count.unwrap_or(KILLS),
    };
    let work = || {
        while more(&lock(&totals)) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            one(programs, options.seed, number, length, &base, &totals);
        }
    };
    match options.only {
        Some(number) => one(programs, options.seed, number, length, &base, &totals),
        None => std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(work);
            }
        }),
    }
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    tell(&totals, start);
    if totals.failures.is_empty() {
        std::fs::remove_dir_all(&base).map_err(at(&base))
    } else {
        Err(totals.failures.join("\n"))
    }
}

fn lock(totals: &Mutex<Totals>) -> std::sync::MutexGuard<'_, Totals> {
    totals.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds of a run that nobody disturbs. It also compiles the plugins, once for all that follow.
fn measure(programs: &Programs, seed: u64, base: &Path) -> Result<f64, String> {
    let mut rng = Rng::new(seed, u64::MAX);
    let root = base.join("measure");
    let world = World::make(&root, Plan::random(&mut rng), programs, &mut rng)?;
    world.good(&["check", "run.kdl"])?;
    let start = Instant::now();
    world.good(&["run", "-y", "run.kdl"])?;
    let length = start.elapsed().as_secs_f64();
    effects::check(&world).map_err(|cause| format!("without any kill: {cause}"))?;
    std::fs::remove_dir_all(&root).map_err(at(&root))?;
    Ok(length)
}

/// One round, with its outcome in the totals.
fn one(programs: &Programs, seed: u64, number: u64, length: f64, base: &Path, totals: &Mutex<Totals>) {
    let root = base.join(number.to_string());
    let mut round = Round { history: History::default(), totals: Totals::default(), log: root.join("last.log") };
    let result = round.go(programs, &mut Rng::new(seed, number), length, &root);
    let mut totals = lock(totals);
    totals.kills += round.totals.kills;
    totals.states += round.totals.states;
    for (phase, count) in round.totals.phases {
        *totals.phases.entry(phase).or_default() += count;
    }
    match result {
        Ok((world, sums, found)) => {
            totals.runs += 1;
            totals.steps += world.plan.steps.len() as u64;
            totals.sums.probed += sums.probed;
            totals.sums.again += sums.again;
            totals.sums.repeated += sums.repeated;
            totals.found.add(found);
            // What is left of a good round is not worth a look.
            let _ = std::fs::remove_dir_all(&root);
        }
        Err(cause) => totals.failures.push(format!(
            "kill, round {number}: {cause}\n  left in {}\n  again: cargo xtask campaign kill --seed {seed} --only {number}",
            root.display()
        )),
    }
}

struct Round {
    history: History,
    totals: Totals,
    log: PathBuf,
}

impl Round {
    fn go(
        &mut self,
        programs: &Programs,
        rng: &mut Rng,
        length: f64,
        root: &Path,
    ) -> Result<(World, Sums, Effects), String> {
        let plan = Plan::random(rng);
        let world = World::make(root, plan, programs, rng)?;
        let kills = 4 + rng.below(KILLS_PER_RUN - 3);
        for _ in 0..kills {
            let words = world.go_on(self.history.run.as_deref(), rng);
            let instant = rng.instant(if self.history.run.is_none() { length } else { length / 3.0 });
            let line = rng.percent(BY_LINE).then(|| (1 + rng.below(7), rng.below(6_000)));
            let mut child = world.start(&[], &words, &self.log)?;
            let ended = match line {
                None => wait(&mut child, instant)?,
                Some((lines, then)) => self.line(&mut child, lines, then)?,
            };
            if let Some(status) = ended {
                self.history.look(&world, &self.log)?;
                if status.success() && self.history.ended() {
                    break;
                }
                let text = std::fs::read_to_string(&self.log).unwrap_or_default();
                return Err(format!("'{}' ended with {status} before it was killed:\n{text}", words.join(" ")));
            }
            child.kill().and_then(|()| child.wait()).map_err(|cause| format!("killing: {cause}"))?;
            self.totals.kills += 1;
            let phase = self.history.look(&world, &self.log)?;
            *self.totals.phases.entry(phase).or_default() += 1;
            if rng.percent(STATE_LOST) && std::fs::remove_dir_all(world.path(".lifeboat/state")).is_ok() {
                self.totals.states += 1;
            }
        }
        let words = world.go_on(self.history.run.as_deref(), rng);
        // The first command for a run that has ended would be a second run, but then it is known by its name.
        finish(&mut world.start(&[], &words, &self.log)?, &self.log)?;
        self.history.look(&world, &self.log)?;
        let sums = self.history.close(&world)?;
        let found = effects::check(&world)?;
        Ok((world, sums, found))
    }
}

impl Round {
    /// Waits until the command has printed so many lines, and a few microseconds more: what it does between two lines
    /// may be over in a millisecond, and an instant chosen blindly would seldom hit it.
    fn line(&self, child: &mut Child, lines: u64, then_us: u64) -> Result<Option<ExitStatus>, String> {
        loop {
            let text = std::fs::read(&self.log).unwrap_or_default();
            if text.iter().filter(|byte| **byte == b'\n').count() as u64 >= lines {
                return wait(child, Duration::from_micros(then_us));
            }
            if let Some(status) = wait(child, Duration::from_micros(300))? {
                return Ok(Some(status));
            }
        }
    }
}

fn tell(totals: &Totals, start: Instant) {
    println!("\nthe last event before the kill      kills");
    for (phase, count) in &totals.phases {
        println!("  {phase:<32} {count:>6}");
    }
    println!("  {:<32} {:>6}", "all", totals.kills);
    let (sums, found) = (totals.sums, totals.found);
    println!("runs that ended as they should: {} with {} steps", totals.runs, totals.steps);
    println!("rebuildable state deleted between two commands: {}", totals.states);
    println!("in doubt and asked about: {}, of these started again: {}", sums.probed, sums.again);
    println!("finished steps repeated: {}", sums.repeated);
    println!(
        "effects, each as often as expected: {} snapshots, {} files brought back, {} links, {} swaps",
        found.snapshots, found.files, found.links, found.swaps
    );
    println!("temporary files left in vaults, out of sight: {}", found.strays);
    println!("{:.0} s", start.elapsed().as_secs_f64());
}
