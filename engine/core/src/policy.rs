//! Retry delays: exponential backoff with a cap and jitter.

use crate::plan::Retry;

/// The delay before the next attempt, in milliseconds, after `failures` failed ones (from 1).
///
/// The full delay is `backoff * 2^(failures - 1)`, at most `max`. With jitter, it is drawn evenly between half and all of
/// that ("equal jitter"), so that many runs that failed together do not return together.
pub fn backoff_ms(retry: &Retry, failures: u32, random: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(32);
    let full = retry.backoff_ms.saturating_mul(1_u64 << doublings).min(retry.max_ms);
    if !retry.jitter || full < 2 {
        return full;
    }
    let half = full / 2;
    half + random % (full - half + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(jitter: bool) -> Retry {
        Retry { count: 5, backoff_ms: 100, max_ms: 1_000, jitter }
    }

    #[test]
    fn doubles_up_to_the_cap() {
        let delays: Vec<u64> = (1..=6).map(|n| backoff_ms(&retry(false), n, 7)).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff_ms(&retry(false), u32::MAX, 0), 1_000);
    }

    #[test]
    fn jitter_stays_between_half_and_all() {
        for random in 0..2_000 {
            let delay = backoff_ms(&retry(true), 3, random);
            assert!((200..=400).contains(&delay), "{delay}");
        }
    }
}
