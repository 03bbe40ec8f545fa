//! The dispatcher over a store: limits, retries, deaths.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::ids::{Digest, RunId, StepId};
use lifeboat_core::notify::{Given, Way};
use lifeboat_core::plan::Retry;
use lifeboat_core::ports::BoxFuture;
use lifeboat_store::MemoryStore;
use serde_json::{Value, json};

use super::*;
use crate::courier::tests::{channel, hook, secrets, sink};

struct Wall;

impl Clock for Wall {
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        let ms = at_ms.saturating_sub(self.now_ms());
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

impl Rng for Wall {
    fn next_u64(&self) -> u64 {
        7
    }
}

fn setting(url: &str, limit: u32, retries: u32, store: &Arc<dyn Store>) -> Setting {
    let mut made = channel(Way::Webhook(hook(Given::Text(url.to_owned()))));
    made.limit = limit;
    made.retry = Retry { count: retries, backoff_ms: 30, max_ms: 60, jitter: false };
    let channels = BTreeMap::from([("c".to_owned(), made)]);
    let courier = Arc::new(Courier::new(&channels, secrets(&[])).unwrap());
    let public_url = Some("https://dr.example.net".to_owned());
    Setting { courier, store: Arc::clone(store), clock: Arc::new(Wall), rng: Arc::new(Wall), public_url }
}

async fn settled(dispatcher: &Dispatcher) -> Vec<Entry> {
    for _ in 0..400 {
        let all = dispatcher.outbox().all().await;
        if !all.is_empty() && all.iter().all(|entry| entry.state != State::Waiting) {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to an end: {:?}", dispatcher.outbox().all().await);
}

fn failed(title: &str) -> Message {
    Message::new(About::Failed, 1, title, "it failed")
}

const NOBODY: &(dyn Fn(&str) -> Option<Link> + Send + Sync) = &|_| None;

#[tokio::test]
async fn what_is_refused_for_now_is_sent_again_and_then_not_any_more() {
    let (url, seen) = sink(&["500 x", "503 x"]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let dispatcher = Dispatcher::start(setting(&url, 30, 5, &store)).await.unwrap();
    dispatcher.tell("r/1", &failed("one"), &[], NOBODY).await.unwrap();
    dispatcher.tell("r/1", &failed("one"), &[], NOBODY).await.unwrap();
    let all = settled(&dispatcher).await;
    assert_eq!((all.len(), all[0].state, all[0].attempts), (1, State::Sent, 3));
    let keys: Vec<String> = seen.lock().unwrap().iter().map(|(head, _)| head.clone()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|head| head == &keys[0]), "each time it is the same message");
    dispatcher.stop().await;
    // A new start sends nothing again.
    let dispatcher = Dispatcher::start(setting(&url, 30, 5, &store)).await.unwrap();
    dispatcher.tell("r/1", &failed("one"), &[], NOBODY).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(seen.lock().unwrap().len(), 3);
    dispatcher.stop().await;
}

#[tokio::test]
async fn what_was_intended_before_a_crash_is_sent_after_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    // Nobody listens there: it waits, and the engine is gone before the next try.
    let dispatcher = Dispatcher::start(setting("http://127.0.0.1:1/", 30, 9, &store)).await.unwrap();
    dispatcher.tell("r/1", &failed("one"), &[], NOBODY).await.unwrap();
    dispatcher.stop().await;
    let (url, seen) = sink(&[]);
    let dispatcher = Dispatcher::start(setting(&url, 30, 9, &store)).await.unwrap();
    assert_eq!(settled(&dispatcher).await[0].state, State::Sent);
    assert_eq!(seen.lock().unwrap().len(), 1);
    dispatcher.stop().await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_given_up_and_shown() {
    let (url, seen) = sink(&["500 a", "500 b", "500 c", "404 d"]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let dispatcher = Dispatcher::start(setting(&url, 30, 2, &store)).await.unwrap();
    dispatcher.tell("r/1", &failed("one"), &[], NOBODY).await.unwrap();
    let first = settled(&dispatcher).await.remove(0);
    assert_eq!((first.state, first.attempts), (State::Failed, 3));
    dispatcher.tell("r/2", &failed("two"), &["gone".to_owned()], NOBODY).await.unwrap();
    let all = settled(&dispatcher).await;
    let told: Vec<(&str, u32, bool)> = all
        .iter()
        .map(|entry| {
            (entry.channel.as_str(), entry.attempts, entry.error.as_ref().is_some_and(|e| e.contains("LB109")))
        })
        .collect();
    assert_eq!(told, [("gone", 0, true), ("c", 1, true), ("c", 3, true)]);
    assert_eq!(seen.lock().unwrap().len(), 4, "what is refused for good is not sent again");
    let counts = dispatcher.counts();
    assert_eq!((counts[&("c".to_owned(), "failed")], counts[&("c".to_owned(), "retried")]), (2, 2));
    dispatcher.stop().await;
}

#[tokio::test]
async fn a_storm_is_one_message_with_what_there_is_more() {
    let (url, seen) = sink(&[]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let first = Dispatcher::start(setting("http://127.0.0.1:1/", 4, 9, &store)).await.unwrap();
    for number in 0..15 {
        first.tell(&format!("r/{number}"), &failed(&format!("n{number}")), &[], NOBODY).await.unwrap();
    }
    first.stop().await;
    let dispatcher = Dispatcher::start(setting(&url, 4, 9, &store)).await.unwrap();
    let all = settled(&dispatcher).await;
    assert!(all.iter().all(|entry| entry.state == State::Sent));
    let bodies: Vec<Value> = seen.lock().unwrap().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!((&bodies[0]["more_count"], &bodies[1]["more_count"]), (&json!(0), &json!(13)));
    assert_eq!(bodies[1]["more"].as_array().unwrap().len(), 13);
    dispatcher.stop().await;
    // The limit holds over a new start, too.
    let dispatcher = Dispatcher::start(setting(&url, 4, 9, &store)).await.unwrap();
    dispatcher.tell("r/99", &failed("later"), &[], NOBODY).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(dispatcher.outbox().all().await[0].state, State::Waiting);
    dispatcher.stop().await;
}

#[tokio::test]
async fn the_key_of_links_stays_the_same() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let link = Link {
        run: RunId("r1".to_owned()),
        step: StepId("go".to_owned()),
        seq: 1,
        fingerprint: Digest("blake3:0".to_owned()),
        person: "ada".to_owned(),
        until: u64::MAX,
    };
    let first = Dispatcher::start(setting("http://127.0.0.1:1/", 4, 0, &store)).await.unwrap();
    let sealed = link.seal(first.key());
    first.stop().await;
    let second = Dispatcher::start(setting("http://127.0.0.1:1/", 4, 0, &store)).await.unwrap();
    assert_eq!(Link::open(&sealed, second.key(), 1).unwrap(), link);
    second.stop().await;
}
