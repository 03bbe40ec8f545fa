//! How often to make a backup: often enough that little is lost, seldom enough that making them is not the greater cost.
//!
//! Failures come at a constant rate of one in `M` (the MTBF). A backup costs `C`, and each second of work that is lost costs
//! `c`. Every `T` a backup: the cost of a second is `C / T + (c / M) * (T / 2)`. It is least at
//! `T = sqrt(2 * C * M / c)`: J. Young, *A first order approximation to the optimum checkpoint interval*, CACM 17(9), 1974,
//! there with `C / c` as the time that a checkpoint takes.
//!
//! Where the work stands still while a checkpoint of `d` seconds is written, and is done again after a failure, the exact
//! optimum of work `t` between two checkpoints solves `exp(-(t + d) / M) = 1 - t / M`, which is
//! `t = M * (1 + W(-exp(-d / M - 1)))` with Lambert's `W`; and `t = sqrt(2 d M) * (1 + sqrt(d / 2M) / 3 + d / 18M) - d` is
//! close to it: J. Daly, *A higher order estimate of the optimum checkpoint interval for restart dumps*, FGCS 22(3), 2006.

use lifeboat_core::Error;
use serde::Serialize;

use crate::quantity::{Money, MoneyRate, Seconds, positive};

/// What weighs against each other.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Tradeoff {
    /// What one backup costs: storage, transfer, load, attention.
    pub backup: Money,
    /// What a second of lost work costs.
    pub loss: MoneyRate,
    /// The mean time between failures that lose work.
    pub mtbf: Seconds,
}

/// The interval that costs least, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Optimum {
    /// From one backup to the next.
    pub interval: Seconds,
    /// What backups cost a year.
    pub backups_a_year: Money,
    /// What is lost on average a year.
    pub losses_a_year: Money,
}

impl Tradeoff {
    /// The interval that costs least.
    ///
    /// # Errors
    /// `LB0911` when backups, lost work, or the time between failures are nothing: then there is no best interval (none at all,
    /// or for ever, would be).
    pub fn best(&self) -> Result<Optimum, Error> {
        let cost = positive(self.backup.get(), "the cost of a backup")?;
        let loss = positive(self.loss.get(), "the cost of lost work")?;
        let mtbf = positive(self.mtbf.get(), "MTBF")?;
        let interval = Seconds::answer((2.0 * (cost / loss) * mtbf).sqrt())?;
        let (backups_a_year, losses_a_year) = self.costs(interval)?;
        Ok(Optimum { interval, backups_a_year, losses_a_year })
    }

    /// What backups at that interval cost a year, and what is lost: `year * C / T` and `year * (c / M) * (T / 2)`.
    ///
    /// # Errors
    /// `LB0911` for an interval or an MTBF of nothing.
    pub fn costs(&self, interval: Seconds) -> Result<(Money, Money), Error> {
        let every = positive(interval.get(), "the interval")?;
        let mtbf = positive(self.mtbf.get(), "MTBF")?;
        let year = Seconds::YEAR.get();
        let backups = Money::answer(self.backup.get() / every * year)?;
        let losses = Money::answer(self.loss.get() / mtbf * every / 2.0 * year)?;
        Ok((backups, losses))
    }
}

/// The optimum of Young: `sqrt(2 * d * M)`, good where a checkpoint is short against `M`.
///
/// # Errors
/// `LB0911` when either is nothing.
pub fn young(checkpoint: Seconds, mtbf: Seconds) -> Result<Seconds, Error> {
    let (d, m) = (positive(checkpoint.get(), "the checkpoint")?, positive(mtbf.get(), "MTBF")?);
    Seconds::answer((2.0 * d).sqrt() * m.sqrt())
}

/// The estimate of Daly, of the work between two checkpoints; `M` where a checkpoint takes `2 * M` or longer.
///
/// # Errors
/// `LB0911` when either is nothing.
pub fn daly(checkpoint: Seconds, mtbf: Seconds) -> Result<Seconds, Error> {
    let (d, m) = (positive(checkpoint.get(), "the checkpoint")?, positive(mtbf.get(), "MTBF")?);
    if d >= 2.0 * m {
        return Seconds::answer(m);
    }
    let half = d / (2.0 * m);
    Seconds::answer((2.0 * d).sqrt() * m.sqrt() * (1.0 + half.sqrt() / 3.0 + half / 9.0) - d)
}

/// The exact optimum: `t = M * (1 + W(-exp(-d / M - 1)))`.
///
/// # Errors
/// `LB0911` when either is nothing.
pub fn exact(checkpoint: Seconds, mtbf: Seconds) -> Result<Seconds, Error> {
    let (d, m) = (positive(checkpoint.get(), "the checkpoint")?, positive(mtbf.get(), "MTBF")?);
    // With t = M * x the condition is ln(1 - x) + x + d / M = 0, and x is between 0 and 1: halved until it stands still.
    let ratio = d / m;
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if (-middle).ln_1p() + middle + ratio > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Seconds::answer(m * low)
}

/// How much longer work takes with checkpoints of `d` every `t` and restarts of `r`, when failures come at a constant rate:
/// `(M / t) * exp(r / M) * (exp((t + d) / M) - 1)` (Daly, equation 20). 1.2 is a fifth longer.
///
/// # Errors
/// `LB0911` when work or MTBF are nothing, or the answer is out of the range of numbers.
pub fn slowdown(work: Seconds, checkpoint: Seconds, restart: Seconds, mtbf: Seconds) -> Result<f64, Error> {
    let (t, m) = (positive(work.get(), "the work between checkpoints")?, positive(mtbf.get(), "MTBF")?);
    let factor = (m / t) * (restart.get() / m).exp() * ((t + checkpoint.get()) / m).exp_m1();
    Seconds::answer(factor).map(Seconds::get)
}
