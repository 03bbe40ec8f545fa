//! A server as the child of a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::launch::{Launch, is_ready, launch, ports as port_count};
use crate::{Access, Kind, ports, process};

/// How long a start may take on a machine that is busy.
const START_MAX: Duration = Duration::from_secs(90);
/// Another process may take a port between our look and the server's.
const TRIES: u32 = 4;

/// A server that ends when this is dropped, or when the process ends in any way.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    folder: PathBuf,
    ports: Vec<u16>,
    access: Access,
    child: Option<Child>,
}

impl Server {
    /// Starts one with its data in a folder, and returns when it can be used. What the folder holds of an earlier one is
    /// there again, at the same address if that is free.
    ///
    /// # Errors
    /// It is not installed, it ended, or it does not answer in 90 s; with the end of its log.
    pub fn start(kind: Kind, folder: &Path) -> Result<Self, String> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let ports = choose(kind, folder)?;
            let access = launch(kind, folder, &ports)?.access;
            let mut server = Self { kind, folder: folder.to_owned(), ports, access, child: None };
            match server.start_again() {
                Ok(()) => return Ok(server),
                Err(error) => last = error,
            }
            // With other ports.
            let _ = fs::remove_file(folder.join(PORTS));
        }
        Err(last)
    }

    /// Address and credentials.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// `kill -9`. Returns when it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::end(&mut child);
        }
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`]: the same data, the same address. Returns when it can be used.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_again(&mut self) -> Result<(), String> {
        self.kill();
        let launch = launch(self.kind, &self.folder, &self.ports)?;
        let log = self.folder.join(LOG);
        self.child = Some(process::spawn(process::command(&launch, &self.folder, &log, true)?)?);
        let result = self.wait();
        if result.is_err() {
            self.kill();
        }
        result
    }

    /// The file with what it wrote to its streams.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// Its process, to be stopped with SIGSTOP and the like; nothing while it is down.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn wait(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < START_MAX {
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                return Err(format!("{} ended with {status}\n{}", self.kind.product(), tail(&self.folder)));
            }
            if is_ready(self.kind, &self.ports) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} does not answer\n{}", self.kind.product(), tail(&self.folder)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

const PORTS: &str = "ports.json";
pub(crate) const LOG: &str = "server.log";

/// The ports that a folder's server had, where they are free, and else others.
pub(crate) fn choose(kind: Kind, folder: &Path) -> Result<Vec<u16>, String> {
    let path = folder.join(PORTS);
    let before: Vec<u16> =
        fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    if before.len() == port_count(kind) && before.iter().all(|port| ports::is_free(*port)) {
        return Ok(before);
    }
    let ports = ports::free(port_count(kind))?;
    crate::install::make(folder)?;
    let text = serde_json::to_vec(&ports).map_err(|error| error.to_string())?;
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(ports)
}

/// The end of its log, for a message.
pub(crate) fn tail(folder: &Path) -> String {
    let text = fs::read(folder.join(LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
}

/// What is started for a person: it has no child to look after.
pub(crate) fn prepare(kind: Kind, folder: &Path) -> Result<(Vec<u16>, Launch), String> {
    let ports = choose(kind, folder)?;
    let launch = launch(kind, folder, &ports)?;
    Ok((ports, launch))
}
