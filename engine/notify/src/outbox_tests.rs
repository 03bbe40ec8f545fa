//! The outbox: its places, and what is found again after a start.

use lifeboat_core::notify::About;
use lifeboat_store::MemoryStore;

use super::*;

pub(crate) fn entry(key: &str, to: &str) -> Entry {
    Entry {
        number: 0,
        at: 5,
        key: key.to_owned(),
        channel: "c".to_owned(),
        to: to.to_owned(),
        message: Message::new(About::Failed, 5, "title", "text"),
        link: None,
        state: State::Waiting,
        attempts: 0,
        next_at: 5,
        error: None,
        done_at: None,
        carries: Vec::new(),
        with: None,
    }
}

#[tokio::test]
async fn what_was_put_in_is_there_after_a_new_start_and_only_once() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let outbox = Outbox::load(Arc::clone(&store)).await.unwrap();
    assert!(outbox.put(entry("a", "x")).await.unwrap());
    assert!(outbox.put(entry("a", "y")).await.unwrap());
    assert!(!outbox.put(entry("a", "x")).await.unwrap(), "it is told once");
    assert!(outbox.put(entry("b", "x")).await.unwrap());
    // The engine dies between the two writes of a collected message: the first one says all.
    outbox
        .change(1, |entry| (entry.state, entry.done_at, entry.carries) = (State::Sent, Some(9), vec![3]))
        .await
        .unwrap();
    drop(outbox);
    let outbox = Outbox::load(store).await.unwrap();
    let all: Vec<(u64, State, Option<u64>)> =
        outbox.all().await.iter().map(|entry| (entry.number, entry.state, entry.with)).collect();
    assert_eq!(all, [(3, State::Sent, Some(1)), (2, State::Waiting, None), (1, State::Sent, None)]);
    assert!(!outbox.put(entry("b", "x")).await.unwrap());
    assert_eq!(outbox.waiting("c", "y").await.len(), 1);
}

#[tokio::test]
async fn the_ring_keeps_the_newest_and_counts_what_was_lost() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let outbox = Outbox::load(Arc::clone(&store)).await.unwrap();
    for number in 0..PLACES + 3 {
        assert!(outbox.put(entry(&number.to_string(), "x")).await.unwrap());
        if number == 0 {
            outbox.change(1, |entry| entry.state = State::Sent).await.unwrap();
        }
    }
    assert_eq!((outbox.all().await.len() as u64, outbox.dropped().await), (PLACES, 2));
    let again = Outbox::load(store).await.unwrap();
    let all = again.all().await;
    assert_eq!((all.len() as u64, all[0].number, all.last().unwrap().number), (PLACES, PLACES + 3, 4));
    // What fell out of the ring could be told again; what is in it is not.
    assert!(!again.put(entry("5", "x")).await.unwrap());
}
