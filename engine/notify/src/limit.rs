//! How many messages an hour: half of them may come at once, the other half is spread over the hour, so that in no hour there
//! are more than the operator wants, and yet nothing waits for an hour.

/// An hour, in milliseconds.
const HOUR_MS: u64 = 3_600_000;

/// What one way to one reader may still take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// How many at once.
    burst: u64,
    /// Milliseconds until another one is free.
    every: u64,
    /// When all of the burst is free again.
    full_at: u64,
}

impl Budget {
    /// Nothing was sent yet. At least two an hour.
    pub(crate) fn new(limit: u32) -> Self {
        let limit = u64::from(limit.max(2));
        let burst = limit.div_ceil(2);
        Self { burst, every: HOUR_MS.div_ceil((limit - burst).max(1)), full_at: 0 }
    }

    /// One was sent.
    pub(crate) fn spend(&mut self, at: u64) {
        self.full_at = self.full_at.max(at).saturating_add(self.every);
    }

    /// How many may be sent now.
    pub(crate) fn left(&self, now: u64) -> u64 {
        let used = self.full_at.saturating_sub(now).div_ceil(self.every);
        self.burst.saturating_sub(used)
    }

    /// When one may be sent.
    pub(crate) fn free_at(&self) -> u64 {
        self.full_at.saturating_sub(self.every.saturating_mul(self.burst.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hour_has_more_than_the_limit_and_nothing_waits_for_an_hour() {
        for limit in [2_u32, 3, 10, 31] {
            let mut budget = Budget::new(limit);
            let mut sent: Vec<u64> = Vec::new();
            let mut now = 1_000;
            while now < 5 * HOUR_MS {
                if budget.left(now) > 0 {
                    budget.spend(now);
                    sent.push(now);
                } else {
                    assert!(budget.free_at() > now && budget.free_at() - now <= budget.every);
                    now = budget.free_at();
                    assert!(budget.left(now) > 0, "free means free");
                }
            }
            for from in &sent {
                let within = sent.iter().filter(|at| (*from..from + HOUR_MS).contains(*at)).count();
                assert!(within <= limit as usize, "{within} of {limit} in an hour");
            }
            assert!(sent.len() >= 2 * limit as usize, "{} were sent with {limit} an hour", sent.len());
        }
    }
}
