//! Availability of parts and of what is made of them, and the probability of failures.
//!
//! All parts fail independently of each other. What fails together (one room, one network, one mistaken change) is one part.
//!
//! Sources: K. Trivedi, *Probability and Statistics with Reliability, Queuing, and Computer Science Applications*, 2nd ed.,
//! chapters 1, 3 and 8; R. Barlow, F. Proschan, *Mathematical Theory of Reliability*, chapter 2.

use lifeboat_core::Error;

use crate::quantity::{Probability, Seconds, no_answer, positive};

/// All parts are needed: `A = a1 * a2 * … * an`.
///
/// # Errors
/// `LB0911` without any part.
pub fn series(parts: &[Probability]) -> Result<Probability, Error> {
    some(parts.len())?;
    Probability::answer(parts.iter().map(|part| part.get()).product())
}

/// One part is enough: `A = 1 - (1 - a1) * (1 - a2) * … * (1 - an)`.
///
/// # Errors
/// `LB0911` without any part.
pub fn parallel(parts: &[Probability]) -> Result<Probability, Error> {
    some(parts.len())?;
    let all_down: f64 = parts.iter().map(|part| part.opposite().get()).product();
    Probability::answer(1.0 - all_down)
}

/// At least `needed` of the parts are there; parts may differ. For equal parts this is the sum over `i = k … n` of
/// `C(n, i) * a^i * (1 - a)^(n - i)`; for others the distribution of their number (Poisson binomial) is built part by part.
///
/// # Errors
/// `LB0911` without any part, or when more are needed than there are.
pub fn k_of_n(needed: usize, parts: &[Probability]) -> Result<Probability, Error> {
    some(parts.len())?;
    if needed > parts.len() {
        return Err(no_answer(format!("{needed} parts are needed, and there are {}", parts.len())));
    }
    if parts.len() > PARTS_MAX {
        return Err(no_answer(format!("there are {} parts, and this model takes {PARTS_MAX}", parts.len())));
    }
    // By number of parts that are there: the probability of exactly that many.
    let mut exactly = vec![1.0_f64];
    for part in parts {
        let (up, down) = (part.get(), part.opposite().get());
        let mut next = vec![0.0; exactly.len() + 1];
        for (place, before) in exactly.iter().enumerate() {
            if let Some([without, with]) = next.get_mut(place..place + 2) {
                *without += before * down;
                *with += before * up;
            }
        }
        exactly = next;
    }
    // The smaller half is summed, so that nines after the point are not lost to rounding.
    let enough: f64 = exactly.iter().skip(needed).sum();
    let too_few: f64 = exactly.iter().take(needed).sum();
    Probability::answer(if too_few < enough { 1.0 - too_few } else { enough })
}

/// More parts than this would take long, and say nothing more.
const PARTS_MAX: usize = 10_000;

/// At least one of `count` equal parts fails, each with probability `p`: `1 - (1 - p)^n`.
///
/// It is often given as `(1 - p)^n`, which is the probability that none fails.
///
/// # Errors
/// `LB0911` without any part.
pub fn any_fails(count: u64, each: Probability) -> Result<Probability, Error> {
    some(count)?;
    // As a product of logarithms, so that a p of 1e-12 keeps its digits.
    Probability::answer(-((count as f64) * (-each.get()).ln_1p()).exp_m1())
}

/// All of `count` equal parts fail: `p^n`.
///
/// # Errors
/// `LB0911` without any part.
pub fn all_fail(count: u64, each: Probability) -> Result<Probability, Error> {
    some(count)?;
    Probability::answer(each.get().powf(count as f64))
}

/// The share of time in which a part that is mended works, in the long run: `A = MTBF / (MTBF + MTTR)`.
///
/// `mtbf` is the mean time that it works until it fails, and `mttr` the mean time until it works again. The formula holds
/// whatever the distributions of both are.
///
/// # Errors
/// `LB0911` when both are nothing.
pub fn steady_state(mtbf: Seconds, mttr: Seconds) -> Result<Probability, Error> {
    positive(mtbf.get().max(mttr.get()), "MTBF or MTTR")?;
    // Divided through, so that two huge times do not overflow; both are finite, and one of them is more than nothing.
    if mtbf.is_zero() {
        return Ok(Probability::NEVER);
    }
    Probability::answer(1.0 / (1.0 + mttr.get() / mtbf.get()))
}

/// The time a year (365 days) in which it does not work: `(1 - A) * year`.
///
/// # Errors
/// None for a probability.
pub fn downtime_a_year(availability: Probability) -> Result<Seconds, Error> {
    Seconds::answer(availability.opposite().get() * Seconds::YEAR.get())
}

/// It fails within a time, when failures come at a constant rate: `1 - exp(-t / MTBF)`.
///
/// # Errors
/// `LB0911` for an MTBF of nothing.
pub fn fails_within(time: Seconds, mtbf: Seconds) -> Result<Probability, Error> {
    let mtbf = positive(mtbf.get(), "MTBF")?;
    Probability::answer(-(-time.get() / mtbf).exp_m1())
}

fn some<N: Into<Count>>(count: N) -> Result<(), Error> {
    if count.into().0 == 0 { Err(no_answer("there is no part to speak of")) } else { Ok(()) }
}

struct Count(u64);

impl From<usize> for Count {
    fn from(count: usize) -> Self {
        Self(count as u64)
    }
}

impl From<u64> for Count {
    fn from(count: u64) -> Self {
        Self(count)
    }
}
