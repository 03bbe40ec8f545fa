//! Which snapshots a set of keep-rules keeps. The rules mean what they mean for restic's `forget`, to the letter, because
//! an operator brings them along; the library's own differ (weeks at the turn of a year, months of unequal length, the
//! oldest snapshot of a group).

use lifeboat_core::{Error, Failure};
use rustic_core::jiff::civil::Date;
use rustic_core::jiff::{Timestamp, ToSpan, Zoned};
use rustic_core::repofile::{DeleteOption, SnapshotFile};
use serde::Serialize;

use crate::error::fail_hint;

/// The rules keep nothing, or there is none.
const KEEPS_NOTHING: &str = "LB0810";

/// A span of calendar time, as `1y5m7d2h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// Calendar years.
    pub years: i32,
    /// Calendar months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Hours of sixty minutes.
    pub hours: i32,
}

impl std::str::FromStr for Within {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a span such as 1y5m7d2h (years, months, days, hours)");
        let mut span = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = rest.split_at_checked(digits).ok_or_else(wrong)?;
            let number: i32 = number.parse().map_err(|_| wrong())?;
            match unit.bytes().next() {
                Some(b'y') => span.years = number,
                Some(b'm') => span.months = number,
                Some(b'd') => span.days = number,
                Some(b'h') => span.hours = number,
                _ => return Err(wrong()),
            }
            rest = unit.get(1..).ok_or_else(wrong)?;
        }
        if span == Self::default() { Err(wrong()) } else { Ok(span) }
    }
}

impl std::fmt::Display for Within {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, unit) in [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')] {
            if number != 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

/// By what snapshots are put into groups; the rules count in each group for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupBy {
    /// The machine.
    Host,
    /// What was recorded.
    Paths,
    /// The tags.
    Tags,
    /// The label, which is the name of the snapshot's chain.
    Label,
}

/// Rules of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepRules {
    /// So many of the newest.
    pub last: u32,
    /// The newest of an hour, for so many hours that have any.
    pub hourly: u32,
    /// The same for days.
    pub daily: u32,
    /// The same for weeks, which begin on Monday.
    pub weekly: u32,
    /// The same for months.
    pub monthly: u32,
    /// The same for years.
    pub yearly: u32,
    /// All that are newer than this before the newest one.
    pub within: Option<Within>,
    /// All that have every tag of one of these lists.
    pub tags: Vec<Vec<String>>,
    /// The groups.
    pub group_by: Vec<GroupBy>,
}

impl Default for KeepRules {
    fn default() -> Self {
        Self {
            last: 0,
            hourly: 0,
            daily: 0,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            within: None,
            tags: Vec::new(),
            group_by: vec![GroupBy::Host, GroupBy::Paths],
        }
    }
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// Its id.
    pub id: String,
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: u64,
    /// Its label.
    pub label: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Why it is kept; empty where it goes.
    pub reasons: Vec<String>,
}

/// The snapshots of a group, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The machine, where it is grouped by that.
    pub host: Option<String>,
    /// What was recorded, where it is grouped by that.
    pub paths: Option<Vec<String>>,
    /// The tags, where it is grouped by that.
    pub tags: Option<Vec<String>>,
    /// The label, where it is grouped by that.
    pub label: Option<String>,
    /// Those that stay.
    pub keep: Vec<Fate>,
    /// Those that go.
    pub remove: Vec<Fate>,
}

impl KeepRules {
    fn is_empty(&self) -> bool {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        counts.iter().all(|count| *count == 0) && self.within.is_none() && self.tags.is_empty()
    }

