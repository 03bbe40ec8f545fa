//! What a snapshot says of a file: mode, times, owner, links, extended attributes; in restic's terms.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::unistd::{Gid, Group, Uid, User};
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::Metadata;
use rustix::fs::{FileType, Stat};

/// Bits of a mode as Go has them (<https://pkg.go.dev/io/fs#FileMode>); restic writes them into its trees.
const GO_BITS: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];

/// A Unix mode in Go's terms.
fn mode_to_go(mode: u32) -> u32 {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 1 << 31,
        FileType::Symlink => 1 << 27,
        FileType::BlockDevice => 1 << 26,
        FileType::CharacterDevice => (1 << 26) | (1 << 21),
        FileType::Fifo => 1 << 25,
        FileType::Socket => 1 << 24,
        _ => 0,
    };
    GO_BITS.iter().fold(kind | (mode & 0o777), |go, (unix, bit)| if mode & unix == 0 { go } else { go | bit })
}

/// The permission bits of a mode in Go's terms, as Unix has them, with set-id and sticky bits.
pub(crate) fn permissions_from_go(go: u32) -> u32 {
    GO_BITS.iter().fold(go & 0o777, |mode, (unix, bit)| if go & bit == 0 { mode } else { mode | unix })
}

/// Names of users and groups, each looked up once.
#[derive(Default)]
pub(crate) struct Names {
    users: Mutex<HashMap<u32, Option<String>>>,
    groups: Mutex<HashMap<u32, Option<String>>>,
}

/// The name of a user, where there is one.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

fn group_name(gid: u32) -> Option<String> {
    Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name)
}

fn cached(map: &Mutex<HashMap<u32, Option<String>>>, id: u32, find: fn(u32) -> Option<String>) -> Option<String> {
    map.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert_with(|| find(id)).clone()
}

impl Names {
    /// The metadata of an entry, without its extended attributes. The access time is the time of change, as stock
    /// restic has it by default: reading a file must not make its tree differ.
    pub(crate) fn metadata(&self, stat: &Stat) -> Metadata {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mtime = timestamp(stat.st_mtime, stat.st_mtime_nsec);
        let is_dir = kind == FileType::Directory;
        #[allow(clippy::unnecessary_cast, reason = "the width differs between architectures")]
        let links = if is_dir { 0 } else { stat.st_nlink as u64 };
        Metadata {
            mode: Some(mode_to_go(stat.st_mode)),
            mtime,
            atime: mtime,
            ctime: timestamp(stat.st_ctime, stat.st_ctime_nsec),
            uid: Some(stat.st_uid),
            gid: Some(stat.st_gid),
            user: cached(&self.users, stat.st_uid, user_name),
            group: cached(&self.groups, stat.st_gid, group_name),
            inode: stat.st_ino,
            // Needed to know hard links only; anything else would make trees differ between mounts.
            device_id: if links > 1 { stat.st_dev } else { 0 },
            size: if kind == FileType::RegularFile { u64::try_from(stat.st_size).unwrap_or_default() } else { 0 },
            links,
            ..Metadata::default()
        }
    }
}

fn timestamp<N: TryInto<i64>>(seconds: i64, nanoseconds: N) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(nanoseconds.try_into().ok()?).ok()?;
    Timestamp::new(seconds, nanoseconds).ok()
}

/// A path below a directory handle that is safe to use with calls that do not follow the last part.
pub(crate) fn proc_path(dir: &std::os::fd::OwnedFd, name: &OsStr) -> OsString {
    let mut path = OsString::from(format!("/proc/self/fd/{}/", std::os::fd::AsRawFd::as_raw_fd(dir)));
    path.push(name);
    path
}

/// The extended attributes of an entry as JSON of restic's form; links are not followed. Empty where the file system
/// has none.
pub(crate) fn attributes(path: &OsStr) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; 1024];
    let length = loop {
        match rustix::fs::llistxattr(path, &mut names) {
            Ok(length) => break length,
            Err(rustix::io::Errno::RANGE) if names.len() < 1 << 20 => names.resize(names.len() * 4, 0),
            Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    };
    let mut found = Vec::new();
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        let mut value = vec![0; 1 << 16];
        match rustix::fs::lgetxattr(path, name, &mut value) {
            Ok(length) => {
                value.truncate(length);
                found.push((name.to_string_lossy().into_owned(), value));
            }
            // It went away between the two calls, or is one that only others may read.
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Puts attributes into metadata. The library's type for them is not public, its JSON form is.
pub(crate) fn set_attributes(meta: &mut Metadata, found: &[(String, Vec<u8>)]) {
    if found.is_empty() {
        return;
    }
    let list: Vec<_> =
        found.iter().map(|(name, value)| serde_json::json!({"name": name, "value": base64(value)})).collect();
    if let Ok(attributes) = serde_json::from_value(serde_json::Value::Array(list)) {
        meta.extended_attributes = attributes;
    }
}

fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = (word >> (18 - 6 * place)) & 63;
            let letter = usize::try_from(index).ok().and_then(|index| LETTERS.get(index)).copied().unwrap_or(b'=');
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// The recorded path of a folder: absolute, without `.` and `..`.
pub(crate) fn recorded_path(display: &str) -> std::path::PathBuf {
    let mut path = std::path::PathBuf::from("/");
    for part in Path::new(display).components() {
        if let std::path::Component::Normal(name) = part {
            path.push(name);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_go_there_and_back() {
        assert_eq!(mode_to_go(0o040_755), (1 << 31) | 0o755);
        assert_eq!(mode_to_go(0o104_755), (1 << 23) | 0o755);
        for mode in [0o644, 0o4755, 0o2711, 0o1777] {
            assert_eq!(permissions_from_go(mode_to_go(0o100_000 | mode)), mode);
        }
    }

    #[test]
    fn base64_has_the_usual_padding() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }

    #[test]
    fn recorded_paths_are_absolute_and_plain() {
        assert_eq!(recorded_path("/srv/orders"), Path::new("/srv/orders"));
        assert_eq!(recorded_path("data/../x/./y"), Path::new("/data/x/y"));
        assert_eq!(recorded_path(""), Path::new("/"));
    }
}
