//! Where the time went.

use lifeboat_evidence::words::{duration, utc};

use crate::Case;
use crate::page::{Block, Cell, Section, Table, Tone};

pub(super) fn section(case: &Case<'_>) -> Option<Section> {
    let facts = case.facts;
    let clock = &facts.clock;
    let point = |name: &str, at: Option<u64>, without: &str| {
        let (time, after) = at.map_or_else(
            || (Cell::toned(Tone::Soft, without), Cell::text("–")),
            |at| (Cell::text(utc(at)), Cell::text(duration(at.saturating_sub(clock.declared)))),
        );
        [Cell::text(name), time, after]
    };
    let asked = !facts.approvals.is_empty() || case.state.plan.steps.iter().any(|step| step.approval.is_some());
    let approved = if asked { "not approved" } else { "no step asks for it" };
    let points = [
        point("detected", clock.detected, "no alert started the run"),
        point("declared", Some(clock.declared), ""),
        point("approved", clock.approved, approved),
        point("executed", clock.executed, "nothing was changed"),
        point("validated", clock.validated, "no step validated"),
        point("ended", clock.ended, "not ended"),
    ];
    let share = |ms: u64| u128::from(ms) * 1_000 / u128::from(facts.rta_ms.max(1));
    let spent = facts.spent.parts().into_iter().filter(|(_, ms)| *ms > 0).map(|(name, ms)| {
        let share = share(ms);
        [Cell::text(name), Cell::text(duration(ms)), Cell::text(format!("{}.{} %", share / 10, share % 10))]
    });
    let mut blocks = vec![Block::table(Table::new(
        "Points in time, and how long after the run was made",
        ["point", "time (UTC)", "after"],
        points,
    ))];
    let spent = Table::new("Every moment counted once", ["what went on", "time", "share"], spent);
    if !spent.rows.is_empty() {
        blocks.push(Block::table(spent));
    }
    Some(Section { id: "times", title: "Where the time went", blocks })
}
