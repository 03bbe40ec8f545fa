//! A store that is sent no more than so many bytes a second, so that a snapshot leaves room on the line for others.
//!
//! Each object has to wait until those before it have had their time; it is then sent at once. Over some objects this
//! comes to the limit; within one it is as fast as the line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::Failure;
use lifeboat_host::ports::{BoxFuture, Object, ObjectStore};
use tokio::time::Instant;

/// The store with a limit in bytes a second, or as it is without one.
pub fn slowed(store: Arc<dyn ObjectStore>, limit: Option<u64>) -> Arc<dyn ObjectStore> {
    match limit {
        Some(limit) if limit > 0 => Arc::new(Slowed { store, limit, free_at: Mutex::new(None) }),
        _ => store,
    }
}

struct Slowed {
    store: Arc<dyn ObjectStore>,
    limit: u64,
    /// When the line is free again.
    free_at: Mutex<Option<Instant>>,
}

impl Slowed {
    /// Takes a place in the queue; gives when it is this one's turn.
    fn turn(&self, now: Instant, bytes: usize) -> Instant {
        let micros = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000) / u128::from(self.limit);
        let time = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = free_at.map_or(now, |free_at| free_at.max(now));
        *free_at = Some(turn.checked_add(time).unwrap_or(turn));
        turn
    }
}

impl ObjectStore for Slowed {
    fn location(&self) -> String {
        self.store.location()
    }
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Object>, Failure>> {
        self.store.list(prefix)
    }
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>, Failure>> {
        self.store.head(key)
    }
    fn get<'a>(&'a self, key: &'a str, offset: u64, len: Option<u64>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        self.store.get(key, offset, len)
    }
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            // A lock must not wait behind packs: it would be stale before it is renewed.
            if !key.starts_with("locks/") {
                tokio::time::sleep_until(self.turn(Instant::now(), data.len())).await;
            }
            self.store.put(key, data).await
        })
    }
    fn put_new<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<bool, Failure>> {
        self.store.put_new(key, data)
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        self.store.delete(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl ObjectStore for Nowhere {
        fn location(&self) -> String {
            String::new()
        }
        fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Object>, Failure>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn head<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Object>, Failure>> {
            Box::pin(async { Ok(None) })
        }
        fn get<'a>(&'a self, _: &'a str, _: u64, _: Option<u64>) -> BoxFuture<'a, Result<Bytes, Failure>> {
            Box::pin(async { Ok(Bytes::new()) })
        }
        fn put<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, Result<(), Failure>> {
            Box::pin(async { Ok(()) })
        }
        fn put_new<'a>(&'a self, _: &'a str, _: Bytes) -> BoxFuture<'a, Result<bool, Failure>> {
            Box::pin(async { Ok(true) })
        }
        fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
            Box::pin(async { Ok(()) })
        }
    }

    #[test]
    fn objects_wait_for_the_time_of_those_before_them() {
        let line = Slowed { store: Arc::new(Nowhere), limit: 1000, free_at: Mutex::new(None) };
        let start = Instant::now();
        let seconds = |line: &Slowed, after: u64, bytes| {
            let now = start + Duration::from_secs(after);
            (line.turn(now, bytes) - start).as_secs()
        };
        assert_eq!(seconds(&line, 0, 5000), 0, "nothing was sent before");
        assert_eq!(seconds(&line, 1, 2000), 5);
        assert_eq!(seconds(&line, 1, 1000), 7);
        assert_eq!(seconds(&line, 20, 1000), 20, "time that nobody used is not saved up");
        assert_eq!(seconds(&line, 20, 0), 21);
    }
}
