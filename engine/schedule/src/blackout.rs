//! Blackouts: when nothing is started.

use jiff::civil::{Date, DateTime, Time, Weekday};
use serde::{Deserialize, Serialize};

use crate::refused::Refused;

const HELP: &str = "write from= and to= as times (22:00), days of any year (12-20), dates (2026-12-20) or both (2026-12-20 08:00), \
                    or days=\"Sat,Sun\"";
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// A blackout as it is written. All times are those of the schedule's zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlackoutText {
    /// Its begin, which is in it: a time of day, a day of any year, a date, or a date and a time.
    pub from: Option<String>,
    /// Its end, of the same form. A day or date is in it as a whole; a time is not in it any more.
    pub to: Option<String>,
    /// The weekdays on which it begins, as `Mon-Fri,Sun`; all if it is left out.
    pub days: Option<String>,
    /// Why, for those who ask what did not run.
    pub reason: Option<String>,
}

/// A blackout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blackout {
    window: Window,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Window {
    /// Whole weekdays.
    Days(Vec<Weekday>),
    /// A part of those weekdays, over midnight where it ends before it begins.
    Daily { from: Time, to: Time, days: Vec<Weekday> },
    /// Days of every year, both in it, as (month, day).
    Yearly { from: (i8, i8), to: (i8, i8) },
    /// Once. The end is not in it.
    Once { from: DateTime, to: DateTime },
}

enum Point {
    Time(Time),
    Day((i8, i8)),
    Date(Date),
    Both(DateTime),
}

impl Blackout {
    /// Reads a blackout.
    ///
    /// # Errors
    /// `LB1002` with what is wrong.
    pub fn parse(text: &BlackoutText) -> Result<Self, Refused> {
        let days = text.days.as_deref().map(weekdays).transpose()?;
        let window = match (&text.from, &text.to) {
            (None, None) => match days {
                Some(days) => Window::Days(days),
                None => return Err(refuse("the blackout does not say when")),
            },
            (Some(from), Some(to)) => window(point(from)?, point(to)?, days)?,
            _ => return Err(refuse("a blackout has both a begin and an end, or neither")),
        };
        let reason = text.reason.clone().unwrap_or_else(|| shown(text));
        Ok(Self { window, reason })
    }

    /// Why nothing is started: as it is written, or else the window itself.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether nothing is started at that local time.
    pub fn covers(&self, local: DateTime) -> bool {
        let (date, time) = (local.date(), local.time());
        let begins_on = |days: &[Weekday], date: Date| days.contains(&date.weekday());
        match &self.window {
            Window::Days(days) => begins_on(days, date),
            Window::Daily { from, to, days } if from < to => begins_on(days, date) && *from <= time && time < *to,
            Window::Daily { from, to, days } => {
                let yesterday = date.yesterday().unwrap_or(date);
                (begins_on(days, date) && *from <= time) || (begins_on(days, yesterday) && time < *to)
            }
            Window::Yearly { from, to } => {
                let day = (date.month(), date.day());
                if from <= to { *from <= day && day <= *to } else { *from <= day || day <= *to }
            }
            Window::Once { from, to } => *from <= local && local < *to,
        }
    }
}

fn refuse(message: impl Into<String>) -> Refused {
    Refused::new("LB1002", message, HELP)
}

fn shown(text: &BlackoutText) -> String {
    let span = text.from.iter().zip(&text.to).map(|(from, to)| format!("{from} to {to}"));
    text.days.iter().cloned().chain(span).collect::<Vec<_>>().join(" ")
}

fn window(from: Point, to: Point, days: Option<Vec<Weekday>>) -> Result<Window, Refused> {
    let timed = matches!(from, Point::Time(_));
    if days.is_some() && !timed {
        return Err(refuse("weekdays go with times of day only"));
    }
    match (from, to) {
        (Point::Time(from), Point::Time(to)) if from == to => Err(refuse("the blackout ends where it begins")),
        (Point::Time(from), Point::Time(to)) => {
            let days = days.unwrap_or_else(|| WEEKDAYS.iter().map(|(_, day)| *day).collect());
            Ok(Window::Daily { from, to, days })
        }
        (Point::Day(from), Point::Day(to)) => Ok(Window::Yearly { from, to }),
        (from, to) => {
            let (Some(from), Some(to)) = (begin_of(&from), end_of(&to)) else {
                return Err(refuse("begin and end are not of the same form"));
            };
            if from < to { Ok(Window::Once { from, to }) } else { Err(refuse("the blackout ends before it begins")) }
        }
    }
}

fn begin_of(point: &Point) -> Option<DateTime> {
    match point {
        Point::Date(date) => Some(date.at(0, 0, 0, 0)),
        Point::Both(at) => Some(*at),
        Point::Time(_) | Point::Day(_) => None,
    }
}

fn end_of(point: &Point) -> Option<DateTime> {
    match point {
        Point::Date(date) => Some(date.tomorrow().ok()?.at(0, 0, 0, 0)),
        other => begin_of(other),
    }
}

