//! The dispatcher: it keeps the outbox moving. Each way to each reader has a task of its own, so that a server that does not answer
//! holds up nobody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lifeboat_core::Error;
use lifeboat_core::documents::Documents;
use lifeboat_core::notify::{About, Channel, Recipient};
use lifeboat_core::policy::backoff_ms;
use lifeboat_core::ports::{Clock, Rng, Store};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::courier::{Courier, Refused};
use crate::lanes::{Next, Waits, next, rank};
use crate::limit::Budget;
use crate::link::{Key, Link};
use crate::message::{Message, More};
use crate::outbox::{Entry, Outbox, State};

/// Other messages that are listed in one; the rest are counted.
const LISTED_MAX: usize = 20;
/// Where the key of links is kept.
const KEY: &str = "notify/link-key";
/// How long what is under way may take when the dispatcher is stopped.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);

/// What a dispatcher is made of.
pub struct Setting {
    /// Sends.
    pub courier: Arc<Courier>,
    /// Keeps the outbox.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For keys, and for delays that are drawn.
    pub rng: Arc<dyn Rng>,
    /// The beginning of links; `None`: there are none.
    pub public_url: Option<String>,
}

/// What was counted since the start: by channel, and what became of a message.
pub type Counts = BTreeMap<(String, &'static str), u64>;

/// Sends what is in the outbox. It goes on in the background until it is stopped.
pub struct Dispatcher {
    setting: Setting,
    documents: Documents,
    outbox: Outbox,
    key: Key,
    counts: Mutex<Counts>,
    come: BTreeMap<(String, String), Arc<Notify>>,
    stopping: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The key of links; made at the first use.
async fn link_key(documents: &Documents, rng: &dyn Rng) -> Result<Key, Error> {
    if let Some((_, text)) = documents.read::<String>(KEY).await? {
        let bytes = STANDARD.decode(text).unwrap_or_default();
        if bytes.len() == 32 {
            return Ok(Key::new(&bytes));
        }
        return Err(Error::new("LB1071", format!("the document '{KEY}' is not a key")));
    }
    let bytes: Vec<u8> = (0..4).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
    documents.put(KEY, 0, &STANDARD.encode(&bytes)).await?;
    Ok(Key::new(&bytes))
}

impl Dispatcher {
    /// Reads the outbox, and begins to send.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(setting: Setting) -> Result<Arc<Self>, Error> {
        let documents = Documents::new(Arc::clone(&setting.store));
        let outbox = Outbox::load(Arc::clone(&setting.store)).await?;
        let key = link_key(&documents, &*setting.rng).await?;
        let ways = setting.courier.channels().flat_map(|(name, channel)| {
            let readers = Courier::readers(channel).into_iter();
            readers.map(|reader| ((name.to_owned(), reader.address), Arc::default())).collect::<Vec<_>>()
        });
        let come: BTreeMap<(String, String), Arc<Notify>> = ways.collect();
        let (stopping, _) = watch::channel(false);
        let (counts, tasks) = (Mutex::default(), Mutex::default());
        let this = Arc::new(Self { setting, documents, outbox, key, counts, come, stopping, tasks });
        this.give_up_lost().await?;
        let tasks: Vec<JoinHandle<()>> = this
            .come
            .keys()
            .map(|(channel, to)| tokio::spawn(Arc::clone(&this).lane(channel.clone(), to.clone())))
            .collect();
        *this.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(this)
    }

    /// What waits for a reader that the operator's file does not name any more is not waited for.
    async fn give_up_lost(&self) -> Result<(), Error> {
        let waiting = self.outbox.all().await.into_iter().filter(|entry| entry.state == State::Waiting);
        for entry in waiting {
            if !self.come.contains_key(&(entry.channel.clone(), entry.to.clone())) {
                let error =
                    Error::new("LB1092", format!("there is no channel '{}' to this reader any more", entry.channel));
                self.give_up(entry.number, &error).await?;
            }
        }
        Ok(())
    }

    async fn give_up(&self, number: u64, error: &Error) -> Result<(), Error> {
        let (now, error) = (self.now(), brief(error));
        self.outbox
            .change(number, |entry| {
                (entry.state, entry.error, entry.done_at) = (State::Failed, Some(error), Some(now));
            })
            .await
    }

    fn now(&self) -> u64 {
        self.setting.clock.now_ms()
    }

    fn count(&self, channel: &str, what: &'static str, many: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((channel.to_owned(), what)).or_default() += many;
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The outbox.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The key that links are signed with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Sends.
    pub fn courier(&self) -> &Courier {
        &self.setting.courier
    }

    /// Whether any channel tells that.
    pub fn tells(&self, about: About) -> bool {
        self.setting.courier.channels().any(|(_, channel)| channel.about.contains(&about))
    }

    /// Intends a message for all channels that tell such things, and for those in `besides`; durable when this returns. `key`
    /// names what is told: it is told once. `link` gives the link of a person, where that person may answer.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell(
        &self,
        key: &str,
        message: &Message,
        besides: &[String],
        link: &(dyn Fn(&str) -> Option<Link> + Send + Sync),
    ) -> Result<(), Error> {
        let tells = |channel: &Channel| channel.about.contains(&message.about) && channel.tells_of(&message.runbook);
        let listed: Vec<(String, Vec<Recipient>)> = self
            .setting
            .courier
            .channels()
            .filter(|(name, channel)| tells(channel) || besides.iter().any(|one| one == name))
            .map(|(name, channel)| (name.to_owned(), Courier::readers(channel)))
            .collect();
        for (channel, readers) in listed {
            for reader in readers {
                let link = reader.person.as_deref().and_then(link);
                self.put(key, &channel, &reader.address, message, link).await?;
            }
        }
        for unknown in besides {
            if let Err(error) = self.setting.courier.channel(unknown) {
                let entry = self.entry(key, unknown, "", message, None);
                let failed =
                    Entry { state: State::Failed, error: Some(brief(&error)), done_at: Some(entry.at), ..entry };
                if self.outbox.put(failed).await? {
                    self.count(unknown, "failed", 1);
                }
            }
        }
        Ok(())
    }

    fn entry(&self, key: &str, channel: &str, to: &str, message: &Message, link: Option<Link>) -> Entry {
        let now = self.now();
        Entry {
            number: 0,
            at: now,
            key: key.to_owned(),
            channel: channel.to_owned(),
            to: to.to_owned(),
            message: message.clone(),
            link: link.filter(|_| self.setting.public_url.is_some()),
            state: State::Waiting,
            attempts: 0,
            next_at: now,
            error: None,
            done_at: None,
            carries: Vec::new(),
            with: None,
        }
    }

    async fn put(
        &self,
        key: &str,
        channel: &str,
        to: &str,
        message: &Message,
        link: Option<Link>,
    ) -> Result<(), Error> {
        if self.outbox.put(self.entry(key, channel, to, message, link)).await?
            && let Some(come) = self.come.get(&(channel.to_owned(), to.to_owned()))
        {
            come.notify_one();
        }
        Ok(())
    }

    /// Sends a message at once, so that a person sees whether a channel works. It is neither counted nor tried again.
    ///
    /// # Errors
    /// `LB1092` no such channel; else why it was not taken.
    pub async fn test(courier: &Courier, channel: &str, by: &str, now: u64) -> Result<Vec<String>, Error> {
        let readers = Courier::readers(courier.channel(channel)?);
        let message = Message::test(channel, by, now);
        let mut told = Vec::new();
        for reader in readers {
            let letter = format!("lifeboat-test-{now}-{}", told.len());
            let sent = courier.send(channel, &reader.address, &letter, &message).await;
            sent.map_err(|refused| refused.error().clone())?;
            told.push(reader.address);
        }
        Ok(told)
    }

    /// Ends it. What is under way has a short while; what is not sent by then is sent after the next start.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let until = tokio::time::Instant::now() + GRACE;
        for mut task in tasks {
            if tokio::time::timeout_at(until, &mut task).await.is_err() {
                task.abort();
                // It was cut off, as it was meant to be.
                let _ = task.await;
            }
        }
    }

    /// One way to one reader, until the end.
    async fn lane(self: Arc<Self>, channel: String, to: String) {
        let Ok(limit) = self.setting.courier.channel(&channel).map(|channel| channel.limit) else { return };
        let mut budget = Budget::new(limit);
        let mut sent: Vec<u64> =
            self.outbox.all().await.iter().filter_map(|entry| spent(entry, &channel, &to)).collect();
        sent.sort_unstable();
        sent.into_iter().for_each(|at| budget.spend(at));
        let Some(come) = self.come.get(&(channel.clone(), to.clone())).map(Arc::clone) else { return };
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow_and_update() {
            let waiting = self.outbox.waiting(&channel, &to).await;
            let brief: Vec<Waits> = waiting.iter().map(waits).collect();
            let wake = match next(&brief, &budget, self.now()) {
                Next::Send(numbers) => match self.send(&channel, &to, &waiting, &numbers).await {
                    Ok(true) => {
                        budget.spend(self.now());
                        continue;
                    }
                    Ok(false) => continue,
                    // The store does not take what became of it: not to go on is the only way not to send without end.
                    Err(error) => {
                        tracing::error!(channel, "the outbox cannot be written: {error}");
                        Some(self.now().saturating_add(60_000))
                    }
                },
                Next::Wait(wake) => wake,
            };
            let clock = Arc::clone(&self.setting.clock);
            tokio::select! {
                () = come.notified() => {}
                _ = stopping.changed() => {}
                () = async { match wake {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                } } => {}
            }
        }
    }

    /// Sends the first of them with the others in it. Whether it was taken.
    async fn send(&self, channel: &str, to: &str, waiting: &[Entry], numbers: &[u64]) -> Result<bool, Error> {
        let find = |number: &u64| waiting.iter().find(|entry| entry.number == *number);
        let Some((lead, others)) = numbers.split_first() else { return Ok(false) };
        let Some(first) = find(lead) else { return Ok(false) };
        let others: Vec<&Entry> = others.iter().filter_map(find).collect();
        let message = self.whole(first, &others);
        let letter = format!("lifeboat-{}-{}", first.at, first.number);
        let carried: Vec<u64> = others.iter().map(|entry| entry.number).collect();
        match self.setting.courier.send(channel, to, &letter, &message).await {
            Ok(()) => {
                let now = self.now();
                let all = carried.clone();
                let taken = move |entry: &mut Entry| {
                    (entry.state, entry.done_at, entry.error) = (State::Sent, Some(now), None);
                    entry.attempts += 1;
                };
                self.outbox
                    .change(*lead, |entry| {
                        taken(entry);
                        entry.carries = all;
                    })
                    .await?;
                self.count(channel, "sent", 1);
                self.count(channel, "collected", u64::try_from(carried.len()).unwrap_or_default());
                for number in carried {
                    self.outbox
                        .change(number, |entry| {
                            taken(entry);
                            entry.with = Some(*lead);
                        })
                        .await?;
                }
                Ok(true)
            }
            Err(refused) => {
                tracing::warn!(channel, "a message was not taken: {}", brief(refused.error()));
                let all: Vec<&Entry> = [first].into_iter().chain(others).collect();
                self.later(channel, &refused, &all).await?;
                Ok(false)
            }
        }
    }

    /// The message as it is sent: with its link, and with what is told besides.
    fn whole(&self, first: &Entry, others: &[&Entry]) -> Message {
        let mut message = first.message.clone();
        message.link = self.link(first);
        message.more_count = others.len();
        let listed = others.iter().take(LISTED_MAX);
        message.more =
            listed.map(|entry| More { title: entry.message.title.clone(), link: self.link(entry) }).collect();
        message
    }

    fn link(&self, entry: &Entry) -> String {
        match (&entry.link, &self.setting.public_url) {
            (Some(link), Some(url)) => format!("{url}/v1/links/{}", link.seal(&self.key)),
            _ => String::new(),
        }
    }

    /// What was not taken is tried again, or given up.
    async fn later(&self, channel: &str, refused: &Refused, entries: &[&Entry]) -> Result<(), Error> {
        let retry = self.setting.courier.channel(channel)?.retry.clone();
        let (now, error) = (self.now(), brief(refused.error()));
        for entry in entries {
            let tried = entry.attempts + 1;
            let again = matches!(refused, Refused::Now(_)) && tried <= retry.count;
            if !again {
                tracing::error!(channel, number = entry.number, "a message is given up: {error}");
            }
            self.count(channel, if again { "retried" } else { "failed" }, 1);
            let next_at = now.saturating_add(backoff_ms(&retry, tried, self.setting.rng.next_u64()));
            self.outbox
                .change(entry.number, |entry| {
                    (entry.attempts, entry.error) = (tried, Some(error.clone()));
                    if again {
                        entry.next_at = next_at;
                    } else {
                        (entry.state, entry.done_at) = (State::Failed, Some(now));
                    }
                })
                .await?;
        }
        Ok(())
    }

    /// A small document of the store, for who follows the runs.
    ///
    /// # Errors
    /// The store's.
    pub async fn noted(&self, key: &str) -> Result<Option<u64>, Error> {
        Ok(self.documents.read(key).await?.map(|(_, value)| value))
    }

    /// Notes a number there.
    ///
    /// # Errors
    /// The store's.
    pub async fn note(&self, key: &str, value: u64) -> Result<(), Error> {
        self.documents.set(key, &value).await
    }
}

fn waits(entry: &Entry) -> Waits {
    Waits { number: entry.number, next_at: entry.next_at, rank: rank(&entry.message.severity) }
}

/// When a message of that way was sent, if it was one of its own.
fn spent(entry: &Entry, channel: &str, to: &str) -> Option<u64> {
    let mine = entry.channel == channel && entry.to == to && entry.state == State::Sent && entry.with.is_none();
    entry.done_at.filter(|_| mine)
}

/// An error in one line.
pub(crate) fn brief(error: &Error) -> String {
    let text = error
        .context
        .iter()
        .fold(format!("{}: {}", error.code, error.message), |text, (name, value)| format!("{text}; {name}: {value}"));
    crate::message::plain(&text)
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
