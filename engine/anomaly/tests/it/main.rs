//! Tests of verdicts: ordinary change is ordinary, what ransomware does is not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lifeboat_anomaly::head::{HEAD_BYTES, entropy};
use lifeboat_anomaly::{HISTORY_MIN, Head, Measure, Point, Sample, Verdict, judge, judge_all, look, median, score};
use proptest::prelude::*;

/// Bytes that look random, by a seed.
fn random(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count).map(|_| (next() >> 24) as u8).collect()
}

fn first(files: u64) -> Point {
    let sample = Sample { read: files, text: files * 7 / 10, known: files * 2 / 10, random: 0 };
    Point { files, bytes: files * 10_000, new: Some(files), changed: Some(0), has_parent: false, sample: Some(sample) }
}

/// A day on which some files are changed and some are new.
fn day(files: u64, new: u64, changed: u64) -> Point {
    let read = new + changed;
    let sample = Sample { read, text: read * 7 / 10, known: read * 2 / 10, random: 0 };
    Point {
        files,
        bytes: files * 10_000,
        new: Some(new),
        changed: Some(changed),
        has_parent: true,
        sample: Some(sample),
    }
}

fn ordinary() -> Vec<Point> {
    let mut all = vec![first(200)];
    all.extend((1..10).map(|number| day(200 + number, 1, 3 + number % 4)));
    all
}

fn measures(verdict: &Verdict) -> Vec<Measure> {
    verdict.reasons().iter().map(|reason| reason.measure).collect()
}

#[test]
fn beginnings_are_told_apart() {
    for (bytes, wanted) in [
        (b"".to_vec(), None),
        (b"a line\nand another\n".to_vec(), Some(Head::Text)),
        ("Grüße an alle".repeat(400).into_bytes(), Some(Head::Text)),
        ([b"\x1f\x8b".to_vec(), random(1, 4_000)].concat(), Some(Head::Known)),
        ([vec![0; 4], b"ftypmp42".to_vec()].concat(), Some(Head::Known)),
        (random(2, 4_096), Some(Head::Random)),
        (random(3, 100_000), Some(Head::Random)),
        (random(4, 600), Some(Head::Random)),
        (random(5, 100), Some(Head::Other)),
        (vec![0; 4_096], Some(Head::Other)),
        ((0..4_096_u32).flat_map(|n| (n / 3).to_le_bytes()).collect(), Some(Head::Other)),
    ] {
        assert_eq!(look(&bytes), wanted, "{:?}", &bytes[..bytes.len().min(20)]);
    }
    // Base64 of what is encrypted is text: it is told by what is changed and renamed.
    assert!((entropy(&random(6, 100_000)) - 8.0).abs() < 0.01 && entropy(&[7; 100]) == 0.0);
}

#[test]
fn random_bytes_are_hardly_ever_missed() {
    for size in [512, 1_000, 2_048, HEAD_BYTES] {
        let missed = (0..2_000).filter(|seed| look(&random(*seed, size)) != Some(Head::Random)).count();
        // Some begin like a known type of two letters, as is to be expected.
        assert!(missed <= 4, "{missed} of 2000 beginnings of {size} bytes");
    }
}

#[test]
fn ten_ordinary_days_are_ordinary() {
    let verdicts = judge_all(&ordinary());
    for (number, verdict) in verdicts.iter().enumerate() {
        let wanted = if number < HISTORY_MIN { Verdict::TooFew(number) } else { Verdict::Ordinary };
        assert_eq!(*verdict, wanted, "day {number}");
    }
}

#[test]
fn encryption_is_suspect_and_stays_so() {
    let mut all = ordinary();
    let read = 209;
    let attack = Point { sample: Some(Sample { read, random: read - 4, ..Sample::default() }), ..day(209, 209, 0) };
    let verdict = judge(&all, &attack);
    assert_eq!(measures(&verdict), [Measure::Random, Measure::Types, Measure::Changed, Measure::Gone]);
    assert!(verdict.reasons()[0].words.contains("98 % of the files read look encrypted"), "{verdict:?}");
    all.push(attack);
    // The day after there is nothing new, and everything is still encrypted.
    all.push(day(209, 0, 0));
    assert_eq!(measures(&judge_all(&all)[11]), [Measure::Kept]);
    all.push(day(209, 1, 2));
    assert_eq!(measures(&judge_all(&all)[12]), [Measure::Kept]);
    // It is brought back: most is written anew, which is out of the ordinary by itself; the day after that is not.
    all.push(day(209, 209, 0));
    assert!(!measures(&judge_all(&all)[13]).contains(&Measure::Kept));
    all.push(day(209, 1, 3));
    assert_eq!(judge_all(&all)[14], Verdict::Ordinary);
}

#[test]
fn files_encrypted_in_their_places_are_suspect() {
    let attack = Point { sample: Some(Sample { read: 120, random: 118, ..Sample::default() }), ..day(209, 0, 120) };
    assert_eq!(measures(&judge(&ordinary(), &attack)), [Measure::Random, Measure::Types, Measure::Changed]);
    // Slowly, a tenth a day: by what is in them alone.
    let slow = Point { sample: Some(Sample { read: 20, random: 20, ..Sample::default() }), ..day(209, 0, 20) };
    assert_eq!(measures(&judge(&ordinary(), &slow)), [Measure::Random, Measure::Types]);
}

#[test]
fn emptied_and_doubled_are_suspect() {
    assert_eq!(measures(&judge(&ordinary(), &day(60, 0, 2))), [Measure::Gone, Measure::Files, Measure::Bytes]);
    let grown = Point { bytes: 40_000_000, ..day(210, 1, 2) };
    assert_eq!(measures(&judge(&ordinary(), &grown)), [Measure::Bytes]);
}

