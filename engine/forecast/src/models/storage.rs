//! How much room recovery points take: data that grows and changes, points that are kept by rules, each byte kept once.
//!
//! Data of `V(t) = V0 + g * t` bytes is overwritten evenly, so that `1 - exp(-r * t)` of it differs after `t` (see
//! [`super::scheme`]). In a deduplicated vault the points of the times `t1 < t2 < … < tm` take
//! `s * (V(t1) + sum over j of V(tj) * (1 - exp(-r * gap)) + g * gap)`, with the gap from `tj` to the next: each point adds
//! what was overwritten since the one before, and what is new. `s` is what is stored for a byte of new data, after compression
//! and after what is the same within one point. Whole copies take `s * (V(t1) + … + V(tm))`.
//!
//! Source: the growth of unique content under retention, as measured by G. Wallace et al., *Characteristics of backup workloads
//! in production systems*, FAST 2012, section 4; the formula is the expectation of that for even writes.

use lifeboat_core::Error;
use serde::Serialize;

use crate::quantity::{Bytes, Probability, Rate, Seconds, no_answer, positive};

/// What is kept, and how it changes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Growth {
    /// How much there is at the first point.
    pub data: Bytes,
    /// How much is added.
    pub grows: Rate,
    /// The share that is overwritten within a day.
    pub changed_a_day: Probability,
    /// What is stored for a byte of new data.
    pub stored: Probability,
}

/// A rule of retention: so many points, so far apart. 7 of a day, 4 of a week and 12 of 30 days are three of them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Keep {
    /// How many.
    pub points: u32,
    /// How far apart.
    pub every: Seconds,
}

/// The room that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Room {
    /// How many points there are.
    pub points: usize,
    /// How much they take, each byte kept once.
    pub stored: Bytes,
    /// How much they would take as whole copies.
    pub copies: Bytes,
}

/// More points than this are a mistake.
const POINTS_MAX: usize = 100_000;

impl Growth {
    /// The room that is taken at a time after the first point. The points are those of all rules, counted back from that time;
    /// a point that two rules keep is one.
    ///
    /// # Errors
    /// `LB0911` without a rule, for points of one rule at one time, more than 100,000 of them, or answers out of range.
    pub fn room(&self, at: Seconds, rules: &[Keep]) -> Result<Room, Error> {
        let times = times(at, rules)?;
        let churn = self.churn()?;
        let size = |time: f64| self.data.get() + self.grows.get() * time;
        let first = times.first().copied().unwrap_or_default();
        let mut unique = size(first);
        for (before, after) in times.iter().zip(times.iter().skip(1)) {
            let gap = after - before;
            unique += size(*before) * -(-churn * gap).exp_m1() + self.grows.get() * gap;
        }
        let copies: f64 = times.iter().map(|time| size(*time)).sum();
        let stored = self.stored.get();
        Ok(Room {
            points: times.len(),
            stored: Bytes::answer(unique * stored)?,
            copies: Bytes::answer(copies * stored)?,
        })
    }

    /// When a capacity is first exceeded, to the closest of the rules' intervals; `None` when it lasts for `horizon`.
    ///
    /// # Errors
    /// As [`Growth::room`]; `LB0911` for a horizon of more than 100,000 intervals.
    pub fn full_at(&self, capacity: Bytes, rules: &[Keep], horizon: Seconds) -> Result<Option<Seconds>, Error> {
        let step = rules.iter().map(|rule| rule.every.get()).fold(f64::INFINITY, f64::min);
        if !step.is_finite() {
            return Err(no_answer("there is no rule of retention"));
        }
        let steps = horizon.get() / positive(step, "the time between two points")?;
        if steps > POINTS_MAX as f64 {
            return Err(no_answer("the horizon has too many intervals").hint("look less far ahead"));
        }
        for number in 0..=steps as u64 {
            let at = Seconds::answer(step * number as f64)?;
            if self.room(at, rules)?.stored > capacity {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn churn(&self) -> Result<f64, Error> {
        let share = self.changed_a_day.get();
        if share >= 1.0 {
            return Err(no_answer("all of the data cannot be overwritten within a day: writes hit some of it twice")
                .hint("give a share below 100%, as 99.9%"));
        }
        Ok(-(-share).ln_1p() / Seconds::DAY.get())
    }
}

/// The times of the points, oldest first, counted from the first point that was ever made.
fn times(at: Seconds, rules: &[Keep]) -> Result<Vec<f64>, Error> {
    let mut times = Vec::new();
    for rule in rules {
        let every = rule.every.get();
        if rule.points > 1 {
            positive(every, "the time between two points")?;
        }
        if times.len() + rule.points as usize > POINTS_MAX {
            return Err(no_answer(format!("there are more than {POINTS_MAX} points")));
        }
        let ages = (0..rule.points).map(|number| at.get() - every * f64::from(number));
        times.extend(ages.take_while(|time| *time >= 0.0));
    }
    if times.is_empty() {
        return Err(no_answer("no point is kept").hint("give a rule of retention with at least one point"));
    }
    times.sort_by(f64::total_cmp);
    times.dedup();
    Ok(times)
}
