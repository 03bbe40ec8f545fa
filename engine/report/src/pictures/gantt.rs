//! A run over its time: a row a step, its attempts as bars, and what was waited for.

use std::fmt::Write;

use lifeboat_core::ports::Direction;
use lifeboat_evidence::Facts;
use lifeboat_evidence::facts::{AttemptFacts, StepFacts, Wait, WaitFor};
use lifeboat_evidence::words::duration;

use super::{cut, escape};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 184.0;
const RIGHT: f64 = 16.0;
const HEAD: f64 = 40.0;
const ROW: f64 = 28.0;
const FOOT: f64 = 44.0;
/// More rows are no picture that anybody reads; the table of steps has them all.
const ROWS_MAX: usize = 150;
/// What a letter of a label takes, about.
const LETTER: f64 = 6.6;

/// Steps of the scale, in milliseconds: the smallest that gives few enough lines is taken.
const SCALE: [u64; 20] = [
    1,
    5,
    10,
    50,
    100,
    500,
    1_000,
    5_000,
    10_000,
    30_000,
    60_000,
    300_000,
    600_000,
    1_800_000,
    3_600_000,
    7_200_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
];

struct Bar {
    class: &'static str,
    from: u64,
    to: u64,
    label: String,
    title: String,
}

struct Line {
    name: String,
    bars: Vec<Bar>,
}

/// What is drawn: the picture, and how many steps are not in it because they never began or are too many.
pub struct Gantt {
    /// The `svg` element.
    pub svg: String,
    /// Rows in it.
    pub rows: usize,
    /// Steps that are not.
    pub left_out: usize,
}

/// The picture.
pub fn draw(facts: &Facts) -> Gantt {
    let begin = facts.clock.declared;
    let end = begin.saturating_add(facts.rta_ms);
    let (lines, began) = lines(facts, end);
    let rto = facts.objectives.rto_ms.filter(|rto| *rto <= facts.rta_ms.saturating_mul(2));
    let span = facts.rta_ms.max(rto.unwrap_or(0)).max(1);
    let height = HEAD + rows(lines.len()) + FOOT;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" role=\"img\" \
         aria-labelledby=\"gantt-title gantt-desc\">\n<title id=\"gantt-title\">The run over its time</title>\n\
         <desc id=\"gantt-desc\">{}</desc>\n{PATTERNS}",
        escape(&words(facts))
    );
    scale(&mut svg, span, lines.len());
    for (place, line) in lines.iter().enumerate() {
        row(&mut svg, place, line, begin, span);
    }
    if let Some(rto) = rto {
        let (x, bottom) = (at(rto, span), HEAD + rows(lines.len()));
        let _ = writeln!(svg, "<path class=\"rto\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", HEAD - 8.0);
        let over = if facts.rta_ms > rto { " missed" } else { "" };
        let text = format!("RTO {}{over}", duration(rto));
        let anchor = if x > WIDTH - 90.0 { "end" } else { "middle" };
        let _ = writeln!(svg, "<text class=\"rtotext\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"12\">{text}</text>");
    }
    legend(&mut svg, height);
    svg.push_str("</svg>\n");
    Gantt { svg, rows: lines.len(), left_out: facts.steps.len().saturating_sub(began.min(lines.len())) }
}

/// The picture in words.
pub fn words(facts: &Facts) -> String {
    let spent = facts.spent.parts();
    let mut parts: Vec<&(&str, u64)> = spent.iter().filter(|(_, ms)| *ms > 0).collect();
    parts.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));
    let parts: Vec<String> = parts.into_iter().map(|(name, ms)| format!("{name} {}", duration(*ms))).collect();
    if parts.is_empty() {
        return format!("{} from the beginning to the end", duration(facts.rta_ms));
    }
    format!("{} from the beginning to the end: {}", duration(facts.rta_ms), parts.join(", "))
}

fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

fn rows(lines: usize) -> f64 {
    count(lines) * ROW
}