#[test]
fn backups_that_are_encrypted_on_purpose_are_usual() {
    let day = |files| Point { sample: Some(Sample { read: 10, random: 10, ..Sample::default() }), ..day(files, 10, 0) };
    let mut all: Vec<Point> = (0..8).map(|number| day(100 + 10 * number)).collect();
    all[0].has_parent = false;
    assert!(judge_all(&all).iter().all(|verdict| verdict.reasons().is_empty()));
}

#[test]
fn what_is_not_known_is_not_made_up() {
    let bare = |point: Point| Point { new: None, changed: None, sample: None, ..point };
    let all: Vec<Point> = ordinary().into_iter().map(bare).collect();
    assert_eq!(judge(&all, &bare(day(209, 209, 0))), Verdict::Ordinary);
    assert_eq!(measures(&judge(&all, &bare(day(20, 0, 0)))), [Measure::Files, Measure::Bytes]);
    assert_eq!(judge(&[], &first(10)), Verdict::TooFew(0));
    // A few files may all change at once.
    let few: Vec<Point> = (0..6).map(|_| day(3, 0, 0)).collect();
    assert_eq!(judge(&few, &day(3, 0, 3)), Verdict::Ordinary);
}

#[test]
fn scores_are_robust() {
    assert_eq!((median(&[]), median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0])), (None, Some(2.0), Some(2.5)));
    assert_eq!(score(1.0, &[1.0; 5]), Some(0.0));
    assert_eq!(score(2.0, &[1.0; 5]), Some(f64::INFINITY));
    // One odd value of many moves nothing: 0.6745 * 7 / 1.
    let odd = [1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 1_000.0];
    assert!((score(9.0, &odd).unwrap() - 0.6745 * 7.0).abs() < 1e-9);
    // Most are the same: by the mean deviation.
    assert!((score(5.0, &[0.0, 0.0, 0.0, 4.0]).unwrap() - 5.0 / 1.253_314).abs() < 1e-9);
}

#[test]
fn samples_are_read_back() {
    let sample = Sample { read: 9, text: 4, known: 2, random: 1 };
    assert_eq!(sample.words(), "lifeboat sampled 9 files: 4 text, 2 of a known type, 1 random");
    assert_eq!(Sample::read_back(&sample.words()), Some(sample));
    for other in
        ["", "a note", "lifeboat sampled 1 files: 4 text, 2 of a known type, 1 random", "lifeboat sampled -1 files"]
    {
        assert_eq!(Sample::read_back(other), None, "{other}");
    }
}

fn point() -> impl Strategy<Value = Point> {
    (
        any::<u64>(),
        any::<u64>(),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        any::<bool>(),
        any::<(u64, u64, u64, u64)>(),
    )
        .prop_map(|(files, bytes, new, changed, has_parent, (read, text, known, random))| Point {
            files,
            bytes,
            new,
            changed,
            has_parent,
            sample: Some(Sample { read, text, known, random }),
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the numbers are, there is a verdict, each with words; those of the history do not depend on what comes later.
    #[test]
    fn verdicts_of_anything(points in prop::collection::vec(point(), 0..40)) {
        let all = judge_all(&points);
        prop_assert_eq!(all.len(), points.len());
        for (number, verdict) in all.iter().enumerate() {
            prop_assert!(verdict.reasons().iter().all(|reason| !reason.words.is_empty() && !reason.value.is_nan()));
            prop_assert_eq!(verdict, &judge(&points[..number], &points[number]));
        }
    }

    /// Ordinary days of any size: up to a tenth of the files change, up to a hundredth come and go.
    #[test]
    fn ordinary_days_of_any_size(
        files in 100_u64..5_000,
        days in prop::collection::vec((0_u64..=100, 0_u64..=10, 0_u64..=10), 10..30),
    ) {
        let mut all = vec![first(files)];
        let mut now = files;
        for (changed, new, gone) in days {
            let new = files * new / 1_000;
            now = now + new - (files * gone / 1_000).min(now / 100);
            all.push(day(now, new, files * changed / 1_000));
        }
        for (number, verdict) in judge_all(&all).iter().enumerate() {
            prop_assert!(verdict.reasons().is_empty(), "day {}: {:?}", number, verdict);
        }
    }

    /// Most of the files rewritten with random bytes is found whatever the days before were like.
    #[test]
    fn encryption_is_found(
        files in 50_u64..5_000,
        days in prop::collection::vec(0_u64..=100, 5..20),
        share in 60_u64..=100,
        renamed in any::<bool>(),
    ) {
        let mut all = vec![first(files)];
        all.extend(days.iter().map(|changed| day(files, 0, files * changed / 1_000)));
        let read = files * share / 100;
        let (new, changed) = if renamed { (read, 0) } else { (0, read) };
        let sample = Some(Sample { read, random: read * 95 / 100, ..Sample::default() });
        let verdict = judge(&all, &Point { sample, ..day(files, new, changed) });
        prop_assert!(measures(&verdict).contains(&Measure::Random), "{:?}", verdict);
    }

    #[test]
    fn heads_and_words_of_anything(bytes in prop::collection::vec(any::<u8>(), 0..6_000), words in ".{0,80}") {
        prop_assert_eq!(look(&bytes).is_none(), bytes.is_empty());
        if let Some(sample) = Sample::read_back(&words) {
            prop_assert_eq!(sample.words(), words);
        }
    }
}
