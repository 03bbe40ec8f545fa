//! Where the book of alerts is kept: a snapshot and the rounds since, as small documents of the store.
//!
//! The store deletes nothing and writes one document at a time, so places are used again, and a round may be several documents: it counts
//! when its last part is there. A snapshot is written to places that the one before does not use; it counts once the head names it.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::documents::told;
use lifeboat_core::ports::{Store, StoreError};
use serde::{Deserialize, Serialize};

use super::book::{Book, Round};

/// Bytes of a part: a document holds 16 KiB, and the head of a part is small.
const PART_BYTES: usize = 15_000;
/// Places for rounds. A snapshot is made when half of them are used.
const PLACES: u64 = 4_096;
/// Bytes of rounds after which a snapshot is made; or as many as the last snapshot had.
const SNAPSHOT_BYTES: usize = 512 * 1024;
const HEAD: &str = "alerts/head";

/// Which snapshot counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Head {
    /// Which of the two sets of places it is in.
    second: bool,
    /// How many parts it has.
    parts: u64,
    /// How many bytes it has.
    bytes: usize,
    /// The number of the last part of a round that is in it.
    upto: u64,
    /// The digest of it.
    digest: String,
}

/// What stands before the bytes of a part.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The number of the part, over all rounds.
    number: u64,
    /// Its place in its round, from 0.
    at: u64,
    /// How many parts the round has.
    of: u64,
    /// The digest of the round: parts of two rounds are never one.
    round: String,
}

/// The documents.
pub(crate) struct Ledger {
    store: Arc<dyn Store>,
    head: Head,
    head_version: u64,
    /// The number of the last part that counts.
    last: u64,
    /// Bytes of rounds since the snapshot.
    since: usize,
}

fn place(number: u64) -> String {
    format!("alerts/log/{:04}", number % PLACES)
}

fn base(second: bool, part: u64) -> String {
    format!("alerts/base/{}/{part:05}", if second { "b" } else { "a" })
}

