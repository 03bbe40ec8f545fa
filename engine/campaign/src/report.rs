//! What a campaign tried and found.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of what was tried.
pub struct Report {
    campaign: &'static str,
    counts: BTreeMap<&'static str, u64>,
}

impl Report {
    pub fn new(campaign: &'static str) -> Self {
        Self { campaign, counts: BTreeMap::new() }
    }

    pub fn count(&mut self, what: &'static str, more: u64) {
        *self.counts.entry(what).or_default() += more;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "campaign {}: no promise broken;", self.campaign)?;
        let counts: Vec<String> = self.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        write!(f, " {}", counts.join(", "))
    }
}

/// A broken promise, and how to see it again.
#[derive(Debug)]
pub struct Found {
    campaign: &'static str,
    seed: u64,
    what: String,
}

impl Found {
    pub fn new(campaign: &'static str, seed: u64, what: String) -> Self {
        Self { campaign, seed, what }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { campaign, seed, what } = self;
        write!(
            f,
            "campaign {campaign}, seed {seed}: {what}\n  again: cargo xtask campaign {campaign} --seed {seed} --count 1"
        )
    }
}
