//! `Idempotency-Key`: a call that is sent twice is carried out once, also when the service crashed in between.
//!
//! What is known of a key is one document. There is a fixed number of places for them, so that the store does not grow with
//! the calls; a place is free again when its key is older than a day.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::documents::Documents;
use lifeboat_core::ids::RunId;
use lifeboat_core::ports::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Places for keys.
const PLACES: u64 = 65_536;
/// How many places a key may be in.
const NEAR: u64 = 8;
/// How long a key is known: a day.
const LIFE_MS: u64 = 86_400_000;
/// Bytes of an answer that is kept. Those of calls that change something are small; a larger one is given without a body.
const ANSWER_MAX: usize = 8 * 1024;
/// Calls that may be at work at once under different keys: two that share one of these wait for each other.
const TURNS: usize = 64;

/// What a call noted before it did something, so that after a crash it is found out whether it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Note {
    /// The name of the run that was about to be made.
    Run(RunId),
    /// The number of events that the run had before the verb.
    Seq(u64),
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    /// The digest of the key, the caller and the call.
    key: String,
    /// The digest of what was sent.
    body: String,
    at: u64,
    note: Option<Note>,
    answer: Option<Answer>,
}

/// The keys in a store.
pub(crate) struct Once {
    documents: Documents,
    turns: [Arc<Mutex<()>>; TURNS],
}

/// A call under a key, that is to be carried out now. Nobody else is at work under the key until it is dropped.
pub(crate) struct Begun {
    documents: Documents,
    place: String,
    version: u64,
    kept: Kept,
    _turn: OwnedMutexGuard<()>,
}

/// What is known of a key.
pub(crate) enum Found {
    /// The call was answered before.
    Answered(Answer),
    /// It is to be carried out; what it noted in an earlier life is in it.
    Begun(Box<Begun>),
}

impl Once {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { documents: Documents::new(store), turns: std::array::from_fn(|_| Arc::default()) }
    }

    /// Looks a key up. `call` is who calls what; waits while another call is at work under the key.
    ///
    /// # Errors
    /// `LB1061` the key was used for something else; `LB1068` too many keys; the store's.
    pub(crate) async fn begin(&self, key: &str, call: &str, body: &[u8], now: u64) -> Result<Found, Error> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(call.as_bytes()).update(&[0]).update(key.as_bytes());
        let whole = hasher.finalize();
        let number = whole.as_bytes().iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        let first = number % PLACES;
        // Keys that can meet in a place share a turn, as far as one block of places goes; the versions catch the rest.
        let turn = usize::try_from(first / NEAR).unwrap_or(0) % TURNS;
        let Some(turn) = self.turns.get(turn) else { return Err(full()) };
        let turn = Arc::clone(turn).lock_owned().await;
        let (key, body) = (whole.to_hex().to_string(), blake3::hash(body).to_hex().to_string());
        let mut free = None;
        for near in 0..NEAR {
            let place = format!("once/{}", (first + near) % PLACES);
            match self.documents.read::<Kept>(&place).await? {
                Some((version, kept)) if kept.key == key && now.saturating_sub(kept.at) < LIFE_MS => {
                    return self.again(place, version, kept, &body, turn);
                }
                Some((_, kept)) if now.saturating_sub(kept.at) < LIFE_MS => {}
                Some((version, _)) => free = free.or(Some((place, version))),
                None => {
                    free = free.or(Some((place, 0)));
                    break;
                }
            }
        }
        let (place, version) = free.ok_or_else(full)?;
        let kept = Kept { key, body, at: now, note: None, answer: None };
        Ok(Found::Begun(Box::new(Begun { documents: self.documents.clone(), place, version, kept, _turn: turn })))
    }

    fn again(
        &self,
        place: String,
        version: u64,
        kept: Kept,
        body: &str,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Found, Error> {
        if kept.body != body {
            return Err(Error::new("LB1061", "this Idempotency-Key was used for another call")
                .hint("a key belongs to one call; draw a new one for each"));
        }
        Ok(match kept.answer.clone() {
            Some(answer) => Found::Answered(answer),
            None => {
                Found::Begun(Box::new(Begun { documents: self.documents.clone(), place, version, kept, _turn: turn }))
            }
        })
    }
}

fn full() -> Error {
    Error::new("LB1068", "too many Idempotency-Keys were used within a day").hint("send the call without one, or later")
}

impl Begun {
    /// What the call noted in an earlier life of the service, if it died in between.
    pub(crate) fn earlier(&self) -> Option<&Note> {
        self.kept.note.as_ref()
    }

    /// Notes what is about to be done; durable when this returns.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn note(&mut self, note: Note) -> Result<(), Error> {
        self.kept.note = Some(note);
        self.write().await
    }

    /// Keeps the answer; durable when this returns.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn answer(&mut self, mut answer: Answer) -> Result<(), Error> {
        if answer.body.len() > ANSWER_MAX {
            answer.body = String::new();
        }
        self.kept.answer = Some(answer);
        self.write().await
    }

    async fn write(&mut self) -> Result<(), Error> {
        let Some(version) = self.documents.write(&self.place, self.version, &self.kept).await? else {
            return Err(
                Error::new("LB1062", "another call took the place of this Idempotency-Key").hint("send it again")
            );
        };
        self.version = version;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_store::MemoryStore;

    use super::*;

    fn answer(body: &str) -> Answer {
        Answer { status: 201, location: None, body: body.to_owned() }
    }

    #[tokio::test]
    async fn a_key_is_answered_once_and_belongs_to_one_call() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let once = Once::new(Arc::clone(&store));
        let Found::Begun(mut begun) = once.begin("k", "ada POST /x", b"1", 1_000).await.unwrap() else { panic!() };
        assert_eq!(begun.earlier(), None);
        begun.note(Note::Seq(7)).await.unwrap();
        drop(begun);
        // A new life of the service finds the note.
        let once = Once::new(store);
        let Found::Begun(mut begun) = once.begin("k", "ada POST /x", b"1", 2_000).await.unwrap() else { panic!() };
        assert_eq!(begun.earlier(), Some(&Note::Seq(7)));
        begun.answer(answer("yes")).await.unwrap();
        drop(begun);
        let Found::Answered(found) = once.begin("k", "ada POST /x", b"1", 3_000).await.unwrap() else { panic!() };
        assert_eq!(found, answer("yes"));
        let Err(error) = once.begin("k", "ada POST /x", b"2", 3_000).await else { panic!() };
        assert_eq!(error.code.0, "LB1061");
        assert!(
            matches!(once.begin("k", "bo POST /x", b"2", 3_000).await, Ok(Found::Begun(_))),
            "keys are their owner's"
        );
        let late = once.begin("k", "ada POST /x", b"2", 1_000 + LIFE_MS).await;
        assert!(matches!(late, Ok(Found::Begun(_))), "after a day the key is free");
    }

    #[tokio::test]
    async fn a_place_is_taken_over_only_after_its_day() {
        let once = Once::new(Arc::new(MemoryStore::new()));
        for key in 0..2_000 {
            let call = once.begin(&key.to_string(), "c", b"", 0).await.unwrap();
            let Found::Begun(mut begun) = call else { panic!("key {key} was not used yet") };
            begun.answer(answer(&key.to_string())).await.unwrap();
        }
        for key in 0..2_000 {
            let Found::Answered(found) = once.begin(&key.to_string(), "c", b"", 1).await.unwrap() else { panic!() };
            assert_eq!(found.body, key.to_string());
        }
    }
}
