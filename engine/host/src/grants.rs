//! Which folder a guest gets: the root of a target, as far as the operator grants it to that plugin for that target.
//!
//! The granted folder is opened by its path, which the operator wrote. From there on everything is opened relative to
//! handles (cap-std), so that no symbolic link inside can lead out, not even one that is swapped in between.

use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use lifeboat_core::grants::{DirGrant, Operator};
use lifeboat_core::plan::Mode;

use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::{from_io, guest_error, refused};

/// Who asks for a folder, and for which.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The plugin whose code runs.
    pub plugin: &'a str,
    /// The name of the target.
    pub target: &'a str,
    /// The mode of the run.
    pub mode: Mode,
    /// The `root` of the target.
    pub root: &'a Path,
    /// Whether it may be made where it is missing.
    pub makes: bool,
}

/// A folder that was granted.
#[derive(Debug)]
pub struct Granted {
    /// The handle.
    pub dir: Dir,
    /// Whether it may be changed.
    pub write: bool,
}

/// Opens the root, made anew where it is missing and may be made.
///
/// # Errors
/// A refusal with the line that would allow it; or what the operating system said.
pub fn open(operator: &Operator, wish: &Wish<'_>) -> Result<Granted, GuestError> {
    let shown = wish.root.display();
    if !wish.root.is_absolute() || wish.root.components().any(|part| part == Component::ParentDir) {
        let message = format!("the root '{shown}' of target '{}' has to be an absolute path without '..'", wish.target);
        return Err(guest_error(ErrorKind::Permanent, message));
    }
    if operator.lost.has_folder(wish.target, wish.root) {
        return Err(refused(format!("'{shown}' of target '{}' is taken for lost with its site", wish.target), None));
    }
    let mut last = None;
    for grant in candidates(operator, wish) {
        match within(grant, wish.root, grant.write && wish.makes) {
            Ok(Some(dir)) => return Ok(Granted { dir, write: grant.write }),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(from_io("open the root", &shown.to_string(), &error)),
        None => Err(refuse(wish)),
    }
}

/// The grants for the plugin and target; those that allow more come first.
pub(crate) fn candidates<'a>(operator: &'a Operator, wish: &Wish<'_>) -> Vec<&'a DirGrant> {
    let mut found: Vec<&DirGrant> = operator
        .grants_for(wish.mode)
        .iter()
        .filter(|grant| grant.plugin == wish.plugin)
        .filter(|grant| grant.target.as_deref().is_none_or(|target| target == wish.target))
        .flat_map(|grant| &grant.dirs)
        .collect();
    found.sort_by_key(|grant| !grant.write);
    found
}

/// Opens the root below the granted folder; `None` where it is not below.
fn within(grant: &DirGrant, root: &Path, make: bool) -> std::io::Result<Option<Dir>> {
    let mut ways: Vec<PathBuf> = Vec::new();
    if let Ok(rest) = root.strip_prefix(&grant.path) {
        ways.push(rest.to_owned());
        if make && !grant.path.exists() {
            std::fs::create_dir_all(&grant.path)?;
        }
    }
    // The same folder may be named in another way, through a symbolic link on the way to it.
    if let Ok(base) = grant.path.canonicalize()
        && let Some(real) = canonical(root)
        && let Ok(rest) = real.strip_prefix(&base)
        && !ways.iter().any(|way| way == rest)
    {
        ways.push(rest.to_owned());
    }
    if ways.is_empty() {
        return Ok(None);
    }
    let base = Dir::open_ambient_dir(&grant.path, ambient_authority())?;
    let mut result = Ok(None);
    for rest in ways {
        result = below(&base, &rest, make).map(Some);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Whether a grant covers the root, as far as paths tell. Nothing is opened or made.
pub(crate) fn covered(operator: &Operator, wish: &Wish<'_>, write: bool) -> bool {
    candidates(operator, wish).into_iter().filter(|grant| grant.write || !write).any(|grant| {
        let real = || Some(canonical(wish.root)?.starts_with(canonical(&grant.path)?));
        wish.root.starts_with(&grant.path) || real().unwrap_or(false)
    })
}

fn below(base: &Dir, rest: &Path, create: bool) -> std::io::Result<Dir> {
    if rest.as_os_str().is_empty() {
        return base.try_clone();
    }
    match base.open_dir(rest) {
        Err(error) if create && error.kind() == std::io::ErrorKind::NotFound => {
            base.create_dir_all(rest)?;
            base.open_dir(rest)
        }
        other => other,
    }
}

/// The real path of the longest part that exists, and the rest as it is written.
fn canonical(path: &Path) -> Option<PathBuf> {
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            return path.strip_prefix(ancestor).ok().map(|rest| real.join(rest));
        }
    }
    None
}

pub(crate) fn refuse(wish: &Wish<'_>) -> GuestError {
    let Wish { plugin, target, mode, root, .. } = wish;
    let root = root.display();
    let message = format!("plugin '{plugin}' may not reach '{root}' for target '{target}' in mode {}", mode.as_str());
    let line = allow_line(plugin, target, &root.to_string(), false);
    let hint = if *mode == Mode::Drill {
        format!("in a drill only the grants inside `drill {{ }}` of lifeboat.kdl count; add there: {line}")
    } else {
        format!("add to lifeboat.kdl: {line}")
    };
    refused(message, Some(hint))
}

/// The line of the operator's file that would allow it.
pub fn allow_line(plugin: &str, target: &str, root: &str, write: bool) -> String {
    let write = if write { " write=#true" } else { "" };
    format!("grant {} target={} {{ dir {}{write} }}", quote(plugin), quote(target), quote(root))
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use lifeboat_core::grants::Grant;

    use super::*;

    fn operator(dirs: &[(&Path, bool)], target: Option<&str>) -> Operator {
        let dirs = dirs.iter().map(|(path, write)| DirGrant { path: path.to_path_buf(), write: *write }).collect();
        let grant = Grant { plugin: "fs".into(), target: target.map(str::to_owned), dirs, hosts: Vec::new() };
        Operator { grants: vec![grant], ..Operator::default() }
    }

    fn wish<'a>(root: &'a Path) -> Wish<'a> {
        Wish { plugin: "fs", target: "orders", mode: Mode::Failover, root, makes: true }
    }

    #[test]
    fn what_is_not_granted_is_refused_with_the_line_that_would_allow_it() {
        let base = tempfile::tempdir().unwrap();
        let granted = base.path().join("a");
        std::fs::create_dir(&granted).unwrap();
        let operator = operator(&[(&granted, true)], Some("orders"));
        let other = base.path().join("ab");
        let error = open(&operator, &wish(&other)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        let line = format!("grant \"fs\" target=\"orders\" {{ dir \"{}\" }}", other.display());
        assert!(error.hint.unwrap().ends_with(&line));
        assert!(open(&operator, &wish(&granted)).unwrap().write);
        for wrong in [
            Wish { plugin: "s3", ..wish(&granted) },
            Wish { target: "other", ..wish(&granted) },
            Wish { mode: Mode::Drill, ..wish(&granted) },
        ] {
            assert_eq!(open(&operator, &wrong).unwrap_err().kind, ErrorKind::Refused);
        }
        for wrong in ["a/b", "/a/../b"] {
            assert_eq!(open(&operator, &wish(Path::new(wrong))).unwrap_err().kind, ErrorKind::Permanent);
        }
    }

    #[test]
    fn missing_roots_are_made_only_where_writing_is_granted() {
        let base = tempfile::tempdir().unwrap();
        let new = base.path().join("new/deep");
        let read_only = operator(&[(base.path(), false)], None);
        assert_eq!(open(&read_only, &wish(&new)).unwrap_err().kind, ErrorKind::NotFound);
        let writable = operator(&[(&base.path().join("new"), true)], None);
        assert!(open(&writable, &wish(&new)).unwrap().write);
        assert!(new.is_dir());
    }

    #[test]
    fn a_link_inside_cannot_lead_out_and_a_link_to_the_root_can_be_used() {
        let base = tempfile::tempdir().unwrap();
        let inside = base.path().join("inside");
        let outside = base.path().join("outside");
        std::fs::create_dir_all(inside.join("real")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink(&outside, inside.join("escape")).unwrap();
        symlink(inside.join("real"), inside.join("current")).unwrap();
        symlink(&inside, base.path().join("alias")).unwrap();
        let operator = operator(&[(&inside, true)], None);
        assert_eq!(open(&operator, &wish(&inside.join("escape"))).unwrap_err().kind, ErrorKind::Refused);
        assert!(open(&operator, &wish(&inside.join("current"))).is_ok());
        assert!(open(&operator, &wish(&base.path().join("alias/real"))).is_ok());
    }
}
