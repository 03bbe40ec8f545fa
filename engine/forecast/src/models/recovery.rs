//! How long a recovery takes: `RTA = detect + decide + transfer + restore + validate`.
//!
//! `transfer = bytes / transfer rate` and `restore = bytes / restore rate`, one after the other; or, where data is restored
//! while it arrives, `bytes / the smaller rate` for both. Source: the parts are those of NIST SP 800-34 rev. 1 (notification,
//! recovery, reconstitution); the rest is arithmetic, which the literature gets wrong: 1,000 GB at 20 MB/s are 50,000 s, and
//! that is 13.9 h, not 50 h.

use lifeboat_core::Error;
use serde::Serialize;

use crate::quantity::{Bytes, Rate, Seconds, no_answer};

/// How long data is under way: `bytes / rate`. Nothing takes no time.
///
/// # Errors
/// `LB0911` for data at a rate of nothing: it would never arrive.
pub fn moving(bytes: Bytes, rate: Rate) -> Result<Seconds, Error> {
    if bytes.is_zero() {
        return Ok(Seconds::ZERO);
    }
    if rate.is_zero() {
        return Err(no_answer("at a rate of nothing, data never arrives"));
    }
    Seconds::answer(bytes.get() / rate.get())
}

/// What has to be moved when a chain is restored: a full copy and each increment after it.
///
/// # Errors
/// `LB0911` when it is out of the range of numbers.
pub fn chain(full: Bytes, increment: Bytes, increments: u64) -> Result<Bytes, Error> {
    Bytes::answer(full.get() + increment.get() * increments as f64)
}

/// What a recovery is made of.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Recovery {
    /// From the failure until somebody, or something, has seen it.
    pub detect: Seconds,
    /// Until it is decided to recover.
    pub decide: Seconds,
    /// What has to be brought back.
    pub bytes: Bytes,
    /// How fast it comes from where it is kept; `None`: it is there already.
    pub transfer_rate: Option<Rate>,
    /// How fast it is put in place; `None`: it is in place when it has come.
    pub restore_rate: Option<Rate>,
    /// Whether it is put in place while it comes.
    pub overlapped: bool,
    /// What has to be done besides: starting, switching.
    pub other: Seconds,
    /// Until it is shown that the service is back.
    pub validate: Seconds,
}

/// A part of a recovery, with what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Which.
    pub name: &'static str,
    /// How long.
    pub takes: Seconds,
}

/// What a recovery comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recovered {
    /// The whole.
    pub total: Seconds,
    /// Its parts, in the order of a recovery; those that take nothing are there, too.
    pub parts: Vec<Part>,
}

impl Recovered {
    /// The part that takes longest; of equal ones the first.
    pub fn dominant(&self) -> Option<Part> {
        let longer = |best: Option<Part>, part: &Part| match best {
            Some(best) if best.takes >= part.takes => Some(best),
            _ => Some(*part),
        };
        self.parts.iter().fold(None, longer)
    }
}

impl Recovery {
    /// How long it takes, part by part.
    ///
    /// # Errors
    /// `LB0911` for data at a rate of nothing, or a time out of the range of numbers.
    pub fn takes(&self) -> Result<Recovered, Error> {
        let at = |rate: Option<Rate>| rate.map_or(Ok(Seconds::ZERO), |rate| moving(self.bytes, rate));
        let (mut transfer, mut restore) = (at(self.transfer_rate)?, at(self.restore_rate)?);
        if self.overlapped {
            // The slower one is all that is seen.
            if transfer >= restore {
                restore = Seconds::ZERO;
            } else {
                transfer = Seconds::ZERO;
            }
        }
        let named = [
            ("detect", self.detect),
            ("decide", self.decide),
            ("transfer", transfer),
            ("restore", restore),
            ("other", self.other),
            ("validate", self.validate),
        ];
        let parts: Vec<Part> = named.into_iter().map(|(name, takes)| Part { name, takes }).collect();
        let total = Seconds::answer(parts.iter().map(|part| part.takes.get()).sum())?;
        Ok(Recovered { total, parts })
    }

    /// The rate at which transfer and restore, both at that rate, would just meet an objective. `None` when all the other
    /// parts take as long as that already, or nothing is moved: no rate helps.
    ///
    /// # Errors
    /// `LB0911` when it is out of the range of numbers.
    pub fn rate_needed(&self, objective: Seconds) -> Result<Option<Rate>, Error> {
        let fixed = self.detect.get() + self.decide.get() + self.other.get() + self.validate.get();
        let left = objective.get() - fixed;
        let passes = match (self.transfer_rate, self.restore_rate, self.overlapped) {
            (None, None, _) => 0.0,
            (Some(_), Some(_), false) => 2.0,
            _ => 1.0,
        };
        if left <= 0.0 || passes == 0.0 || self.bytes.is_zero() {
            return Ok(None);
        }
        Rate::answer(self.bytes.get() * passes / left).map(Some)
    }
}
