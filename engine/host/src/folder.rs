//! What can be done in a granted folder: plain functions on a handle. Paths were checked by the caller (relative, no `..`);
//! symbolic links are watched over by cap-std at each step.

use std::io;
use std::path::{Component, Path};

use cap_std::fs::{Dir, FileType, Metadata};
use lifeboat_core::ports::AttemptSink;
use rustix::fs::{RenameFlags, renameat_with};

use crate::bindings::lifeboat::plugin::dir::{Entry, EntryKind};
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::bounds::{ENTRIES_MAX, WALK_DEPTH_MAX};
use crate::fault::{from_io, guest_error, refused};
use crate::stream::sync_dir;
use crate::temp::is_temp;

type Made<T> = Result<T, GuestError>;

fn fail<'a>(what: &'a str, path: &'a str) -> impl Fn(io::Error) -> GuestError + 'a {
    move |error| from_io(what, path, &error)
}

fn kind(file_type: FileType) -> EntryKind {
    if file_type.is_file() {
        EntryKind::File
    } else if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_symlink() {
        EntryKind::Symlink
    } else {
        EntryKind::Other
    }
}

fn entry(name: String, meta: &Metadata) -> Entry {
    let modified = meta.modified().ok().map(cap_std::time::SystemTime::into_std);
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Entry {
        name,
        kind: kind(meta.file_type()),
        size: meta.len(),
        modified_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
    }
}

