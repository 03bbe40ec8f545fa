//! How often, and what kind: against work that is done, lost and done again, and against blocks that are written.

use lifeboat_forecast::models::frequency::{Tradeoff, daly, exact, slowdown, young};
use lifeboat_forecast::models::scheme::{Kind, Scheme, Upkeep};
use lifeboat_forecast::random::Random;

use crate::{bytes, close, money, p, price, rate, s, time};

/// Years of backups and failures, counted. What a second costs.
fn lived(trade: &Tradeoff, interval: f64, seed: u64) -> f64 {
    let mut random = Random::new(seed);
    let (mut now, mut cost) = (0.0, 0.0);
    for _ in 0..200_000 {
        let fails = random.exponential(trade.mtbf.get());
        cost += (fails / interval).floor() * trade.backup.get();
        cost += fails % interval * trade.loss.get();
        now += fails;
    }
    cost / now
}

#[test]
fn the_interval_that_costs_least() {
    let trade = Tradeoff { backup: money(40.0), loss: price("36/h"), mtbf: time("1000d") };
    let best = trade.best().unwrap();
    // sqrt(2 * 40 * 1000 d / 0.01) by hand
    close(best.interval.get(), (2.0 * 40.0 / 0.01 * 86_400_000.0_f64).sqrt(), 1e-12);
    // At the optimum both costs are the same.
    close(best.backups_a_year.get(), best.losses_a_year.get(), 1e-9);
    let here = lived(&trade, best.interval.get(), 1);
    close((best.backups_a_year.get() + best.losses_a_year.get()) / 31_536_000.0, here, 0.01);
    assert!(lived(&trade, best.interval.get() * 2.0, 1) > here * 1.1);
    assert!(lived(&trade, best.interval.get() / 2.0, 1) > here * 1.1);
}

/// Work with checkpoints and failures until it is done: how much longer it took.
fn worked(work: f64, checkpoint: f64, restart: f64, mtbf: f64) -> f64 {
    let mut random = Random::new(9);
    let pieces = 60_000;
    let (mut now, mut next) = (0.0, random.exponential(mtbf));
    for _ in 0..pieces {
        loop {
            if now + work + checkpoint <= next {
                now += work + checkpoint;
                break;
            }
            // Failed; the restart is tried until it is not disturbed.
            now = next;
            loop {
                next = now + random.exponential(mtbf);
                if now + restart <= next {
                    now += restart;
                    break;
                }
                now = next;
            }
        }
    }
    now / (f64::from(pieces) * work)
}

#[test]
fn checkpoints_of_work() {
    for (work, checkpoint, restart, mtbf) in [(300.0, 20.0, 30.0, 2_000.0), (50.0, 20.0, 5.0, 400.0)] {
        let told = slowdown(s(work), s(checkpoint), s(restart), s(mtbf)).unwrap();
        close(worked(work, checkpoint, restart, mtbf), told, 0.01);
    }
    // Young's own: a checkpoint of 5 min and a failure a day.
    close(young(time("5m"), time("24h")).unwrap().get(), 7_200.0, 1e-12);
    for (checkpoint, mtbf) in [(5.0, 86_400.0), (300.0, 86_400.0), (600.0, 3_600.0)] {
        let (d, m) = (s(checkpoint), s(mtbf));
        let best = exact(d, m).unwrap();
        let at = |work: f64| slowdown(s(work), d, s(0.0), m).unwrap();
        assert!(at(best.get()) <= at(best.get() * 1.02) && at(best.get()) <= at(best.get() * 0.98), "{checkpoint}");
        close(daly(d, m).unwrap().get(), best.get(), 0.005);
    }
    // Daly's is M where a checkpoint takes twice that; Young's is not near it any more.
    assert_eq!(daly(s(500.0), s(200.0)).unwrap().get(), 200.0);
    // Lambert: W(-exp(-2)) = -0.158594, so t = M * (1 - 0.158594).
    close(exact(s(1.0), s(1.0)).unwrap().get(), 0.841_405_660, 1e-8);
}

