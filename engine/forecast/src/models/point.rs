//! How much is lost: the recovery point from a schedule of backups, how long each takes, and how late it is safe.
//!
//! A backup is of the moment in which it begins. It begins every `T`, is made for `D`, and is safe (copied to where it
//! survives) after another `L`. Each is good with probability `q`, independently. When the failure comes at an even time:
//!
//! - at best `D + L` is lost: the newest good backup has just become safe;
//! - at worst, with `m` bad ones in a row, `(m + 1) * T + D + L`;
//! - on average `T / 2 + D + L + T * (1 - q) / q`, since `(1 - q) / q` backups in a row are bad on average.
//!
//! Replication is the same with `T` the interval of batches (nothing for a stream), `D` nothing, and `L` the lag.
//! Source: the renewal argument for the age of the newest item, S. Ross, *Stochastic Processes*, 2nd ed., section 3.4.

use lifeboat_core::Error;
use serde::Serialize;

use crate::quantity::{Probability, Seconds, positive};

/// When recovery points are made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Schedule {
    /// From the beginning of one to the beginning of the next.
    pub interval: Seconds,
    /// How long one is made.
    pub duration: Seconds,
    /// From its end until it survives the loss of the site.
    pub lag: Seconds,
    /// One is good: whole, and there.
    pub good: Probability,
}

/// What is lost, as time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// The least.
    pub best: Seconds,
    /// On average.
    pub mean: Seconds,
    /// The most, when no backup is bad.
    pub worst: Seconds,
}

impl Schedule {
    /// What is lost.
    ///
    /// # Errors
    /// `LB0911` when no backup is ever good, or an answer is out of the range of numbers.
    pub fn loss(&self) -> Result<Loss, Error> {
        let good = positive(self.good.get(), "the probability that a backup is good")?;
        let (interval, behind) = (self.interval.get(), self.duration.get() + self.lag.get());
        Ok(Loss {
            best: Seconds::answer(behind)?,
            mean: Seconds::answer(interval / 2.0 + behind + interval * (1.0 - good) / good)?,
            worst: Seconds::answer(interval + behind)?,
        })
    }

    /// The most that is lost when that many backups in a row are bad.
    ///
    /// # Errors
    /// `LB0911` when it is out of the range of numbers.
    pub fn worst_after(&self, bad: u32) -> Result<Seconds, Error> {
        Seconds::answer((f64::from(bad) + 1.0) * self.interval.get() + self.duration.get() + self.lag.get())
    }

    /// The probability that no more than an objective is lost. With `x = (objective - D - L) / T`, whole part `n` and
    /// fraction `f`: `1 - (1 - q)^n * (1 - q * f)` from 0 on.
    ///
    /// # Errors
    /// `LB0911` when it is out of the range of numbers.
    pub fn meets(&self, objective: Seconds) -> Result<Probability, Error> {
        let left = objective.get() - self.duration.get() - self.lag.get();
        if left < 0.0 {
            return Ok(Probability::NEVER);
        }
        let good = self.good.get();
        if self.interval.is_zero() {
            // A stream: the next one is there at once, if any ever is.
            return Ok(if good > 0.0 { Probability::CERTAIN } else { Probability::NEVER });
        }
        let intervals = left / self.interval.get();
        let whole = intervals.floor();
        Probability::answer(1.0 - (1.0 - good).powf(whole) * (1.0 - good * (intervals - whole)))
    }

    /// The longest interval that keeps the worst loss, with no bad backup, within an objective. `None` when none does.
    ///
    /// # Errors
    /// None for quantities.
    pub fn interval_for(&self, objective: Seconds) -> Result<Option<Seconds>, Error> {
        let left = objective.get() - self.duration.get() - self.lag.get();
        if left < 0.0 { Ok(None) } else { Seconds::answer(left).map(Some) }
    }
}
