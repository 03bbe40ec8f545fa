//! Making a vault, while others may make the same one.
//!
//! Two engines may be the first of a vault at once. Were each to write a key of its own and then the one `config`, which
//! only one of the keys opens, the vault of the other, with all that it sent there, would be lost.
//!
//! So one object decides, `making`: the file of the first key, written only where there is none yet. Whose it is has won, and
//! everybody else who comes uses that key and no other, however slow anybody is. The key goes to its place before `config`, `config` is
//! written only where there is none, and then `making` goes: whoever makes one later finds `config`. A process that died at
//! any moment leaves what the next one goes on with.
//!
//! Some stores overwrite although they were asked not to. They are found out by writing `making` twice. There the keys
//! decide: who finds a key that the password opens uses that and makes none, and where two were written at one moment, the
//! least name wins, and the others take theirs away, after a while in which the slow may come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytesize::ByteSize;
use lifeboat_core::{Failure, FailureKind};
use rustic_core::repofile::MasterKey;
use rustic_core::{ConfigOptions, Credentials, KeyOptions};

use crate::backend::Place;
use crate::cipher::{Cipher, hex, sha256};
use crate::error::{DAMAGED, LOCKED, fail_hint};
use crate::session::{explain, repository};
use crate::watch::Watch;

/// The object that decides who makes the vault. It stands beside restic's own, which take no notice of it.
const FIRST: &str = "making";
/// How long is waited for a key that another one writes at this moment, where the store cannot decide: some times as long as
/// it took to write one, in these bounds. It is waited twice, once in the life of a vault.
const SETTLE: (Duration, Duration) = (Duration::from_millis(400), Duration::from_secs(3));
/// How often it is begun anew because others were there.
const ROUNDS: u32 = 5;
/// Bytes of a pack of data: as restic has it. What a snapshot holds in memory is some packs, and a retry sends a whole one.
const PACK: ByteSize = ByteSize::mib(16);
const LATE: &str = "another engine makes this vault at the same moment";

/// The key that this process wrote, and how long is waited for others, where the store did not decide.
#[derive(Debug, Default)]
pub(crate) struct Making(Mutex<Option<(String, Duration)>>);

fn late(place: &Place) -> Failure {
    let message = format!("{LATE}: {}", place.store.location());
    let mut failure = fail_hint(LOCKED, message, "nothing was lost; try again, then it is there");
    failure.kind = FailureKind::Temporary;
    failure
}

fn is_late(failure: &Failure) -> bool {
    failure.message.starts_with(LATE)
}

/// The keys that are there, in the order of their names.
fn keys(place: &Place) -> Result<Vec<String>, Failure> {
    let mut keys: Vec<String> = place.list("keys/")?.into_iter().map(|(key, _)| key).collect();
    keys.sort();
    Ok(keys)
}

