//! A store in front of another one that counts, is slow, dies at a call, cuts bodies short, and lies.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lifeboat_core::Failure;
use lifeboat_host::ports::{BoxFuture, Object, ObjectStore};

/// The store with its troubles; all are off at first.
pub struct Trouble {
    inner: Arc<dyn ObjectStore>,
    /// Calls that change something, so far.
    pub changes: AtomicU64,
    /// From the change with this number on (from 1) every call fails, as if the process were dead.
    pub die_at: AtomicU64,
    /// The change that it dies at is made, and only the answer is lost.
    pub after_effect: AtomicBool,
    /// Bytes that were put below `data/`.
    pub put_bytes: AtomicU64,
    /// How many puts there are at this moment, and the most there were at once.
    pub putting: AtomicU64,
    pub most_putting: AtomicU64,
    /// The bytes of all puts at this moment, and the most.
    pub flying: AtomicU64,
    pub most_flying: AtomicU64,
    /// How long each put takes, in milliseconds; it may be changed while they wait.
    pub put_ms: AtomicU64,
    /// Gets below `data/` give half of the bytes.
    pub cut: AtomicBool,
    /// So many gets turn a bit of what they give.
    pub flip: AtomicU64,
    /// Puts below `data/` change a byte and say that all is well.
    pub lie: AtomicBool,
}

impl Trouble {
    pub fn new(inner: impl ObjectStore) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::new(inner),
            changes: AtomicU64::new(0),
            die_at: AtomicU64::new(0),
            after_effect: AtomicBool::new(false),
            put_bytes: AtomicU64::new(0),
            putting: AtomicU64::new(0),
            most_putting: AtomicU64::new(0),
            flying: AtomicU64::new(0),
            most_flying: AtomicU64::new(0),
            put_ms: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            flip: AtomicU64::new(0),
            lie: AtomicBool::new(false),
        })
    }

    fn dead(&self) -> bool {
        let at = self.die_at.load(Ordering::SeqCst);
        at > 0 && self.changes.load(Ordering::SeqCst) >= at
    }

    fn alive(&self) -> Result<(), Failure> {
        if self.dead() { Err(killed()) } else { Ok(()) }
    }

    /// Counts a change. `Ok(true)`: it is made and its answer is lost.
    fn change(&self) -> Result<bool, Failure> {
        self.alive()?;
        let number = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        if number != self.die_at.load(Ordering::SeqCst) {
            return Ok(false);
        }
        if self.after_effect.load(Ordering::SeqCst) { Ok(true) } else { Err(killed()) }
    }
}

fn killed() -> Failure {
    Failure::temporary("the process was killed")
}

impl ObjectStore for Trouble {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<Object>, Failure>> {
        Box::pin(async move {
            self.alive()?;
            self.inner.list(prefix).await
        })
    }
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Object>, Failure>> {
        Box::pin(async move {
            self.alive()?;
            self.inner.head(key).await
        })
    }
    fn get<'a>(&'a self, key: &'a str, offset: u64, len: Option<u64>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        Box::pin(async move {
            self.alive()?;
            let data = self.inner.get(key, offset, len).await?;
            let flips = self.flip.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if flips.is_ok() && !data.is_empty() && key != "config" {
                let mut copy = data.to_vec();
                copy[data.len() / 2] ^= 1;
                return Ok(copy.into());
            }
            let cut = key.starts_with("data/") && self.cut.load(Ordering::SeqCst);
            Ok(if cut { data.slice(..data.len() / 2) } else { data })
        })
    }
    fn put<'a>(&'a self, key: &'a str, data: Bytes) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let lost = self.change()?;
            let size = data.len() as u64;
            let mut data = data;
            if key.starts_with("data/") {
                self.put_bytes.fetch_add(size, Ordering::SeqCst);
                let now = self.putting.fetch_add(1, Ordering::SeqCst) + 1;
                self.most_putting.fetch_max(now, Ordering::SeqCst);
                let now = self.flying.fetch_add(size, Ordering::SeqCst) + size;
                self.most_flying.fetch_max(now, Ordering::SeqCst);
                if self.lie.load(Ordering::SeqCst) {
                    let mut copy = data.to_vec();
                    copy[size as usize / 2] ^= 1;
                    data = copy.into();
                }
            }
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(self.put_ms.load(Ordering::SeqCst)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let done = self.inner.put(key, data).await;
            if key.starts_with("data/") {
                self.putting.fetch_sub(1, Ordering::SeqCst);
                self.flying.fetch_sub(size, Ordering::SeqCst);
            }
            if lost { Err(killed()) } else { done }
        })
    }
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let lost = self.change()?;
            let done = self.inner.delete(key).await;
            if lost { Err(killed()) } else { done }
        })
    }
}