fn point(text: &str) -> Result<Point, Refused> {
    let wrong = || refuse(format!("'{}' is neither a time nor a date", text.chars().take(40).collect::<String>()));
    if text.len() > 40 {
        return Err(wrong());
    }
    if let Some((date, time)) = text.split_once([' ', 'T']) {
        return Ok(Point::Both(DateTime::from_parts(
            date_of(date).ok_or_else(wrong)?,
            time_of(time).ok_or_else(wrong)?,
        )));
    }
    if text.contains(':') {
        return time_of(text).map(Point::Time).ok_or_else(wrong);
    }
    if text.matches('-').count() == 1 {
        // A leap year, so that 02-29 is a day.
        let date = date_of(&format!("2024-{text}")).ok_or_else(wrong)?;
        return Ok(Point::Day((date.month(), date.day())));
    }
    date_of(text).map(Point::Date).ok_or_else(wrong)
}

fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i16; N]> {
    let parts: Vec<&str> = text.split(between).collect();
    let mut out = [0; N];
    if parts.len() != N {
        return None;
    }
    for ((part, digits), out) in parts.iter().zip(digits).zip(&mut out) {
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *out = part.parse().ok()?;
    }
    Some(out)
}

fn date_of(text: &str) -> Option<Date> {
    let [year, month, day] = numbers(text, '-', [4, 2, 2])?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn time_of(text: &str) -> Option<Time> {
    let [hour, minute, second] = match numbers(text, ':', [2, 2]) {
        Some([hour, minute]) => [hour, minute, 0],
        None => numbers(text, ':', [2, 2, 2])?,
    };
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0).ok()
}

fn weekdays(text: &str) -> Result<Vec<Weekday>, Refused> {
    let index = |word: &str| WEEKDAYS.iter().position(|(name, _)| name.eq_ignore_ascii_case(word.trim()));
    let mut days = Vec::new();
    for part in text.chars().take(100).collect::<String>().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (index(first), index(last)) else {
            let message = format!("'{}' is not a weekday", part.trim());
            return Err(Refused::new(
                "LB1002",
                message,
                "write Mon, Tue, Wed, Thu, Fri, Sat or Sun, as days=\"Mon-Fri\"",
            ));
        };
        // Over the end of the week where it has to be: Sat-Mon.
        let count = (last + 7 - first) % 7 + 1;
        days.extend(WEEKDAYS.iter().cycle().skip(first).take(count).map(|(_, day)| *day));
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blackout(from: &str, to: &str, days: &str) -> Result<Blackout, Refused> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Blackout::parse(&BlackoutText { from: some(from), to: some(to), days: some(days), reason: None })
    }

    fn covered(from: &str, to: &str, days: &str, inside: &[&str], outside: &[&str]) {
        let blackout = blackout(from, to, days).unwrap();
        for at in inside {
            assert!(blackout.covers(at.parse().unwrap()), "{at} in {blackout:?}");
        }
        for at in outside {
            assert!(!blackout.covers(at.parse().unwrap()), "{at} in {blackout:?}");
        }
    }

    #[test]
    fn each_form_covers_what_it_says() {
        covered("", "", "Sat,Sun", &["2026-11-21T00:00", "2026-11-22T23:59:59"], &["2026-11-23T00:00"]);
        covered("08:00", "18:00", "Mon-Fri", &["2026-11-20T08:00"], &["2026-11-20T18:00", "2026-11-21T09:00"]);
        covered(
            "22:00",
            "06:00",
            "Fri",
            &["2026-11-20T22:00", "2026-11-21T05:59"],
            &["2026-11-20T05:00", "2026-11-21T22:30"],
        );
        covered(
            "12-20",
            "01-03",
            "",
            &["2026-12-20T00:00", "2027-01-03T23:59"],
            &["2026-12-19T23:59", "2027-01-04T00:00"],
        );
        covered("02-29", "02-29", "", &["2028-02-29T12:00"], &["2027-02-28T12:00", "2027-03-01T12:00"]);
        covered("2026-12-20", "2026-12-21", "", &["2026-12-20T00:00", "2026-12-21T23:59"], &["2026-12-22T00:00"]);
        covered("2026-12-20 08:00", "2026-12-20T09:30", "", &["2026-12-20T08:00"], &["2026-12-20T09:30"]);
        covered("22:00", "22:30:30", "Sat-Mon", &["2026-11-23T22:30:29"], &["2026-11-24T22:00"]);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for (from, to, days) in [
            ("", "", ""),
            ("08:00", "", ""),
            ("08:00", "08:00", ""),
            ("25:00", "26:00", ""),
            ("8:00", "9:00", ""),
            ("08:00", "2026-12-01", ""),
            ("2026-12-02", "2026-12-01", ""),
            ("2026-02-30", "2026-03-01", ""),
            ("12-20", "01-03", "Mon"),
            ("02-30", "03-01", ""),
            ("+008-01-01", "2026-01-01", ""),
            ("", "", "Someday"),
            ("", "", "Mon-"),
            ("2026-12-20 08:00 +01:00", "2026-12-21 08:00", ""),
        ] {
            let refused = blackout(from, to, days).unwrap_err();
            assert_eq!(refused.code, "LB1002", "{from} {to} {days}");
        }
    }
}
