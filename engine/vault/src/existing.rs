//! What is in a destination already, compared with what should be there by content, never by time or size alone.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use lifeboat_core::Failure;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::blobs::Blob;
use crate::cipher::sha256;
use crate::watch::Watch;

/// What is in the place of a file.
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// Something else than a plain file, or a file that cannot be read.
    Other,
    /// A plain file.
    File {
        /// Which blobs are right where they are.
        right: Vec<bool>,
        /// Its length.
        length: u64,
        /// How many names it has.
        links: u64,
    },
}

/// Looks at the place of a file.
pub(crate) fn look(dir: &OwnedFd, name: &std::ffi::OsStr, blobs: &[&Blob], watch: &Watch) -> Result<Found, Failure> {
    let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(Found::Nothing) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(Found::Other);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::openat(dir, name, flags, Mode::empty()) else { return Ok(Found::Other) };
    let length = u64::try_from(stat.st_size).unwrap_or_default();
    #[allow(clippy::unnecessary_cast, reason = "the width differs between architectures")]
    let links = stat.st_nlink as u64;
    let right = compare(&File::from(fd), length, blobs, watch)?;
    Ok(Found::File { right, length, links })
}

/// Which blobs are in the file where they should be.
fn compare(file: &File, length: u64, blobs: &[&Blob], watch: &Watch) -> Result<Vec<bool>, Failure> {
    let mut right = Vec::with_capacity(blobs.len());
    let mut offset = 0u64;
    let mut buffer = Vec::new();
    for blob in blobs {
        watch.go_on()?;
        let size = u64::from(blob.size());
        let within = offset + size <= length;
        if within {
            buffer.resize(usize::try_from(size).unwrap_or_default(), 0);
        }
        let same = within && file.read_exact_at(&mut buffer, offset).is_ok() && sha256(&buffer) == blob.id;
        right.push(same);
        offset += size;
    }
    Ok(right)
}
