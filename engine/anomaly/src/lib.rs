//! Whether a snapshot looks as if what it was taken of had been encrypted, emptied or swapped.
//!
//! A snapshot is held against the earlier ones of the same label. What is looked at, and where it comes from:
//!
//! | measure | what it is | source |
//! |---|---|---|
//! | [`Measure::Random`] | share of files read whose beginnings look random and have no known type | Shannon entropy: W. Scaife et al., *CryptoLock (and Drop It)*, ICDCS 2016; A. Kharraz et al., *UNVEIL*, USENIX Security 2016. That entropy alone cannot tell what is encrypted from what is compressed, and known types have to be taken out: F. De Gaspari et al., *EnCoD*, NSS 2020 |
//! | [`Measure::Types`] | share of files read that begin like a known type, or are text | "file type changes" in *CryptoLock (and Drop It)* |
//! | [`Measure::Changed`] | share of files that are new or changed | NIST SP 1800-26, *Data Integrity: Detecting and Responding to Ransomware* (2020), which asks for mass changes to be detected |
//! | [`Measure::Gone`] | share of the files of the snapshot before that are gone, as they are after renaming all of them | "deletion" in *CryptoLock (and Drop It)* |
//! | [`Measure::Files`], [`Measure::Bytes`] | how much more or less there is than before | NIST SP 1800-26 |
//! | [`Measure::Kept`] | most of it is what a suspect snapshot held | follows from the others: what was encrypted stays so, and the next snapshot has little new |
//!
//! What is usual is told by the median, and how far from it by the median absolute deviation, which a few odd snapshots do not move: a
//! value is far off from a modified z-score of 3.5 on (B. Iglewicz, D. Hoaglin, *How to Detect and Handle Outliers*, 1993). Where the
//! deviation is nothing, because most values are the same, the mean absolute deviation stands in, as they say. Being far off is not
//! enough: the step has to be large by itself, too, or a folder in which nothing ever happens would be suspect when one file changes.
//! Shares of files read are compared as proportions over all of the history, since on most days few files are read.
//!
//! All of it is arithmetic: no clock, no disk, and no dependency.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod head;
mod judge;
mod robust;

pub use head::{Head, Sample, look};
pub use judge::{HISTORY_MIN, Measure, Point, Reason, Verdict, judge, judge_all};
pub use robust::{median, score};
