//! The verdict on a snapshot, from those before it.

use crate::head::Sample;
use crate::robust::{median, score};

/// Fewer earlier snapshots tell nothing about what is usual.
pub const HISTORY_MIN: usize = 4;
/// More say little else, and what was usual changes.
const HISTORY_MAX: usize = 30;
/// The modified z-score from which a value is far off.
const FAR: f64 = 3.5;
/// The standard errors from which two proportions differ.
const FAR_PROPORTION: f64 = 4.0;
/// Of fewer files read, shares tell nothing.
const READ_MIN: u64 = 8;
/// The steps that are large by themselves, each as a share.
const RANDOM_STEP: f64 = 0.25;
const TYPES_STEP: f64 = 0.3;
const CHANGED_STEP: f64 = 0.4;
const GONE_STEP: f64 = 0.3;
/// Twice as much, or half: the logarithm to base 2.
const SIZE_STEP: f64 = 1.0;
/// In a folder of a few files everything changes at once on an ordinary day.
const FILES_MIN: u64 = 10;

/// What is known of one snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Files in it.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files that the snapshot before did not have; `None` where it is not known, as with an old restic.
    pub new: Option<u64>,
    /// Files that are other than before.
    pub changed: Option<u64>,
    /// Whether it was made on top of an earlier one: a first one has everything new.
    pub has_parent: bool,
    /// What was seen of the files that were read; `None` where nobody looked, as with stock restic.
    pub sample: Option<Sample>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Files that look random.
    Random,
    /// Files that look like a known type or like text.
    Types,
    /// Files that are new or changed.
    Changed,
    /// Files that are gone.
    Gone,
    /// How many files there are.
    Files,
    /// How many bytes there are.
    Bytes,
    /// Files that a suspect snapshot held.
    Kept,
}

impl Measure {
    /// Whether it is about what is in the files: that stays until they are written anew.
    const fn is_content(self) -> bool {
        matches!(self, Measure::Random | Measure::Types | Measure::Kept)
    }
}

/// Why a snapshot is suspect.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What was looked at.
    pub measure: Measure,
    /// What it is.
    pub value: f64,
    /// What is usual.
    pub usual: f64,
    /// The same in words.
    pub words: String,
}

/// What is thought of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing is out of the ordinary.
    Ordinary,
    /// There are too few earlier ones to tell: how many there are.
    TooFew(usize),
    /// It should be looked at before anybody relies on it.
    Suspect(Vec<Reason>),
}

impl Verdict {
    /// Why it is suspect; empty where it is not.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Verdict::Suspect(reasons) => reasons,
            _ => &[],
        }
    }

    fn is_about_content(&self) -> bool {
        self.reasons().iter().any(|reason| reason.measure.is_content())
    }
}

/// Verdicts on snapshots of one label, oldest first. Those that are suspect are no part of what is usual.
pub fn judge_all(points: &[Point]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::with_capacity(points.len());
    let mut good: Vec<(Option<Point>, Point)> = Vec::new();
    let mut before: Option<Point> = None;
    for point in points {
        let last_bad = verdicts.last().is_some_and(Verdict::is_about_content);
        let verdict = decide(&good, before.as_ref(), last_bad, point);
        if verdict.reasons().is_empty() {
            good.push((before, *point));
            if good.len() > HISTORY_MAX {
                good.remove(0);
            }
        }
        before = Some(*point);
        verdicts.push(verdict);
    }
    verdicts
}

/// The verdict on a snapshot after these, oldest first.
pub fn judge(history: &[Point], point: &Point) -> Verdict {
    let mut all = history.to_vec();
    all.push(*point);
    judge_all(&all).pop().unwrap_or(Verdict::Ordinary)
}

fn decide(good: &[(Option<Point>, Point)], before: Option<&Point>, last_bad: bool, point: &Point) -> Verdict {
    if good.len() < HISTORY_MIN {
        return Verdict::TooFew(good.len());
    }
    let mut reasons = Vec::new();
    contents(good, point, &mut reasons);
    amounts(good, before, point, &mut reasons);
    let rewritten = touched(point).is_none_or(|share| share >= 0.5) && point.sample.is_some();
    if last_bad && !rewritten && !reasons.iter().any(|reason| reason.measure.is_content()) {
        let kept = 1.0 - touched(point).unwrap_or(0.0);
        let words = format!("{} of its files are those of a suspect snapshot before it", percent(kept));
        reasons.push(Reason { measure: Measure::Kept, value: kept, usual: 0.0, words });
    }
    if reasons.is_empty() { Verdict::Ordinary } else { Verdict::Suspect(reasons) }
}

