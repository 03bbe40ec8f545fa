//! The sections of a report. Each is a function over what is known of a run, and is left out where it has nothing to say; a new
//! kind of event that deserves a section gets a function here and a place in [`SECTIONS`].

mod data;
mod made;
mod people;
mod proof;
mod steps;
mod times;

use lifeboat_evidence::words::{duration, utc};

use crate::Case;
use crate::page::{Cell, Labelled, Page, Section, Tile, Tone};
use crate::verdict::Verdict;

/// A section, where there is something for it.
pub type Make = fn(&Case<'_>) -> Option<Section>;

/// All of them, in the order of the page.
pub const SECTIONS: [Make; 10] = [
    times::section,
    steps::gantt,
    steps::dag,
    steps::table,
    data::section,
    made::suspects,
    made::checks,
    made::ledger,
    people::section,
    proof::section,
];

/// The whole page.
pub fn page(case: &Case<'_>) -> Page {
    let facts = case.facts;
    let verdict = Verdict::of(facts);
    let foot = case.proof.as_ref().map_or_else(
        || {
            "Made from the journal of the engine. 'lifeboat evidence export' makes a bundle that others can verify."
                .to_owned()
        },
        |proof| {
            format!(
                "Made from a bundle of evidence that {} wrote at {} UTC.",
                proof.manifest.made_by,
                utc(proof.manifest.made_at)
            )
        },
    );
    Page {
        title: facts.runbook.clone(),
        subtitle: facts.description.clone(),
        verdict: Cell::toned(verdict.tone, verdict.word),
        sentence: verdict.sentence,
        facts: heading(case),
        tiles: tiles(case),
        sections: SECTIONS.iter().filter_map(|make| make(case)).collect(),
        foot,
    }
}

fn heading(case: &Case<'_>) -> Vec<Labelled> {
    let facts = case.facts;
    let said = facts.people.first();
    let who = said.map_or_else(String::new, |deed| match deed.why.as_str() {
        "" => deed.by.clone(),
        why => format!("{}: {why}", deed.by),
    });
    let ended = facts.clock.ended.map_or_else(|| "not yet".to_owned(), |at| format!("{} UTC", utc(at)));
    let mut found = vec![
        Labelled { label: "Run", cell: Cell::code(facts.run.as_str()) },
        Labelled { label: "Mode", cell: Cell::text(facts.mode.as_str()) },
        Labelled { label: "Begun", cell: Cell::text(format!("{} UTC", utc(facts.clock.declared))) },
        Labelled { label: "Ended", cell: Cell::text(ended) },
        Labelled { label: "Started by", cell: Cell::text(who) },
    ];
    if let Some(earlier) = &facts.continues {
        let what =
            format!("run {}, a {}; {} steps taken over", earlier.run, earlier.mode.as_str(), earlier.carried.len());
        found.push(Labelled { label: "Goes on with", cell: Cell::text(what) });
    }
    found.extend(
        facts.continued_as.iter().map(|run| Labelled { label: "Continued as", cell: Cell::code(run.as_str()) }),
    );
    found.extend(facts.owner.iter().map(|owner| Labelled { label: "Owner", cell: Cell::text(owner) }));
    if let Some(proof) = &case.proof {
        let trusted = proof.signatures.iter().filter(|one| one.trusted).count();
        let cell = if trusted > 0 {
            Cell::toned(
                Tone::Good,
                format!("verified, {trusted} of {} signatures by a given key", proof.signatures.len()),
            )
        } else {
            Cell::toned(Tone::Warn, "whole, but no key was given to verify it with")
        };
        found.push(Labelled { label: "Evidence", cell });
    }
    found
}

fn against(within: Option<bool>, objective: Option<u64>, name: &str) -> Cell {
    match (within, objective.map(duration)) {
        (Some(true), Some(objective)) => Cell::toned(Tone::Good, format!("within {name} {objective}")),
        (Some(false), Some(objective)) => Cell::toned(Tone::Bad, format!("over {name} {objective}")),
        (None, Some(objective)) => Cell::toned(Tone::Soft, format!("{name} {objective}: not known")),
        (_, None) => Cell::toned(Tone::Soft, format!("no {name} in the runbook")),
    }
}

fn tiles(case: &Case<'_>) -> Vec<Tile> {
    let facts = case.facts;
    let loss = &facts.data_loss;
    let done = facts.steps.iter().filter(|step| step.phase == "done").count();
    let failed: usize =
        facts.steps.iter().map(|step| step.attempts.iter().filter(|one| one.outcome != "done").count()).sum();
    let mut rta = against(facts.within_rto, facts.objectives.rto_ms, "RTO");
    if facts.within_rto == Some(true) && !facts.succeeded() {
        rta = Cell::toned(Tone::Warn, format!("{}, but not recovered", rta.text));
    }
    let people = facts.spent.people_ms;
    let attempts = match failed {
        0 => Cell::toned(Tone::Good, "no attempt failed"),
        1 => Cell::toned(Tone::Warn, "1 attempt failed, or is in doubt"),
        more => Cell::toned(Tone::Warn, format!("{more} attempts failed, or are in doubt")),
    };
    let waited = match (people, facts.rta_ms) {
        (0, _) | (_, 0) => Cell::toned(Tone::Soft, "nobody was waited for alone"),
        (people, all) => {
            let share = u128::from(people) * 100 / u128::from(all);
            Cell::toned(Tone::Soft, format!("{share} % of the time, nothing else went on"))
        }
    };
    let lost = match (&loss.unknown, loss.at_most_ms) {
        (_, Some(0)) => ("none".to_owned(), Cell::toned(Tone::Good, "the recovery point was taken in this run")),
        (_, Some(ms)) => (format!("≤ {}", duration(ms)), against(loss.within_rpo, facts.objectives.rpo_ms, "RPO")),
        (why, None) => ("not known".to_owned(), Cell::toned(Tone::Soft, why.clone().unwrap_or_default())),
    };
    vec![
        Tile { label: "Recovery time (RTA)", value: duration(facts.rta_ms), note: rta },
        Tile { label: "Data loss (RPA)", value: lost.0, note: lost.1 },
        Tile { label: "Waiting for people", value: duration(people), note: waited },
        Tile { label: "Steps done", value: format!("{done} of {}", facts.steps.len()), note: attempts },
    ]
}
