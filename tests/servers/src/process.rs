//! Processes: started, looked at, ended by their id.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::launch::Launch;

/// How long a server may take to end by itself before it is killed.
const MANNERS: Duration = Duration::from_secs(15);

/// Variables that would reach into a server: Go programs die of a foreign bundle of authorities, and none of them has to
/// talk to anybody outside.
const UNSET: [&str; 12] = [
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// The command of a server, with its output in a file.
pub fn command(launch: &Launch, folder: &Path, log: &Path, ends_with_us: bool) -> Result<Command, String> {
    let mut command = if ends_with_us {
        // The kernel kills it when the thread that started it is gone, however that came about.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&launch.program);
        command
    } else {
        Command::new(&launch.program)
    };
    let out = File::options().create(true).append(true).open(log);
    let out = out.map_err(|error| format!("{}: {error}", log.display()))?;
    let err = out.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
    command.args(&launch.arguments).current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(err);
    for name in UNSET {
        command.env_remove(name);
    }
    command.env("HOME", folder).envs(launch.variables.iter().map(|(name, value)| (*name, value)));
    Ok(command)
}

type Order = (Command, Sender<Result<Child, String>>);

/// The thread that starts children: it lives as long as this process, so that they do, too, and not only as long as the
/// thread of a test that was the first to need one.
static STARTER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            let child = command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()));
            // Nobody waits for the answer any more: then nobody can use the child either, and dropping it would leave it.
            if let Err(unread) = answer.send(child)
                && let Ok(mut child) = unread.0
            {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    });
    Mutex::new(orders)
});

/// Starts a child that ends with this process.
pub fn spawn(command: Command) -> Result<Child, String> {
    let (answer, inbox) = channel();
    let gone = |_| "the thread that starts servers is gone".to_owned();
    {
        let starter = STARTER.lock().map_err(|_| "the thread that starts servers is gone".to_owned())?;
        starter.send((command, answer)).map_err(|error| gone(error.to_string()))?;
    }
    inbox.recv().map_err(|error| gone(error.to_string()))?
}

/// Asks a child to end, and kills it if it does not.
pub fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let start = Instant::now();
    while start.elapsed() < MANNERS {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// When a process began, in ticks since the machine did: with its id it names a process, also when the id is given anew.
pub fn born(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program is in parentheses and may hold anything.
    let mut rest = text.rsplit_once(") ")?.1.split(' ');
    if rest.next()? == "Z" {
        return None;
    }
    // The state was the third field of the file, this is the twenty-second.
    rest.nth(18)?.parse().ok()
}

/// Ends a process that is nobody's child any more.
pub fn end_by_id(pid: u32, birth: u64) {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let start = Instant::now();
    let mut signal = Signal::TERM;
    while born(pid) == Some(birth) {
        let _ = kill_process(id, signal);
        std::thread::sleep(Duration::from_millis(50));
        if start.elapsed() > MANNERS {
            signal = Signal::KILL;
        }
    }
}
