//! Granted folders as guests see them. Everything goes through cap-std, relative to a handle.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use wasmtime::component::Resource;

use crate::bindings::lifeboat::plugin::dir::{Entry, Host, HostDirectory};
use crate::bindings::lifeboat::plugin::types::{Error as GuestError, ErrorKind};
use crate::fault::{Fault, guest_error, refused};
use crate::folder;
use crate::grants::{self, Wish, allow_line};
use crate::guest::{Guest, blocking};
use crate::stream::{FileSink, Reader, Source, Writer};

/// A folder as a guest holds it.
#[derive(Clone)]
pub struct Directory {
    /// The handle.
    pub dir: Arc<Dir>,
    /// Whether it may be changed.
    pub write: bool,
    /// The path, for people.
    pub display: PathBuf,
    /// The line that would allow to change it.
    allow: String,
}

impl Directory {
    /// Refuses what changes something where only reading is granted.
    pub fn need_write(&self) -> Result<(), GuestError> {
        if self.write {
            return Ok(());
        }
        let message = format!("'{}' is granted for reading only", self.display.display());
        Err(refused(message, Some(format!("add to lifeboat.kdl: {}", self.allow))))
    }
}

/// The path as it is used: relative, and without `..`.
pub fn checked(path: &str) -> Result<String, GuestError> {
    use std::path::Component;
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                let path = crate::fault::cut(path.to_owned());
                let message = format!("'{path}': paths are relative to the target's root and have no '..'");
                return Err(refused(message, Some("name the file by its path below the root".into())));
            }
        }
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

impl Guest {
    /// The folder behind a handle.
    pub fn directory(&self, handle: &Resource<Directory>) -> Result<Directory, Fault> {
        Ok(self.table.get(handle)?.clone())
    }

    fn writable(&self, handle: &Resource<Directory>) -> Result<Directory, Fault> {
        let directory = self.directory(handle)?;
        directory.need_write()?;
        Ok(directory)
    }
}

impl Host for Guest {
    async fn open(&mut self, role: String) -> Result<Resource<Directory>, Fault> {
        self.context.need("dir")?;
        let bound = self.context.target(&role)?;
        let name = bound.target.name.clone();
        let Some(root) = bound.settings.get("root").and_then(|root| root.as_str()).map(PathBuf::from) else {
            let message = format!("target '{name}' has no `root` in its settings, so there is no folder to open");
            return Err(guest_error(ErrorKind::Permanent, message).into());
        };
        let Some(mode) = self.context.mode else {
            return Err(refused("no folder can be opened in this call", None).into());
        };
        let (plugin, makes) = (self.context.plugin.clone(), self.context.makes);
        let host = Arc::clone(&self.context.host);
        let allow = allow_line(&plugin, &name, &root.display().to_string(), true);
        let directory = blocking(move || {
            let wish = Wish { plugin: &plugin, target: &name, mode, root: &root, makes };
            let granted = grants::open(&host.operator, &wish)?;
            Ok(Directory { dir: Arc::new(granted.dir), write: granted.write, display: root, allow })
        })
        .await?;
        Ok(self.table.push(directory)?)
    }
}

impl HostDirectory for Guest {
    async fn list(&mut self, at: Resource<Directory>, path: String) -> Result<Vec<Entry>, Fault> {
        let (at, path) = (self.directory(&at)?, checked(&path)?);
        blocking(move || folder::list(&at.dir, &path)).await
    }

    async fn walk(&mut self, at: Resource<Directory>, path: String) -> Result<Vec<Entry>, Fault> {
        let (at, path) = (self.directory(&at)?, checked(&path)?);
        let voice = self.voice.clone();
        blocking(move || folder::walk(&at.dir, &path, &*voice)).await
    }

    async fn stat(&mut self, at: Resource<Directory>, path: String) -> Result<Entry, Fault> {
        let (at, path) = (self.directory(&at)?, checked(&path)?);
        blocking(move || folder::stat(&at.dir, &path)).await
    }

