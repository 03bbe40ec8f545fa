//! The record of every call that changes something: who, what, and what came of it. Durable before it is done.
//!
//! Each entry is a small document with a number, chained to the one before by a digest, so that a gap or a change shows.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::documents::Documents;
use lifeboat_core::ports::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::access::Person;

/// The document with a number that was given out: the head is looked for from there.
const HEAD: &str = "audit/head";
/// How often the head is noted. To look for it costs at most as many reads.
const NOTED_EVERY: u64 = 64;

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// The name of who called.
    pub by: String,
    /// How the caller was known: `token 0123456789` or `uid 1000`.
    pub known_by: String,
    /// Where the call came from: an address, or `socket`.
    pub from: String,
    /// What: method and path.
    pub call: String,
    /// The digest of what was sent with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The number of the entry that this one is the end of. Without it, this is the beginning of a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u64>,
    /// The status that was answered, in the entry that ends a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the refusal, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Whether the answer was that of an earlier call with the same key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// The digest of the entry before.
    pub before: String,
}

/// The record in a store.
pub(crate) struct Audit {
    documents: Documents,
    last: Mutex<Option<Last>>,
}

struct Last {
    number: u64,
    digest: String,
}

fn key(number: u64) -> String {
    format!("audit/{number:012}")
}

impl Entry {
    fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&bytes).to_hex().to_string()
    }

    /// The beginning of a call.
    pub(crate) fn begin(at: u64, person: &Person, from: String, call: String, body: &[u8]) -> Self {
        let body = (!body.is_empty()).then(|| blake3::hash(body).to_hex().to_string());
        // A path of any length must not outgrow a document.
        let call = call.chars().take(1_000).collect();
        let (by, known_by) = (person.name.clone(), person.known_by.clone());
        Self { at, by, known_by, from, call, body, ..Self::default() }
    }
}

impl Audit {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { documents: Documents::new(store), last: Mutex::new(None) }
    }

    async fn find_last(&self) -> Result<Last, Error> {
        let noted = self.documents.read::<u64>(HEAD).await?.map_or(0, |(_, number)| number);
        let mut last = Last { number: noted, digest: String::new() };
        if noted > 0 {
            last.digest = self.entry(noted).await?.map(|entry| entry.digest()).unwrap_or_default();
        }
        while let Some(entry) = self.entry(last.number + 1).await? {
            last = Last { number: entry.number, digest: entry.digest() };
        }
        Ok(last)
    }

    async fn entry(&self, number: u64) -> Result<Option<Entry>, Error> {
        Ok(self.documents.read::<Entry>(&key(number)).await?.map(|(_, entry)| entry))
    }

    /// Writes an entry; durable when this returns. Its number.
    ///
    /// # Errors
    /// The store's: then nothing may be done that it would have told of.
    pub(crate) async fn write(&self, mut entry: Entry) -> Result<u64, Error> {
        let mut held = self.last.lock().await;
        let last = match held.take() {
            Some(last) => last,
            None => self.find_last().await?,
        };
        entry.number = last.number + 1;
        entry.before = last.digest;
        // After an error it is not known what is there, so the head is looked for anew.
        if self.documents.write(&key(entry.number), 0, &entry).await?.is_none() {
            return Err(Error::new("LB0601", "somebody else writes to the record of calls"));
        }
        let number = entry.number;
        if number.is_multiple_of(NOTED_EVERY) {
            let version = self.documents.read::<u64>(HEAD).await?.map_or(0, |(version, _)| version);
            self.documents.write(HEAD, version, &number).await?;
        }
        *held = Some(Last { number, digest: entry.digest() });
        Ok(number)
    }

    /// At most `limit` entries before that number, newest first.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn page(&self, before: Option<u64>, limit: usize) -> Result<Vec<Entry>, Error> {
        let last = {
            let mut held = self.last.lock().await;
            let last = match held.take() {
                Some(last) => last,
                None => self.find_last().await?,
            };
            let number = last.number;
            *held = Some(last);
            number
        };
        let newest = before.map_or(last, |before| before.saturating_sub(1).min(last));
        let mut entries = Vec::new();
        for number in (1..=newest).rev().take(limit) {
            entries.extend(self.entry(number).await?);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn numbers_have_no_gaps_and_the_chain_holds_over_a_new_start() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        for life in 0..3 {
            let audit = Audit::new(Arc::clone(&store));
            for _ in 0..70 {
                let entry = Entry { call: format!("life {life}"), ..Entry::default() };
                audit.write(entry).await.unwrap();
            }
        }
        let audit = Audit::new(store);
        let mut all = audit.page(None, 1_000).await.unwrap();
        all.reverse();
        assert_eq!(all.len(), 210);
        for (place, pair) in (1..).zip(all.windows(2)) {
            assert_eq!(pair[0].number, place);
            assert_eq!(pair[1].before, pair[0].digest());
        }
        let page: Vec<u64> = audit.page(Some(3), 10).await.unwrap().iter().map(|entry| entry.number).collect();
        assert_eq!(page, [2, 1]);
    }
}
