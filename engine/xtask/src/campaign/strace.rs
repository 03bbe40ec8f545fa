//! Errors and kills at the n-th system call on the data folder, put there by strace: the disk refuses, is full, or the
//! process dies in the middle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::effects;
use super::history::History;
use super::plan::Plan;
use super::rng::Rng;
use super::world::{World, at, finish, wait};
use super::{Options, Programs};
use crate::shell;

/// How long a command may take that is traced. It is there to find what hangs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Where the calls are counted, below the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The journal, the format and the folders: what is acknowledged rests on them.
    Journal,
    /// sled: it may fail, nothing rests on it.
    State,
}

impl Place {
    const fn paths(self) -> &'static [&'static str] {
        match self {
            Place::Journal => &["", "FORMAT.new", "journal", "journal/0000000001.seg", "journal/0000000002.seg"],
            Place::State => &["state", "state/db", "state/conf"],
        }
    }
}

/// A system call, what happens to it, and where.
type Kind = (&'static str, &'static str, Place);

const KINDS: [Kind; 13] = [
    ("fdatasync", "error=EIO", Place::Journal),
    ("fdatasync", "error=ENOSPC", Place::Journal),
    ("fdatasync", "signal=KILL", Place::Journal),
    ("pwrite64", "error=EIO", Place::Journal),
    ("pwrite64", "error=ENOSPC", Place::Journal),
    ("pwrite64", "signal=KILL", Place::Journal),
    ("fallocate", "error=EIO", Place::Journal),
    ("fallocate", "error=ENOSPC", Place::Journal),
    ("fsync", "error=EIO", Place::Journal),
    ("fsync", "signal=KILL", Place::Journal),
    ("pwrite64", "error=EIO", Place::State),
    ("pwrite64", "error=ENOSPC", Place::State),
    ("pwrite64", "signal=KILL", Place::State),
];

/// One injection.
#[derive(Clone, Copy, Debug)]
struct Case {
    kind: Kind,
    when: usize,
}

/// How often it came to what.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    cases: u64,
    hit: u64,
    /// Ended by the kill.
    killed: u64,
    /// Ended with a coded error.
    refused: u64,
    /// The run went on to its end all the same.
    survived: u64,
}

/// Runs the campaign.
///
/// # Errors
/// What was found, with the command that shows it again.
pub fn run(programs: &Programs, options: &Options) -> Result<(), String> {
    shell::ensure(&[("strace", "strace")])?;
    let start = Instant::now();
    println!("campaign inject-io, seed {}", options.seed);
    let base = std::env::temp_dir().join(format!("lifeboat-inject-{}", std::process::id()));
    if let Err(cause) = traceable() {
        println!("skipped: {} kinds of injection: no process can be traced here ({cause})", KINDS.len());
        return Ok(());
    }
    let cases = cases(programs, options.seed, &base)?;
    let next = AtomicUsize::new(0);
    let tallies = Mutex::new([Tally::default(); KINDS.len()]);
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some((number, case)) = pick(&cases, &next, options.only) {
            let root = base.join(number.to_string());
            match inject(programs, options.seed, case, &root) {
                Ok(found) => {
                    let mut all = tallies.lock().unwrap_or_else(PoisonError::into_inner);
                    let place = KINDS.iter().position(|kind| *kind == case.kind).and_then(|at| all.get_mut(at));
                    if let Some(tally) = place {
                        tally.add(found);
                    }
                    let _ = std::fs::remove_dir_all(&root);
                }
                Err(cause) => failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!(
                    "inject-io, {case:?}: {cause}\n  left in {}\n  again: cargo xtask campaign inject-io --seed {} --only {number}",
                    root.display(),
                    options.seed
                )),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    tell(&tallies.into_inner().unwrap_or_else(PoisonError::into_inner), start);
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() { std::fs::remove_dir_all(&base).map_err(at(&base)) } else { Err(failures.join("\n")) }
}

/// The next case, with its number.
fn pick(cases: &[Case], next: &AtomicUsize, only: Option<u64>) -> Option<(usize, Case)> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let case = cases.get(number)?;
        if only.is_none_or(|only| only == number as u64) {
            return Some((number, *case));
        }
    }
}

