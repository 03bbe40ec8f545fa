//! What people did, what they were asked, and what was waited for.

use lifeboat_evidence::facts::{Asked, Wait};
use lifeboat_evidence::words::{bytes, duration, utc};

use crate::Case;
use crate::page::{Block, Cell, Section, Table, Tone};

pub(super) fn section(case: &Case<'_>) -> Option<Section> {
    let facts = case.facts;
    let deeds = facts.people.iter().map(|deed| {
        let role = deed.role.iter().map(|role| format!("as {role}"));
        [
            Cell::text(utc(deed.at)),
            Cell::text(deed.by.as_str()).with(role),
            Cell::text(deed.what.as_str()),
            Cell::text(deed.step.as_ref().map_or("–", |step| step.as_str())),
            Cell::text(if deed.why.is_empty() { "–" } else { &deed.why }),
        ]
    });
    let heads = ["time (UTC)", "who", "did", "step", "why"];
    let mut blocks = vec![Block::table(Table::new("Everything that people did", heads, deeds))];
    if !facts.approvals.is_empty() {
        let heads = ["question", "asked of", "outcome", "answers"];
        blocks.push(Block::table(Table::new(
            "Approvals, each for the plan of this run",
            heads,
            facts.approvals.iter().map(asked),
        )));
    }
    if !facts.waits.is_empty() {
        let heads = ["waited for", "step", "from (UTC)", "for", "ended by"];
        blocks.push(Block::table(Table::new("Waits", heads, facts.waits.iter().map(|wait| waited(case, wait)))));
    }
    let attested = facts.attestations.iter().map(|one| {
        let files = one.files.iter().map(|file| format!("{} ({}), {}", file.name, bytes(file.bytes), file.digest));
        [
            Cell::text(one.step.as_str()),
            Cell::text(one.by.as_str()),
            Cell::text(if one.why.is_empty() { "–" } else { &one.why }).with(files),
        ]
    });
    let attested = Table::new(
        "What people vouch for: steps that no plugin carried out",
        ["step", "who", "why, and what shows it"],
        attested,
    );
    if !attested.rows.is_empty() {
        blocks.push(Block::table(attested));
    }
    Some(Section { id: "people", title: "People", blocks })
}

fn asked(asked: &Asked) -> [Cell; 4] {
    let tone = match asked.outcome.as_str() {
        "approved" => Tone::Good,
        "denied" | "expired" => Tone::Bad,
        _ => Tone::Warn,
    };
    let answers: Vec<String> = asked
        .answers
        .iter()
        .map(|answer| {
            let word = if answer.yes { "yes" } else { "no" };
            let after = duration(answer.at.saturating_sub(asked.at));
            let why = if answer.why.is_empty() { String::new() } else { format!(": {}", answer.why) };
            format!("{word} from {} after {after}{why}", answer.by)
        })
        .collect();
    let mut answers = answers.into_iter();
    [
        Cell::text(asked.step.as_str()),
        Cell::text(format!("{} of {}", asked.quorum, asked.role)),
        Cell::toned(tone, &asked.outcome),
        Cell::text(answers.next().unwrap_or_else(|| "none".to_owned())).with(answers),
    ]
}

fn waited(case: &Case<'_>, wait: &Wait) -> [Cell; 5] {
    let end = case.facts.clock.declared.saturating_add(case.facts.rta_ms);
    let took = duration(wait.to.unwrap_or(end).saturating_sub(wait.from));
    let took = if wait.to.is_some() { took } else { format!("{took}, and goes on") };
    [
        Cell::text(wait.what.as_str()),
        Cell::text(wait.step.as_ref().map_or("–", |step| step.as_str())),
        Cell::text(utc(wait.from)),
        Cell::text(took),
        Cell::text(if wait.by.is_empty() { "–".to_owned() } else { wait.by.join(", ") }),
    ]
}
