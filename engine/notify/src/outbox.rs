//! The outbox: what is to be told, and what became of it. An entry is one message to one reader; it is durable before the message
//! is sent, and says that the message was taken before it is forgotten.
//!
//! Entries are small documents of the store in a ring of fixed size, since a store deletes nothing.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::documents::Documents;
use lifeboat_core::ports::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::link::Link;
use crate::message::Message;

/// Places of entries. What is older than the last so many is not shown any more.
const PLACES: u64 = 1_024;

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// To be sent.
    Waiting,
    /// The other side has taken it.
    Sent,
    /// It was given up, after all retries or because it was refused for good.
    Failed,
}

impl State {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Sent => "sent",
            State::Failed => "failed",
        }
    }
}

/// One message to one reader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When it was intended, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What it tells, so that nothing is told twice: the run, the number of the event, and what it is about.
    pub key: String,
    /// The channel.
    pub channel: String,
    /// The address, in mail.
    pub to: String,
    /// What is told.
    pub message: Message,
    /// The link that the reader gets; signed when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// Where it is.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub next_at: u64,
    /// What became of the last attempt that did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<u64>,
    /// The numbers of other entries that were told in this message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<u64>,
    /// The number of the entry in whose message this one was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<u64>,
}

#[derive(Default)]
struct Ring {
    entries: BTreeMap<u64, (u64, Entry)>,
    keys: HashSet<String>,
    last: u64,
    dropped: u64,
}

/// The outbox in a store.
pub struct Outbox {
    documents: Documents,
    ring: Mutex<Ring>,
}

fn place(number: u64) -> String {
    format!("notify/box/{}", number.saturating_sub(1) % PLACES)
}

/// What makes a key unique to a reader.
fn whole(key: &str, channel: &str, to: &str) -> String {
    format!("{key}\n{channel}\n{to}")
}

impl Outbox {
    /// Reads it.
    ///
    /// # Errors
    /// The store's; `LB1071` a document is not what it should be.
    pub async fn load(store: Arc<dyn Store>) -> Result<Self, Error> {
        let documents = Documents::new(store);
        let mut ring = Ring::default();
        for number in 1..=PLACES {
            let Some((version, entry)) = documents.read::<Entry>(&place(number)).await? else { break };
            ring.last = ring.last.max(entry.number);
            ring.keys.insert(whole(&entry.key, &entry.channel, &entry.to));
            ring.entries.insert(entry.number, (version, entry));
        }
        // What was told in another message has said so there, in one write.
        let carried: Vec<(u64, u64, u64)> = ring
            .entries
            .values()
            .filter(|(_, entry)| entry.state == State::Sent)
            .flat_map(|(_, lead)| lead.carries.iter().map(|one| (*one, lead.number, lead.done_at.unwrap_or(lead.at))))
            .collect();
        for (number, lead, at) in carried {
            if let Some((_, entry)) = ring.entries.get_mut(&number)
                && entry.state == State::Waiting
            {
                (entry.state, entry.with, entry.done_at) = (State::Sent, Some(lead), Some(at));
            }
        }
        Ok(Self { documents, ring: Mutex::new(ring) })
    }

    /// Puts a message in; durable when this returns. False where it is there already.
    ///
    /// # Errors
    /// The store's.
    pub async fn put(&self, mut entry: Entry) -> Result<bool, Error> {
        let mut ring = self.ring.lock().await;
        let key = whole(&entry.key, &entry.channel, &entry.to);
        if ring.keys.contains(&key) {
            return Ok(false);
        }
        entry.number = ring.last + 1;
        let oldest = entry.number.checked_sub(PLACES).and_then(|number| ring.entries.get(&number));
        let version = oldest.map_or(0, |(version, _)| *version);
        if let Some((_, gone)) = oldest.filter(|(_, gone)| gone.state == State::Waiting) {
            tracing::error!(
                channel = gone.channel,
                number = gone.number,
                "a message was never sent: the outbox is full"
            );
            ring.dropped += 1;
        }
        let version = self.documents.put(&place(entry.number), version, &entry).await?;
        ring.last = entry.number;
        if let Some(gone) = entry.number.checked_sub(PLACES)
            && let Some((_, gone)) = ring.entries.remove(&gone)
        {
            ring.keys.remove(&whole(&gone.key, &gone.channel, &gone.to));
        }
        ring.keys.insert(key);
        ring.entries.insert(entry.number, (version, entry));
        Ok(true)
    }

    /// Changes an entry; durable when this returns. Nothing happens where it has left the ring.
    ///
    /// # Errors
    /// The store's.
    pub async fn change(&self, number: u64, change: impl FnOnce(&mut Entry)) -> Result<(), Error> {
        let mut ring = self.ring.lock().await;
        let Some((version, entry)) = ring.entries.get(&number) else { return Ok(()) };
        let (version, mut entry) = (*version, entry.clone());
        change(&mut entry);
        let version = self.documents.put(&place(number), version, &entry).await?;
        ring.entries.insert(number, (version, entry));
        Ok(())
    }

    /// All entries, newest first.
    pub async fn all(&self) -> Vec<Entry> {
        self.ring.lock().await.entries.values().rev().map(|(_, entry)| entry.clone()).collect()
    }

    /// What a way to a reader has to do.
    pub(crate) async fn waiting(&self, channel: &str, to: &str) -> Vec<Entry> {
        let ring = self.ring.lock().await;
        let mine = |entry: &&Entry| entry.state == State::Waiting && entry.channel == channel && entry.to == to;
        ring.entries.values().map(|(_, entry)| entry).filter(mine).cloned().collect()
    }

    /// Messages that left the ring before they were sent, since the start.
    pub async fn dropped(&self) -> u64 {
        self.ring.lock().await.dropped
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
