//! Quantities are read as people write them; what means nothing is refused; no model gives a NaN or an infinity.

use lifeboat_forecast::models::{availability, cost, frequency, point, recovery, scheme, storage};
use lifeboat_forecast::{Bytes, Money, MoneyRate, Probability, Rate, Seconds};
use proptest::prelude::*;

use crate::{close, money, p, s};

#[test]
fn times_have_units() {
    for (text, seconds) in
        [("250ms", 0.25), ("90s", 90.0), ("15m", 900.0), ("1.5h", 5_400.0), ("1h30m", 5_400.0), ("1h 30m", 5_400.0)]
    {
        assert_eq!(Seconds::parse(text).unwrap().get(), seconds, "{text}");
    }
    assert_eq!(Seconds::parse("1000h").unwrap().get(), 3_600_000.0);
    assert_eq!(Seconds::parse("2w").unwrap(), Seconds::parse("14d").unwrap());
    for wrong in ["", " ", "5", "m", "-1s", "5x", "1.2.3s", "1e3s", "NaNs", "infs", "5 µs", "1h30"] {
        let error = Seconds::parse(wrong).unwrap_err();
        assert_eq!(&*error.code.0, "LB0910", "{wrong}");
        assert!(error.hint.is_some());
    }
}

#[test]
fn amounts_and_rates_tell_bits_from_bytes() {
    for (text, bytes) in
        [("1TB", 1e12), ("1 TiB", 1_099_511_627_776.0), ("1000 GB", 1e12), ("1.5kB", 1_500.0), ("8bit", 1.0)]
    {
        assert_eq!(Bytes::parse(text).unwrap().get(), bytes, "{text}");
    }
    for (text, rate) in [("20MB/s", 2e7), ("1Gbit/s", 1.25e8), ("3.6GB/h", 1e6), ("60MiB/min", 1_048_576.0)] {
        assert_eq!(Rate::parse(text).unwrap().get(), rate, "{text}");
    }
    for wrong in ["", "1", "1X", "TB", "1 tb", "-1GB", "1GB/s"] {
        assert!(Bytes::parse(wrong).is_err(), "{wrong}");
    }
    for wrong in ["20MB", "20/s", "MB/s", "20MB/", "20MB/parsec"] {
        assert!(Rate::parse(wrong).is_err(), "{wrong}");
    }
    let both_ways = Rate::parse("100Mb/s").unwrap_err().hint.unwrap();
    assert_eq!(both_ways, "'Mb' is read in two ways: write MB for bytes, or Mbit for bits");
    assert!(Bytes::parse("1Gb").unwrap_err().hint.unwrap().contains("two ways"));
}

#[test]
fn probabilities_and_money() {
    close(Probability::parse("99.9%").unwrap().get(), 0.999, 1e-15);
    assert_eq!(Probability::parse("0.25").unwrap(), p(0.25));
    for wrong in ["101%", "1.2", "-1", "x", "5 percent", ""] {
        assert!(Probability::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Money::parse("2.5k").unwrap(), money(2_500.0));
    assert_eq!(MoneyRate::parse("3600/h").unwrap().get(), 1.0);
    assert!(MoneyRate::parse("3600").is_err() && MoneyRate::parse("1/x").is_err() && Money::parse("12€").is_err());
}

#[test]
fn what_means_nothing_is_refused() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-300] {
        assert!(Seconds::new(wrong).is_err() && Bytes::new(wrong).is_err() && Rate::new(wrong).is_err(), "{wrong}");
        assert!(Money::new(wrong).is_err() && Probability::new(wrong).is_err(), "{wrong}");
    }
    assert!(Probability::new(1.0 + 1e-9).is_err());
    assert_eq!(Seconds::new(-0.0).unwrap().get().to_string(), "0");
    let codes = [
        availability::series(&[]).unwrap_err(),
        availability::k_of_n(3, &[p(0.5), p(0.5)]).unwrap_err(),
        availability::any_fails(0, p(0.1)).unwrap_err(),
        availability::steady_state(s(0.0), s(0.0)).unwrap_err(),
        availability::fails_within(s(1.0), s(0.0)).unwrap_err(),
        recovery::moving(Bytes::new(1.0).unwrap(), Rate::ZERO).unwrap_err(),
        recovery::moving(Bytes::new(1e300).unwrap(), Rate::new(1e-300).unwrap()).unwrap_err(),
        frequency::young(s(0.0), s(1.0)).unwrap_err(),
    ];
    assert!(codes.iter().all(|error| &*error.code.0 == "LB0911"), "{codes:?}");
}

/// Any number that a quantity can be, the odd ones as often as the usual ones.
fn any_size() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        Just(1.0),
        0.0..1e12_f64,
        (-300.0..300.0_f64).prop_map(|e| 10_f64.powf(e))
    ]
}