/// What was read now, against all that was read before.
fn contents(good: &[(Option<Point>, Point)], point: &Point, reasons: &mut Vec<Reason>) {
    let Some(now) = point.sample.filter(|sample| sample.read >= READ_MIN) else { return };
    let mut then = Sample::default();
    for sample in good.iter().filter_map(|(_, point)| point.sample) {
        then.read = then.read.saturating_add(sample.read);
        then.text = then.text.saturating_add(sample.text);
        then.known = then.known.saturating_add(sample.known);
        then.random = then.random.saturating_add(sample.random);
    }
    if then.read < READ_MIN {
        return;
    }
    let (is, was) = (share(now.random, now.read), share(then.random, then.read));
    if is - was >= RANDOM_STEP && proportions(is, was, now.read, then.read) >= FAR_PROPORTION {
        let words = format!("{} of the files read look encrypted, usual are {}", percent(is), percent(was));
        reasons.push(Reason { measure: Measure::Random, value: is, usual: was, words });
    }
    let typed = |sample: Sample| share(sample.text.saturating_add(sample.known), sample.read);
    let (is, was) = (typed(now), typed(then));
    if was - is >= TYPES_STEP && proportions(was, is, then.read, now.read) >= FAR_PROPORTION {
        let words =
            format!("{} of the files read are of a known type or text, usual are {}", percent(is), percent(was));
        reasons.push(Reason { measure: Measure::Types, value: is, usual: was, words });
    }
}

/// By how many standard errors the larger proportion is above the other: the test of two proportions, each with one success
/// and one failure more than were seen (A. Agresti, B. Caffo, *The American Statistician* 54(4), 2000), so that a history of
/// none or all is not taken for certain.
fn proportions(larger: f64, other: f64, n_larger: u64, n_other: u64) -> f64 {
    let adjusted = |share: f64, count: u64| {
        let count = count as f64 + 2.0;
        ((share * (count - 2.0) + 1.0) / count, count)
    };
    let ((p, n), (q, m)) = (adjusted(larger, n_larger), adjusted(other, n_other));
    let error = (p * (1.0 - p) / n + q * (1.0 - q) / m).sqrt();
    if error > 0.0 { (p - q) / error } else { 0.0 }
}

/// How many files are other, gone, and how much there is.
fn amounts(good: &[(Option<Point>, Point)], before: Option<&Point>, point: &Point, reasons: &mut Vec<Reason>) {
    let Some(before) = before.filter(|before| before.files.max(point.files) >= FILES_MIN) else { return };
    let pairs = || good.iter().filter_map(|(before, point)| Some((before.as_ref()?, point)));
    let mut check = |measure, step: f64, is: Option<f64>, usual: Vec<f64>, words: &dyn Fn(f64, f64) -> String| {
        let (Some(is), Some(middle)) = (is, median(&usual)) else { return };
        let far = score(is, &usual).is_some_and(|score| score.abs() > FAR);
        if usual.len() + 1 >= HISTORY_MIN && far && (is - middle).abs() >= step {
            reasons.push(Reason { measure, value: is, usual: middle, words: words(is, middle) });
        }
    };
    let usual = pairs().filter_map(|(_, point)| touched(point)).collect();
    let more = touched(point).filter(|share| *share >= CHANGED_STEP);
    check(Measure::Changed, CHANGED_STEP, more, usual, &|is, usual| {
        format!("{} of the files are new or changed, usual are {}", percent(is), percent(usual))
    });
    let usual = pairs().filter_map(|(before, point)| gone(before, point)).collect();
    let more = gone(before, point).filter(|share| *share >= GONE_STEP);
    check(Measure::Gone, GONE_STEP, more, usual, &|is, usual| {
        format!("{} of the files before are gone, usual are {}", percent(is), percent(usual))
    });
    let of = |count: fn(&Point) -> u64| {
        let usual = pairs().map(|(before, point)| growth(count(before), count(point))).collect::<Vec<_>>();
        (Some(growth(count(before), count(point))), usual)
    };
    let (is, usual) = of(|point| point.files);
    check(Measure::Files, SIZE_STEP, is, usual, &|_, _| {
        format!("it has {} files, the one before {}", point.files, before.files)
    });
    let (is, usual) = of(|point| point.bytes);
    check(Measure::Bytes, SIZE_STEP, is, usual, &|_, _| {
        format!("it has {} bytes, the one before {}", point.bytes, before.bytes)
    });
}

/// The share of files that are new or changed; `None` where it is not known, and for a first snapshot.
fn touched(point: &Point) -> Option<f64> {
    let other = point.new?.saturating_add(point.changed?);
    point.has_parent.then(|| share(other, point.files))
}

/// The share of the files before that are not there any more.
fn gone(before: &Point, point: &Point) -> Option<f64> {
    let still = point.files.saturating_sub(point.new?);
    point.has_parent.then(|| share(before.files.saturating_sub(still), before.files))
}

/// How much there is against before, as a logarithm to base 2: 1 is twice as much.
fn growth(before: u64, now: u64) -> f64 {
    ((now as f64 + 1.0) / (before as f64 + 1.0)).log2()
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
