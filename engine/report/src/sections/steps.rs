//! The steps: over their time, in their plan, and one by one.

use lifeboat_core::ports::Direction;
use lifeboat_evidence::facts::{AttemptFacts, StepFacts};
use lifeboat_evidence::words::duration;

use crate::Case;
use crate::page::{Block, Cell, Figure, Section, Table, Tone};
use crate::pictures::{dag, gantt};

/// Lines on attempts that one step gets; the rest is counted.
const ATTEMPTS_MAX: usize = 8;

pub(super) fn gantt(case: &Case<'_>) -> Option<Section> {
    let drawn = gantt::draw(case.facts);
    if drawn.rows == 0 {
        return None;
    }
    let figure = Figure {
        svg: drawn.svg,
        caption: "Steps over the time of the run".to_owned(),
        words: format!("{}.", gantt::words(case.facts)),
    };
    let mut blocks = vec![Block::figure(figure)];
    if drawn.left_out > 0 {
        let text = match drawn.left_out {
            1 => "1 step is not in the picture: it never began, or there are too many.".to_owned(),
            left_out => format!("{left_out} steps are not in the picture: they never began, or there are too many."),
        };
        blocks.push(Block::text(Cell::toned(Tone::Soft, text)));
    }
    Some(Section { id: "gantt", title: "The run over its time", blocks })
}

pub(super) fn dag(case: &Case<'_>) -> Option<Section> {
    let svg = dag::draw(&case.state.plan, case.facts)?;
    let figure = Figure {
        svg,
        caption: "The plan, with what came of each step".to_owned(),
        words: format!("{}.", dag::words(case.facts)),
    };
    Some(Section { id: "plan", title: "The plan and its outcomes", blocks: vec![Block::figure(figure)] })
}

pub(super) fn table(case: &Case<'_>) -> Option<Section> {
    let rows = case.facts.steps.iter().map(|step| {
        let took = step.from.zip(step.to).map(|(from, to)| duration(to.saturating_sub(from)));
        let effect = format!("{}, {}", step.kind.as_str(), step.effect.as_str());
        let targets = (!step.targets.is_empty()).then(|| format!("on {}", step.targets.join(", ")));
        let why = step.why.iter().cloned().chain(step.hint.iter().map(|hint| format!("help: {hint}")));
        [
            Cell::text(step.step.as_str()),
            Cell::text(effect).with(targets),
            Cell::toned(dag::tone(&step.phase), &step.phase).with(why),
            Cell::text(took.unwrap_or_else(|| "–".to_owned())),
            attempts(step),
        ]
    });
    let table =
        Table::new("Every step, in the order of the runbook", ["step", "what", "outcome", "took", "attempts"], rows);
    Some(Section { id: "steps", title: "Steps", blocks: vec![Block::table(table)] })
}

fn attempts(step: &StepFacts) -> Cell {
    match step.attempts.as_slice() {
        [] => Cell::text("–"),
        [one] if one.outcome == "done" && one.told.is_empty() => Cell::text("1"),
        all => {
            let left = all.len().saturating_sub(ATTEMPTS_MAX);
            let more = (left > 0).then(|| format!("and {left} more"));
            Cell::text(all.len().to_string()).with(all.iter().take(ATTEMPTS_MAX).map(line)).with(more)
        }
    }
}

fn line(attempt: &AttemptFacts) -> String {
    let what = match attempt.direction {
        Direction::Forward => "",
        Direction::Undo => "undo ",
        Direction::Cleanup => "cleanup ",
    };
    let took = attempt.to.map_or_else(String::new, |to| format!(", {}", duration(to.saturating_sub(attempt.from))));
    let told = if attempt.told.is_empty() { String::new() } else { format!(": {}", attempt.told.join("; ")) };
    format!("{what}{}: {}{took}{told}", attempt.number, attempt.outcome)
}