    async fn open_reader(
        &mut self,
        at: Resource<Directory>,
        path: String,
        offset: u64,
        len: Option<u64>,
    ) -> Result<Resource<Reader>, Fault> {
        let (at, path) = (self.directory(&at)?, checked(&path)?);
        let source = blocking(move || Source::open(&at.dir, &path, offset, len)).await?;
        Ok(self.table.push(Reader(Some(source)))?)
    }

    async fn open_writer(
        &mut self,
        at: Resource<Directory>,
        path: String,
        overwrite: bool,
    ) -> Result<Resource<Writer>, Fault> {
        let (at, path) = (self.writable(&at)?, checked(&path)?);
        let sink = blocking(move || {
            let (parent, name) = folder::parent(&at.dir, &path)?;
            FileSink::create(parent, &name, overwrite)
        })
        .await?;
        Ok(self.table.push(Writer(Some(sink)))?)
    }

    async fn create_dir_all(&mut self, at: Resource<Directory>, path: String) -> Result<(), Fault> {
        let (at, path) = (self.writable(&at)?, checked(&path)?);
        blocking(move || folder::create_dir_all(&at.dir, &path)).await
    }

    async fn remove_file(&mut self, at: Resource<Directory>, path: String) -> Result<(), Fault> {
        let (at, path) = (self.writable(&at)?, checked(&path)?);
        blocking(move || folder::remove_file(&at.dir, &path)).await
    }

    async fn remove_dir_all(&mut self, at: Resource<Directory>, path: String) -> Result<(), Fault> {
        let (at, path) = (self.writable(&at)?, checked(&path)?);
        blocking(move || folder::remove_dir_all(&at.dir, &path)).await
    }

    async fn rename(&mut self, at: Resource<Directory>, source: String, destination: String) -> Result<(), Fault> {
        let (at, from, to) = (self.writable(&at)?, checked(&source)?, checked(&destination)?);
        blocking(move || folder::rename(&at.dir, &from, &to)).await
    }

    async fn exchange(&mut self, at: Resource<Directory>, a: String, b: String) -> Result<(), Fault> {
        let (at, a, b) = (self.writable(&at)?, checked(&a)?, checked(&b)?);
        blocking(move || folder::exchange(&at.dir, &a, &b)).await
    }

    async fn symlink(&mut self, at: Resource<Directory>, to: String, path: String) -> Result<(), Fault> {
        let (at, path) = (self.writable(&at)?, checked(&path)?);
        blocking(move || folder::symlink(&at.dir, &to, &path)).await
    }

    async fn read_link(&mut self, at: Resource<Directory>, path: String) -> Result<String, Fault> {
        let (at, path) = (self.directory(&at)?, checked(&path)?);
        blocking(move || folder::read_link(&at.dir, &path)).await
    }

    async fn open_dir(&mut self, at: Resource<Directory>, path: String) -> Result<Resource<Directory>, Fault> {
        let (at, path) = (self.directory(&at)?, checked(&path)?);
        let directory = blocking(move || {
            let dir = folder::open_dir(&at.dir, &path)?;
            Ok(Directory { dir: Arc::new(dir), display: at.display.join(&path), ..at })
        })
        .await?;
        Ok(self.table.push(directory)?)
    }

    async fn drop(&mut self, at: Resource<Directory>) -> wasmtime::Result<()> {
        self.table.delete(at)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_and_stay_below() {
        for (path, want) in [("", "."), (".", "."), ("a", "a"), ("./a//b/", "a/b"), ("a/./b", "a/b")] {
            assert_eq!(checked(path).unwrap(), want);
        }
        for path in ["/", "/etc/passwd", "..", "a/..", "a/../../b"] {
            assert_eq!(checked(path).unwrap_err().kind, ErrorKind::Refused, "{path}");
        }
    }
}
