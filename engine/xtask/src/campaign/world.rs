//! A folder with all that a run needs, and the binary called in it with nothing else around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Programs;
use super::plan::{FILES, Plan, VAULTS};
use super::rng::Rng;

/// How long a command may take that nobody disturbs. Far more than it needs: it is there to find what hangs.
const PATIENCE: Duration = Duration::from_secs(180);

const OPERATOR: &str = "\
secret \"vault-password\" file=\"password\"
grant \"fs\" { dir \".\" write=#true }
";

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its exit status; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// A folder with a runbook.
#[derive(Clone, Debug)]
pub struct World {
    /// Where it is.
    pub root: PathBuf,
    /// What is run in it.
    pub plan: Plan,
    programs: Programs,
}

/// An error with the path it is about.
pub fn at(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |cause| format!("{}: {cause}", path.display())
}

impl World {
    /// Fills a folder.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn make(root: &Path, plan: Plan, programs: &Programs, rng: &mut Rng) -> Result<Self, String> {
        let world = Self { root: root.to_owned(), plan, programs: programs.clone() };
        for vault in VAULTS {
            world.folder(vault)?;
        }
        for chain in 0..world.plan.chains {
            world.folder(&format!("svc/back{chain}"))?;
            for file in 0..FILES {
                let folder = format!("live{chain}/part{}", file % 5);
                world.folder(&folder)?;
                // Some empty, most small, some large enough for several blobs.
                let length = [0, 700, 5_000, 40_000].get(rng.below(4) as usize).copied().unwrap_or(0);
                let length = if file == 7 { 2_500_000 } else { length };
                let mut bytes = vec![0; length];
                let key = rng.next().to_le_bytes();
                blake3::Hasher::new().update(&key).finalize_xof().fill(&mut bytes);
                world.write(&format!("{folder}/file{file}"), &bytes)?;
            }
        }
        for pair in 0..world.plan.pairs.len() {
            for side in ["a", "b"] {
                world.folder(&format!("svc/pair{pair}/{side}"))?;
                world.write(&format!("svc/pair{pair}/{side}/content"), format!("{pair} {side}").as_bytes())?;
            }
        }
        world.write("password", b"correct horse\n")?;
        world.write("lifeboat.kdl", OPERATOR.as_bytes())?;
        world.write("run.kdl", world.plan.runbook(root).as_bytes())?;
        Ok(world)
    }

    fn folder(&self, name: &str) -> Result<(), String> {
        let path = self.path(name);
        fs::create_dir_all(&path).map_err(at(&path))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(at(&path))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The words of the command that goes on: a new run where there is none, else a resume.
    pub fn go_on(&self, run: Option<&str>, rng: &mut Rng) -> Vec<String> {
        let words: Vec<&str> = match run {
            None => vec!["run", "-y", "run.kdl"],
            Some(run) if rng.percent(50) => vec!["resume", run],
            Some(_) => vec!["resume"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// A command, made to run under another program where one is given.
    pub fn command(&self, under: &[String], words: &[String]) -> Command {
        let binary = self.programs.lifeboat.to_string_lossy().into_owned();
        let line: Vec<&String> = under.iter().chain([&binary]).chain(words).collect();
        let mut command = Command::new(line.first().map_or("true", |program| program.as_str()));
        command
            .args(line.iter().skip(1))
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.root)
            .env("USER", "campaign")
            .env("LIFEBOAT_CACHE", &self.programs.cache)
            .stdin(Stdio::null());
        command
    }

    /// Starts a command; its lines go to the file, its own file so that nothing is lost with a pipe.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, under: &[String], words: &[String], log: &Path) -> Result<Child, String> {
        let err = fs::File::create(log).map_err(at(log))?;
        let mut command = self.command(under, words);
        command.stdout(Stdio::null()).stderr(err).spawn().map_err(|cause| format!("the binary: {cause}"))
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, words: &[&str]) -> Result<Ran, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let output = self.command(&[], &words).output().map_err(|cause| format!("the binary: {cause}"))?;
        Ok(Ran {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The standard output of a command that has to succeed.
    ///
    /// # Errors
    /// It did not.
    pub fn good(&self, words: &[&str]) -> Result<String, String> {
        let ran = self.run(words)?;
        if ran.code == Some(0) {
            return Ok(ran.out);
        }
        Err(format!("'lifeboat {}' ended with {:?}:\n{}{}", words.join(" "), ran.code, ran.out, ran.err))
    }
}

/// Waits for the end of a process, or until the time is over.
///
/// # Errors
/// The system refuses.
pub fn wait(child: &mut Child, time: Duration) -> Result<Option<ExitStatus>, String> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|cause| format!("waiting: {cause}"))? {
            return Ok(Some(status));
        }
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::sleep(left.min(Duration::from_millis(2)));
    }
}

/// Waits for the end of a process that nobody disturbs. It must end with 0.
///
/// # Errors
/// It hangs, and is killed; or it ended otherwise: with what it wrote.
pub fn finish(child: &mut Child, log: &Path) -> Result<(), String> {
    let status = wait(child, PATIENCE)?;
    if status.is_some_and(|status| status.success()) {
        return Ok(());
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    let Some(status) = status else {
        // Nothing can be done about a process that cannot even be killed.
        let _ = child.kill().and_then(|()| child.wait().map(drop));
        return Err(format!("a command hung for {} s:\n{text}", PATIENCE.as_secs()));
    };
    Err(format!("a command that nobody disturbed ended with {status}:\n{text}"))
}
