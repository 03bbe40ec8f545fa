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

/// A point in time for people, in UTC: `2026-01-31 04:05:06`.
pub fn utc(ms: u64) -> String {
    let (date, seconds) = (ms / 86_400_000, ms / 1_000 % 86_400);
    let (year, month, day) = civil(date);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar. Source: the method of eras of 400
/// years, as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_704_067_199_000), "2023-12-31 23:59:59");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00");
    }
}
