//! The plan as text: what an engineer reads before typing yes. At most about 96 columns, one wave after the other.
//!
//! Colour is only ever a second way to say what a word says already.

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Condition, Effect, InDoubt, Plan, Policy, Step, Test, UndoPolicy};

use super::duration::duration;
use super::plural;

const WIDTH: usize = 96;

/// The styles of a terminal that are used here.
#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

struct Page<'a> {
    plan: &'a Plan,
    graph: &'a PlanGraph,
    outlook: &'a super::Outlook,
    colour: bool,
    out: String,
}

/// The plan as text, with terminal colours if `colour` says so.
pub fn render(plan: &Plan, graph: &PlanGraph, outlook: &super::Outlook, colour: bool) -> String {
    let mut page = Page { plan, graph, outlook, colour, out: String::new() };
    page.head();
    page.waves();
    page.foot();
    page.out
}

/// What is needed before it can run, as text; empty where nothing is.
pub fn needed(lines: &[String], colour: bool) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let title = "needed before it can run";
    let title = if colour { format!("\x1b[33m{title}\x1b[0m") } else { title.to_owned() };
    lines.iter().fold(format!("\n{title}\n"), |text, line| format!("{text}  {line}\n"))
}

impl Page<'_> {
    fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Red => "1;31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn fact(&mut self, name: &str, value: &str) {
        let name = self.paint(Style::Dim, &format!("{name:<14}"));
        for (place, part) in wrap(value, WIDTH - 16).iter().enumerate() {
            let lead = if place == 0 { name.clone() } else { " ".repeat(14) };
            self.line(&format!("  {lead}{part}"));
        }
    }

    fn head(&mut self) {
        let plan = self.plan;
        let title = self.paint(Style::Bold, &plan.runbook);
        let count = plural(plan.steps.len() as u64, "step");
        self.line(&format!("{title}  ·  {}  ·  {count}", plan.mode.as_str()));
        for part in wrap(&plan.description, WIDTH) {
            self.line(&part);
        }
        self.line("");
        self.fact("fingerprint", &plan.fingerprint().0);
        if let Some(owner) = &plan.owner {
            self.fact("owner", owner);
        }
        let goals = &plan.objectives;
        let goals = [("RTO", goals.rto_ms), ("RPO", goals.rpo_ms), ("MTPD", goals.mtpd_ms)];
        let goals: Vec<String> =
            goals.iter().filter_map(|(name, ms)| ms.map(|ms| format!("{name} {}", duration(ms)))).collect();
        self.fact("objectives", &list(&goals, " · "));
        let forecast = super::forecast(plan, self.graph, self.outlook);
        self.fact("forecast", &forecast.map_or_else(|| "none: no step has an estimate".to_owned(), |f| f.sentence()));
        for (name, value) in &plan.inputs {
            self.fact("input", &format!("{name} = {value}"));
        }
    }

    fn waves(&mut self) {
        let critical = super::Critical::of(self.plan, self.graph, self.outlook).steps;
        let edge = self.graph.point_of_no_return(self.plan);
        let longest = self.plan.steps.iter().map(|step| step.id.as_str().chars().count()).max().unwrap_or(0);
        let column = longest.clamp(8, 28) + 2;
        let index: std::collections::HashMap<&str, &Step> =
            self.plan.steps.iter().map(|step| (step.id.as_str(), step)).collect();
        for (number, wave) in self.graph.waves().iter().enumerate() {
            let together = if wave.len() > 1 { format!(" · {} at once", wave.len()) } else { String::new() };
            let name = format!("wave {}{together} ", number + 1);
            let rule = "─".repeat(WIDTH.saturating_sub(name.chars().count() + 3));
            self.line("");
            let rule = self.paint(Style::Dim, &format!("── {name}{rule}"));
            self.line(&rule);
            for step in wave.iter().filter_map(|id| index.get(id.as_str())) {
                self.step(step, column, critical.contains(&step.id), edge.as_ref() == Some(&step.id));
            }
        }
    }

    fn step(&mut self, step: &Step, column: usize, critical: bool, no_return: bool) {
        let mark = if critical { "*" } else { " " };
        let pad = " ".repeat(column.saturating_sub(step.id.as_str().chars().count()).max(2));
        let name = self.paint(Style::Bold, step.id.as_str());
        let effect = format!("{:<14}", step.effect.as_str());
        let effect = match step.effect {
            Effect::Read => self.paint(Style::Dim, &effect),
            Effect::Reversible => self.paint(Style::Green, &effect),
            Effect::Compensatable => self.paint(Style::Yellow, &effect),
            Effect::Irreversible => self.paint(Style::Red, &effect),
        };
        let estimate =
            self.outlook.estimate(step).map_or_else(|| "no estimate".to_owned(), |ms| format!("~ {}", duration(ms)));
        self.line(&format!("{mark} {name}{pad}{:<9}  {effect}  {estimate}", step.kind.as_str()));
        for detail in self.details(step) {
            for part in wrap(&detail, WIDTH.saturating_sub(column + 2)) {
                self.line(&format!("{}{part}", " ".repeat(column + 2)));
            }
        }
        if no_return {
            let text = self.paint(Style::Red, "point of no return");
            self.line(&format!("{}{text}", " ".repeat(column + 2)));
        }
    }

    fn details(&self, step: &Step) -> Vec<String> {
        let mut details = Vec::new();
        let targets: Vec<String> = step.targets.iter().map(|used| self.target(&used.role, &used.target)).collect();
        details.push(targets.join(" · "));
        if let Some(plugin) = &step.plugin {
            let pin = self.plan.plugins.get(plugin);
            let pin = pin.map_or_else(String::new, |pin| format!("@{} ({})", pin.version, pin.digest.short()));
            let needs = if step.capabilities.is_empty() { "nothing".into() } else { step.capabilities.join(", ") };
            details.push(format!("plugin {plugin}{pin} · needs {needs}"));
            details.push(policy(&step.policy, step.compensate));
        }
        details.extend(step.undo.as_ref().filter(|_| step.compensate).map(undo));
        details.extend(step.when.iter().map(condition));
        if let Some(fan) = &step.fan {
            let item = fan.item.as_str().map_or_else(|| fan.item.to_string(), str::to_owned);
            details.push(format!("item {item} of {} · at most {} at once", fan.of, fan.limit));
        }
        if let Some(approval) = &step.approval {
            let within = approval.expires_ms.map_or_else(String::new, |ms| format!(" within {}", duration(ms)));
            let quorum = plural(u64::from(approval.quorum), "person").replace("persons", "people");
            let people = approval.people.join(", ");
            let people = if people.is_empty() { people } else { format!(" ({people})") };
            details.push(format!("asks role {}{people}: {quorum}{within}", approval.role));
        }
        for makes in &step.makes {
            let end = if makes.removable { "removed at the end of the run" } else { "not removed by itself" };
            details.push(format!("makes {} at {} · {end}", makes.what, makes.target));
        }
        let after: Vec<String> = self.graph.predecessors(&step.id).iter().map(|id| id.as_str().to_owned()).collect();
        if !after.is_empty() {
            details.push(format!("after {}", after.join(", ")));
        }
        if step.scan {
            details.push("a scan: what is suspect before it holds no switch after it".to_owned());
        }
        for waiver in &step.waivers {
            details.push(format!("waived {}: {}", waiver.rule, waiver.reason));
        }
        details.retain(|detail| !detail.is_empty());
        details
    }

    fn target(&self, role: &str, name: &str) -> String {
        let site = self.plan.targets.get(name).and_then(|target| target.site.as_deref());
        site.map_or_else(|| format!("{role} {name}"), |site| format!("{role} {name} at {site}"))
    }

    fn foot(&mut self) {
        self.line("");
        let (path, total) = self.graph.critical_path(self.plan, |step| self.outlook.estimate(step).unwrap_or(0));
        let part = |id: &lifeboat_core::StepId| {
            let estimate = self.plan.step(id).and_then(|step| self.outlook.estimate(step)).map(duration);
            estimate.map_or_else(|| format!("{id} (?)"), |time| format!("{id} ({time})"))
        };
        let chain = path.iter().map(part).collect::<Vec<_>>().join(" → ");
        let known = path.iter().any(|id| self.plan.step(id).and_then(|step| self.outlook.estimate(step)).is_some());
        let critical = match (path.is_empty(), known) {
            (true, _) => "none: there are no steps".to_owned(),
            (_, true) => format!("{} along *: {chain}", duration(total)),
            // A sum over nothing is no time: 0 ms would be a promise.
            (_, false) => {
                let chain = path.iter().map(lifeboat_core::StepId::as_str).collect::<Vec<_>>().join(" → ");
                format!("no estimates; the most steps are along *: {chain}")
            }
        };
        self.fact("critical path", &critical);
        let edge = self.graph.point_of_no_return(self.plan);
        let edge = edge.map_or_else(
            || "none: every step can be undone or does no harm".to_owned(),
            |id| format!("{id}: it cannot be undone once it has begun"),
        );
        self.fact("no return", &edge);
        let asked: Vec<&str> =
            self.plan.steps.iter().filter(|step| step.approval.is_some()).map(|step| step.id.as_str()).collect();
        self.fact("approvals", &list(&asked, ", "));
        let locks: Vec<&str> = self.plan.locks().into_iter().collect();
        if !locks.is_empty() {
            self.fact("locks", &locks.join(", "));
        }
        let undone: Vec<&str> =
            self.plan.steps.iter().filter(|step| step.compensate).map(|step| step.id.as_str()).collect();
        let failure = if self.plan.on_failure.compensate && !undone.is_empty() {
            format!("undo what is done of {}, last first", undone.join(", "))
        } else {
            "stop and ask; nothing is undone by itself".to_owned()
        };
        self.fact("on failure", &failure);
    }
}

