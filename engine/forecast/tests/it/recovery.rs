//! Times of recoveries, and what is lost, against clocks that are moved step by step.

use lifeboat_forecast::models::point::Schedule;
use lifeboat_forecast::models::recovery::{Recovery, chain, moving};
use lifeboat_forecast::random::Random;
use lifeboat_forecast::{Probability, Seconds};

use crate::{bytes, close, p, rate, s, time};

/// The trap: 1,000 GB at 20 MB/s are 13.9 h, and not 50 h.
#[test]
fn a_terabyte_at_20_megabytes_a_second() {
    let takes = moving(bytes("1000GB"), rate("20MB/s")).unwrap();
    assert_eq!(takes.get(), 50_000.0);
    close(takes.get() / 3_600.0, 13.888_9, 1e-5);
    assert_eq!(moving(bytes("1TB"), rate("20MB/s")).unwrap(), takes);
    // A TiB is a tenth more, and a line of 20 Mbit/s takes eight times as long.
    close(moving(bytes("1TiB"), rate("20MB/s")).unwrap().get() / takes.get(), 1.0995, 1e-4);
    close(moving(bytes("1TB"), rate("20Mbit/s")).unwrap().get() / takes.get(), 8.0, 1e-12);
    assert_eq!(moving(bytes("0B"), rate("0MB/s")).unwrap(), Seconds::ZERO);
}

fn recovery() -> Recovery {
    Recovery {
        detect: time("2m"),
        decide: time("5m"),
        bytes: bytes("60GB"),
        transfer_rate: Some(rate("100MB/s")),
        restore_rate: Some(rate("200MB/s")),
        overlapped: false,
        other: time("30s"),
        validate: time("1m"),
    }
}

/// Blocks of a megabyte that go over a line and then to a disk, one by one.
fn block_by_block(recovery: &Recovery) -> f64 {
    let block = |rate: f64| 1e6 / rate;
    let (line, disk) = (block(recovery.transfer_rate.unwrap().get()), block(recovery.restore_rate.unwrap().get()));
    let count = (recovery.bytes.get() / 1e6) as usize;
    let (mut arrived, mut placed) = (0.0_f64, 0.0_f64);
    for _ in 0..count {
        arrived += line;
        placed = if recovery.overlapped { placed.max(arrived) + disk } else { placed + disk };
    }
    let moved = if recovery.overlapped { placed } else { arrived + placed };
    recovery.detect.get() + recovery.decide.get() + moved + recovery.other.get() + recovery.validate.get()
}

#[test]
fn a_recovery_block_by_block() {
    let mut one = recovery();
    assert_eq!(one.takes().unwrap().total.get(), 120.0 + 300.0 + 600.0 + 300.0 + 30.0 + 60.0);
    close(one.takes().unwrap().total.get(), block_by_block(&one), 1e-9);
    assert_eq!(one.takes().unwrap().dominant().unwrap().name, "transfer");
    one.overlapped = true;
    assert_eq!(one.takes().unwrap().total.get(), 1_110.0);
    close(one.takes().unwrap().total.get(), block_by_block(&one), 1e-4);
    (one.transfer_rate, one.restore_rate) = (one.restore_rate, one.transfer_rate);
    close(one.takes().unwrap().total.get(), block_by_block(&one), 1e-4);
    assert_eq!(one.takes().unwrap().dominant().unwrap().name, "restore");
}

/// The rate that is said to be enough is just enough.
#[test]
fn the_rate_that_is_needed() {
    let mut one = recovery();
    for overlapped in [false, true] {
        one.overlapped = overlapped;
        let needed = one.rate_needed(time("15m")).unwrap().unwrap();
        let with = Recovery { transfer_rate: Some(needed), restore_rate: Some(needed), ..one };
        close(with.takes().unwrap().total.get(), 900.0, 1e-12);
    }
    assert_eq!(one.rate_needed(time("8m")).unwrap(), None);
    assert_eq!(chain(bytes("1TB"), bytes("50GB"), 6).unwrap(), bytes("1.3TB"));
}

/// Backups that begin, are made, are copied, and are bad now and then; failures at any time.
fn lost(schedule: &Schedule, failures: u32) -> Vec<f64> {
    let mut random = Random::new(3);
    let (every, behind) = (schedule.interval.get(), schedule.duration.get() + schedule.lag.get());
    let mut found = Vec::new();
    let count = 200_000_usize;
    let good: Vec<bool> = (0..count).map(|_| random.happens(schedule.good.get())).collect();
    for _ in 0..failures {
        let at = every * (count as f64) * (0.5 + random.unit() / 2.0);
        let mut newest = ((at - behind) / every).floor() as usize;
        while !good[newest] {
            newest -= 1;
        }
        found.push(at - newest as f64 * every);
    }
    found
}

#[test]
fn what_is_lost_in_many_failures() {
    for (duration, lag, good) in [(600.0, 1_200.0, 1.0), (4_000.0, 9_000.0, 0.8), (0.0, 0.0, 0.5)] {
        let schedule = Schedule { interval: s(3_600.0), duration: s(duration), lag: s(lag), good: p(good) };
        let (all, loss) = (lost(&schedule, 200_000), schedule.loss().unwrap());
        close(all.iter().sum::<f64>() / all.len() as f64, loss.mean.get(), 0.01);
        close(all.iter().copied().fold(f64::INFINITY, f64::min).max(1.0), loss.best.get().max(1.0), 0.01);
        if good == 1.0 {
            close(all.iter().copied().fold(0.0, f64::max), loss.worst.get(), 0.001);
        }
        for objective in [100.0, 2_000.0, 5_000.0, 9_000.0, 14_000.0, 30_000.0] {
            let share = all.iter().filter(|lost| **lost <= objective).count() as f64 / all.len() as f64;
            assert!((share - schedule.meets(s(objective)).unwrap().get()).abs() < 0.005, "{objective} {good}");
        }
    }
}

#[test]
fn recovery_points_by_hand() {
    let daily = Schedule { interval: time("24h"), duration: time("2h"), lag: time("1h"), good: Probability::CERTAIN };
    let loss = daily.loss().unwrap();
    assert_eq!((loss.best, loss.mean, loss.worst), (time("3h"), time("15h"), time("27h")));
    assert_eq!(daily.worst_after(1).unwrap(), time("51h"));
    assert_eq!(daily.interval_for(time("5h")).unwrap(), Some(time("2h")));
    assert_eq!(daily.interval_for(time("2h")).unwrap(), None);
    assert_eq!(daily.meets(time("15h")).unwrap().get(), 0.5);
    let stream =
        Schedule { interval: Seconds::ZERO, duration: Seconds::ZERO, lag: time("5s"), good: Probability::CERTAIN };
    assert_eq!(stream.loss().unwrap().worst, time("5s"));
    assert_eq!(stream.meets(time("4s")).unwrap(), Probability::NEVER);
    let never = Schedule { good: Probability::NEVER, ..daily };
    assert_eq!(&*never.loss().unwrap_err().code.0, "LB0911");
}
