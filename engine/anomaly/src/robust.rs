//! Median, and how far a value is from it.

/// What makes the median absolute deviation comparable to a standard deviation.
const MAD_SCALE: f64 = 0.6745;
/// The same for the mean absolute deviation.
const MEAN_SCALE: f64 = 1.253_314;

/// The median; of an even number of values, the mean of the two in the middle. `None` of none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(half.checked_sub(1)?)?, upper))
}

/// The modified z-score of a value: `0.6745 * (x - median) / MAD`; with a MAD of nothing, `(x - median) / (1.2533 * mean absolute
/// deviation)`. Where all values are the same, a value that differs is infinitely far.
pub fn score(value: f64, history: &[f64]) -> Option<f64> {
    let middle = median(history)?;
    let off: Vec<f64> = history.iter().map(|other| (other - middle).abs()).collect();
    let away = value - middle;
    let mad = median(&off)?;
    if mad > 0.0 {
        return Some(MAD_SCALE * away / mad);
    }
    let mean = off.iter().sum::<f64>() / off.len() as f64;
    if mean > 0.0 {
        return Some(away / (MEAN_SCALE * mean));
    }
    Some(if away == 0.0 { 0.0 } else { away.signum() * f64::INFINITY })
}
