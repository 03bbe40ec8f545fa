//! Which snapshots look as if what they were taken of had been tampered with.
//!
//! Counts come from the summary of the snapshot; restic before 0.17 writes none, and such a snapshot is left out. What the files look like inside is sampled when
//! a snapshot is taken here, from the first bytes of what is read anyway, and kept in the snapshot's description: stock
//! restic reads over it, and copies of the snapshot have it, too.

use std::collections::BTreeMap;

use lifeboat_anomaly::{Point, Sample, judge_all};
use lifeboat_core::Failure;
use rustic_core::repofile::SnapshotFile;

use crate::session::Session;

/// Why snapshots are suspect, by id. All of those that are, or the one of that full id.
pub(crate) fn find(session: &Session, wanted: Option<&str>) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let all = session.snapshots()?;
    let named = |snapshot: &&SnapshotFile| wanted.is_some_and(|id| snapshot.id.to_hex().as_str() == id);
    let only = all.iter().find(named).map(series);
    let mut by_series: BTreeMap<Series, Vec<&SnapshotFile>> = BTreeMap::new();
    for snapshot in &all {
        let asked = wanted.is_none() || only.as_ref() == Some(&series(snapshot));
        if asked && snapshot.summary.is_some() {
            by_series.entry(series(snapshot)).or_default().push(snapshot);
        }
    }
    let mut found = BTreeMap::new();
    for snapshots in by_series.into_values() {
        let points: Vec<Point> = snapshots.iter().map(|snapshot| point(snapshot)).collect();
        for (snapshot, verdict) in snapshots.iter().zip(judge_all(&points)) {
            let reasons: Vec<String> = verdict.reasons().iter().map(|reason| reason.words.clone()).collect();
            let id = snapshot.id.to_hex().as_str().to_owned();
            if !reasons.is_empty() && wanted.is_none_or(|wanted| wanted == id) {
                found.insert(id, reasons);
            }
        }
    }
    Ok(found)
}

/// What makes snapshots those of one thing: the label; without one, as stock restic makes them, machine and paths.
type Series = (String, String, Vec<String>);

fn series(snapshot: &SnapshotFile) -> Series {
    if snapshot.label.is_empty() {
        return (String::new(), snapshot.hostname.clone(), snapshot.paths.iter().cloned().collect());
    }
    (snapshot.label.clone(), String::new(), Vec::new())
}

fn point(snapshot: &SnapshotFile) -> Point {
    let summary = snapshot.summary.as_ref();
    Point {
        files: summary.map_or(0, |summary| summary.total_files_processed),
        bytes: summary.map_or(0, |summary| summary.total_bytes_processed),
        new: summary.map(|summary| summary.files_new),
        changed: summary.map(|summary| summary.files_changed),
        has_parent: snapshot.parent.is_some(),
        sample: snapshot.description.as_deref().and_then(Sample::read_back),
    }
}
