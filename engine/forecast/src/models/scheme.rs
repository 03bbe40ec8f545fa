//! Full, incremental or differential, and how often: the upkeep of backups against what failures cost.
//!
//! Data of `V` bytes is overwritten evenly: after a time `t`, `V * (1 - exp(-r * t))` of it differs (each block is written by
//! a Poisson process, and two writes to one block are one difference). Every `T` a backup, and every `n`-th is full:
//!
//! - *full*: each holds `V`; a restore reads `V`.
//! - *incremental*: what differs from the backup before, `V * (1 - exp(-r * T))`; a restore reads the full one and all `i`
//!   after it.
//! - *differential*: what differs from the full one, `V * (1 - exp(-r * i * T))`; a restore reads the full one and the last.
//!
//! A second costs `(price * bytes of a cycle + n * each) / (n * T) + (loss * T / 2 + down * bytes read / rate) / M`, where a
//! failure comes at an even time of the cycle, one in `M` on average. The bytes of a cycle and the bytes read are sums over
//! `i = 0 … n - 1`. Source: the trade of Young (see [`super::frequency`]) with the restore added to what a failure costs, as in
//! A. Chervenak et al., *Protecting file systems: a survey of backup techniques*, 1998, section 2.

use lifeboat_core::Error;
use serde::Serialize;

use crate::quantity::{Bytes, Money, MoneyRate, Probability, Rate, Seconds, no_answer, positive};

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Everything, each time.
    Full,
    /// What differs from the one before.
    Incremental,
    /// What differs from the last full one.
    Differential,
}

/// What is backed up, and what it costs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Upkeep {
    /// How much data there is.
    pub data: Bytes,
    /// The share of it that differs after a day.
    pub changed_a_day: Probability,
    /// What it costs to make and keep 1 GB (1,000,000,000 bytes) of a backup.
    pub price_of_gb: Money,
    /// What each backup costs besides.
    pub each: Money,
    /// What a second of lost work costs.
    pub loss: MoneyRate,
    /// What a second without the service costs.
    pub down: MoneyRate,
    /// How fast a restore reads.
    pub restore: Rate,
    /// The mean time between failures that need a restore.
    pub mtbf: Seconds,
}

/// A way to make backups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scheme {
    /// What each holds.
    pub kind: Kind,
    /// From one to the next.
    pub interval: Seconds,
    /// Every so many is full; 1 where all are.
    pub cycle: u32,
}

/// What a way to make backups comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Burden {
    /// The way.
    pub scheme: Scheme,
    /// What is backed up in a cycle.
    pub bytes_a_cycle: Bytes,
    /// What a restore reads on average.
    pub bytes_read: Bytes,
    /// What the backups cost a year.
    pub backups_a_year: Money,
    /// What failures cost a year: lost work, and the time of the restore.
    pub failures_a_year: Money,
}

impl Burden {
    fn total(&self) -> f64 {
        self.backups_a_year.get() + self.failures_a_year.get()
    }
}

/// The longest cycle that is looked at: a full backup at least every hundred.
const CYCLE_MAX: u32 = 100;

impl Upkeep {
    /// Changes a second: `r`, from the share that differs after a day.
    fn churn(&self) -> Result<f64, Error> {
        let share = self.changed_a_day.get();
        if share >= 1.0 {
            return Err(no_answer("all of the data cannot differ after a day: writes hit some of it twice")
                .hint("give a share below 100%, as 99.9%"));
        }
        Ok(-(-share).ln_1p() / Seconds::DAY.get())
    }

