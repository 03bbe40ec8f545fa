//! What was pinned: fingerprint, digests, locks; and, of a bundle, what was checked and who signed.

use lifeboat_evidence::Found;
use lifeboat_evidence::words::utc;

use crate::page::{Block, Cell, Section, Table, Tone};
use crate::{Case, Proof};

pub(super) fn section(case: &Case<'_>) -> Option<Section> {
    let facts = case.facts;
    let mut rows = vec![
        [Cell::text("fingerprint of the plan"), Cell::code(facts.fingerprint.0.as_str())],
        [Cell::text("digest of the runbook"), Cell::code(case.state.plan.source.0.as_str())],
        [Cell::text("engine"), Cell::text(facts.engine.as_str())],
        [Cell::text("events"), Cell::text(case.events.len().to_string())],
    ];
    rows.extend(
        facts.plugins.iter().map(|(name, pin)| {
            [Cell::text(format!("plugin {name} {}", pin.version)), Cell::code(pin.digest.0.as_str())]
        }),
    );
    let mut blocks = vec![Block::table(Table::new("What this run was bound to", ["what", "value"], rows))];
    if !facts.locks.names.is_empty() {
        let taken = facts.locks.taken.iter().map(|(at, fence)| format!("fence {fence} at {} UTC", utc(*at)));
        let mut taken: Vec<String> = taken.collect();
        if taken.is_empty() {
            taken.push("never taken".to_owned());
        }
        let rows = facts.locks.names.iter().map(|name| [Cell::text(name), Cell::text(taken.join(", "))]);
        blocks.push(Block::table(Table::new("Locks that the run held until its end", ["lock", "taken"], rows)));
    }
    if let Some(proof) = &case.proof {
        blocks.extend(checked(proof));
    }
    Some(Section { id: "proof", title: "Proof", blocks })
}

fn checked(proof: &Proof<'_>) -> [Block; 2] {
    let checks = proof.checks.iter().map(|check| {
        let (tone, word) = match check.found {
            Found::Good => (Tone::Good, "holds"),
            Found::Bad => (Tone::Bad, "does not hold"),
            Found::NotAsked => (Tone::Warn, "not asked"),
            Found::NotReached => (Tone::Soft, "not reached"),
        };
        [Cell::text(check.check), Cell::toned(tone, word), Cell::text(check.told.as_str())]
    });
    let signed = proof.signatures.iter().map(|one| {
        let word = if one.trusted {
            Cell::toned(Tone::Good, "a key that was given")
        } else {
            Cell::toned(Tone::Warn, "nobody vouches for this key")
        };
        [Cell::text(one.by.as_str()), Cell::text(utc(one.at)), word, Cell::code(one.key.to_string())]
    });
    [
        Block::table(Table::new("What was checked in the bundle", ["check", "found", "told"], checks)),
        Block::table(Table::new("Signatures", ["by, in its own words", "time (UTC)", "trusted", "key"], signed)),
    ]
}
