//! Availability against parts that are switched on and off, one by one.

use lifeboat_forecast::models::availability::{
    all_fail, any_fails, downtime_a_year, fails_within, k_of_n, parallel, series, steady_state,
};
use lifeboat_forecast::random::Random;

use crate::{close, p, s, time};

/// How often that many of the parts are up, tried many times.
fn tried(parts: &[f64], enough: impl Fn(usize) -> bool) -> f64 {
    let mut random = Random::new(11);
    let rounds = 400_000;
    let good = (0..rounds).filter(|_| enough(parts.iter().filter(|part| random.unit() < **part).count())).count();
    good as f64 / f64::from(rounds)
}

#[test]
fn parts_that_are_tried() {
    let values = [0.9, 0.8, 0.95, 0.6];
    let parts = values.map(p);
    close(series(&parts).unwrap().get(), tried(&values, |up| up == 4), 0.01);
    close(parallel(&parts).unwrap().get(), tried(&values, |up| up >= 1), 0.001);
    for needed in 0..=4 {
        close(k_of_n(needed, &parts).unwrap().get(), tried(&values, |up| up >= needed), 0.01);
    }
}

#[test]
fn values_worked_out_by_hand() {
    close(series(&[p(0.99); 3]).unwrap().get(), 0.970299, 1e-12);
    close(parallel(&[p(0.9); 2]).unwrap().get(), 0.99, 1e-12);
    // 2 of 3: 3 a^2 (1 - a) + a^3
    close(k_of_n(2, &[p(0.9); 3]).unwrap().get(), 0.972, 1e-12);
    assert_eq!(k_of_n(1, &[p(0.9); 5]).unwrap(), parallel(&[p(0.9); 5]).unwrap());
    close(k_of_n(5, &[p(0.9); 5]).unwrap().get(), series(&[p(0.9); 5]).unwrap().get(), 1e-12);
    // 1,000 h of work and 2 h of repair: 1000 / 1002, 17 h 29 min a year
    let a = steady_state(time("1000h"), time("2h")).unwrap();
    close(a.get(), 1000.0 / 1002.0, 1e-15);
    close(downtime_a_year(a).unwrap().get() / 3600.0, 17.485, 1e-4);
    // five nines are 5.256 minutes a year
    close(downtime_a_year(p(0.99999)).unwrap().get() / 60.0, 5.256, 1e-6);
    // One MTBF is survived by 36.8 % of parts, not by half.
    close(fails_within(time("1000h"), time("1000h")).unwrap().get(), 1.0 - (-1.0_f64).exp(), 1e-12);
}

/// The trap: (1 - p)^n is that none fails.
#[test]
fn at_least_one_of_many_fails() {
    let found = any_fails(100, p(0.01)).unwrap().get();
    close(found, 0.633_967_658_726_771, 1e-12);
    close(found + 0.99_f64.powi(100), 1.0, 1e-12);
    close(found, 1.0 - tried(&[0.99; 100], |up| up == 100), 0.01);
    close(all_fail(3, p(0.1)).unwrap().get(), 0.001, 1e-12);
    // Small probabilities keep their digits: 1 - (1 - 1e-17) computed as it stands would be 0.
    close(any_fails(10, p(1e-17)).unwrap().get(), 1e-16, 1e-9);
    assert_eq!(any_fails(3, p(1.0)).unwrap().get(), 1.0);
}

/// A part that works and is mended, for a long time. The law of both times does not matter.
#[test]
fn a_part_over_a_long_time() {
    for law in 0..3 {
        let mut random = Random::new(law);
        let mut draw = |mean: f64| match law {
            0 => random.exponential(mean),
            1 => mean,
            _ => 2.0 * mean * random.unit(),
        };
        let (mut up, mut down) = (0.0, 0.0);
        for _ in 0..200_000 {
            up += draw(50.0);
            down += draw(7.0);
        }
        close(up / (up + down), steady_state(s(50.0), s(7.0)).unwrap().get(), 0.002);
    }
}

#[test]
fn failures_at_a_constant_rate() {
    let mut random = Random::new(5);
    let failed = (0..200_000).filter(|_| random.exponential(30.0) <= 10.0).count();
    close(failed as f64 / 200_000.0, fails_within(s(10.0), s(30.0)).unwrap().get(), 0.01);
}
