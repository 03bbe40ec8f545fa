//! Costs against bills that are added up item by item, and a measure against lived years.

use lifeboat_forecast::models::cost::{Effort, Incident, Measure};
use lifeboat_forecast::random::Random;

use crate::{bytes, close, money, p, price, time};

fn effort() -> Effort {
    Effort {
        people: 3,
        time: time("2h"),
        person: price("90/h"),
        moved: bytes("500GB"),
        price_of_gb: money(0.09),
        fixed: money(15.0),
    }
}

fn incident() -> Incident {
    Incident { downtime: time("4h"), down: price("5000/h"), lost: time("30m"), loss: price("800/h"), effort: effort() }
}

#[test]
fn bills() {
    // 3 * 2 * 90 + 500 * 0.09 + 15
    close(effort().cost().unwrap().get(), 600.0, 1e-12);
    close(effort().a_year(12.0).unwrap().get(), 7_200.0, 1e-12);
    // 4 * 5000 + 0.5 * 800 + 600
    close(incident().cost().unwrap().get(), 21_000.0, 1e-12);
    // One every two years.
    close(incident().a_year(time("730d")).unwrap().get(), 10_500.0, 1e-12);
    assert!(
        incident().a_year(time("0s")).is_err() && effort().a_year(-1.0).is_err() && effort().a_year(f64::NAN).is_err()
    );
}

/// Centuries with failures at a constant rate, each billed.
#[test]
fn yearly_loss_over_centuries() {
    let mut random = Random::new(8);
    let (mut days, mut bill) = (0.0, 0.0);
    while days < 365.0 * 100_000.0 {
        days += random.exponential(400.0);
        bill += incident().cost().unwrap().get();
    }
    close(bill / (days / 365.0), incident().a_year(time("400d")).unwrap().get(), 0.01);
}

#[test]
fn a_measure_year_by_year() {
    let measure = Measure {
        before: money(50_000.0),
        after: money(8_000.0),
        invested: money(60_000.0),
        running: money(12_000.0),
        interest: p(0.05),
        years: 5,
    };
    let worth = measure.worth().unwrap();
    let (mut paid, mut saved, mut today, mut back) = (60_000.0, 0.0, -60_000.0, None);
    for year in 1..=5 {
        (paid, saved) = (paid + 12_000.0, saved + 42_000.0);
        today += 30_000.0 / 1.05_f64.powi(year);
        if back.is_none() && saved >= paid {
            back = Some(year);
        }
    }
    close(worth.net, saved - paid, 1e-12);
    close(worth.present_value, today, 1e-12);
    close(worth.return_on_price.unwrap(), (saved - paid) / paid, 1e-12);
    assert_eq!((worth.payback.unwrap(), back), (time("2y"), Some(2)));
    assert_eq!(measure.worth_investing().unwrap(), money(150_000.0));
    let bad = Measure { after: money(49_000.0), ..measure }.worth().unwrap();
    assert!(bad.net < 0.0 && bad.present_value < 0.0 && bad.payback.is_none());
    let free = Measure { invested: money(0.0), running: money(0.0), ..measure }.worth().unwrap();
    assert_eq!(free.return_on_price, None);
    assert!(Measure { years: 0, ..measure }.worth().is_err());
}
