//! How long something takes, as far as that is known: a law that times are drawn from.
//!
//! - Something told: exactly that.
//! - A declared estimate: log-normal around it, so that half of all times are shorter and one in twenty takes twice as long or
//!   longer. That width ([`SPREAD`]) is an assumption, and every forecast that rests on it says so.
//! - Measured times, fewer than 30: what the next one may be, given these. Logarithms of times are taken for normal, of unknown
//!   mean and width; the width is thought to be [`SPREAD`] with the weight of four measurements. The next time then follows a
//!   Student's t distribution (A. Gelman et al., *Bayesian Data Analysis*, 3rd ed., section 3.3): few measurements give wide
//!   forecasts, and many give what was measured.
//! - 30 measured times and more: one of them, or something between two neighbours.

use crate::random::Random;

/// The width of times whose width is not known: the standard deviation of their logarithm. `ln 2 / 1.645`, so that one in
/// twenty takes twice the middle or longer.
pub const SPREAD: f64 = 0.421_4;
/// The weight of [`SPREAD`], in measurements.
const WEIGHT: f64 = 4.0;
/// From here on the measurements speak for themselves.
const ENOUGH: usize = 30;
/// The shortest time that is told from none, in seconds.
const LEAST: f64 = 1e-4;
/// No draw is longer, in seconds: a hundred years. Heavy tails end somewhere.
const MOST: f64 = 3.2e9;

/// No draw of [`Span::LogStudent`] is further from its centre, in widths: few measurements say nothing of what is rarer. 99 of
/// 100 draws are nearer even with one measurement.
const WIDTHS_MOST: f64 = 4.0;

/// A law of times, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Span {
    /// Always this.
    Exactly(f64),
    /// The logarithm is normal: its mean and standard deviation.
    LogNormal(f64, f64),
    /// The logarithm follows Student's t: its centre, scale and degrees of freedom.
    LogStudent(f64, f64, f64),
    /// One of these, sorted, or between two neighbours.
    Measured(Vec<f64>),
}

impl Span {
    /// Around an estimate that somebody declared.
    pub(crate) fn declared(seconds: f64) -> Self {
        if seconds <= 0.0 { Span::Exactly(0.0) } else { Span::LogNormal(seconds.ln(), SPREAD) }
    }

    /// From measured times. Not to be called without any.
    pub(crate) fn measured(times: &[f64]) -> Self {
        if times.len() >= ENOUGH {
            let mut sorted = times.to_vec();
            sorted.sort_by(f64::total_cmp);
            return Span::Measured(sorted);
        }
        let count = times.len() as f64;
        let logs: Vec<f64> = times.iter().map(|time| time.max(LEAST).ln()).collect();
        let mean = logs.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let freedom = WEIGHT + count - 1.0;
        let width = (WEIGHT * SPREAD * SPREAD + squares) / freedom;
        Span::LogStudent(mean, (width * (1.0 + 1.0 / count.max(1.0))).sqrt(), freedom)
    }

    /// One time.
    pub(crate) fn draw(&self, random: &mut Random) -> f64 {
        match self {
            Span::Exactly(time) => *time,
            Span::LogNormal(mean, width) => (mean + width * random.normal()).exp().min(MOST),
            Span::LogStudent(mean, scale, freedom) => {
                let widths = random.student(*freedom).clamp(-WIDTHS_MOST, WIDTHS_MOST);
                (mean + scale * widths).exp().min(MOST)
            }
            Span::Measured(sorted) => between(sorted, random.unit()),
        }
    }

    /// The time that half of all are shorter than.
    pub(crate) fn typical(&self) -> f64 {
        match self {
            Span::Exactly(time) => *time,
            Span::LogNormal(centre, _) | Span::LogStudent(centre, _, _) => centre.exp(),
            Span::Measured(sorted) => between(sorted, 0.5),
        }
    }

    /// One time that is longer than `past`. What has outlived all that is known of it is taken to need as long again as it
    /// took, give or take: nothing better is known.
    pub(crate) fn draw_beyond(&self, past: f64, random: &mut Random) -> f64 {
        for _ in 0..64 {
            let time = self.draw(random);
            if time >= past {
                return time;
            }
            if matches!(self, Span::Exactly(_)) {
                break;
            }
        }
        let again = (SPREAD * random.normal()).exp();
        (past * (1.0 + again)).min(MOST)
    }
}

/// The value at a share of a sorted list, between two neighbours where it falls between them.
pub(crate) fn between(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len().saturating_sub(1)) as f64;
    let (low, high) = (sorted.get(place as usize), sorted.get(place as usize + 1));
    match (low, high) {
        (Some(low), Some(high)) => low + (high - low) * place.fract(),
        (Some(low), None) => *low,
        _ => 0.0,
    }
}

/// Times of one amount of data, from measured times of others. Where the amounts differ enough, a line through the
/// measurements tells what it takes before the first byte, and what each byte takes; else time goes with the amount.
pub(crate) fn for_bytes(samples: &[(f64, f64)], bytes: f64) -> Vec<f64> {
    let (least, most) = samples.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), (_, size)| (a.min(*size), b.max(*size)));
    let line = if samples.len() >= 3 && most >= 2.0 * least { line(samples) } else { None };
    let scaled = |(time, size): &(f64, f64)| match line {
        Some((start, each)) => {
            // Each measurement is off the line by a factor; the forecast is off by the same.
            let expected = start + each * size;
            if expected > 0.0 { time / expected * (start + each * bytes) } else { *time }
        }
        None => time * bytes / size,
    };
    samples.iter().map(scaled).collect()
}

/// The line of least squares; `None` where a byte would take less than nothing, or the beginning would.
fn line(samples: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = samples.len() as f64;
    let (time, size) = samples.iter().fold((0.0, 0.0), |(a, b), (time, size)| (a + time / count, b + size / count));
    let across: f64 = samples.iter().map(|(_, s)| (s - size).powi(2)).sum();
    let along: f64 = samples.iter().map(|(t, s)| (t - time) * (s - size)).sum();
    let each = along / across;
    let start = time - each * size;
    (each.is_finite() && each > 0.0 && start >= 0.0).then_some((start, each))
}
