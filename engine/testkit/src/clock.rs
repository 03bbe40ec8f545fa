//! A clock that jumps: time stands still while anything is under way, then goes on to the next sleeper at once.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_core::ports::{BoxFuture, Clock};

/// Turns of the scheduler without a sign of life after which everything is taken for idle.
const IDLE_TURNS: u32 = 24;
/// Idle turns with no sleeper left after which the run is taken for hanging.
const HANGING_TURNS: u32 = 20_000;

#[derive(Debug, Default)]
struct Inner {
    now: u64,
    /// Grows whenever somebody looks at the clock or sleeps: the sign of life.
    activity: u64,
    next: u64,
    sleepers: BTreeMap<(u64, u64), Waker>,
}

/// The simulated clock. Cheap to clone; the clones share the time.
#[derive(Clone, Debug, Default)]
pub struct SimClock {
    inner: Arc<Mutex<Inner>>,
}

struct Sleep {
    clock: SimClock,
    at: u64,
    key: Option<(u64, u64)>,
}

impl SimClock {
    /// A clock that stands at this time, in milliseconds since the Unix epoch.
    pub fn at(now_ms: u64) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { now: now_ms, ..Inner::default() })) }
    }

    /// The time, without counting as a sign of life.
    pub fn now(&self) -> u64 {
        self.inner.lock().unwrap().now
    }

    /// Goes on by hand, and wakes who slept until then.
    pub fn advance(&self, ms: u64) {
        let to = self.now() + ms;
        self.advance_to(to);
    }

    fn advance_to(&self, to: u64) {
        let mut inner = self.inner.lock().unwrap();
        inner.now = inner.now.max(to);
        inner.activity += 1;
        let after = (inner.now + 1, 0);
        let later = inner.sleepers.split_off(&after);
        let due = std::mem::replace(&mut inner.sleepers, later);
        drop(inner);
        due.into_values().for_each(Waker::wake);
    }

    /// When the next sleeper wakes.
    pub fn next_sleeper(&self) -> Option<u64> {
        self.inner.lock().unwrap().sleepers.keys().next().map(|(at, _)| *at)
    }

    /// Runs a future to its end on a current-thread runtime, and lets time go on whenever everything else is idle.
    ///
    /// # Panics
    /// When nothing is under way and nobody sleeps: the future would hang.
    pub async fn drive<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let (mut idle, mut hanging) = (0, 0);
        loop {
            let before = self.inner.lock().unwrap().activity;
            let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
            if let Poll::Ready(output) = polled {
                return output;
            }
            tokio::task::yield_now().await;
            if self.inner.lock().unwrap().activity != before {
                (idle, hanging) = (0, 0);
                continue;
            }
            idle += 1;
            if idle < IDLE_TURNS {
                continue;
            }
            match self.next_sleeper() {
                Some(at) => {
                    idle = 0;
                    self.advance_to(at);
                }
                None => {
                    hanging += 1;
                    assert!(hanging < HANGING_TURNS, "a hang: nothing is under way and nobody sleeps");
                }
            }
        }
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> u64 {
        let mut inner = self.inner.lock().unwrap();
        inner.activity += 1;
        inner.now
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { clock: self.clone(), at: at_ms, key: None })
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut inner = clock.inner.lock().unwrap();
        if let Some(key) = self.key.take() {
            inner.sleepers.remove(&key);
        } else {
            inner.activity += 1;
        }
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        inner.next += 1;
        let key = (self.at, inner.next);
        inner.sleepers.insert(key, context.waker().clone());
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.clock.inner.lock().unwrap().sleepers.remove(&key);
        }
    }
}

/// The real clock, for tests that need threads more than they need simulated time.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        let ms = at_ms.saturating_sub(self.now_ms());
        // A year is for ever in a test, and stays within what tokio's timer can hold.
        Box::pin(tokio::time::sleep(Duration::from_millis(ms.min(31_536_000_000))))
    }
}