fn traceable() -> Result<(), String> {
    let output = shell::command(&["strace", "-f", "-o", "/dev/null", "true"]).output();
    let output = output.map_err(|cause| cause.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

fn world(programs: &Programs, seed: u64, root: &Path) -> Result<World, String> {
    // The same for all cases: what is counted in one has to be there in the others.
    let mut rng = Rng::new(seed, 0);
    let world = World::make(root, Plan::small(&mut rng), programs, &mut rng)?;
    for path in [".lifeboat/journal", ".lifeboat/state"] {
        // strace wants the paths that it watches to have an end in the folders that are there.
        std::fs::create_dir_all(root.join(path)).map_err(at(root))?;
    }
    Ok(world)
}

/// The words before a traced command.
fn tracer(root: &Path, place: Place, what: &[&str]) -> Vec<String> {
    let trace = root.join("trace.log").to_string_lossy().into_owned();
    let mut words: Vec<String> = ["strace", "-f", "-qq", "-o", &trace].iter().map(|word| (*word).to_owned()).collect();
    for path in place.paths() {
        words.extend(["-P".to_owned(), root.join(".lifeboat").join(path).to_string_lossy().into_owned()]);
    }
    words.extend(what.iter().map(|word| (*word).to_owned()));
    words
}

/// Counts the calls of a run that nobody disturbs, and makes a case for each.
fn cases(programs: &Programs, seed: u64, base: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for place in [Place::Journal, Place::State] {
        let root = base.join(format!("count-{place:?}"));
        let world = world(programs, seed, &root)?;
        let log = root.join("last.log");
        let under = tracer(&root, place, &["-e", "trace=fdatasync,fsync,fallocate,pwrite64"]);
        let words = world.go_on(None, &mut Rng::new(seed, 1));
        finish(&mut world.start(&under, &words, &log)?, &log)?;
        let text = std::fs::read_to_string(root.join("trace.log")).map_err(at(&root))?;
        for kind in KINDS.iter().filter(|kind| kind.2 == place) {
            // strace counts for each thread, so the thread that makes most calls says how many cases there are.
            let call = format!(" {}(", kind.0);
            let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
            for line in text.lines().filter(|line| line.contains(&call)) {
                *calls.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
            }
            let last = calls.into_values().max().unwrap_or(0);
            cases.extend((1..=last).map(|when| Case { kind: *kind, when }));
        }
        std::fs::remove_dir_all(&root).map_err(at(&root))?;
    }
    Ok(cases)
}

fn inject(programs: &Programs, seed: u64, case: Case, root: &Path) -> Result<Tally, String> {
    let world = world(programs, seed, root)?;
    let log: PathBuf = root.join("last.log");
    let (call, what, place) = case.kind;
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{what}:when={}", case.when));
    let mut options = vec!["-e", &trace, "-e", &inject];
    if !what.starts_with("signal") {
        // Faster, as the other calls are not stopped at; but a signal cannot be injected that way.
        options.push("--seccomp-bpf");
    }
    let mut rng = Rng::new(seed, 1);
    let words = world.go_on(None, &mut rng);
    let mut child = world.start(&tracer(root, place, &options), &words, &log)?;
    let Some(status) = wait(&mut child, PATIENCE)? else {
        let _ = child.kill().and_then(|()| child.wait().map(drop));
        return Err("the run hung".to_owned());
    };
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let trace = std::fs::read_to_string(root.join("trace.log")).unwrap_or_default();
    let mut tally = Tally { cases: 1, ..Tally::default() };
    if what.starts_with("signal") {
        // strace ends as its child does; a shell would say 137.
        tally.killed = u64::from(trace.contains("killed by SIGKILL"));
        tally.hit = tally.killed;
    } else {
        tally.hit = u64::from(trace.contains("(INJECTED)"));
        let coded = text.contains("error[LB06");
        tally.refused = u64::from(coded && status.code().is_some_and(|code| code != 0));
        tally.survived = u64::from(status.success());
        let may_survive = tally.hit == 0
            || place == Place::State
            || (call, what) == ("fallocate", "error=ENOSPC")
            || is_last_write(&trace, call);
        if tally.refused == 0 && !(tally.survived > 0 && may_survive) {
            return Err(format!("the run ended with {status}, and this:\n{text}"));
        }
    }
    let mut history = History::default();
    history.look(&world, &log)?;
    if !history.ended() {
        let words = world.go_on(history.run.as_deref(), &mut rng);
        finish(&mut world.start(&[], &words, &log)?, &log)?;
        history.look(&world, &log)?;
    }
    history.close(&world)?;
    effects::check(&world)?;
    Ok(tally)
}

/// Whether nothing of that kind was called after the error. The last thing that a run writes, after its end, is that its locks are free;
/// they are free all the same, and so its failure is nobody's.
fn is_last_write(trace: &str, call: &str) -> bool {
    let after = trace.split_once("(INJECTED)").map_or("", |(_, after)| after);
    !after.contains(&format!(" {call}("))
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.hit += other.hit;
        self.killed += other.killed;
        self.refused += other.refused;
        self.survived += other.survived;
    }
}

fn tell(tallies: &[Tally], start: Instant) {
    println!("\n{:<34} {:>5} {:>5} {:>7} {:>8} {:>9}", "injection", "cases", "hit", "killed", "LB06xx", "survived");
    let mut all = Tally::default();
    for ((call, what, place), tally) in KINDS.iter().zip(tallies) {
        line(&format!("{call} {what} ({place:?})"), *tally);
        all.add(*tally);
    }
    line("all", all);
    println!("each went on with the next command and ended as it should; {:.0} s", start.elapsed().as_secs_f64());
}

fn line(name: &str, tally: Tally) {
    let Tally { cases, hit, killed, refused, survived } = tally;
    println!("{name:<34} {cases:>5} {hit:>5} {killed:>7} {refused:>8} {survived:>9}");
}
