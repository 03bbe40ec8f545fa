//! Due times against an oracle that looks at every second: days around changes of the clock, in zones with all kinds of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};
use lifeboat_schedule::{Cron, Times, zone};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// A zone, and a day near which its clock changes: by an hour, by half of one, by two, by a day, at midnight, in Ramadan, or not.
const CHANGES: [(&str, &str); 20] = [
    ("Europe/Zurich", "2026-03-29"),
    ("Europe/Zurich", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("Pacific/Apia", "2011-12-30"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Antarctica/Troll", "2026-10-25"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-30"),
    ("America/Santiago", "2026-04-05"),
    ("Europe/Dublin", "2026-10-25"),
    ("Asia/Pyongyang", "2015-08-14"),
    ("Asia/Kolkata", "2026-03-29"),
    ("UTC", "2026-03-29"),
];

/// The fields of a cron text as sets, from which the text is made: the oracle knows no cron.
#[derive(Clone, Debug)]
struct Fields {
    seconds: Vec<i8>,
    minutes: Vec<i8>,
    hours: Vec<i8>,
    weekdays: Option<Vec<i8>>,
}

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Fields {
    fn text(&self) -> String {
        let list = |of: &[i8]| of.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let weekdays = self.weekdays.as_ref().map_or("*".to_owned(), |days| {
            days.iter().map(|day| NAMES[usize::try_from(*day - 1).unwrap()]).collect::<Vec<_>>().join(",")
        });
        format!("{} {} {} * * {weekdays}", list(&self.seconds), list(&self.minutes), list(&self.hours))
    }

    fn fits(&self, local: jiff::civil::DateTime) -> bool {
        let weekday = local.date().weekday().to_monday_one_offset();
        self.seconds.contains(&local.second())
            && self.minutes.contains(&local.minute())
            && self.hours.contains(&local.hour())
            && self.weekdays.as_ref().is_none_or(|days| days.contains(&weekday))
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    let hours = prop_oneof![
        2 => subsequence((0..24).collect::<Vec<i8>>(), 1..6),
        2 => subsequence(vec![0, 1, 2, 3, 23], 1..5),
        1 => Just((0..24).collect()),
    ];
    let minutes = subsequence(vec![0, 1, 15, 29, 30, 45, 59], 1..5);
    let weekdays = proptest::option::of(subsequence((1..=7).collect::<Vec<i8>>(), 1..7));
    (subsequence(vec![0, 1, 30, 59], 1..3), minutes, hours, weekdays)
        .prop_map(|(seconds, minutes, hours, weekdays)| Fields { seconds, minutes, hours, weekdays })
}

/// Every second from the first to the last, by the promises of `times.rs` in other words.
fn oracle(fields: &Fields, zone: &TimeZone, first: i64, last: i64) -> BTreeSet<i64> {
    let by_the_wall = fields.hours.len() < 24;
    let mut due = BTreeSet::new();
    let mut offset = zone.to_offset(Timestamp::from_second(first - 1).unwrap());
    for at in first..=last {
        let instant = Timestamp::from_second(at).unwrap();
        let now = zone.to_offset(instant);
        if by_the_wall && now > offset {
            let left_out = (at + i64::from(offset.seconds()))..(at + i64::from(now.seconds()));
            let utc = |local: i64| TimeZone::UTC.to_datetime(Timestamp::from_second(local).unwrap());
            if left_out.into_iter().any(|local| fields.fits(utc(local))) {
                due.insert(at);
            }
        }
        offset = now;
        let local = zone.to_datetime(instant);
        if fields.fits(local) {
            let again = matches!(zone.to_ambiguous_timestamp(local).offset(), AmbiguousOffset::Fold { after, .. } if after == now);
            if !(by_the_wall && again) {
                due.insert(at);
            }
        }
    }
    due
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn due_times_are_those_of_the_oracle((name, day) in select(&CHANGES[..]), fields in fields(), shift in 0_i64..86_400) {
        let zone = zone(name).unwrap();
        let middle = format!("{day}T12:00:00Z").parse::<Timestamp>().unwrap().as_second();
        let (first, last) = (middle - 2 * 86_400 + shift, middle + 2 * 86_400);
        let times = Times::new(Cron::parse(&fields.text()).unwrap(), zone.clone());
        let expected = oracle(&fields, &zone, first, last);
        let next = |at: &i64| times.next_after(*at).filter(|at| *at <= last);
        let found: BTreeSet<i64> = std::iter::successors(next(&(first - 1)), next).collect();
        prop_assert_eq!(&found, &expected, "{} in {}", fields.text(), name);
        // Asked for from any instant, the answer is the same, forth and back.
        for at in (first..=last).step_by(3_571) {
            let after = expected.range(at + 1..).next();
            prop_assert_eq!(times.next_after(at).filter(|at| *at <= last), after.copied());
            if let Some(until) = expected.range(..=at).next_back() {
                prop_assert_eq!(times.last_until(at), Some(*until));
            }
        }
    }

    #[test]
    fn no_text_and_no_time_makes_it_panic(text in ".{0,40}", at in any::<i64>()) {
        if let Ok(cron) = Cron::parse(&text) {
            let times = Times::new(cron, TimeZone::UTC);
            let _ = (times.next_after(at), times.last_until(at));
        }
    }
}

/// Found by the test above: the last due time was the second before the change, and what the change left out was forgotten.
#[test]
fn what_a_change_leaves_out_is_due_also_just_after_a_due_time() {
    let times = Times::new(Cron::parse("59 59 0,23 * * *").unwrap(), zone("America/Sao_Paulo").unwrap());
    let change = "2018-11-04T03:00:00Z".parse::<Timestamp>().unwrap().as_second();
    assert_eq!(times.next_after(change - 2), Some(change - 1));
    assert_eq!(times.next_after(change - 1), Some(change));
    assert_eq!(times.last_until(change), Some(change));
}
