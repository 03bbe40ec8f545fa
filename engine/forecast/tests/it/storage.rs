//! Room that recovery points take, against blocks with contents.

use std::collections::BTreeSet;

use lifeboat_forecast::models::storage::{Growth, Keep};
use lifeboat_forecast::random::Random;
use lifeboat_forecast::{Probability, Rate};

use crate::{bytes, close, p, time};

/// Hours of a disk whose blocks are overwritten and added; the distinct contents of the points, and of whole copies.
fn disk(blocks: usize, added_an_hour: usize, changed_a_day: f64, kept: &BTreeSet<usize>) -> (f64, f64) {
    let mut random = Random::new(33);
    let an_hour = 1.0 - (1.0 - changed_a_day).powf(1.0 / 24.0);
    let mut content: Vec<u64> = (0..blocks as u64).collect();
    let mut next = blocks as u64;
    let (mut unique, mut copies) = (BTreeSet::new(), 0);
    for hour in 0..=*kept.last().unwrap() {
        if hour > 0 {
            for block in &mut content {
                if random.happens(an_hour) {
                    (*block, next) = (next, next + 1);
                }
            }
            content.extend(next..next + added_an_hour as u64);
            next += added_an_hour as u64;
        }
        if kept.contains(&hour) {
            unique.extend(content.iter().copied());
            copies += content.len();
        }
    }
    (unique.len() as f64, copies as f64)
}

#[test]
fn points_in_a_deduplicated_vault() {
    // Blocks of a kB: 4,000 of them, 5 more an hour.
    let growth = Growth {
        data: bytes("4MB"),
        grows: Rate::parse("5kB/h").unwrap(),
        changed_a_day: p(0.08),
        stored: Probability::CERTAIN,
    };
    let daily = Keep { points: 7, every: time("1d") };
    let weekly = Keep { points: 4, every: time("7d") };
    for (rules, at) in [(vec![daily], 20), (vec![daily, weekly], 40), (vec![daily], 3)] {
        let kept: BTreeSet<usize> = rules
            .iter()
            .flat_map(|rule| (0..rule.points as usize).map(|n| n * (rule.every.get() / 3_600.0) as usize))
            .filter_map(|age| (at * 24_usize).checked_sub(age))
            .collect();
        let room = growth.room(time(&format!("{at}d")), &rules).unwrap();
        let (unique, copies) = disk(4_000, 5, 0.08, &kept);
        assert_eq!(room.points, kept.len());
        close(room.stored.get() / 1e3, unique, 0.01);
        close(room.copies.get() / 1e3, copies, 0.001);
    }
}

#[test]
fn room_by_hand() {
    let still = Growth { data: bytes("1TB"), grows: Rate::ZERO, changed_a_day: Probability::NEVER, stored: p(0.5) };
    let rule = Keep { points: 30, every: time("1d") };
    let room = still.room(time("100d"), &[rule]).unwrap();
    // What does not change is kept once, half as large; thirty copies of it are fifteen times the data.
    assert_eq!((room.points, room.stored, room.copies), (30, bytes("500GB"), bytes("15TB")));
    let changing = Growth { changed_a_day: p(0.02), stored: Probability::CERTAIN, ..still };
    close(changing.room(time("100d"), &[rule]).unwrap().stored.get(), 1e12 * (1.0 + 29.0 * 0.02), 1e-9);
    // At first there is one point, whatever the rule.
    assert_eq!(changing.room(time("0s"), &[rule]).unwrap().points, 1);
    assert_eq!(&*changing.room(time("1d"), &[]).unwrap_err().code.0, "LB0911");
    assert!(changing.room(time("1d"), &[Keep { points: 3, every: time("0s") }]).is_err());
    assert!(changing.room(time("1d"), &[Keep { points: 200_000, every: time("1s") }]).is_err());
}

#[test]
fn when_it_is_full() {
    let growth = Growth {
        data: bytes("1TB"),
        grows: Rate::parse("10GB/d").unwrap(),
        changed_a_day: Probability::NEVER,
        stored: Probability::CERTAIN,
    };
    let rule = [Keep { points: 7, every: time("1d") }];
    // Nothing is overwritten, so the points take what the newest holds: 2 TB after 100 days, more after 101.
    assert_eq!(growth.full_at(bytes("2TB"), &rule, time("365d")).unwrap(), Some(time("101d")));
    assert_eq!(growth.full_at(bytes("2TB"), &rule, time("90d")).unwrap(), None);
    assert_eq!(growth.full_at(bytes("1GB"), &rule, time("90d")).unwrap(), Some(time("0s")));
    assert!(growth.full_at(bytes("1GB"), &[], time("90d")).is_err());
}