fn any_share() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), Just(f64::MIN_POSITIVE), Just(1.0 - f64::EPSILON), 0.0..=1.0_f64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever goes in: what comes out is finite and not less than nothing, or an error with a code.
    #[test]
    fn no_model_gives_what_is_no_number(
        v in proptest::collection::vec(any_size(), 8), q in proptest::collection::vec(any_share(), 4),
        n in 0_u32..200, kind in 0..3,
    ) {
        let t = |at: usize| s(v[at]);
        let r = |at: usize| Rate::new(v[at]).unwrap();
        let b = |at: usize| Bytes::new(v[at]).unwrap();
        let m = |at: usize| MoneyRate::new(v[at]).unwrap();
        let parts = [p(q[0]), p(q[1]), p(q[2])];
        let mut out: Vec<Result<f64, lifeboat_core::Error>> = vec![
            availability::series(&parts).map(Probability::get),
            availability::parallel(&parts).map(Probability::get),
            availability::k_of_n(2, &parts).map(Probability::get),
            availability::any_fails(u64::from(n), p(q[0])).map(Probability::get),
            availability::all_fail(u64::from(n), p(q[0])).map(Probability::get),
            availability::steady_state(t(0), t(1)).map(Probability::get),
            availability::fails_within(t(0), t(1)).map(Probability::get),
            availability::downtime_a_year(p(q[0])).map(Seconds::get),
            recovery::moving(b(0), r(1)).map(Seconds::get),
            recovery::chain(b(0), b(1), u64::from(n)).map(Bytes::get),
            frequency::young(t(0), t(1)).map(Seconds::get),
            frequency::daly(t(0), t(1)).map(Seconds::get),
            frequency::exact(t(0), t(1)).map(Seconds::get),
            frequency::slowdown(t(0), t(1), t(2), t(3)),
        ];
        let whole = recovery::Recovery { detect: t(0), decide: t(1), bytes: b(2), transfer_rate: Some(r(3)),
            restore_rate: Some(r(4)), overlapped: kind == 0, other: t(5), validate: t(6) };
        out.push(whole.takes().map(|takes| takes.total.get()));
        out.push(whole.rate_needed(t(7)).map(|rate| rate.map_or(0.0, Rate::get)));
        let schedule = point::Schedule { interval: t(0), duration: t(1), lag: t(2), good: p(q[0]) };
        out.push(schedule.loss().map(|loss| loss.mean.get() + loss.best.get().min(loss.worst.get())).and_then(s_or));
        out.push(schedule.meets(t(3)).map(Probability::get));
        out.push(schedule.worst_after(n).map(Seconds::get));
        let trade = frequency::Tradeoff { backup: money(v[0]), loss: m(1), mtbf: t(2) };
        out.push(trade.best().map(|best| best.interval.get()));
        let upkeep = scheme::Upkeep { data: b(0), changed_a_day: p(q[1]), price_of_gb: money(v[1]), each: money(v[2]), loss: m(3),
            down: m(4), restore: r(5), mtbf: t(6) };
        let kind = [scheme::Kind::Full, scheme::Kind::Incremental, scheme::Kind::Differential][kind as usize];
        let burden = upkeep.burden(scheme::Scheme { kind, interval: t(7), cycle: n });
        out.push(burden.as_ref().map(|b| b.bytes_read.get()).map_err(Clone::clone));
        out.push(burden.map(|b| b.backups_a_year.get()));
        let growth = storage::Growth { data: b(0), grows: r(1), changed_a_day: p(q[2]), stored: p(q[3]) };
        out.push(growth.room(t(2), &[storage::Keep { points: n, every: t(3) }]).map(|room| room.stored.get()));
        let effort = cost::Effort { people: n, time: t(0), person: m(1), moved: b(2), price_of_gb: money(v[3]), fixed: money(v[4]) };
        let incident = cost::Incident { downtime: t(5), down: m(6), lost: t(7), loss: m(0), effort };
        out.push(incident.cost().map(Money::get));
        out.push(incident.a_year(t(1)).map(Money::get));
        for found in out {
            match found {
                Ok(value) => prop_assert!(value.is_finite() && value >= 0.0, "{value}"),
                Err(error) => prop_assert!(error.code.0.starts_with("LB091"), "{error}"),
            }
        }
        let measure = cost::Measure { before: money(v[0]), after: money(v[1]), invested: money(v[2]), running: money(v[3]),
            interest: p(q[0]), years: n };
        if let Ok(worth) = measure.worth() {
            prop_assert!(worth.net.is_finite() && worth.present_value.is_finite() && worth.a_year.is_finite());
        }
    }

    /// Whatever the bytes: reading a quantity ends with a finite one or with `LB0910`.
    #[test]
    fn reading_never_fails_badly(text in ".{0,24}") {
        let found = [Seconds::parse(&text).map(Seconds::get), Bytes::parse(&text).map(Bytes::get),
            Rate::parse(&text).map(Rate::get), Probability::parse(&text).map(Probability::get), Money::parse(&text).map(Money::get)];
        for value in found {
            match value {
                Ok(value) => prop_assert!(value.is_finite() && value >= 0.0),
                Err(error) => prop_assert_eq!(&*error.code.0, "LB0910"),
            }
        }
    }
}

fn s_or(sum: f64) -> Result<f64, lifeboat_core::Error> {
    // Two finite answers may add up to more than there are numbers: that is the test's sum, and no model's.
    Ok(if sum.is_infinite() { f64::MAX } else { sum })
}
