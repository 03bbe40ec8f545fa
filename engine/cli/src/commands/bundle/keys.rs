//! Keys on disk. The engine's own key is made at its first use, in the data folder, for its user's eyes alone.

use std::fs::{File, OpenOptions, hard_link, remove_file};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lifeboat_core::Error;
use lifeboat_evidence::{PublicKey, SigningKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use zeroize::Zeroizing;

use crate::commands::runs;
use crate::exit::Exit;
use crate::screen::{put, put_json};
use crate::world::World;

/// The engine's key in the data folder.
const FILE: &str = "evidence-key";
/// A key file has two short lines.
const BYTES_MAX: u64 = 4 << 10;

fn failed(path: &Path, what: &str, cause: &std::io::Error) -> Error {
    Error::new("LB1129", format!("the key file '{}' cannot be {what}", path.display())).with("cause", cause)
}

/// Prints the engine's public key, or makes a pair in a file.
///
/// # Errors
/// `LB0501` when there is no data folder; `LB1129` what is wrong with the key; `LB1131` when the file is there already.
pub fn key(world: &World, new: Option<&Path>) -> Result<Exit, Error> {
    let key = match new {
        Some(path) => {
            let key = fresh()?;
            if !write(path, &key)? {
                return Err(Error::new("LB1131", format!("'{}' is there already", path.display()))
                    .hint("a key that is written over is lost for ever; name another file"));
            }
            world.screen.say(&format!("the private key is in '{}'; keep it to yourself", path.display()));
            key
        }
        None => engine(world)?,
    };
    let public = key.public();
    if world.screen.json {
        put_json(&json!({ "key": public }))?
    } else {
        put(&public.to_string())
    }
    Ok(Exit::Success)
}

/// The engine's key, made if there is none.
///
/// # Errors
/// As [`key`].
pub fn engine(world: &World) -> Result<SigningKey, Error> {
    runs::there(world)?;
    let path = world.data.join(FILE);
    if !path.exists() {
        // Who comes second takes the first one's key.
        write(&path, &fresh()?)?;
    }
    private(&path)
}

fn fresh() -> Result<SigningKey, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(&mut *seed)
        .map_err(|_| Error::new("LB1129", "the system gives no randomness for a key"))?;
    SigningKey::from_seed(seed)
}

/// Writes a key file, whole or not at all, and never over another one. Whether it was written.
fn write(path: &Path, key: &SigningKey) -> Result<bool, Error> {
    let half = half(path);
    let fail = |cause: std::io::Error| failed(path, "written", &cause);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half).map_err(fail)?;
    let written = file.write_all(key.file().as_bytes()).and_then(|()| file.sync_all());
    // A link, and not a new name: it fails where a file is.
    let linked = written.and_then(|()| match hard_link(&half, path) {
        Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(false),
        other => other.map(|()| true),
    });
    let removed = remove_file(&half);
    let made = linked.map_err(fail)?;
    removed.map_err(fail)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
    Ok(made)
}

fn half(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    PathBuf::from(name)
}

/// Reads a file with a private key. One that others can read is refused: it may be theirs by now.
///
/// # Errors
/// `LB1129` with what is wrong.
pub fn private(path: &Path) -> Result<SigningKey, Error> {
    let fail = |cause: std::io::Error| failed(path, "read", &cause);
    let file = File::open(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.mode();
    if mode & 0o077 != 0 {
        return Err(Error::new("LB1129", format!("others may read or write the private key '{}'", path.display()))
            .with("mode", format!("{:o}", mode & 0o777))
            .hint(format!("chmod 600 '{}', or make a new key if it may have been read", path.display())));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(fail)?;
    SigningKey::read(&text).map_err(|error| error.with("file", path.display()))
}

/// A public key from the command line: its text, or the name of a file with it. Of a file with a private key, the public line.
///
/// # Errors
/// `LB1129` when it is neither.
pub fn public(text: &str) -> Result<PublicKey, Error> {
    if text.trim().starts_with("ed25519:") {
        return PublicKey::parse(text);
    }
    let path = Path::new(text);
    let fail = |cause: std::io::Error| {
        failed(path, "read", &cause).hint(
            "--key takes 'ed25519:' and 64 digits, or a file with them; 'lifeboat evidence key' prints an engine's",
        )
    };
    let file = File::open(path).map_err(fail)?;
    let mut read = Zeroizing::new(String::new());
    file.take(BYTES_MAX).read_to_string(&mut read).map_err(fail)?;
    let line = read.lines().find(|line| line.trim().starts_with("ed25519:")).unwrap_or_default();
    PublicKey::parse(line).map_err(|error| error.with("file", path.display()))
}
