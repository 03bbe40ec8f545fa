//! The text of a schedule. Parsed by the crate `cron`; what it takes silently and people get wrong is said here.

use std::str::FromStr;

use ::cron::{Schedule, TimeUnitSpec};
use chrono::{DateTime, Utc};

use crate::limits::CRON_BYTES_MAX;
use crate::refused::Refused;

const HELP: &str = "six fields: second, minute, hour, day of month, month, weekday; as 0 30 3 * * Sun";

/// A schedule's text, parsed: which local times it names.
#[derive(Clone, Debug)]
pub struct Cron {
    schedule: Schedule,
    every_hour: bool,
}

impl Cron {
    /// Parses six fields, seconds first, or seven with a year; or `@daily` and its like.
    ///
    /// # Errors
    /// `LB0122` with what is wrong, and what to write; `LB1001` where no time fits, as on 30 February.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.len() > CRON_BYTES_MAX {
            let message = format!("the schedule has {} bytes, and at most {CRON_BYTES_MAX} are read", text.len());
            return Err(Refused::new("LB0122", message, "make several schedules of it"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let refuse = |reason: String, help: String| {
            Refused::new("LB0122", format!("'{text}' is not a schedule: {reason}"), help)
        };
        if fields.iter().any(|field| field.split(',').any(|part| part.split('/').nth(1).is_some_and(is_zero))) {
            return Err(refuse("a step of 0 leads nowhere".to_owned(), "write a step of 1 or more, as */5".to_owned()));
        }
        if !text.trim_start().starts_with('@') && !(6..=7).contains(&fields.len()) {
            let help =
                if fields.len() == 5 { format!("seconds come first: 0 {}", fields.join(" ")) } else { HELP.to_owned() };
            return Err(refuse(format!("it has {} fields, not six", fields.len()), help));
        }
        let schedule = Schedule::from_str(text).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().next().unwrap_or_default().trim().trim_end_matches('.');
            let reason = if reason.is_empty() { "it cannot be read" } else { reason };
            refuse(reason.to_owned(), HELP.to_owned())
        })?;
        let every_hour = schedule.hours().count() == 24;
        let cron = Self { schedule, every_hour };
        if cron.local_from(0).is_none() {
            let message = format!("'{text}' names no time that there is");
            return Err(Refused::new(
                "LB1001",
                message,
                "look at the day of the month, the month and the year together",
            ));
        }
        Ok(cron)
    }

    /// Whether it names every hour of the day. Such a schedule goes by elapsed time, all others by the clock on the wall.
    pub const fn every_hour(&self) -> bool {
        self.every_hour
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.schedule.source()
    }

    /// What other crons take otherwise than this one: for a warning.
    pub fn traps(&self) -> Vec<String> {
        let mut traps = Vec::new();
        let fields: Vec<&str> = self.text().split_whitespace().collect();
        let (Some(days), Some(weekdays)) = (fields.get(3), fields.get(5)) else { return traps };
        let numbers = weekdays.split(',').filter_map(|part| part.split('/').next());
        if numbers.clone().any(|part| part.contains(|c: char| c.is_ascii_digit())) {
            traps.push(
                "a weekday in numbers counts from 1 for Sunday here, and from 0 in other crons: write Mon or Sun"
                    .to_owned(),
            );
        }
        let all = |field: &str| matches!(field, "*" | "?");
        if !all(days) && !all(weekdays) {
            traps
                .push("both the day of the month and the weekday have to fit here; other crons take either".to_owned());
        }
        traps
    }

    /// The first named local time from then on, both in seconds of the local clock since 1970.
    pub(crate) fn local_from(&self, local: i64) -> Option<i64> {
        let before = DateTime::<Utc>::from_timestamp(local.checked_sub(1)?, 0)?;
        self.schedule.after(&before).next().map(|at| at.timestamp())
    }
}

fn is_zero(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_schedule_says_why() {
        for (text, part) in [
            ("0 3 * * *", "seconds come first: 0 0 3 * * *"),
            ("", "it has 0 fields"),
            ("0 0 3 * *  * * *", "it has 8 fields"),
            ("0 */0 * * * *", "a step of 0"),
            ("0 61 * * * *", "not a schedule"),
            ("0 0 3 * * Funday", "not a schedule"),
            ("@never", "not a schedule"),
            ("0 0 0 30 Feb *", "LB1001"),
        ] {
            let refused = Cron::parse(text).map(|cron| cron.text().to_owned()).unwrap_err();
            assert!(refused.to_string().contains(part), "{text}: {refused}");
        }
        assert!(Cron::parse(&"1,".repeat(1_000)).is_err());
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "99999999999999999999 * * * * *",
            "0-4294967295 * * * * *",
            "5-1 * * * * *",
            "* * * * * */99999999",
            "\u{0}",
            "* * * * * ?/2",
            "-",
            "@@",
            "é * * * * *",
        ] {
            let _ = Cron::parse(text);
        }
    }

    #[test]
    fn traps_are_told() {
        assert_eq!(Cron::parse("0 0 3 * * Mon").unwrap().traps().len(), 0);
        assert_eq!(Cron::parse("@daily").unwrap().traps().len(), 0);
        assert!(Cron::parse("0 0 3 * * 1-5").unwrap().traps()[0].contains("Sunday"));
        assert!(Cron::parse("0 0 3 1 * Mon").unwrap().traps()[0].contains("both"));
        assert!(Cron::parse("0 0 * * * *").unwrap().every_hour());
        assert!(Cron::parse("0 0 0-23 * * *").unwrap().every_hour());
        assert!(!Cron::parse("0 0 */2 * * *").unwrap().every_hour());
    }
}
