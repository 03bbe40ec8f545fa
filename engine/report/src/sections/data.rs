//! Recovery points, and what was lost.

use lifeboat_evidence::words::{bytes, duration, utc};

use crate::Case;
use crate::page::{Block, Cell, Section, Table, Tone};

/// Digits of a recovery point that are shown: restic shows eight.
const DIGITS: usize = 12;

pub(super) fn section(case: &Case<'_>) -> Option<Section> {
    let facts = case.facts;
    if facts.snapshots.is_empty() {
        return None;
    }
    let rows = facts.snapshots.iter().map(|one| {
        let size = match (one.files, one.bytes) {
            (Some(files), Some(size)) => format!("{files} files, {}", bytes(size)),
            _ => "–".to_owned(),
        };
        let depth = one.depth.iter().map(|depth| format!("proved: {depth}"));
        [
            Cell::text(one.step.as_str()),
            Cell::text(one.kind.as_str()).with(depth),
            Cell::code(one.snapshot.chars().take(DIGITS).collect::<String>()),
            one.taken_ms.map_or_else(|| Cell::toned(Tone::Soft, "not known"), |at| Cell::text(utc(at))),
            Cell::text(size),
        ]
    });
    let heads = ["step", "did", "recovery point", "data as of (UTC)", "size"];
    let mut blocks = vec![Block::table(Table::new("Recovery points that steps dealt with", heads, rows))];
    blocks.push(Block::text(lost(case)));
    Some(Section { id: "data", title: "Data", blocks })
}

fn lost(case: &Case<'_>) -> Cell {
    let loss = &case.facts.data_loss;
    let Some(ms) = loss.at_most_ms else {
        let why = loss.unknown.clone().unwrap_or_default();
        return Cell::toned(Tone::Soft, format!("How much data was lost is not known: {why}."));
    };
    if ms == 0 {
        return Cell::toned(
            Tone::Good,
            "What was brought back was taken after the run was made: nothing older came back.",
        );
    }
    let sentinel = loss.restored.iter().any(|one| one.sentinel_ms.is_some());
    let how = if sentinel { " A sentinel that was found in what was restored tells so." } else { "" };
    let told = loss.restored.iter().filter(|one| one.sentinel_ms.is_none()).find_map(|one| one.told_by.as_ref());
    let told = told.map_or_else(String::new, |run| {
        format!(" When the recovery point was taken is known from run {run}, on the engine's word.")
    });
    let detected = case.facts.clock.detected.is_some();
    let (begun, it) = if detected { ("the alert began", "it") } else { ("the run was made", "the run") };
    let text = format!(
        "What was written later than {} before {begun} is not in what was brought back. It is the most that was \
         lost: the disaster came before {it}.{how}{told}",
        duration(ms)
    );
    let tone = match loss.within_rpo {
        Some(true) => Tone::Good,
        Some(false) => Tone::Bad,
        None => Tone::Plain,
    };
    Cell::toned(tone, text)
}
