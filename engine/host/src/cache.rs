//! The cache of compiled plugins. Compiling takes two seconds for a megabyte, loading less than a millisecond.
//!
//! A compiled plugin is native code: who can write it can run anything. So the folder has to be the engine's own, a file
//! is read into memory as a whole and its digest is checked on what was read, and what is not exactly right is compiled
//! anew, never trusted.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use lifeboat_core::Error;
use wasmtime::Engine;
use wasmtime::component::Component;

/// First bytes of a file of the cache: a name and a version of the layout.
const MAGIC: &[u8; 8] = b"LBCWASM1";

/// A folder with compiled plugins.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens or makes the folder, and checks that only this user can write to it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let fail = |message: &str, cause: String| {
            Error::new("LB0709", message)
                .hint("it has to be a folder of the user that runs lifeboat, with mode 0700: remove it, and it is made anew")
                .with("path", dir.display())
                .with("cause", cause)
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| fail("the folder for compiled plugins can't be made", error.to_string()))?;
        let meta = std::fs::symlink_metadata(dir)
            .map_err(|error| fail("the folder for compiled plugins can't be read", error.to_string()))?;
        let user = rustix::process::geteuid().as_raw();
        if !meta.is_dir() || meta.uid() != user || meta.mode() & 0o022 != 0 {
            let cause = format!("owner {}, mode {:o}, this user {user}", meta.uid(), meta.mode() & 0o7777);
            return Err(fail("others could write to the folder for compiled plugins", cause));
        }
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self, engine: &Engine, wasm: &[u8]) -> PathBuf {
        let mut hasher = Blake(blake3::Hasher::new());
        std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
        hasher.0.update(blake3::hash(wasm).as_bytes());
        self.dir.join(format!("{}.cwasm", hasher.0.finalize().to_hex()))
    }

    /// The compiled form of the file, if the cache has it.
    pub fn load(&self, engine: &Engine, wasm: &[u8]) -> Option<Component> {
        let path = self.path(engine, wasm);
        let code = read(&path)?;
        // SAFETY: the bytes are what `precompile_component` of this very engine version and configuration gave (the file's
        // name holds its compatibility hash), unchanged since (the digest was checked on the bytes in memory, not on the
        // file), in a folder that only this user can write to (`open` checked that).
        match unsafe { Component::deserialize(engine, &code) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a compiled plugin is not usable; compiling anew");
                None
            }
        }
    }

    /// Compiles the component that the file holds, and keeps what comes of it. If it can't be kept, that only costs time.
    pub fn compile(&self, engine: &Engine, wasm: &[u8], component: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, wasm);
        let code = engine.precompile_component(component)?;
        if let Err(error) = write(&path, &code) {
            tracing::warn!(%error, path = %path.display(), "a compiled plugin can't be kept");
        }
        // SAFETY: the bytes come from the compiler of this engine, some lines above.
        unsafe { Component::deserialize(engine, &code) }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let rest = bytes.strip_prefix(MAGIC)?;
    let (digest, code) = rest.split_at_checked(32)?;
    if blake3::hash(code).as_bytes() != digest {
        tracing::warn!(path = %path.display(), "a compiled plugin is damaged; compiling anew");
        return None;
    }
    Some(code.to_vec())
}

fn write(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(MAGIC)?;
    file.write_all(blake3::hash(code).as_bytes())?;
    file.write_all(code)?;
    file.persist(path)?;
    Ok(())
}

/// BLAKE3 as a hasher of the standard library.
struct Blake(blake3::Hasher);

impl std::hash::Hasher for Blake {
    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        self.0.finalize_xof().fill(&mut first);
        u64::from_le_bytes(first)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn damaged_files_are_compiled_anew() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(&root.path().join("cache")).unwrap();
        let engine = Engine::default();
        let component = b"\0asm\x0d\0\x01\0";
        assert!(cache.load(&engine, b"key").is_none());
        cache.compile(&engine, b"key", component).unwrap();
        let path = cache.path(&engine, b"key");
        let whole = std::fs::read(&path).unwrap();
        for damage in ["flip", "cut", "empty"] {
            let mut bytes = whole.clone();
            match damage {
                "flip" => *bytes.last_mut().unwrap() ^= 1,
                "cut" => bytes.truncate(whole.len() / 2),
                _ => bytes.clear(),
            }
            std::fs::write(&path, &bytes).unwrap();
            assert!(cache.load(&engine, b"key").is_none(), "{damage}");
            cache.compile(&engine, b"key", component).unwrap();
            assert!(cache.load(&engine, b"key").is_some(), "{damage}");
        }
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("cache");
        Cache::open(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(Cache::open(&dir).unwrap_err().code.0, "LB0709");
    }
}