    /// Applies the rules.
    ///
    /// # Errors
    /// `LB0810` when there is no rule, or when a group would lose all of its snapshots.
    pub(crate) fn apply(&self, snapshots: &[SnapshotFile], now: Timestamp) -> Result<Vec<Group>, Failure> {
        if self.is_empty() {
            return Err(fail_hint(
                KEEPS_NOTHING,
                "no rule says what is kept",
                "give at least one, as --keep-last 7 or --keep-daily 14",
            ));
        }
        let mut groups: Vec<(Group, Vec<&SnapshotFile>)> = Vec::new();
        for snapshot in snapshots {
            let key = self.key(snapshot);
            match groups.iter_mut().find(|(group, _)| *group == key) {
                Some((_, members)) => members.push(snapshot),
                None => groups.push((key, vec![snapshot])),
            }
        }
        let mut told = Vec::new();
        for (mut group, mut members) in groups {
            members.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.id.cmp(&b.id)));
            for (snapshot, reasons) in self.reasons(&members, now) {
                let fate = fate(snapshot, reasons);
                if fate.reasons.is_empty() { group.remove.push(fate) } else { group.keep.push(fate) }
            }
            if group.keep.is_empty() {
                let last = group.remove.first().map(|fate| fate.label.clone()).unwrap_or_default();
                return Err(Failure::from(
                    Error::new(KEEPS_NOTHING, format!("the rules keep no snapshot of a group (label '{last}')"))
                        .hint("add --keep-last 1, or group otherwise with --group-by"),
                ));
            }
            told.push(group);
        }
        Ok(told)
    }

    fn key(&self, snapshot: &SnapshotFile) -> Group {
        let by = |criterion| self.group_by.contains(&criterion);
        let sorted = |list: &rustic_core::StringList| {
            let mut list: Vec<String> = list.iter().cloned().collect();
            list.sort();
            list
        };
        Group {
            host: by(GroupBy::Host).then(|| snapshot.hostname.clone()),
            paths: by(GroupBy::Paths).then(|| sorted(&snapshot.paths)),
            tags: by(GroupBy::Tags).then(|| sorted(&snapshot.tags)),
            label: by(GroupBy::Label).then(|| snapshot.label.clone()),
            keep: Vec::new(),
            remove: Vec::new(),
        }
    }

    /// Why each snapshot is kept; they are newest first.
    fn reasons<'s>(&self, members: &[&'s SnapshotFile], now: Timestamp) -> Vec<(&'s SnapshotFile, Vec<String>)> {
        let mut buckets: [(u32, Bucket, i64, &str); 6] = [
            (self.last, |_, number| number, -1, "last snapshot"),
            (self.hourly, |time, _| day(time) * 100 + i64::from(time.hour()), -1, "hourly snapshot"),
            (self.daily, |time, _| day(time), -1, "daily snapshot"),
            (self.weekly, |time, _| week(time), -1, "weekly snapshot"),
            (self.monthly, |time, _| day(time) / 100, -1, "monthly snapshot"),
            (self.yearly, |time, _| i64::from(time.year()), -1, "yearly snapshot"),
        ];
        // A snapshot of a clock that was ahead must not make all others look old.
        let newest = members.iter().find(|snapshot| snapshot.time.timestamp() < now);
        let since = self.within.and_then(|within| newest.and_then(|newest| before(&newest.time, within)));
        let mut told = Vec::new();
        for (number, snapshot) in (0i64..).zip(members) {
            let mut reasons = Vec::new();
            if matches!(&snapshot.delete, DeleteOption::Never)
                || matches!(&snapshot.delete, DeleteOption::After(time) if time.timestamp() > now)
            {
                reasons.push("marked to be kept".to_owned());
            }
            for tags in &self.tags {
                let has = |tag: &String| {
                    snapshot.tags.contains(tag) || (tag.is_empty() && snapshot.tags.iter().next().is_none())
                };
                if tags.iter().all(has) {
                    reasons.push(format!("has tags [{}]", tags.join(", ")));
                }
            }
            if let Some(within) = self.within
                && since.as_ref().is_none_or(|since| snapshot.time.timestamp() > since.timestamp())
            {
                reasons.push(format!("within {within}"));
            }
            for (left, bucket, last, reason) in &mut buckets {
                let value = bucket(&snapshot.time, number);
                if *left > 0 && value != *last {
                    *last = value;
                    *left -= 1;
                    reasons.push((*reason).to_owned());
                }
            }
            told.push((*snapshot, reasons));
        }
        told
    }
}

fn fate(snapshot: &SnapshotFile, reasons: Vec<String>) -> Fate {
    Fate {
        id: snapshot.id.to_hex().as_str().to_owned(),
        time_ms: u64::try_from(snapshot.time.timestamp().as_millisecond()).unwrap_or_default(),
        label: snapshot.label.clone(),
        tags: snapshot.tags.iter().cloned().collect(),
        reasons,
    }
}

/// Year, month and day in the zone of the snapshot, as one number.
fn day(time: &Zoned) -> i64 {
    i64::from(time.year()) * 10_000 + i64::from(time.month()) * 100 + i64::from(time.day())
}

fn week(time: &Zoned) -> i64 {
    let week = time.date().iso_week_date();
    i64::from(week.year()) * 100 + i64::from(week.week())
}

/// Which hour, day or so a snapshot belongs to: by its time, or its place in the list.
type Bucket = fn(&Zoned, i64) -> i64;

/// So long before a time. A day that a month does not have runs over into the next month, as in restic: one month before
/// 31 March is 3 March.
fn before(time: &Zoned, within: Within) -> Option<Zoned> {
    let months = i32::from(time.year()) * 12 + i32::from(time.month()) - 1 - within.years * 12 - within.months;
    let year = i16::try_from(months.div_euclid(12)).ok()?;
    let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
    let first = Date::new(year, month, 1).ok()?;
    let date = first.checked_add((i64::from(time.day()) - 1 - i64::from(within.days)).days()).ok()?;
    let at = date.to_datetime(time.time()).to_zoned(time.time_zone().clone()).ok()?;
    at.checked_sub(i64::from(within.hours).hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, span) in [
            ("1y5m7d2h", Within { years: 1, months: 5, days: 7, hours: 2 }),
            ("30d", Within { days: 30, ..Within::default() }),
        ] {
            assert_eq!(text.parse::<Within>().unwrap(), span);
            assert_eq!(span.to_string(), text);
        }
        for text in ["", "0d", "d", "5", "5w", "-1d", "1d2", "ü"] {
            assert!(text.parse::<Within>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_before_runs_over_as_in_restic() {
        let time: Zoned = "2023-03-31T12:00:00[UTC]".parse().unwrap();
        let month = Within { months: 1, ..Within::default() };
        assert_eq!(before(&time, month).unwrap().date().to_string(), "2023-03-03");
        let span = Within { years: 1, months: 3, days: 31, hours: 13 };
        assert_eq!(before(&time, span).unwrap().datetime().to_string(), "2021-11-29T23:00:00");
    }
}
