//! How often somebody may call: a bucket for each token and each address.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

use crate::held::lock;

/// Callers that are remembered. Past this, those whose buckets are full are forgotten: it makes no difference to them.
const CALLERS_MAX: usize = 10_000;

/// Buckets by caller: each holds a minute's calls, and fills up evenly.
pub(crate) struct Limit<K> {
    per_minute: u64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

/// When the bucket will be full again, in units of a 1/60000 call.
struct Bucket {
    /// Calls left, in units of 1/60000.
    left: u64,
    at: u64,
}

impl<K: Eq + Hash + Clone> Limit<K> {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: u64::from(per_minute.max(1)), buckets: Mutex::new(HashMap::new()) }
    }

    fn full(&self) -> u64 {
        self.per_minute * 60_000
    }

    /// Counts a call. If there were too many: after how many seconds the next one may come.
    pub(crate) fn call(&self, caller: &K, now_ms: u64) -> Result<(), u64> {
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= CALLERS_MAX && !buckets.contains_key(caller) {
            let full = |bucket: &Bucket| self.filled(bucket, now_ms) >= self.full();
            buckets.retain(|_, bucket| !full(bucket));
            if buckets.len() >= CALLERS_MAX {
                return Err(60);
            }
        }
        let bucket = buckets.entry(caller.clone()).or_insert(Bucket { left: self.full(), at: now_ms });
        bucket.left = self.filled(bucket, now_ms);
        bucket.at = bucket.at.max(now_ms);
        match bucket.left.checked_sub(60_000) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => Err((60_000 - bucket.left).div_ceil(self.per_minute).div_ceil(1_000).max(1)),
        }
    }

    fn filled(&self, bucket: &Bucket, now_ms: u64) -> u64 {
        let more = now_ms.saturating_sub(bucket.at).saturating_mul(self.per_minute);
        bucket.left.saturating_add(more).min(self.full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_calls_at_once_then_evenly() {
        let limit = Limit::new(60);
        for _ in 0..60 {
            assert_eq!(limit.call(&"ada", 0), Ok(()));
        }
        assert_eq!(limit.call(&"ada", 0), Err(1));
        assert_eq!(limit.call(&"bo", 0), Ok(()));
        assert_eq!(limit.call(&"ada", 999), Err(1));
        assert_eq!(limit.call(&"ada", 1_000), Ok(()));
        assert_eq!(limit.call(&"ada", 1_000), Err(1));
        let slow = Limit::new(1);
        assert_eq!((slow.call(&1, 0), slow.call(&1, 0)), (Ok(()), Err(60)));
    }

    #[test]
    fn callers_without_end_take_no_memory_without_end() {
        let limit = Limit::new(600);
        for caller in 0..100_000_u32 {
            // Each is forgotten once its bucket is full again.
            let _ = limit.call(&caller, u64::from(caller));
        }
        assert!(limit.buckets.lock().unwrap().len() <= CALLERS_MAX);
    }
}
