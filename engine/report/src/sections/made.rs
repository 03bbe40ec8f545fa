//! What a run made and what became of it, what was suspect, and what the checks of a drill would miss.

use lifeboat_evidence::words::utc;

use crate::Case;
use crate::page::{Block, Cell, Section, Table, Tone};

/// What was made, and whether it is gone.
pub(super) fn ledger(case: &Case<'_>) -> Option<Section> {
    let all = &case.facts.ledger;
    if all.is_empty() {
        return None;
    }
    let left = all.iter().filter(|one| one.state != "removed").count();
    let rows = all.iter().map(|one| {
        let tone = match one.state.as_str() {
            "removed" => Tone::Good,
            "left" => Tone::Bad,
            _ => Tone::Warn,
        };
        let state = Cell::toned(tone, one.state.as_str()).with(one.why.clone());
        [
            Cell::text(one.step.as_str()),
            Cell::text(one.what.as_str()).with([format!("{}, by {}", one.target, one.plugin)]),
            Cell::code(one.place.as_str()),
            state,
            Cell::text(utc(one.expires_at)),
        ]
    });
    let heads = ["step", "made", "at", "now", "may stay until (UTC)"];
    let table = Table::new("Written down before it was made", heads, rows);
    let sum = if left == 0 {
        Cell::toned(Tone::Good, format!("0 of {} left.", all.len()))
    } else {
        let text = format!("{left} of {} left. 'lifeboat cleanup {}' tries again.", all.len(), case.facts.run);
        Cell::toned(Tone::Bad, text)
    };
    Some(Section { id: "ledger", title: "What it made", blocks: vec![Block::table(table), Block::text(sum)] })
}

/// What looked as if it had been tampered with.
pub(super) fn suspects(case: &Case<'_>) -> Option<Section> {
    let all = &case.facts.suspects;
    if all.is_empty() {
        return None;
    }
    let rows = all.iter().map(|one| {
        let mut because = one.because.iter().cloned();
        let first = because.next().unwrap_or_default();
        [Cell::text(one.step.as_str()), Cell::text(one.kind.as_str()), Cell::toned(Tone::Warn, first).with(because)]
    });
    let table = Table::new("Steps that had a suspect snapshot in their hands", ["step", "did", "because"], rows);
    Some(Section { id: "suspects", title: "Anomalies", blocks: vec![Block::table(table)] })
}

/// Damages that were done to copies on purpose.
pub(super) fn checks(case: &Case<'_>) -> Option<Section> {
    let all = &case.facts.checks;
    if all.is_empty() {
        return None;
    }
    let missed = all.iter().filter(|one| !one.caught).count();
    let rows = all.iter().map(|one| {
        let outcome = if one.caught { Cell::toned(Tone::Good, "noticed") } else { Cell::toned(Tone::Bad, "missed") };
        [
            Cell::text(one.damage.as_str()),
            Cell::text(if one.file.is_empty() { "–" } else { one.file.as_str() }),
            Cell::text(one.step.as_str()),
            outcome,
            Cell::text(one.said.as_str()),
        ]
    });
    let heads = ["damage", "file", "checked by", "outcome", "what it said"];
    let table = Table::new("Copies of what was restored, damaged on purpose", heads, rows);
    let sum = if missed == 0 {
        Cell::toned(Tone::Good, format!("The checks noticed all {} damages.", all.len()))
    } else {
        Cell::toned(Tone::Bad, format!("The checks would miss {missed} of {} damages.", all.len()))
    };
    Some(Section { id: "checks", title: "Checks of the checks", blocks: vec![Block::table(table), Block::text(sum)] })
}