/// Blocks that are written at random times; backups in cycles; failures at even times. Bytes a cycle, and bytes read.
fn written(scheme: Scheme, changed_a_day: f64, blocks: usize) -> (f64, f64) {
    let mut random = Random::new(21);
    let mean = 86_400.0 / -(1.0 - changed_a_day).ln();
    let (cycle, every) = (scheme.cycle as usize, scheme.interval.get());
    let mut sizes = vec![0_usize; cycle];
    for _ in 0..blocks {
        let mut next = random.exponential(mean);
        let mut differs_from_full = false;
        sizes[0] += 1;
        for (place, size) in sizes.iter_mut().enumerate().skip(1) {
            let mut differs_from_last = false;
            while next <= place as f64 * every {
                (differs_from_last, differs_from_full) = (true, true);
                next += random.exponential(mean);
            }
            let held = match scheme.kind {
                Kind::Full => true,
                Kind::Incremental => differs_from_last,
                Kind::Differential => differs_from_full,
            };
            *size += usize::from(held);
        }
    }
    let read = |place: usize| match scheme.kind {
        Kind::Full => sizes[place],
        Kind::Incremental => sizes[..=place].iter().sum(),
        Kind::Differential if place == 0 => sizes[0],
        Kind::Differential => sizes[0] + sizes[place],
    };
    let reads: usize = (0..20_000).map(|_| read(random.below(cycle))).sum();
    (sizes.iter().sum::<usize>() as f64 / blocks as f64, reads as f64 / 20_000.0 / blocks as f64)
}

fn upkeep() -> Upkeep {
    Upkeep {
        data: bytes("1TB"),
        changed_a_day: p(0.05),
        price_of_gb: money(0.01),
        each: money(0.5),
        loss: price("100/h"),
        down: price("1000/h"),
        restore: rate("200MB/s"),
        mtbf: time("200d"),
    }
}

#[test]
fn full_incremental_and_differential() {
    for (kind, cycle, interval) in [
        (Kind::Full, 1, "1d"),
        (Kind::Incremental, 7, "1d"),
        (Kind::Differential, 7, "1d"),
        (Kind::Incremental, 30, "6h"),
        (Kind::Differential, 20, "3d"),
    ] {
        let scheme = Scheme { kind, interval: time(interval), cycle };
        let burden = upkeep().burden(scheme).unwrap();
        let (cycle_share, read_share) = written(scheme, 0.05, 40_000);
        close(burden.bytes_a_cycle.get() / 1e12, cycle_share, 0.01);
        close(burden.bytes_read.get() / 1e12, read_share, 0.01);
    }
}

/// No neighbour of the best way is cheaper, and it is the cheapest of all that are tried one by one.
#[test]
fn the_way_that_costs_least() {
    let upkeep = upkeep();
    let found = upkeep.best(time("10m"), time("30d")).unwrap();
    let total = |scheme| upkeep.burden(scheme).map(|b| b.backups_a_year.get() + b.failures_a_year.get()).unwrap();
    let best = total(found[0].scheme);
    assert_eq!(found.len(), 3);
    let mut least = f64::INFINITY;
    for kind in [Kind::Full, Kind::Incremental, Kind::Differential] {
        for cycle in 1..=100 {
            for place in 0..200 {
                let interval = s(600.0 * (4_320.0_f64).powf(f64::from(place) / 199.0));
                least = least.min(total(Scheme { kind, interval, cycle }));
            }
        }
    }
    assert!(best <= least && best > least * 0.999, "{best} {least}");
    // What never changes needs one full backup; all that is asked then is how often the others come.
    let still = Upkeep { changed_a_day: p(0.0), ..upkeep };
    assert_ne!(still.best(time("10m"), time("30d")).unwrap()[0].scheme.kind, Kind::Full);
    let all = Upkeep { changed_a_day: p(1.0), ..upkeep };
    assert_eq!(&*all.best(time("10m"), time("30d")).unwrap_err().code.0, "LB0911");
    assert!(upkeep.best(time("2d"), time("1d")).is_err());
}
