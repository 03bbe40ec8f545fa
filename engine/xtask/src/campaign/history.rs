//! What a run's events say, watched over all that happens to it: nothing that was seen once may be gone later, no
//! finished step may start again, and what a person was shown must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::world::World;

/// The run of a world as far as it was seen.
#[derive(Debug, Default)]
pub struct History {
    /// The run, once there is one.
    pub run: Option<String>,
    /// Its events, as they are stored.
    events: Vec<String>,
    /// How often a person was shown that a step began.
    begun: BTreeMap<String, usize>,
    /// The steps that a person was shown to be done.
    done: BTreeSet<String>,
}

/// What a run's events sum up to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Steps that were in doubt and asked about.
    pub probed: u64,
    /// Steps that were started again because they had not happened.
    pub again: u64,
    /// Steps that were started again though they were done. It must stay 0.
    pub repeated: u64,
}

impl History {
    /// Takes in what a command showed, and what the journal holds now. The last event in words, for the statistics.
    ///
    /// # Errors
    /// Something that was there, or that a person was shown, is gone; or the journal cannot be read.
    pub fn look(&mut self, world: &World, log: &Path) -> Result<String, String> {
        self.shown(&fs::read_to_string(log).unwrap_or_default());
        let list = world.good(&["runs", "--json"])?;
        let runs: Vec<Value> = serde_json::from_str(&list).map_err(|cause| format!("runs --json: {cause}\n{list}"))?;
        let names: Vec<&str> = runs.iter().filter_map(|run| run.get("run")?.as_str()).collect();
        match (names.as_slice(), &self.run) {
            ([], None) if self.begun.is_empty() => return Ok("before the run was made".to_owned()),
            ([one], known) if known.as_deref().is_none_or(|known| known == *one) => self.run = Some((*one).to_owned()),
            (others, known) => return Err(format!("there should be one run, {known:?}, and there are {others:?}")),
        }
        let run = self.run.clone().unwrap_or_default();
        let now: Vec<String> = world.good(&["events", &run])?.lines().map(str::to_owned).collect();
        if !now.starts_with(&self.events) {
            let same = now.iter().zip(&self.events).take_while(|(now, then)| now == then).count();
            return Err(format!(
                "of {} events that were seen, {} are there, and {same} are the same",
                self.events.len(),
                now.len()
            ));
        }
        self.events = now;
        let parsed = self.parsed()?;
        self.has_all_that_was_shown(&parsed)?;
        sums(world, &parsed)?;
        Ok(parsed.last().map_or("before the run was made".to_owned(), |event| phase(world, event)))
    }

    /// Whether the run has ended.
    pub fn ended(&self) -> bool {
        self.events.last().is_some_and(|line| line.contains(r#""event":"run-finished""#))
    }

    fn parsed(&self) -> Result<Vec<Value>, String> {
        let parse = |line: &String| serde_json::from_str(line).map_err(|cause| format!("an event: {cause}\n{line}"));
        self.events.iter().map(parse).collect()
    }

    /// Reads the lines that a person sees.
    fn shown(&mut self, text: &str) {
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["▸", step, _, "started", ..] => *self.begun.entry((*step).to_owned()).or_default() += 1,
                ["✓", step, _, "done", "in", ..] => drop(self.done.insert((*step).to_owned())),
                _ => {}
            }
        }
    }

    fn has_all_that_was_shown(&self, events: &[Value]) -> Result<(), String> {
        for (step, shown) in &self.begun {
            let stored = events.iter().filter(|event| is(event, "attempt-started", step)).count();
            if stored < *shown {
                return Err(format!("{shown} attempts of step '{step}' were shown, and {stored} are stored"));
            }
        }
        match self.done.iter().find(|step| !events.iter().any(|event| is_done(event, step))) {
            Some(step) => Err(format!("step '{step}' was shown to be done, and that is not stored")),
            None => Ok(()),
        }
    }

    /// The sums over a run that must have succeeded, with every step done once.
    ///
    /// # Errors
    /// It did not, or one was not.
    pub fn close(&self, world: &World) -> Result<Sums, String> {
        let events = self.parsed()?;
        let last = events.last().and_then(|event| event.get("result")).and_then(Value::as_str);
        if last != Some("succeeded") {
            return Err(format!("the run ended with {last:?}, not with success"));
        }
        for step in &world.plan.steps {
            let times = events.iter().filter(|event| is_done(event, &step.id)).count();
            if times != 1 {
                return Err(format!("step '{}' was done {times} times", step.id));
            }
        }
        sums(world, &events)
    }
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event.get(field).and_then(Value::as_str).unwrap_or("")
}

fn is(event: &Value, kind: &str, step: &str) -> bool {
    text(event, "event") == kind && text(event, "step") == step
}

fn is_done(event: &Value, step: &str) -> bool {
    (is(event, "attempt-finished", step) && text(event, "outcome") == "done")
        || (is(event, "probed", step) && text(event, "answer") == "happened")
}

fn phase(world: &World, event: &Value) -> String {
    let (kind, step) = (text(event, "event"), text(event, "step"));
    if step.is_empty() { kind.to_owned() } else { format!("{kind} {}", world.plan.kind(step)) }
}

/// Counts, and refuses a step that is started after it was done, or started twice without a question between.
fn sums(world: &World, events: &[Value]) -> Result<Sums, String> {
    let mut sums = Sums::default();
    for step in &world.plan.steps {
        let mut done = false;
        let mut open = false;
        for event in events.iter().filter(|event| text(event, "step") == step.id) {
            match text(event, "event") {
                "attempt-started" => {
                    sums.repeated += u64::from(done);
                    sums.again += u64::from(event.get("number").and_then(Value::as_u64) > Some(1));
                    if open {
                        return Err(format!("step '{}' was started again without a question", step.id));
                    }
                    open = true;
                }
                "probed" => {
                    sums.probed += 1;
                    open = false;
                }
                "attempt-finished" if text(event, "outcome") == "failed" => {
                    return Err(format!("step '{}' failed: {event}", step.id));
                }
                "attempt-finished" if text(event, "outcome") == "done" => open = false,
                // What only reads may be repeated without a question.
                "attempt-finished" if matches!(step.kind, "verify" | "validate") => open = false,
                _ => {}
            }
            done |= is_done(event, &step.id);
        }
    }
    if sums.repeated > 0 { Err(format!("{} finished steps were started again", sums.repeated)) } else { Ok(sums) }
}
