//! Places for objects, so that vaults can be kept in a plugin's targets.

use std::marker::PhantomData;

use crate::context::parse;
use crate::error::ErrorExt;
use crate::host::{self, Directory, Error, Pumped, Reader, Target};
use crate::serve::watch_panics;
use crate::step::Data;

pub use crate::bindings::storage::exports::lifeboat::plugin::store::Object;

/// The target that a call of [`Store`] is about.
pub struct Place<S> {
    /// Its name in the runbook.
    pub name: String,
    /// Its settings.
    pub settings: S,
}

impl<S> Place<S> {
    /// The folder that is the `root` of the target itself.
    ///
    /// # Errors
    /// What the host says, with the target's name.
    pub fn dir(&self) -> Result<Directory, Error> {
        host::open_dir(SELF).map_err(|error| error.during(&self.name))
    }
}

/// The role of the target itself in calls of [`Store`], for [`http`](crate::http) requests.
pub const SELF: &str = "self";

/// A place for objects. Keys are relative paths with `/`. An error of kind `not-found` says that there is no such
/// object.
pub trait Store {
    /// The settings of the plugin's targets.
    type Settings: Data;
    /// Every object whose key starts with the prefix.
    ///
    /// # Errors
    /// Where the place cannot be read.
    fn list(at: &Place<Self::Settings>, prefix: &str) -> Result<Vec<Object>, Error>;
    /// The object of that key.
    ///
    /// # Errors
    /// `not-found`, or where the place cannot be read.
    fn head(at: &Place<Self::Settings>, key: &str) -> Result<Object, Error>;
    /// The bytes from the offset; without a length, all of the rest.
    ///
    /// # Errors
    /// `not-found`, or where the place cannot be read.
    fn get(at: &Place<Self::Settings>, key: &str, offset: u64, len: Option<u64>) -> Result<Reader, Error>;
    /// All at once or not at all; overwrites; durable when it returns.
    ///
    /// # Errors
    /// Where the place cannot be written to.
    fn put(at: &Place<Self::Settings>, key: &str, data: &Reader) -> Result<Pumped, Error>;
    /// A small object, only where there is nothing of that key, however many do it at once. A place that cannot hold that
    /// overwrites: who relies on it tries it out.
    ///
    /// # Errors
    /// `already-exists`, or where the place cannot be written to.
    fn put_new(at: &Place<Self::Settings>, key: &str, data: &Reader) -> Result<Pumped, Error>;
    /// Deleting what is not there is done at once.
    ///
    /// # Errors
    /// Where the place cannot be written to.
    fn delete(at: &Place<Self::Settings>, key: &str) -> Result<(), Error>;
    /// A second object with the same bytes.
    ///
    /// # Errors
    /// `not-found`, or where the place cannot be written to.
    fn copy(at: &Place<Self::Settings>, source: &str, destination: &str) -> Result<(), Error>;
}

/// Reads settings and checks keys before a [`Store`] is called.
pub struct StoreAdapter<T>(PhantomData<T>);

impl<T: Store> StoreAdapter<T> {
    fn place(at: Target) -> Result<Place<T::Settings>, Error> {
        watch_panics();
        let settings = parse(&format!("the settings of {}", at.name), &at.settings)?;
        Ok(Place { name: at.name, settings })
    }

    /// The export `list`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn list(at: Target, prefix: String) -> Result<Vec<Object>, Error> {
        T::list(&Self::place(at)?, &prefix)
    }

    /// The export `head`.
    ///
    /// # Errors
    /// Those of the store, and of a key that is none.
    pub fn head(at: Target, key: String) -> Result<Object, Error> {
        T::head(&Self::place(at)?, checked(&key)?)
    }

    /// The export `get`.
    ///
    /// # Errors
    /// Those of the store, and of a key that is none.
    pub fn get(at: Target, key: String, offset: u64, len: Option<u64>) -> Result<Reader, Error> {
        T::get(&Self::place(at)?, checked(&key)?, offset, len)
    }

    /// The export `put`.
    ///
    /// # Errors
    /// Those of the store, and of a key that is none.
    pub fn put(at: Target, key: String, data: &Reader) -> Result<Pumped, Error> {
        T::put(&Self::place(at)?, checked(&key)?, data)
    }

    /// The export `put-new`.
    ///
    /// # Errors
    /// Those of the store, and of a key that is none.
    pub fn put_new(at: Target, key: String, data: &Reader) -> Result<Pumped, Error> {
        T::put_new(&Self::place(at)?, checked(&key)?, data)
    }

    /// The export `delete`.
    ///
    /// # Errors
    /// Those of the store, and of a key that is none.
    pub fn delete(at: Target, key: String) -> Result<(), Error> {
        T::delete(&Self::place(at)?, checked(&key)?)
    }

    /// The export `copy`.
    ///
    /// # Errors
    /// Those of the store, and of a key that is none.
    pub fn copy(at: Target, source: String, destination: String) -> Result<(), Error> {
        T::copy(&Self::place(at)?, checked(&source)?, checked(&destination)?)
    }
}

/// A key as every store can keep it.
fn checked(key: &str) -> Result<&str, Error> {
    let good = !key.is_empty() && key.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if good { Ok(key) } else { Err(Error::permanent(format!("'{key}' is no key of an object"))) }
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn keys_are_relative_paths() {
        for key in ["config", "data/00/abc", "a.b"] {
            assert_eq!(checked(key).unwrap(), key);
        }
        for key in ["", "/etc/passwd", "a//b", "../x", "a/..", "a/", "./a"] {
            assert!(checked(key).unwrap_err().message.contains("no key"), "{key}");
        }
    }
}
