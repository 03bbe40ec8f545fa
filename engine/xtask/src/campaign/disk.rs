//! A disk that can lose its power: a file system in an image in memory. What the image holds at an instant is what a disk
//! would hold that was handed those writes and no others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::world::at;

/// The size of the image: enough for the journal, the vaults and what is brought back, and little to copy.
const IMAGE_BYTES: u64 = 112 * 1024 * 1024;
/// How long all threads may take to stop, and a file system to become free.
const SOON: Duration = Duration::from_secs(20);

/// A disk.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    /// Where it is mounted.
    pub mount: PathBuf,
    mounted: bool,
}

fn call(program: &str, words: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(words).output().map_err(|cause| format!("{program}: {cause}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

impl Disk {
    /// An empty disk, with its image in a folder in memory.
    ///
    /// # Errors
    /// It cannot be made here.
    pub fn make(memory: &Path, mount: &Path) -> Result<Self, String> {
        let image = memory.join("image");
        fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES)).map_err(at(&image))?;
        let text = image.to_string_lossy();
        // Nothing is left for the kernel to do behind our back.
        call("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", &text])?;
        fs::create_dir_all(mount).map_err(at(mount))?;
        let mut disk = Self { image, mount: mount.to_owned(), mounted: false };
        disk.mount()?;
        Ok(disk)
    }

    fn mount(&mut self) -> Result<(), String> {
        call("mount", &["-o", "loop", &self.image.to_string_lossy(), &self.mount.to_string_lossy()])?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<(), String> {
        let start = Instant::now();
        // It stays busy for a moment after the last process.
        while let Err(cause) = call("umount", &[&self.mount.to_string_lossy()]) {
            if start.elapsed() > SOON {
                return Err(cause);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.mounted = false;
        Ok(())
    }

    /// Makes all that is on it durable.
    ///
    /// # Errors
    /// It cannot be mounted again.
    pub fn settle(&mut self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    /// The power goes: the process is stopped, all its threads, and what the disk holds at that instant is all that stays.
    /// The disk is then mounted again, as after a start of the machine.
    ///
    /// # Errors
    /// The process ended before, or something here failed.
    pub fn cut(&mut self, child: &mut Child) -> Result<(), String> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("the process has no number")?;
        kill_process(pid, Signal::STOP).map_err(|cause| format!("stopping: {cause}"))?;
        stopped(child)?;
        let copy = self.image.with_extension("copy");
        fs::copy(&self.image, &copy).map_err(at(&copy))?;
        child.kill().and_then(|()| child.wait()).map_err(|cause| format!("killing: {cause}"))?;
        self.unmount()?;
        fs::rename(&copy, &self.image).map_err(at(&copy))?;
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted && self.unmount().is_err() {
            // The loop device goes with the mount, and the mount with the name space: nothing is left in the end.
            let _ = call("umount", &["--lazy", &self.mount.to_string_lossy()]);
        }
    }
}

/// Waits until every thread of the process stands still.
fn stopped(child: &Child) -> Result<(), String> {
    let tasks = PathBuf::from(format!("/proc/{}/task", child.id()));
    let start = Instant::now();
    loop {
        let mut running = 0;
        for task in fs::read_dir(&tasks).map_err(at(&tasks))? {
            let path = task.map_err(at(&tasks))?.path().join("stat");
            // A thread that is gone does not run.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            // The name stands in brackets, and may hold anything.
            let state = text.rsplit_once(')').map_or("", |(_, rest)| rest).trim_start();
            running += u64::from(!state.starts_with(['T', 't', 'Z', 'X']));
        }
        if running == 0 {
            return Ok(());
        }
        if start.elapsed() > SOON {
            return Err(format!("{running} threads do not stop"));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