fn policy(policy: &Policy, compensate: bool) -> String {
    let mut text = format!("timeout {}", duration(policy.timeout_ms));
    if let Some(ms) = policy.heartbeat_ms {
        text.push_str(&format!(" · heartbeat {}", duration(ms)));
    }
    let retry = &policy.retry;
    if retry.count == 0 {
        text.push_str(" · no retry");
    } else {
        let (from, to) = (duration(retry.backoff_ms), duration(retry.max_ms));
        text.push_str(&format!(" · retry {} after {from} to {to}", retry.count));
    }
    text.push_str(match policy.in_doubt {
        InDoubt::Probe => " · in doubt: probe",
        InDoubt::Rerun => " · in doubt: rerun",
        InDoubt::Ask => " · in doubt: ask",
    });
    text + if compensate { " · undone on failure" } else { "" }
}

fn undo(undo: &UndoPolicy) -> String {
    let retry = &undo.retry;
    let (from, to) = (duration(retry.backoff_ms), duration(retry.max_ms));
    let again =
        if retry.count == 0 { "no retry".into() } else { format!("retry {} after {from} to {to}", retry.count) };
    format!("to undo: timeout {} · {again}", duration(undo.timeout_ms))
}

fn condition(condition: &Condition) -> String {
    let asked = match &condition.test {
        Test::Holds => String::new(),
        Test::Is(value) => format!(" is {value}"),
        Test::Not(value) => format!(" is not {value}"),
        Test::Above(number) => format!(" is above {number}"),
        Test::Below(number) => format!(" is below {number}"),
    };
    format!("only when {}{asked}", condition.value)
}

/// The parts in a row, or the word for there being none.
fn list<S: std::borrow::Borrow<str>>(parts: &[S], separator: &str) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(separator) }
}

/// Lines of at most `width` characters, broken at spaces. A single longer word keeps its line to itself.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
