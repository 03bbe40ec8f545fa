//! The real time and real randomness: the two things that the engine does not take by itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_core::ports::{BoxFuture, Clock, Rng};

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        // Looked at again at least once a minute: the wall clock may be set while we sleep.
        Box::pin(async move {
            loop {
                let left = at_ms.saturating_sub(SystemClock.now_ms());
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left.min(60_000))).await;
            }
        })
    }
}

/// The operating system's randomness.
pub struct SystemRng;

impl Rng for SystemRng {
    fn next_u64(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        // Each `RandomState` is keyed from the system's randomness; the time tells two in one thread apart.
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u64(SystemClock.now_ms());
        hasher.finish()
    }
}

pub use lifeboat_evidence::words::utc;
