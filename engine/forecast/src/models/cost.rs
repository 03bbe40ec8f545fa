//! What recoveries, drills and failures cost, and whether a measure is worth its price.
//!
//! - recovery: `downtime * price of downtime + lost work * price of lost work + people * time * price of a person + GB * price
//!   of a GB + fixed`
//! - drills: the same without downtime and loss, times how many a year
//! - yearly loss: `ALE = SLE * ARO`, what one failure costs times failures a year (FIPS PUB 65, 1979; NIST SP 800-30)
//! - worth: `net = ALE before - ALE after - price`, `return = net / price` (ROSI: W. Sonnenreich et al., 2006),
//!   `payback = invested / (ALE before - ALE after - running)`, and the present value of `n` years at the interest `i`:
//!   `NPV = -invested + sum over y = 1 … n of (ALE before - ALE after - running) / (1 + i)^y`

use lifeboat_core::Error;
use serde::Serialize;

use crate::quantity::{Bytes, Money, MoneyRate, Probability, Seconds, left, no_answer, positive};

/// What people and data cost in a recovery or a drill.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Effort {
    /// How many people.
    pub people: u32,
    /// How long they work.
    pub time: Seconds,
    /// What one of them costs.
    pub person: MoneyRate,
    /// How much data is moved.
    pub moved: Bytes,
    /// What moving 1 GB (1,000,000,000 bytes) costs.
    pub price_of_gb: Money,
    /// What it costs besides, as machines.
    pub fixed: Money,
}

impl Effort {
    /// What it costs.
    ///
    /// # Errors
    /// `LB0911` when it is out of the range of numbers.
    pub fn cost(&self) -> Result<Money, Error> {
        let people = f64::from(self.people) * self.time.get() * self.person.get();
        Money::answer(people + self.moved.get() / 1e9 * self.price_of_gb.get() + self.fixed.get())
    }

    /// What so many a year cost.
    ///
    /// # Errors
    /// `LB0911` when it is out of the range of numbers.
    pub fn a_year(&self, times: f64) -> Result<Money, Error> {
        Money::answer(self.cost()?.get() * Seconds::new(times)?.get())
    }
}

/// A failure and its recovery.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Incident {
    /// How long the service is away.
    pub downtime: Seconds,
    /// What a second of that costs.
    pub down: MoneyRate,
    /// How much work is lost, as time.
    pub lost: Seconds,
    /// What a second of lost work costs.
    pub loss: MoneyRate,
    /// The work of recovering.
    pub effort: Effort,
}

impl Incident {
    /// What one costs: the single loss expectancy, SLE.
    ///
    /// # Errors
    /// `LB0911` when it is out of the range of numbers.
    pub fn cost(&self) -> Result<Money, Error> {
        let away = self.downtime.get() * self.down.get() + self.lost.get() * self.loss.get();
        Money::answer(away + self.effort.cost()?.get())
    }

    /// What such failures cost a year on average, one in `mtbf`: the annual loss expectancy, ALE.
    ///
    /// # Errors
    /// `LB0911` for an MTBF of nothing, or an answer out of range.
    pub fn a_year(&self, mtbf: Seconds) -> Result<Money, Error> {
        let rate = Seconds::YEAR.get() / positive(mtbf.get(), "MTBF")?;
        Money::answer(self.cost()?.get() * rate)
    }
}

/// A measure, and what it changes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measure {
    /// What failures cost a year without it.
    pub before: Money,
    /// What they cost with it.
    pub after: Money,
    /// What it costs once.
    pub invested: Money,
    /// What it costs each year: drills, storage, people.
    pub running: Money,
    /// The interest a year, as 0.05.
    pub interest: Probability,
    /// How many years it is looked at.
    pub years: u32,
}

/// Whether a measure is worth its price. Net amounts may be less than nothing, so they are plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Worth {
    /// What it saves a year, less what it costs to run.
    pub a_year: f64,
    /// What is left after all years, without interest.
    pub net: f64,
    /// `net` over all that was paid; `None` when it costs nothing.
    pub return_on_price: Option<f64>,
    /// What it is worth today.
    pub present_value: f64,
    /// When it has paid for itself; `None`: never.
    pub payback: Option<Seconds>,
}

/// Nobody plans further.
const YEARS_MAX: u32 = 1_000;

impl Measure {
    /// What it is worth.
    ///
    /// # Errors
    /// `LB0911` for no years, or more than 1,000.
    pub fn worth(&self) -> Result<Worth, Error> {
        if self.years == 0 || self.years > YEARS_MAX {
            return Err(no_answer(format!("{} years cannot be looked at", self.years))
                .hint(format!("give a number of years from 1 to {YEARS_MAX}")));
        }
        let (years, invested) = (f64::from(self.years), self.invested.get());
        let a_year = self.before.get() - self.after.get() - self.running.get();
        let net = a_year * years - invested;
        let price = invested + self.running.get() * years;
        let discounted: f64 = (1..=self.years).map(|year| (1.0 + self.interest.get()).powf(-f64::from(year))).sum();
        let payback = (a_year > 0.0).then(|| Seconds::answer(invested / a_year * Seconds::YEAR.get())).transpose()?;
        Ok(Worth {
            a_year: known(a_year)?,
            net: known(net)?,
            return_on_price: (price > 0.0).then(|| known(net / price)).transpose()?,
            present_value: known(a_year * discounted - invested)?,
            payback,
        })
    }

    /// The most that may be invested for it to pay within its years, without interest.
    ///
    /// # Errors
    /// `LB0911` when it is out of the range of numbers.
    pub fn worth_investing(&self) -> Result<Money, Error> {
        let a_year = self.before.get() - self.after.get() - self.running.get();
        Money::answer(left(a_year * f64::from(self.years)))
    }
}

fn known(value: f64) -> Result<f64, Error> {
    if value.is_finite() { Ok(value) } else { Err(no_answer("the worth is out of the range of numbers")) }
}
