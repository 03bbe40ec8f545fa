//! From local times to instants, over every change of the clock.
//!
//! A zone is a row of stretches with one offset each. Within a stretch a local time is an instant; what is special is between
//! two stretches. Where the clock is set forward, local times are left out; where it is set back, they come twice.
//!
//! - A schedule that names hours goes by the clock on the wall: each time that it names is one run. A time that is left out is due
//!   at the instant of the change, once, however many were left out. A time that comes twice is due the first time only.
//! - A schedule of every hour goes by elapsed time: `0 */15 * * * *` is due each quarter of an hour, also in an hour that
//!   comes twice, and has nothing to do in an hour that is not.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cron::Cron;
use crate::limits::{BACK_S, LAST_S};

/// A cron text in a zone.
#[derive(Clone, Debug)]
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

/// Where one stretch ends and the next begins. Seconds.
#[derive(Clone, Copy, Debug)]
struct Change {
    at: i64,
    offset: i64,
}

impl Times {
    /// A cron text in a zone: one of [`crate::zone`], or one that the service has read from its machine.
    pub const fn new(cron: Cron, zone: TimeZone) -> Self {
        Self { cron, zone }
    }

    /// The zone.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The cron text.
    pub const fn cron(&self) -> &Cron {
        &self.cron
    }

    /// The first due time after that one. Both in seconds since the Unix epoch.
    pub fn next_after(&self, after: i64) -> Option<i64> {
        let mut from = after.checked_add(1)?;
        let by_the_wall = !self.cron.every_hour();
        let mut offset = self.offset_at(from)?;
        // Where a stretch begins with local times that were there before: where these end.
        let mut again_until = i64::MIN;
        if by_the_wall && let Some((begun, before)) = self.begun(from) {
            // Asked for from the very instant of the change: what it leaves out is due now.
            let left_out = begun == from
                && self
                    .cron
                    .local_from(from.saturating_add(before))
                    .is_some_and(|local| local < from.saturating_add(offset));
            if left_out {
                return Some(from);
            }
            again_until = end_of_repeat(begun, before, offset);
        }
        while from < LAST_S {
            let local = self.cron.local_from(from.saturating_add(offset).max(again_until));
            let change = self.change_after(from);
            let Some(change) = change else { return local.map(|local| local - offset) };
            if let Some(local) = local.filter(|local| local - offset < change.at) {
                return Some(local - offset);
            }
            // Not in this stretch. It may be one of the times that the change leaves out.
            if by_the_wall && local.is_some_and(|local| local < change.at.saturating_add(change.offset)) {
                return Some(change.at);
            }
            if by_the_wall {
                again_until = end_of_repeat(change.at, offset, change.offset);
            }
            (from, offset) = (change.at, change.offset);
        }
        None
    }

    /// The last due time up to that one, no further back than nine years. Both in seconds since the Unix epoch.
    pub fn last_until(&self, until: i64) -> Option<i64> {
        let due = |after: i64| self.next_after(after).filter(|at| *at <= until);
        let (mut low, mut high) = (until.saturating_sub(BACK_S), until);
        due(low)?;
        // There is one after `low` and none after `high`.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if due(middle).is_some() {
                low = middle;
            } else {
                high = middle;
            }
        }
        due(low)
    }

    fn offset_at(&self, at: i64) -> Option<i64> {
        Some(i64::from(self.zone.to_offset(Timestamp::from_second(at).ok()?).seconds()))
    }

    /// When the stretch began that holds that instant, and the offset before it.
    fn begun(&self, at: i64) -> Option<(i64, i64)> {
        let change = self.zone.preceding(Timestamp::from_second(at.checked_add(1)?).ok()?).next()?;
        let begun = change.timestamp().as_second();
        Some((begun, self.offset_at(begun.checked_sub(1)?)?))
    }

    fn change_after(&self, at: i64) -> Option<Change> {
        let change = self.zone.following(Timestamp::from_second(at).ok()?).next()?;
        Some(Change { at: change.timestamp().as_second(), offset: i64::from(change.offset().seconds()) })
    }
}

/// The local time until which a stretch repeats the one before it, where it does.
const fn end_of_repeat(at: i64, before: i64, offset: i64) -> i64 {
    if offset < before { at.saturating_add(before) } else { i64::MIN }
}
