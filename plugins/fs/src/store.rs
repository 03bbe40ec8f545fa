//! A folder as a place for objects: a key is a path, an object is a file.

use lifeboat_sdk::host::{EntryKind, Pumped, pump};
use lifeboat_sdk::prelude::*;
use lifeboat_sdk::{Object, Place, Store};

use crate::Settings;

/// The store.
pub struct Objects;

/// The folder part of a key or of a prefix.
fn parent(key: &str) -> Option<&str> {
    key.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| !folder.is_empty())
}

/// From a reader into a key, all at once.
fn write(dir: &Directory, key: &str, data: &Reader, overwrite: bool) -> Result<Pumped, Error> {
    if let Some(folder) = parent(key) {
        dir.create_dir_all(folder)?;
    }
    let writer = dir.open_writer(key, overwrite)?;
    pump(data, &writer)?;
    writer.commit()
}

impl Store for Objects {
    type Settings = Settings;

    fn list(at: &Place<Settings>, prefix: &str) -> Result<Vec<Object>, Error> {
        let dir = at.dir()?;
        // Only the folder that the prefix names is walked, not the whole of the store.
        let folder = parent(prefix);
        let files = match folder.map_or_else(|| dir.walk("."), |folder| dir.open_dir(folder)?.walk(".")) {
            Ok(files) => files,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let objects = files.into_iter().filter(|file| file.kind == EntryKind::File).map(|file| Object {
            key: match folder {
                Some(folder) => format!("{folder}/{}", file.name),
                None => file.name,
            },
            size: file.size,
        });
        Ok(objects.filter(|object| object.key.starts_with(prefix)).collect())
    }

    fn head(at: &Place<Settings>, key: &str) -> Result<Object, Error> {
        let entry = at.dir()?.stat(key)?;
        if entry.kind == EntryKind::File {
            return Ok(Object { key: key.to_owned(), size: entry.size });
        }
        Err(Error { kind: ErrorKind::NotFound, message: format!("'{key}' is no file"), hint: None })
    }

    fn get(at: &Place<Settings>, key: &str, offset: u64, len: Option<u64>) -> Result<Reader, Error> {
        at.dir()?.open_reader(key, offset, len)
    }

    fn put(at: &Place<Settings>, key: &str, data: &Reader) -> Result<Pumped, Error> {
        write(&at.dir()?, key, data, true)
    }

    fn put_new(at: &Place<Settings>, key: &str, data: &Reader) -> Result<Pumped, Error> {
        write(&at.dir()?, key, data, false)
    }

    fn delete(at: &Place<Settings>, key: &str) -> Result<(), Error> {
        match at.dir()?.remove_file(key) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn copy(at: &Place<Settings>, source: &str, destination: &str) -> Result<(), Error> {
        let dir = at.dir()?;
        let reader = dir.open_reader(source, 0, None)?;
        write(&dir, destination, &reader, true).map(drop)
    }
}