/// The entries of one folder, sorted; names that the host made for a moment are left out.
fn entries(dir: &Dir, path: &str) -> Made<Vec<Entry>> {
    let mut found = Vec::new();
    for item in dir.entries().map_err(fail("list", path))? {
        let item = item.map_err(fail("list", path))?;
        let name = item.file_name().into_string().map_err(|name| {
            let name = name.to_string_lossy().into_owned();
            guest_error(ErrorKind::Permanent, format!("list '{path}': the name '{name}' is not UTF-8"))
        })?;
        match item.metadata() {
            Ok(meta) if meta.is_file() && is_temp(name.as_bytes()) => {}
            Ok(meta) => found.push(entry(name, &meta)),
            // It went away while the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(from_io("list", path, &error)),
        }
        too_many(found.len(), path)?;
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn too_many(count: usize, path: &str) -> Made<()> {
    if count <= ENTRIES_MAX {
        return Ok(());
    }
    Err(guest_error(ErrorKind::Permanent, format!("list '{path}': more than {ENTRIES_MAX} entries")))
}

/// The entries of a folder.
pub fn list(dir: &Dir, path: &str) -> Made<Vec<Entry>> {
    entries(&open_dir(dir, path)?, path)
}

/// Everything below that is no folder, by its path from here.
pub fn walk(dir: &Dir, path: &str, voice: &dyn AttemptSink) -> Made<Vec<Entry>> {
    let mut found = Vec::new();
    let mut open = vec![(open_dir(dir, path)?, String::new(), 0)];
    while let Some((here, prefix, depth)) = open.pop() {
        if voice.cancelled() {
            return Err(guest_error(ErrorKind::Cancelled, "the attempt was cancelled during a walk"));
        }
        if depth > WALK_DEPTH_MAX {
            return Err(guest_error(ErrorKind::Permanent, format!("walk '{prefix}': more than {WALK_DEPTH_MAX} deep")));
        }
        for mut item in entries(&here, &prefix)? {
            let name = format!("{prefix}{}", item.name);
            if item.kind == EntryKind::Directory {
                let below = here.open_dir(&item.name).map_err(fail("walk", &name))?;
                open.push((below, format!("{name}/"), depth + 1));
            } else {
                item.name = name;
                found.push(item);
            }
        }
        too_many(found.len() + open.len(), path)?;
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What is there under that name; a link is not followed.
pub fn stat(dir: &Dir, path: &str) -> Made<Entry> {
    let meta = dir.symlink_metadata(path).map_err(fail("look at", path))?;
    Ok(entry(path.to_owned(), &meta))
}

/// A folder below.
pub fn open_dir(dir: &Dir, path: &str) -> Made<Dir> {
    dir.open_dir(path).map_err(fail("open folder", path))
}

/// The folder that holds the path, and the name in it.
pub fn parent(dir: &Dir, path: &str) -> Made<(Dir, String)> {
    let whole = Path::new(path);
    let Some(name) = whole.file_name().and_then(|name| name.to_str()) else {
        return Err(guest_error(ErrorKind::Permanent, format!("'{path}' names the folder itself")));
    };
    let above = whole.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = dir.open_dir(above).map_err(fail("open the folder of", path))?;
    Ok((folder, name.to_owned()))
}

/// Makes the folder and those above it.
pub fn create_dir_all(dir: &Dir, path: &str) -> Made<()> {
    if path == "." {
        return Ok(());
    }
    dir.create_dir_all(path).map_err(fail("make folder", path))?;
    let (above, _) = parent(dir, path)?;
    sync_dir(&above).map_err(fail("make folder", path))
}

/// Removes a file or a link.
pub fn remove_file(dir: &Dir, path: &str) -> Made<()> {
    dir.remove_file(path).map_err(fail("remove", path))
}

/// Removes a folder with all that is below it.
pub fn remove_dir_all(dir: &Dir, path: &str) -> Made<()> {
    if path == "." {
        // The root itself stays: its handle is what everything is relative to.
        for item in entries(dir, path)? {
            if item.kind == EntryKind::Directory {
                dir.remove_dir_all(&item.name).map_err(fail("remove", &item.name))?;
            } else {
                dir.remove_file(&item.name).map_err(fail("remove", &item.name))?;
            }
        }
        return Ok(());
    }
    dir.remove_dir_all(path).map_err(fail("remove", path))
}

/// Renames, durably.
pub fn rename(dir: &Dir, from: &str, to: &str) -> Made<()> {
    let (source, source_name) = parent(dir, from)?;
    let (target, target_name) = parent(dir, to)?;
    source.rename(&source_name, &target, &target_name).map_err(fail("rename", from))?;
    sync_dir(&target).map_err(fail("rename", to))?;
    sync_dir(&source).map_err(fail("rename", from))
}

/// Swaps two names at once, durably.
pub fn exchange(dir: &Dir, a: &str, b: &str) -> Made<()> {
    let (one, one_name) = parent(dir, a)?;
    let (other, other_name) = parent(dir, b)?;
    renameat_with(&one, &one_name, &other, &other_name, RenameFlags::EXCHANGE)
        .map_err(|error| from_io("exchange", a, &error.into()))?;
    sync_dir(&one).map_err(fail("exchange", a))?;
    sync_dir(&other).map_err(fail("exchange", b))
}

/// Makes a link that stays inside.
pub fn symlink(dir: &Dir, to: &str, path: &str) -> Made<()> {
    let mut depth = Path::new(path).components().count() - 1;
    for part in Path::new(to).components() {
        depth = match part {
            Component::Normal(_) => depth + 1,
            Component::CurDir => depth,
            Component::ParentDir if depth > 0 => depth - 1,
            _ => {
                let message = format!(
                    "link '{path}' to '{}': it would lead out of the granted folder",
                    crate::fault::cut(to.into())
                );
                return Err(refused(message, Some("use a relative path that stays inside the target's root".into())));
            }
        };
    }
    dir.symlink(to, path).map_err(fail("link", path))?;
    let (above, _) = parent(dir, path)?;
    sync_dir(&above).map_err(fail("link", path))
}

/// Where a link points to, as it is written.
pub fn read_link(dir: &Dir, path: &str) -> Made<String> {
    let to = dir.read_link_contents(path).map_err(fail("read link", path))?;
    to.into_os_string().into_string().map_err(|to| {
        let to = to.to_string_lossy().into_owned();
        guest_error(ErrorKind::Permanent, format!("read link '{path}': '{to}' is not UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::Quiet;

    fn folder() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        (temp, dir)
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn walks_name_every_file_once_and_follow_no_link() {
        let (temp, dir) = folder();
        create_dir_all(&dir, "a/b/c").unwrap();
        create_dir_all(&dir, "empty").unwrap();
        for path in ["z", "a/1", "a/b/c/2", "a/.lifeboat-1-2-3.tmp", "a/.lifeboat-notes.tmp"] {
            std::fs::write(temp.path().join(path), "x").unwrap();
        }
        symlink(&dir, "..", "a/loop").unwrap();
        let found = walk(&dir, ".", &Quiet).unwrap();
        assert_eq!(names(&found), ["a/.lifeboat-notes.tmp", "a/1", "a/b/c/2", "a/loop", "z"]);
        assert_eq!(names(&walk(&dir, "a/b", &Quiet).unwrap()), ["c/2"]);
        assert_eq!(names(&list(&dir, ".").unwrap()), ["a", "empty", "z"]);
        assert_eq!(stat(&dir, "a/loop").unwrap().kind, EntryKind::Symlink);
        assert_eq!(read_link(&dir, "a/loop").unwrap(), "..");
        assert_eq!(list(&dir, "gone").unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn links_that_lead_out_are_neither_made_nor_followed() {
        let (temp, dir) = folder();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        create_dir_all(&dir, "a").unwrap();
        let absolute = outside.path().to_str().unwrap();
        for (to, path) in [(absolute, "l"), ("..", "l"), ("../..", "a/l"), ("b/../../../x", "a/l")] {
            assert_eq!(symlink(&dir, to, path).unwrap_err().kind, ErrorKind::Refused, "{to}");
        }
        std::os::unix::fs::symlink(outside.path(), temp.path().join("out")).unwrap();
        for result in [
            list(&dir, "out").map(drop),
            open_dir(&dir, "out").map(drop),
            create_dir_all(&dir, "out/new"),
            remove_file(&dir, "out/secret"),
            remove_dir_all(&dir, "out/secret"),
            rename(&dir, "out/secret", "mine"),
            rename(&dir, "a", "out/a"),
            exchange(&dir, "a", "out/secret"),
        ] {
            assert_eq!(result.unwrap_err().kind, ErrorKind::Refused);
        }
        // Removing the folder removes the link, not what it points to.
        remove_dir_all(&dir, ".").unwrap();
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
        assert!(outside.path().join("secret").exists());
    }

    #[test]
    fn exchange_swaps_and_rename_moves() {
        let (temp, dir) = folder();
        create_dir_all(&dir, "old").unwrap();
        create_dir_all(&dir, "deep/new").unwrap();
        std::fs::write(temp.path().join("old/o"), "").unwrap();
        std::fs::write(temp.path().join("deep/new/n"), "").unwrap();
        exchange(&dir, "old", "deep/new").unwrap();
        assert_eq!(names(&walk(&dir, ".", &Quiet).unwrap()), ["deep/new/o", "old/n"]);
        rename(&dir, "deep/new", "moved").unwrap();
        assert_eq!(names(&walk(&dir, ".", &Quiet).unwrap()), ["moved/o", "old/n"]);
        assert_eq!(exchange(&dir, "moved", "gone").unwrap_err().kind, ErrorKind::NotFound);
    }
}