/// Where a time stands, in the width of the picture. A run of thousands of years has no place, and none is asked for.
fn at(ms: u64, span: u64) -> f64 {
    let share = ms.min(span) as f64 / span as f64;
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

/// The lines in the order in which they begin, and how many of them are steps.
fn lines(facts: &Facts, end: u64) -> (Vec<Line>, usize) {
    let mut found: Vec<(u64, Line)> = Vec::new();
    for step in &facts.steps {
        let mut bars: Vec<Bar> = step.attempts.iter().map(|attempt| attempt_bar(attempt, end)).collect();
        bars.extend(waits(facts, step).map(|wait| wait_bar(wait, end)));
        bars.sort_by_key(|bar| bar.from);
        if let Some(first) = bars.first() {
            found.push((first.from, Line { name: step.step.0.clone(), bars }));
        }
    }
    let began = found.len();
    let whole = facts.waits.iter().filter(|wait| wait.step.is_none());
    found.extend(whole.map(|wait| {
        let name = if wait.what == WaitFor::Locks { "(locks)" } else { "(paused)" };
        (wait.from, Line { name: name.to_owned(), bars: vec![wait_bar(wait, end)] })
    }));
    found.sort_by_key(|(from, _)| *from);
    (found.into_iter().take(ROWS_MAX).map(|(_, line)| line).collect(), began)
}

fn waits<'a>(facts: &'a Facts, step: &'a StepFacts) -> impl Iterator<Item = &'a Wait> {
    facts.waits.iter().filter(|wait| wait.step.as_ref() == Some(&step.step))
}

fn attempt_bar(attempt: &AttemptFacts, end: u64) -> Bar {
    let to = attempt.to.unwrap_or(end);
    let took = duration(to.saturating_sub(attempt.from));
    let (undo, cleanup) = (attempt.direction == Direction::Undo, attempt.direction == Direction::Cleanup);
    let (class, word) = match attempt.outcome.as_str() {
        "done" if undo => ("b-undo", "undone"),
        "done" if cleanup => ("b-undo", "removed"),
        "done" => ("b-done", ""),
        "failed" => ("b-failed", "✗ failed"),
        "under way" => ("b-open", "under way"),
        "interrupted" => ("b-unknown", "? interrupted"),
        _ => ("b-unknown", "? unknown"),
    };
    let what = match attempt.direction {
        Direction::Forward => "attempt",
        Direction::Undo => "undo, attempt",
        Direction::Cleanup => "cleanup, attempt",
    };
    let title = format!("{what} {}: {}, {took}", attempt.number, attempt.outcome);
    Bar { class, from: attempt.from, to, label: format!("{word} {took}").trim().to_owned(), title }
}

fn wait_bar(wait: &Wait, end: u64) -> Bar {
    let to = wait.to.unwrap_or(end);
    let took = duration(to.saturating_sub(wait.from));
    let by = wait.by.join(", ");
    let (class, label) = match wait.what {
        WaitFor::Timer => ("b-timer", format!("timer {took}")),
        WaitFor::Locks => ("b-timer", format!("locks {took}")),
        _ if by.is_empty() => ("b-people", format!("people {took}")),
        _ => ("b-people", format!("people {took}: {by}")),
    };
    Bar { class, from: wait.from, to, label, title: format!("waited for {}, {took}", wait.what.as_str()) }
}

fn row(svg: &mut String, place: usize, line: &Line, begin: u64, span: u64) {
    let top = HEAD + rows(place);
    if place.is_multiple_of(2) {
        let _ = writeln!(svg, "<rect class=\"band\" x=\"0\" y=\"{top:.1}\" width=\"{WIDTH:.0}\" height=\"{ROW:.0}\"/>");
    }
    let (name, whole) = (cut(&line.name, 25), escape(&line.name));
    let _ = writeln!(svg, "<text class=\"name\" x=\"8\" y=\"{:.1}\"><title>{whole}</title>{name}</text>", top + 18.5);
    for (number, bar) in line.bars.iter().enumerate() {
        let x = at(bar.from.saturating_sub(begin), span);
        let width = (at(bar.to.saturating_sub(begin), span) - x).max(3.0);
        let (class, title) = (bar.class, escape(&bar.title));
        let _ = writeln!(
            svg,
            "<rect class=\"bar {class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.0}\" rx=\"3\">\
             <title>{whole}: {title}</title></rect>",
            top + 6.0,
            ROW - 12.0
        );
        // A label stands after its bar, or before it, where it gets in nothing's way; else the title of the bar has it.
        let room = line.bars.get(number + 1).map_or(WIDTH, |next| at(next.from.saturating_sub(begin), span));
        let before = number.checked_sub(1).and_then(|earlier| line.bars.get(earlier));
        let free = before.map_or(LEFT, |earlier| at(earlier.to.saturating_sub(begin), span));
        let needs = count(bar.label.chars().count()) * LETTER + 10.0;
        let y = top + 18.5;
        let text = escape(&bar.label);
        let on = if bar.class == "b-done" { "on-work" } else { "on" };
        if x + width + needs <= room {
            let _ = writeln!(svg, "<text class=\"label\" x=\"{:.1}\" y=\"{y:.1}\">{text}</text>", x + width + 5.0);
        } else if free + needs <= x {
            let _ = writeln!(
                svg,
                "<text class=\"label\" text-anchor=\"end\" x=\"{:.1}\" y=\"{y:.1}\">{text}</text>",
                x - 5.0
            );
        } else if needs <= width {
            let _ = writeln!(
                svg,
                "<text class=\"label {on}\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{y:.1}\">{text}</text>",
                x + width / 2.0
            );
        }
    }
}

fn scale(svg: &mut String, span: u64, lines: usize) {
    let fits = |step: &&u64| span / **step <= 8;
    let step = SCALE.iter().find(fits).copied().unwrap_or_else(|| (span / 8).max(1));
    let bottom = HEAD + rows(lines);
    let mut time = 0;
    while time <= span {
        let x = at(time, span);
        let _ = writeln!(svg, "<path class=\"tick\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", HEAD - 4.0);
        if x < WIDTH - 40.0 {
            let text = if time == 0 { "0".to_owned() } else { duration(time) };
            let y = HEAD - 10.0;
            let _ =
                writeln!(svg, "<text class=\"label\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
        }
        let Some(next) = time.checked_add(step) else { break };
        time = next;
    }
}

const LEGEND: [(&str, &str, f64); 6] = [
    ("b-done", "done", 8.0),
    ("b-failed", "failed", 104.0),
    ("b-unknown", "unknown, interrupted", 208.0),
    ("b-undo", "undone", 388.0),
    ("b-people", "waiting for people", 492.0),
    ("b-timer", "waiting for a timer or locks", 668.0),
];

fn legend(svg: &mut String, height: f64) {
    let y = height - 14.0;
    for (class, text, x) in LEGEND {
        let _ = writeln!(
            svg,
            "<rect class=\"bar {class}\" x=\"{x}\" y=\"{:.1}\" width=\"26\" height=\"13\" rx=\"3\"/>\
             <text class=\"label\" x=\"{}\" y=\"{y:.1}\">{text}</text>",
            y - 11.0,
            x + 33.0
        );
    }
}

/// Each kind of bar has a pattern of its own, so that it is told without colour.
const PATTERNS: &str = "<defs>\
<pattern id=\"p-failed\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect class=\"p-bad-soft\" width=\"6\" height=\"6\"/><rect class=\"p-bad\" width=\"3\" height=\"6\"/></pattern>\
<pattern id=\"p-people\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\">\
<rect class=\"p-people-soft\" width=\"7\" height=\"7\"/><circle class=\"p-people\" cx=\"3.5\" cy=\"3.5\" r=\"1.6\"/></pattern>\
<pattern id=\"p-undo\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
<rect class=\"p-warn-soft\" width=\"6\" height=\"6\"/><rect class=\"p-warn\" width=\"2\" height=\"6\"/></pattern>\
</defs>\n";
