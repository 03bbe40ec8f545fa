//! Files that a person names: read with errors that say which, folders searched in a stable order.

use std::path::{Path, PathBuf};

use lifeboat_core::{Error, limits};
use lifeboat_runbook::{SourceFile, SourceFiles};

fn unreadable(path: &Path, cause: &std::io::Error) -> Error {
    let hint = match cause.kind() {
        std::io::ErrorKind::NotFound => "look at the name; paths are taken from the folder where the command runs",
        std::io::ErrorKind::PermissionDenied => "let this user read it, or run the command as one who may",
        _ => "name a file that this user can read",
    };
    Error::new("LB0901", format!("'{}' cannot be read", path.display())).with("cause", cause).hint(hint)
}

/// Reads a KDL file.
///
/// # Errors
/// `LB0901` when it cannot be read, is too large, or is not text.
pub fn read_source(path: &Path) -> Result<SourceFile, Error> {
    let length = std::fs::metadata(path).map_err(|cause| unreadable(path, &cause))?.len();
    if usize::try_from(length).map_or(true, |length| length > limits::RUNBOOK_BYTES_MAX) {
        return Err(Error::new("LB0901", format!("'{}' has {length} bytes", path.display()))
            .hint(format!("a runbook has at most {} bytes", limits::RUNBOOK_BYTES_MAX)));
    }
    let bytes = std::fs::read(path).map_err(|cause| unreadable(path, &cause))?;
    SourceFile::from_bytes(path.display().to_string(), &bytes).map_err(|diagnostics| {
        let first = diagnostics.into_iter().next();
        let message = first.map_or_else(|| "it is not text".to_owned(), |found| found.message);
        Error::new("LB0901", format!("'{}' cannot be read", path.display())).with("cause", message)
    })
}

/// The files that runbooks include and run, from the disk.
pub struct Disk;

impl SourceFiles for Disk {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = Path::new(name);
        let said = |cause: std::io::Error| cause.to_string();
        let about = std::fs::metadata(path).map_err(said)?;
        if about.is_dir() {
            return Err("it is a folder".to_owned());
        }
        if usize::try_from(about.len()).map_or(true, |length| length > limits::RUNBOOK_BYTES_MAX) {
            return Err(format!("it has {} bytes, and at most {} are read", about.len(), limits::RUNBOOK_BYTES_MAX));
        }
        std::fs::read(path).map_err(said)
    }
}

/// The files with that ending in a folder and below it, in the order of their names.
///
/// # Errors
/// `LB0901` when a folder cannot be read.
pub fn with_ending(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|cause| unreadable(&folder, &cause))?;
        for entry in entries {
            let entry = entry.map_err(|cause| unreadable(&folder, &cause))?;
            let kind = entry.file_type().map_err(|cause| unreadable(&entry.path(), &cause))?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if kind.is_dir() && !hidden {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|found| found == ending) && !hidden {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The KDL files that these paths mean: files as they are, folders searched.
///
/// # Errors
/// `LB0901` when a path cannot be read, or no file is found.
pub fn kdl_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            all.extend(with_ending(path, "kdl")?);
        } else {
            all.push(path.clone());
        }
    }
    if all.is_empty() {
        return Err(Error::new("LB0901", "no .kdl file was found").hint("name a runbook, or a folder with runbooks"));
    }
    Ok(all)
}
