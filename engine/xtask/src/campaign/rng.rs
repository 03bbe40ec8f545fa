//! Randomness that a seed repeats: SplitMix64, which is enough for choosing instants and shapes.

/// A source of numbers.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The numbers of a round of a seed: rounds have nothing in common, so that each can be repeated alone.
    pub fn new(seed: u64, round: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round.wrapping_mul(0xd1b5_4a32_d192_ed03));
        rng.next();
        rng
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below the limit; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// True that many times in a hundred.
    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// A number from 0.0 to below 1.0.
    pub fn fraction(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An instant within a command: some in its first milliseconds, some while it opens and probes, most in its work.
    pub fn instant(&mut self, work_s: f64) -> std::time::Duration {
        let seconds = match self.below(100) {
            0..15 => 0.005 * self.fraction(),
            15..40 => 0.1 * self.fraction(),
            _ => work_s * self.fraction(),
        };
        std::time::Duration::from_secs_f64(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn a_round_is_repeated_by_its_seed_and_no_other_is() {
        let some = |seed, round| {
            let mut rng = Rng::new(seed, round);
            [rng.next(), rng.next(), rng.below(1000)]
        };
        assert_eq!(some(7, 3), some(7, 3));
        assert_ne!(some(7, 3), some(7, 4));
        assert_ne!(some(7, 3), some(8, 3));
        let mut rng = Rng::new(1, 1);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.fraction())));
        assert_eq!(rng.below(0), 0);
    }
}