    /// What one way comes to.
    ///
    /// # Errors
    /// `LB0911` for an interval, a cycle, a rate or an MTBF of nothing, and for data of which all differs after a day.
    pub fn burden(&self, scheme: Scheme) -> Result<Burden, Error> {
        let every = positive(scheme.interval.get(), "the interval")?;
        let mtbf = positive(self.mtbf.get(), "MTBF")?;
        let rate = positive(self.restore.get(), "the rate of a restore")?;
        let cycle = f64::from(if scheme.kind == Kind::Full { 1 } else { scheme.cycle });
        positive(cycle, "the cycle")?;
        let (data, churn) = (self.data.get(), self.churn()?);
        let once = -(-churn * every).exp_m1();
        let (cycle_share, read_share) = match scheme.kind {
            Kind::Full => (1.0, 1.0),
            Kind::Incremental => (1.0 + (cycle - 1.0) * once, 1.0 + (cycle - 1.0) / 2.0 * once),
            Kind::Differential => {
                let sum = differences(scheme.cycle, churn * every);
                (1.0 + sum, 1.0 + sum / cycle)
            }
        };
        let bytes_a_cycle = Bytes::answer(data * cycle_share)?;
        let bytes_read = Bytes::answer(data * read_share)?;
        let a_cycle = bytes_a_cycle.get() / 1e9 * self.price_of_gb.get() + cycle * self.each.get();
        let a_failure = self.loss.get() * every / 2.0 + self.down.get() * bytes_read.get() / rate;
        let year = Seconds::YEAR.get();
        Ok(Burden {
            scheme: Scheme { cycle: cycle as u32, ..scheme },
            bytes_a_cycle,
            bytes_read,
            backups_a_year: Money::answer(a_cycle / (cycle * every) * year)?,
            failures_a_year: Money::answer(a_failure / mtbf * year)?,
        })
    }

    /// For each kind the way that costs least, cheapest first, with intervals from `shortest` to `longest` and cycles of up to
    /// 100. Looked for on a grid and then more finely: the answer is good to a thousandth of the interval.
    ///
    /// # Errors
    /// As [`Upkeep::burden`]; `LB0911` when the shortest interval is longer than the longest.
    pub fn best(&self, shortest: Seconds, longest: Seconds) -> Result<Vec<Burden>, Error> {
        let low = positive(shortest.get(), "the shortest interval")?;
        if shortest > longest {
            return Err(no_answer("the shortest interval is longer than the longest"));
        }
        let mut found = Vec::new();
        for kind in [Kind::Full, Kind::Incremental, Kind::Differential] {
            let mut best: Option<Burden> = None;
            for cycle in if kind == Kind::Full { 1..=1 } else { 2..=CYCLE_MAX } {
                let here = self.best_interval(kind, cycle, low.ln(), longest.get().ln())?;
                if best.is_none_or(|best| here.total() < best.total()) {
                    best = Some(here);
                }
            }
            found.extend(best);
        }
        found.sort_by(|a, b| a.total().total_cmp(&b.total()));
        Ok(found)
    }

    /// The best interval of one kind and cycle: the best place of a grid, then ever finer around it.
    fn best_interval(&self, kind: Kind, cycle: u32, low: f64, high: f64) -> Result<Burden, Error> {
        const PLACES: u32 = 24;
        let (mut low, mut high) = (low, high);
        loop {
            let width = (high - low) / f64::from(PLACES);
            let mut best: Option<(f64, Burden)> = None;
            for place in 0..=PLACES {
                let at = if place == PLACES { high } else { low + width * f64::from(place) };
                let interval = Seconds::answer(at.exp())?;
                let here = self.burden(Scheme { kind, interval, cycle })?;
                if best.is_none_or(|(_, best)| here.total() < best.total()) {
                    best = Some((at, here));
                }
            }
            let Some((at, best)) = best else { return Err(no_answer("there is no interval to look at")) };
            if width < 1e-4 {
                return Ok(best);
            }
            (low, high) = ((at - width).max(low), (at + width).min(high));
        }
    }
}

/// The sum of `1 - exp(-x * i)` over `i = 1 … n - 1`.
fn differences(cycle: u32, change: f64) -> f64 {
    (1..cycle).map(|place| -(-change * f64::from(place)).exp_m1()).sum()
}
