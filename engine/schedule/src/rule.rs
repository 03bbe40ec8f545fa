//! A schedule with all that it says, and the times at which it is due.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::blackout::{Blackout, BlackoutText};
use crate::cron::Cron;
use crate::limits::{BLACKOUTS_MAX, JITTER_MAX_MS, NEXT_MAX};
use crate::refused::Refused;
use crate::times::Times;
use crate::zone::zone;

/// What happens where a run is due and the one before it has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It waits. One waits at most: what is slower than its schedule would only be behind for ever.
    Queue,
}

impl Overlap {
    /// The words for it in runbooks.
    pub const WORDS: [&'static str; 2] = ["skip", "queue"];

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "skip" => Some(Self::Skip),
            "queue" => Some(Self::Queue),
            _ => None,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
        }
    }
}

/// What happens with the runs that were due while no service was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// They are told, and left out.
    #[default]
    Skip,
    /// They are told, and one run makes up for all of them.
    RunOnce,
}

impl Missed {
    /// The words for it in runbooks.
    pub const WORDS: [&'static str; 2] = ["skip", "run-once"];

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "skip" => Some(Self::Skip),
            "run-once" => Some(Self::RunOnce),
            _ => None,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::RunOnce => "run-once",
        }
    }
}

/// A schedule as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Six or seven fields, seconds first.
    pub cron: String,
    /// A zone of the IANA database.
    pub zone: String,
    /// How far its runs are put off, at most, in milliseconds. How far exactly follows from its name, and is always the same: so
    /// many schedules of one time come one after the other, and a person can tell when.
    pub jitter_ms: u64,
    /// Where the run before has not ended.
    pub overlap: Overlap,
    /// Where no service was there.
    pub missed: Missed,
    /// When nothing is started.
    pub blackouts: Vec<BlackoutText>,
}

/// A schedule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Rule {
    name: String,
    times: Times,
    jitter_ms: u64,
    digest: String,
    pub(crate) overlap: Overlap,
    pub(crate) missed: Missed,
    blackouts: Vec<Blackout>,
}

/// A time at which a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upcoming {
    /// Milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// The same on the clock of its zone, as `2026-11-22T03:00:00+01:00`.
    pub local: String,
    /// Why nothing will be started then.
    pub blackout: Option<String>,
}

impl Rule {
    /// A schedule from what is written, with the time zones that are built in. `name` is unique among all schedules of the
    /// service, as `RUNBOOK/SCHEDULE`: its jitter and the keys of its runs follow from it.
    ///
    /// # Errors
    /// `LB0122` the cron text, `LB0123` the zone, `LB1001` no time fits, `LB1002` a blackout, `LB1003` a limit.
    pub fn new(name: impl Into<String>, spec: &Spec) -> Result<Self, Refused> {
        let name = name.into();
        let times = Times::new(Cron::parse(&spec.cron)?, zone(&spec.zone)?);
        if spec.jitter_ms > JITTER_MAX_MS {
            return Err(Refused::new("LB1003", "the jitter is longer than a day", "write jitter=\"24h\" or less"));
        }
        if spec.blackouts.len() > BLACKOUTS_MAX {
            let message = format!("a schedule has at most {BLACKOUTS_MAX} blackouts");
            return Err(Refused::new("LB1003", message, "put those of one kind together, as days=\"Sat,Sun\""));
        }
        let blackouts = spec.blackouts.iter().map(Blackout::parse).collect::<Result<_, _>>()?;
        let jitter_ms = jitter(&name, spec.jitter_ms);
        let digest = blake3::hash(format!("{}\n{}\n{jitter_ms}", spec.cron, spec.zone).as_bytes());
        let digest = digest.to_hex().chars().take(16).collect();
        Ok(Self { name, times, jitter_ms, digest, overlap: spec.overlap, missed: spec.missed, blackouts })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far its runs are put off, in milliseconds.
    pub const fn jitter_ms(&self) -> u64 {
        self.jitter_ms
    }

    /// What its times follow from. Where it is another than before, what was due before is none of this schedule's matter.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The first due time after that one. Both in milliseconds since the Unix epoch; `None`: there is none until 2100.
    pub fn next_after(&self, after_ms: u64) -> Option<u64> {
        // Due times are whole seconds put off by the jitter.
        let after = i64::try_from(after_ms).ok()? - i64::try_from(self.jitter_ms).ok()?;
        let next = self.times.next_after(after.div_euclid(1_000))?;
        u64::try_from(next.checked_mul(1_000)?).ok()?.checked_add(self.jitter_ms)
    }

    /// The last due time up to that one, in milliseconds since the Unix epoch.
    pub(crate) fn last_until(&self, until_ms: u64) -> Option<u64> {
        let until = i64::try_from(until_ms.checked_sub(self.jitter_ms)?).ok()?;
        let last = self.times.last_until(until.div_euclid(1_000))?;
        u64::try_from(last.checked_mul(1_000)?).ok()?.checked_add(self.jitter_ms)
    }

    /// Why nothing is started at that time, in milliseconds since the Unix epoch.
    pub fn blackout_at(&self, at_ms: u64) -> Option<&str> {
        if self.blackouts.is_empty() {
            return None;
        }
        let at = Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()?;
        let local = self.times.zone().to_datetime(at);
        self.blackouts.iter().find(|blackout| blackout.covers(local)).map(Blackout::reason)
    }

    /// The next `count` due times after that one, at most a thousand, with those in a blackout, which start nothing.
    pub fn next(&self, after_ms: u64, count: usize) -> Vec<Upcoming> {
        let mut at = after_ms;
        let mut found = Vec::new();
        while found.len() < count.min(NEXT_MAX) {
            let Some(due_ms) = self.next_after(at) else { break };
            at = due_ms;
            let blackout = self.blackout_at(due_ms).map(str::to_owned);
            found.push(Upcoming { due_ms, local: self.local(due_ms), blackout });
        }
        found
    }

    /// A time on the clock of the schedule's zone, to the second.
    pub fn local(&self, at_ms: u64) -> String {
        let at = i64::try_from(at_ms / 1_000).ok().and_then(|at| Timestamp::from_second(at).ok());
        let Some(at) = at else { return at_ms.to_string() };
        let offset = self.times.zone().to_offset(at);
        at.display_with_offset(offset).to_string()
    }
}

/// Whole seconds from a name, up to `most`.
fn jitter(name: &str, most_ms: u64) -> u64 {
    let digest = blake3::hash(name.as_bytes());
    let seed = digest.as_bytes().iter().take(8).fold(0_u64, |seed, byte| (seed << 8) | u64::from(*byte));
    let seconds = most_ms / 1_000 + 1;
    seed % seconds * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(cron: &str, zone: &str) -> Spec {
        Spec { cron: cron.to_owned(), zone: zone.to_owned(), ..Spec::default() }
    }

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let rule = Rule::new("r/s", &spec(cron, zone)).unwrap();
        rule.next(ms(after), count).into_iter().map(|at| at.local).collect()
    }

