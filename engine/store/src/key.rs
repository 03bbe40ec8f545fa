//! The data key of an encrypted journal, as it is kept: wrapped by the operator's secret.
//!
//! So the secret can be changed without writing the journal anew. The file is there twice, `KEY` and `KEY.copy`: without it
//! nothing can be read any more. A secret may be a word that a person made up, so guessing is made slow by scrypt.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lifeboat_core::Error;
use zeroize::Zeroizing;

use crate::errors;
use crate::rewrite::sync;
use crate::seal::{self, Key32, Seal};

const FIRST: &str = "lifeboat-key 1";
/// scrypt with 32 MiB: some 70 ms an opening.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 1;
/// A file of somebody else must not make an opening take all memory.
const LOG_N_MAX: u8 = 20;

/// The secret that encrypts a journal. Wiped on drop, never printed.
#[derive(Clone)]
pub struct Key(Arc<Zeroizing<Vec<u8>>>);

impl Key {
    /// Takes the bytes of the secret over.
    pub fn new(secret: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(secret)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The paths of the file.
pub(crate) fn paths(root: &Path) -> [PathBuf; 2] {
    [root.join("KEY"), root.join("KEY.copy")]
}

/// A new data key for a journal, kept durably under the secret.
pub(crate) fn make(root: &Path, identity: &str, secret: &Key) -> Result<Seal, Error> {
    let fail = |cause: io::Error| errors::io("make a key for the journal", root, &cause);
    let data_key: Key32 = Zeroizing::new(seal::random().map_err(fail)?);
    keep(root, identity, secret, &data_key)?;
    Seal::new(&data_key, identity).map_err(fail)
}

/// The data key, if this is the secret.
pub(crate) fn open(root: &Path, identity: &str, secret: &Key) -> Result<Seal, Error> {
    let data_key = data_key(root, identity, secret)?;
    Seal::new(&data_key, identity).map_err(|cause| errors::io("open the key of the journal", root, &cause))
}

/// Keeps the data key under another secret.
pub(crate) fn change(root: &Path, identity: &str, old: &Key, new: &Key) -> Result<(), Error> {
    let data_key = data_key(root, identity, old)?;
    keep(root, identity, new, &data_key)
}

fn data_key(root: &Path, identity: &str, secret: &Key) -> Result<Key32, Error> {
    let mut wrong = false;
    for path in paths(root) {
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(errors::io("read the key of the journal", &path, &cause)),
        };
        let Some((log_n, salt, sealed)) = parse(&text) else { continue };
        let wrapping = derive(secret, log_n, &salt).ok_or_else(|| errors::no_key_file(root))?;
        match seal::unwrap(&wrapping, bound(identity, log_n, &salt).as_bytes(), &sealed) {
            Some(found) if found.len() == 32 => {
                let mut key: Key32 = Zeroizing::new([0; 32]);
                key.copy_from_slice(&found);
                return Ok(key);
            }
            _ => wrong = true,
        }
    }
    Err(if wrong { errors::wrong_key(root) } else { errors::no_key_file(root) })
}

fn keep(root: &Path, identity: &str, secret: &Key, data_key: &Key32) -> Result<(), Error> {
    let fail = |cause: io::Error| errors::io("keep the key of the journal", root, &cause);
    let salt: [u8; 16] = seal::random().map_err(fail)?;
    let nonce: [u8; 24] = seal::random().map_err(fail)?;
    let salt = hex(&salt);
    let refused = || errors::refused("a key that cannot be derived");
    let wrapping = derive(secret, LOG_N, &salt).ok_or_else(refused)?;
    let sealed = seal::wrap(&wrapping, nonce, bound(identity, LOG_N, &salt).as_bytes(), data_key.as_slice());
    let text = format!("{FIRST}\nscrypt {LOG_N} {R} {P}\n{salt}\n{}\n", hex(&sealed.ok_or_else(refused)?));
    let sum = crc32c::crc32c(text.as_bytes());
    let text = format!("{text}{sum:08x}\n");
    for path in paths(root) {
        let draft = path.with_extension("new");
        File::create(&draft)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(fail)?;
        sync(root)?;
    }
    Ok(())
}

fn bound(identity: &str, log_n: u8, salt: &str) -> String {
    format!("{FIRST}\n{identity}\nscrypt {log_n} {R} {P}\n{salt}\n")
}

/// Keys that were derived, under a hash of what from: a command opens its journal more than once.
static DERIVED: Mutex<VecDeque<([u8; 32], Key32)>> = Mutex::new(VecDeque::new());
/// How many are kept. A process has one journal; only tests have more.
const DERIVED_MAX: usize = 32;

fn derive(secret: &Key, log_n: u8, salt: &str) -> Option<Key32> {
    let mut hasher = blake3::Hasher::new_derive_key("lifeboat 2026 journal last key");
    hasher.update(&[log_n]).update(salt.as_bytes()).update(&secret.0);
    let from = *hasher.finalize().as_bytes();
    let lock = || DERIVED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, key)) = lock().iter().find(|(known, _)| *known == from) {
        return Some(key.clone());
    }
    let mut key: Key32 = Zeroizing::new([0; 32]);
    let params = scrypt::Params::new(log_n, R, P).ok()?;
    scrypt::scrypt(&secret.0, salt.as_bytes(), &params, key.as_mut_slice()).ok()?;
    let mut derived = lock();
    derived.truncate(DERIVED_MAX - 1);
    derived.push_front((from, key.clone()));
    Some(key)
}

/// The cost, the salt and the wrapped key.
fn parse(text: &str) -> Option<(u8, String, Vec<u8>)> {
    let body = text.get(..text.len().checked_sub(9)?)?;
    if u32::from_str_radix(text.get(body.len()..)?.trim_end(), 16).ok()? != crc32c::crc32c(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != FIRST {
        return None;
    }
    let mut words = lines.next()?.strip_prefix("scrypt ")?.split(' ');
    let log_n: u8 = words.next()?.parse().ok().filter(|log_n| *log_n <= LOG_N_MAX)?;
    if words.next()?.parse::<u32>().ok()? != R || words.next()?.parse::<u32>().ok()? != P {
        return None;
    }
    let salt = lines.next()?.to_owned();
    Some((log_n, salt, unhex(lines.next()?)?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