/// Makes the vault, or opens the one that another engine made meanwhile.
pub(crate) fn make(place: &Place, watch: &Arc<Watch>, credentials: &Credentials) -> Result<MasterKey, Failure> {
    let told = |cause: &_| explain(watch, place, cause);
    let config = ConfigOptions::default().set_datapack_size(PACK);
    let mut round = 0;
    loop {
        round += 1;
        let repo = repository(place, watch, None)?;
        if round == 1 && repo.config_id().map_err(|cause| told(&cause))?.is_some() {
            return Ok(repo.open(credentials).map_err(|cause| told(&cause))?.key());
        }
        let in_use = refuse_over_data(place)?;
        let made = match adopted(place, credentials)? {
            None => repo.init(credentials, &KeyOptions::default(), &config),
            Some(key) if opens(place, &key)? => return Ok(key),
            Some(_) if in_use => return Err(late(place)),
            Some(key) => {
                let key = Credentials::Masterkey(key);
                repo.init(&key, &KeyOptions::default(), &config)
            }
        };
        match made.map_err(|cause| told(&cause)) {
            Ok(made) => return Ok(made.key()),
            // The other one's `config` may also have come between the look at the keys and the library's own look at it.
            Err(failure) if round < ROUNDS && (is_late(&failure) || place.head("config")?.is_some()) => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// The first key that the password opens.
fn adopted(place: &Place, credentials: &Credentials) -> Result<Option<MasterKey>, Failure> {
    let Credentials::Password(password) = credentials else { return Ok(None) };
    for key in keys(place)? {
        match place.get_named(&key) {
            Ok(file) => {
                if let Some(master) = Cipher::master(&file, password) {
                    return Ok(Some(master));
                }
            }
            // Taken away meanwhile by the one who wrote it.
            Err(failure) if failure.kind == FailureKind::Permanent => {}
            Err(failure) => return Err(failure),
        }
    }
    begun(place, password)
}

/// The key of the one who has won and is not done yet, after it was brought to its place: it may be dead.
fn begun(place: &Place, password: &str) -> Result<Option<MasterKey>, Failure> {
    if place.head(FIRST)?.is_none() {
        return Ok(None);
    }
    let Some(file) = there(place, FIRST)? else { return Ok(None) };
    let Some(master) = Cipher::master(&file, password) else { return Ok(None) };
    if place.put_new(FIRST, file.clone())? {
        // It is gone by now, or this store lets the last one win.
        place.delete(FIRST)?;
        return Ok(None);
    }
    place.put(&format!("keys/{}", hex(&sha256(&file))), file)?;
    Ok(Some(master))
}

/// The bytes of an object, or nothing where there is none.
fn there(place: &Place, key: &str) -> Result<Option<Bytes>, Failure> {
    match place.get(key, 0, None) {
        Ok(data) => Ok(Some(data)),
        Err(failure) if failure.kind == FailureKind::Permanent => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether there is a `config` that this key opens.
fn opens(place: &Place, key: &MasterKey) -> Result<bool, Failure> {
    if place.head("config")?.is_none() {
        return Ok(false);
    }
    let Some(cipher) = Cipher::new(key) else { return Ok(false) };
    let data = place.get_sealed("config", &cipher)?;
    Ok(cipher.open(&mut data.to_vec()).is_some())
}

/// Where there is data without a config, that was lost, and nothing is touched. With one: whether there is data.
fn refuse_over_data(place: &Place) -> Result<bool, Failure> {
    let ours = ["data/", "index/", "snapshots/"];
    let there = place.list("")?.into_iter().any(|(key, _)| ours.iter().any(|folder| key.starts_with(folder)));
    if there && place.head("config")?.is_none() {
        return Err(fail_hint(
            DAMAGED,
            format!("the vault at {} has data but its file 'config' is missing", place.store.location()),
            "bring 'config' back from a copy; no new vault is made over the data of an old one",
        ));
    }
    Ok(there)
}

impl Making {
    /// Writes the key, where this process is the first.
    pub(crate) fn key(&self, place: &Place, key: &str, data: &Bytes) -> Result<(), Failure> {
        let started = Instant::now();
        if place.head("config")?.is_some() || !keys(place)?.is_empty() {
            return Err(late(place));
        }
        // A request that was repeated finds what it wrote itself.
        if !place.put_new(FIRST, data.clone())? && there(place, FIRST)?.as_ref() != Some(data) {
            return Err(late(place));
        }
        if place.put_new(FIRST, data.clone())? {
            place.delete(FIRST)?;
            // Or somebody went on with this very key, and is done.
            if place.head("config")?.is_some() {
                return Err(late(place));
            }
            place.put(key, data.clone())?;
            let settle = (started.elapsed() * 2).clamp(SETTLE.0, SETTLE.1);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.to_owned(), settle));
            return Ok(());
        }
        // Others may have come to the end between the first look and the decision.
        if place.head("config")?.is_some() || keys(place)?.iter().any(|other| other != key) {
            place.delete(FIRST)?;
            return Err(late(place));
        }
        place.put(key, data.clone())
    }

    /// Writes `config`, where there is none.
    pub(crate) fn config(&self, place: &Place, data: &Bytes) -> Result<(), Failure> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((own, settle)) = waiting {
            return by_names(place, data, &own, settle);
        }
        if !place.put_new("config", data.clone())? && there(place, "config")?.as_ref() != Some(data) {
            return Err(late(place));
        }
        place.delete(FIRST)
    }
}

/// Writes `config`, and looks twice whether another key has the lesser name: a store or a process may have been slow.
fn by_names(place: &Place, data: &Bytes, own: &str, settle: Duration) -> Result<(), Failure> {
    for _ in 0..2 {
        std::thread::sleep(settle);
        if keys(place)?.first().map(String::as_str) != Some(own) {
            place.delete(own)?;
            return Err(late(place));
        }
        if place.head("config")?.is_none() || place.get("config", 0, None)? != *data {
            place.put("config", data.clone())?;
        }
    }
    Ok(())
}
