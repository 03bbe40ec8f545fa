//! The desk at which alerts arrive. A clerk deals with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lifeboat_alerts::kernel::Fact;
use lifeboat_alerts::{Batch, Seen, Signed};
use lifeboat_core::Error;
use lifeboat_core::ports::Store;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::book::{Book, Came, IncidentView, Record};
use super::carry::Carried;
use super::hooks::Hooks;
use super::refused;
use super::tally::{Stranger, Tally};
use super::watch::Watch;
use crate::access::Person;
use crate::held::lock;
use crate::limit::Limit;

/// Messages that wait for the clerk.
const WAITING_MAX: usize = 1_024;
/// Posts a minute of one hook: more than twice of what the loudest source was seen to send.
const POSTS_PER_MINUTE: u32 = 300_000;
/// Bodies that are read at once: each may be a megabyte.
const BODIES_MAX: usize = 64;

/// What an alert is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) word: String,
    pub(crate) code: Option<&'static str>,
    pub(crate) reason: String,
    pub(crate) incident: Option<u64>,
}

pub(super) type Reply = oneshot::Sender<Result<Vec<Answered>, Error>>;

/// What somebody wants of the clerk.
pub(super) enum Ask {
    Batch { batch: Batch, signed: Option<Signed>, by: Option<Arc<Person>>, reply: Reply },
    NoNews { source: String, reason: String, signed: Option<Signed>, reply: Reply },
    Close { number: u64, by: String, why: String, reply: Reply },
    Fact(Fact),
    Carried { what: Task, carried: Carried },
    Stop(oneshot::Sender<()>),
}

/// Something that is being carried out.
pub(super) type Task = (u64, &'static str);

/// Where alerts arrive.
pub(crate) struct Desk {
    pub(super) store: Arc<dyn Store>,
    pub(crate) hooks: Hooks,
    pub(crate) watch: Watch,
    /// How often each hook may post.
    pub(crate) posts: Limit<String>,
    /// Bodies that are read at once.
    pub(crate) bodies: Semaphore,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) inbox: Mutex<Option<mpsc::Receiver<Ask>>>,
    /// As it is known now; `None`: it is not known.
    pub(super) book: Mutex<Option<Book>>,
    pub(super) tally: Mutex<Tally>,
    pub(super) seen: Mutex<Seen>,
    pub(super) strangers: Mutex<BTreeMap<(String, String), Stranger>>,
}

pub(super) fn unknown() -> Error {
    Error::new("LB1034", "what is known of alerts cannot be read now").hint("send it again in a while")
}

impl Desk {
    pub(crate) fn new(store: Arc<dyn Store>, hooks: Hooks) -> Self {
        let (asks, inbox) = mpsc::channel(WAITING_MAX);
        Self {
            store,
            hooks,
            watch: Watch::default(),
            posts: Limit::new(POSTS_PER_MINUTE),
            bodies: Semaphore::new(BODIES_MAX),
            asks,
            inbox: Mutex::new(Some(inbox)),
            book: Mutex::default(),
            tally: Mutex::default(),
            seen: Mutex::default(),
            strangers: Mutex::default(),
        }
    }

    /// Takes the signature of a message in.
    ///
    /// # Errors
    /// `LB1015` it came before.
    pub(crate) fn take(&self, signed: &Signed, now_ms: u64) -> Result<(), Error> {
        lock(&self.seen).take(signed, now_ms).map_err(refused)
    }

    /// Has alerts decided on. What follows is durable when this returns.
    ///
    /// # Errors
    /// The store's: then nothing was taken, and the message may come again.
    pub(crate) async fn batch(
        &self,
        batch: Batch,
        signed: Option<Signed>,
        by: Option<Arc<Person>>,
    ) -> Result<Vec<Answered>, Error> {
        self.ask(signed.clone(), |reply| Ask::Batch { batch, signed, by, reply }).await
    }

    /// Has a message written down that is no news.
    ///
    /// # Errors
    /// As [`Desk::batch`].
    pub(crate) async fn no_news(
        &self,
        source: String,
        reason: String,
        signed: Option<Signed>,
    ) -> Result<Vec<Answered>, Error> {
        self.ask(signed.clone(), |reply| Ask::NoNews { source, reason, signed, reply }).await
    }

    /// Closes an incident.
    ///
    /// # Errors
    /// `LB1035` there is none of that number, or it cannot be closed now; the store's.
    pub(crate) async fn close(&self, number: u64, by: String, why: String) -> Result<Vec<Answered>, Error> {
        self.ask(None, |reply| Ask::Close { number, by, why, reply }).await
    }

    async fn ask(&self, signed: Option<Signed>, ask: impl FnOnce(Reply) -> Ask) -> Result<Vec<Answered>, Error> {
        let (reply, answer) = oneshot::channel();
        let sent = self.asks.send(ask(reply)).await.is_ok();
        let answer = if sent { answer.await.unwrap_or_else(|_| Err(unknown())) } else { Err(unknown()) };
        if answer.is_err()
            && let Some(signed) = signed
        {
            // Its sender may send the very same message again.
            lock(&self.seen).forget(&signed);
        }
        answer
    }

    /// Has a refusal written down, within a second.
    pub(crate) fn refused(&self, stranger: Stranger) {
        let mut strangers = lock(&self.strangers);
        let key = (stranger.source.clone(), stranger.code.clone());
        let count = strangers.get(&key).map_or(0, |there| there.count);
        strangers.insert(key, Stranger { count: count + stranger.count, ..stranger });
    }

    /// At most `limit` records before that number that somebody may see, newest first.
    ///
    /// # Errors
    /// `LB1034` they are not known now.
    pub(crate) fn page(
        &self,
        before: Option<u64>,
        limit: usize,
        sees: impl Fn(&Record) -> bool,
    ) -> Result<Vec<Record>, Error> {
        let book = lock(&self.book);
        let tally = lock(&self.tally);
        let records = book.as_ref().ok_or_else(unknown)?.records.iter().rev();
        let older = records.filter(|record| before.is_none_or(|before| record.number < before) && sees(record));
        Ok(older.take(limit).map(|record| tally.now(record.number).unwrap_or(record).clone()).collect())
    }

    /// The incidents that are not over.
    ///
    /// # Errors
    /// `LB1034` they are not known now.
    pub(crate) fn open(&self) -> Result<Vec<IncidentView>, Error> {
        lock(&self.book).as_ref().map(Book::open).ok_or_else(unknown)
    }

    /// All that is kept, as a snapshot has it.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        let mut book = lock(&self.book).clone().unwrap_or_default();
        book.came = lock(&self.seen).all().map(|signed| Came::of(&signed)).collect();
        serde_json::to_vec(&book).unwrap_or_default()
    }

    /// Ends the clerk's work, with all written down.
    pub(crate) async fn stop(&self) {
        let (done, wait) = oneshot::channel();
        if self.asks.send(Ask::Stop(done)).await.is_ok() {
            // A clerk who is gone has stopped.
            let _ = wait.await;
        }
    }
}