fn broken(what: impl Into<String>) -> Error {
    Error::new("LB1033", format!("the record of alerts cannot be read: {}", what.into()))
        .hint("'lifeboat doctor' looks for damage in the data folder")
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Ledger {
    /// Reads all that is kept.
    ///
    /// # Errors
    /// The store's; `LB1033` where what is there is not whole.
    pub(crate) async fn load(store: Arc<dyn Store>) -> Result<(Self, Book), Error> {
        let mut ledger = Self { store, head: Head::default(), head_version: 0, last: 0, since: 0 };
        let mut book = Book::default();
        if let Some(found) = ledger.store.get_document(HEAD).await.map_err(told)? {
            ledger.head_version = found.version;
            ledger.head = serde_json::from_slice(&found.value).map_err(|cause| broken(cause.to_string()))?;
            book = ledger.snapshot().await?;
        }
        ledger.last = ledger.head.upto;
        while let Some((round, parts, bytes)) = ledger.round_after(ledger.last).await? {
            book.take(round);
            ledger.last += parts;
            ledger.since += bytes;
        }
        Ok((ledger, book))
    }

    async fn snapshot(&self) -> Result<Book, Error> {
        let mut bytes = Vec::with_capacity(self.head.bytes);
        for part in 0..self.head.parts {
            let found = self.store.get_document(&base(self.head.second, part)).await.map_err(told)?;
            bytes.extend(found.ok_or_else(|| broken("a part of its snapshot is missing"))?.value);
        }
        if blake3::hash(&bytes).to_hex().as_str() != self.head.digest {
            return Err(broken("its snapshot is not the one that was written"));
        }
        serde_json::from_slice(&bytes).map_err(|cause| broken(cause.to_string()))
    }

    /// The round after that part, if it is whole; with the number of its parts, and its bytes.
    async fn round_after(&self, last: u64) -> Result<Option<(Round, u64, usize)>, Error> {
        let (mut bytes, mut first): (Vec<u8>, Option<Mark>) = (Vec::new(), None);
        for number in last + 1.. {
            let Some(found) = self.store.get_document(&place(number)).await.map_err(told)? else { return Ok(None) };
            let Some((mark, rest)) = part(&found.value) else { return Err(broken("a part of it has no head")) };
            let at = number - last - 1;
            let follows = first.as_ref().is_none_or(|first| first.round == mark.round && first.of == mark.of);
            if mark.number != number || mark.at != at || mark.of <= at || !follows {
                return Ok(None);
            }
            bytes.extend_from_slice(rest);
            let of = mark.of;
            if at + 1 == of {
                if digest(&bytes) != mark.round {
                    return Err(broken("a part of it is not the one that was written"));
                }
                let round = serde_json::from_slice(&bytes).map_err(|cause| broken(cause.to_string()))?;
                return Ok(Some((round, of, bytes.len())));
            }
            first.get_or_insert(mark);
        }
        Ok(None)
    }

    /// Makes a round durable. `book` is what all is after it; after an error nobody knows, and all has to be loaded anew.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn write(&mut self, round: &Round, book: impl FnOnce() -> Vec<u8>) -> Result<(), Error> {
        let bytes = serde_json::to_vec(round).map_err(|cause| broken(cause.to_string()))?;
        let parts = bytes.chunks(PART_BYTES).len();
        let used = self.last - self.head.upto + count(parts);
        if used > PLACES / 2 || self.since + bytes.len() > SNAPSHOT_BYTES.max(self.head.bytes) {
            return self.write_snapshot(&book()).await;
        }
        let round = digest(&bytes);
        for (at, chunk) in bytes.chunks(PART_BYTES).enumerate() {
            let number = self.last + 1 + count(at);
            let mark = Mark { number, at: count(at), of: count(parts), round: round.clone() };
            let mut value = serde_json::to_vec(&mark).map_err(|cause| broken(cause.to_string()))?;
            value.push(b'\n');
            value.extend_from_slice(chunk);
            self.put(&place(number), value).await?;
        }
        self.last += count(parts);
        self.since += bytes.len();
        Ok(())
    }

    async fn write_snapshot(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let second = !self.head.second;
        for (at, chunk) in bytes.chunks(PART_BYTES).enumerate() {
            self.put(&base(second, count(at)), chunk.to_vec()).await?;
        }
        let head = Head {
            second,
            parts: count(bytes.chunks(PART_BYTES).len()),
            bytes: bytes.len(),
            upto: self.last,
            digest: blake3::hash(bytes).to_hex().to_string(),
        };
        let value = serde_json::to_vec(&head).map_err(|cause| broken(cause.to_string()))?;
        self.head_version = self.store.put_document(HEAD, self.head_version, value).await.map_err(told)?;
        (self.head, self.since) = (head, 0);
        Ok(())
    }

    /// Writes a document that nobody else writes.
    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), Error> {
        let version = self.store.get_document(key).await.map_err(told)?.map_or(0, |found| found.version);
        match self.store.put_document(key, version, value).await {
            Ok(_) => Ok(()),
            Err(StoreError::DocumentConflict { .. }) => {
                Err(Error::new("LB0601", "somebody else writes to the record of alerts"))
            }
            Err(error) => Err(told(error)),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().chars().take(24).collect()
}

fn part(value: &[u8]) -> Option<(Mark, &[u8])> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let (mark, rest) = value.split_at_checked(end)?;
    Some((serde_json::from_slice(mark).ok()?, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use lifeboat_store::MemoryStore;

    use super::super::book::Record;
    use super::*;

    fn round(number: u64, bytes: usize) -> Round {
        let record = Record {
            number,
            at: number,
            last: number,
            count: 1,
            source: "s".to_owned(),
            word: "opened".to_owned(),
            code: None,
            reason: "r".repeat(bytes),
            incident: None,
            runbook: None,
            group: None,
            run: None,
            from: None,
        };
        Round { records: vec![record], ..Round::default() }
    }

    fn text(book: &Book) -> Vec<u8> {
        serde_json::to_vec(book).unwrap()
    }

    #[tokio::test]
    async fn what_was_written_is_read_over_many_snapshots() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (mut ledger, mut book) = Ledger::load(Arc::clone(&store)).await.unwrap();
        for number in 1..=900 {
            let round = round(number, if number % 7 == 0 { 40_000 } else { 200 });
            book.take(round.clone());
            ledger.write(&round, || text(&book)).await.unwrap();
            if number % 50 == 0 {
                let (anew, read) = Ledger::load(Arc::clone(&store)).await.unwrap();
                assert_eq!(text(&read), text(&book), "after {number}");
                ledger = anew;
            }
        }
        assert!(ledger.head_version > 3, "{} snapshots", ledger.head_version);
    }

    #[tokio::test]
    async fn a_round_without_its_last_part_is_none_and_its_places_are_used_again() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (mut ledger, _) = Ledger::load(Arc::clone(&store)).await.unwrap();
        ledger.write(&round(1, 10), Vec::new).await.unwrap();
        // Two parts of three, as a crash leaves them.
        let bytes = serde_json::to_vec(&round(2, 40_000)).unwrap();
        for (at, chunk) in bytes.chunks(PART_BYTES).take(2).enumerate() {
            let mark = Mark { number: 2 + count(at), at: count(at), of: 3, round: digest(&bytes) };
            let mut value = serde_json::to_vec(&mark).unwrap();
            value.push(b'\n');
            value.extend_from_slice(chunk);
            store.put_document(&place(mark.number), 0, value).await.unwrap();
        }
        let (mut ledger, book) = Ledger::load(Arc::clone(&store)).await.unwrap();
        assert_eq!((book.records.len(), ledger.last), (1, 1));
        ledger.write(&round(2, 20_000), Vec::new).await.unwrap();
        let (_, book) = Ledger::load(Arc::clone(&store)).await.unwrap();
        assert_eq!(book.records.iter().map(|record| record.reason.len()).collect::<Vec<_>>(), [10, 20_000]);
    }

    #[tokio::test]
    async fn a_changed_part_is_told() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (mut ledger, _) = Ledger::load(Arc::clone(&store)).await.unwrap();
        ledger.write(&round(1, 10), Vec::new).await.unwrap();
        let mut value = store.get_document(&place(1)).await.unwrap().unwrap().value;
        let end = value.len() - 5;
        value[end] ^= 1;
        store.put_document(&place(1), 1, value).await.unwrap();
        assert_eq!(Ledger::load(store).await.err().unwrap().code.0, "LB1033");
    }
}
