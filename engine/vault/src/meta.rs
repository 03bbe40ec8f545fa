//! Giving restored entries their owner, mode, attributes and times.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use lifeboat_core::Failure;
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::Metadata;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error;
use crate::node::{permissions_from_go, proc_path};
use crate::watch::Watch;

/// Gives an entry what its snapshot says of it. The owner comes before the mode, because a change of owner clears
/// set-id bits, and the times come last.
pub(crate) fn apply(
    dir: &OwnedFd,
    name: &OsStr,
    path: &Path,
    meta: &Metadata,
    is_link: bool,
    watch: &Watch,
) -> Result<(), Failure> {
    owner(dir, name, meta).map_err(|cause| error::io("set the owner of", path, &cause.into()))?;
    if !is_link && let Some(go) = meta.mode {
        // The entry was made or looked at by us a moment ago. A link swapped in since then would be followed by a plain
        // chmod, so the path goes through the entry's own handle.
        mode(dir, name, permissions_from_go(go)).map_err(|cause| error::io("set the mode of", path, &cause.into()))?;
    }
    attributes(dir, name, path, meta, watch)?;
    if let Some(mtime) = meta.mtime {
        let times =
            Timestamps { last_access: timespec(meta.atime.unwrap_or(mtime)), last_modification: timespec(mtime) };
        rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|cause| error::io("set the times of", path, &cause.into()))?;
    }
    Ok(())
}

fn timespec(time: Timestamp) -> Timespec {
    // A time before 1970 has a negative fraction there, and whole seconds with a positive one here.
    let (seconds, nanoseconds) = (time.as_second(), i64::from(time.subsec_nanosecond()));
    let borrow = i64::from(nanoseconds < 0);
    #[allow(clippy::useless_conversion, reason = "the width differs between architectures")]
    Timespec { tv_sec: seconds - borrow, tv_nsec: (nanoseconds + borrow * 1_000_000_000).into() }
}

fn owner(dir: &OwnedFd, name: &OsStr, meta: &Metadata) -> Result<(), Errno> {
    let (uid, gid) = (meta.uid.map(Uid::from_raw), meta.gid.map(Gid::from_raw));
    match rustix::fs::chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW) {
        // Only root gives files away. Anybody else restores what is then their own, as with stock restic.
        Err(Errno::PERM) if !rustix::process::geteuid().is_root() => Ok(()),
        other => other,
    }
}

fn mode(dir: &OwnedFd, name: &OsStr, mode: u32) -> Result<(), Errno> {
    use rustix::fs::OFlags;
    // A handle that only names the entry: no reading right is needed, nothing is followed.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let itself = proc_path(&entry, OsStr::new(""));
    let itself = itself.to_string_lossy();
    rustix::fs::chmod(itself.trim_end_matches('/'), Mode::from_raw_mode(mode))
}

fn attributes(dir: &OwnedFd, name: &OsStr, path: &Path, meta: &Metadata, watch: &Watch) -> Result<(), Failure> {
    if meta.extended_attributes.is_empty() {
        return Ok(());
    }
    let at = proc_path(dir, name);
    for attribute in &meta.extended_attributes {
        let value = attribute.value.as_deref().unwrap_or_default();
        match rustix::fs::lsetxattr(at.as_os_str(), attribute.name.as_str(), value, XattrFlags::empty()) {
            Ok(()) => {}
            // The file system or the user may not have such attributes; the content is right all the same.
            Err(cause @ (Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS)) => {
                watch.log("warn", &format!("'{}': attribute {} not set: {cause}", path.display(), attribute.name));
            }
            Err(cause) => return Err(error::io("set the attributes of", path, &cause.into())),
        }
    }
    Ok(())
}