    #[test]
    fn a_time_that_is_left_out_is_due_at_the_change_once() {
        let days = next("0 30 2 * * *", "Europe/Zurich", "2026-03-28T12:00:00Z", 2);
        assert_eq!(days, ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]);
        let quarters = next("0 */15 2,3 * * *", "Europe/Zurich", "2026-03-28T12:00:00Z", 2);
        assert_eq!(quarters, ["2026-03-29T03:00:00+02:00", "2026-03-29T03:15:00+02:00"]);
        let midnight = next("0 0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2);
        assert_eq!(midnight, ["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"]);
        let no_day = next("0 0 3 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", 2);
        assert_eq!(no_day, ["2011-12-31T00:00:00+14:00", "2011-12-31T03:00:00+14:00"]);
    }

    #[test]
    fn a_time_that_comes_twice_is_due_the_first_time() {
        let days = next("0 30 2 * * *", "Europe/Zurich", "2026-10-24T12:00:00Z", 2);
        assert_eq!(days, ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]);
        // Asked in the second pass, what is due in it was due before.
        let later = next("0 30 2 * * *", "Europe/Zurich", "2026-10-25T01:10:00Z", 1);
        assert_eq!(later, ["2026-10-26T02:30:00+01:00"]);
    }

    #[test]
    fn every_hour_goes_by_elapsed_time() {
        let forth = next("0 30 * * * *", "Europe/Zurich", "2026-03-29T00:00:00Z", 2);
        assert_eq!(forth, ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]);
        let back = next("0 30 * * * *", "Europe/Zurich", "2026-10-25T00:00:00Z", 3);
        assert_eq!(back, ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"]);
    }

    #[test]
    fn jitter_follows_from_the_name() {
        let spec = Spec { jitter_ms: 300_000, ..spec("0 0 3 * * *", "UTC") };
        let of = |name: &str| Rule::new(name, &spec).unwrap().jitter_ms();
        assert_eq!(of("a/nightly"), of("a/nightly"));
        let all: std::collections::BTreeSet<u64> = (0..50).map(|n| of(&format!("{n}/nightly"))).collect();
        assert!(all.len() > 30 && all.iter().all(|ms| *ms <= 300_000 && ms % 1_000 == 0));
        let rule = Rule::new("a/nightly", &spec).unwrap();
        let due = rule.next_after(ms("2026-11-21T12:00:00Z")).unwrap();
        assert_eq!(due, ms("2026-11-22T03:00:00Z") + rule.jitter_ms());
        assert_eq!(rule.next_after(due), Some(ms("2026-11-23T03:00:00Z") + rule.jitter_ms()));
        assert_eq!(rule.last_until(due), Some(due));
        assert_eq!(rule.last_until(due - 1), Some(due - 86_400_000));
    }

    #[test]
    fn limits_are_told() {
        let much = Spec { jitter_ms: JITTER_MAX_MS + 1, ..spec("0 0 3 * * *", "UTC") };
        assert_eq!(Rule::new("x", &much).unwrap_err().code, "LB1003");
        let text = BlackoutText { days: Some("Mon".to_owned()), ..BlackoutText::default() };
        let many = Spec { blackouts: vec![text; BLACKOUTS_MAX + 1], ..spec("0 0 3 * * *", "UTC") };
        assert_eq!(Rule::new("x", &many).unwrap_err().code, "LB1003");
        let leap = Rule::new("x", &spec("0 0 0 29 2 Mon", "UTC")).unwrap();
        assert_eq!(leap.next(ms("2026-01-01T00:00:00Z"), 9).len(), 2);
        assert_eq!(leap.next_after(u64::MAX), None);
    }
}
