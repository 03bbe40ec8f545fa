//! A drill writes to nothing that production uses.

use std::collections::{HashMap, HashSet};

use lifeboat_core::plan::{Effect, Mode, StepKind};
use serde_json::Value;

use crate::model::{Override, Runbook, StepDef, TargetDef};
use crate::report::Report;
use crate::resolve::{Resolved, merged};

/// A setting that may be a path, with its parts.
struct Path {
    name: String,
    text: String,
    parts: Vec<String>,
}

/// A target that production uses.
struct Place<'a> {
    target: &'a TargetDef,
    paths: Vec<Path>,
}

/// What is known of a runbook's targets. It is found out once: there may be thousands of them.
pub(crate) struct Drill<'a> {
    targets: HashMap<&'a str, &'a TargetDef>,
    changes: HashMap<&'a str, &'a Override>,
    production: Vec<Place<'a>>,
}

/// A place of production that a drill would write to: its number, and why.
type Clash = Option<(usize, String)>;

impl<'a> Drill<'a> {
    pub(crate) fn new(runbook: &'a Runbook) -> Self {
        let modes = runbook.modes();
        let outside = |step: &&StepDef| step.modes.iter().any(|mode| *mode != Mode::Drill && modes.contains(mode));
        let used: HashSet<&str> = runbook
            .steps
            .iter()
            .filter(outside)
            .flat_map(|step| step.roles.values())
            .map(|n| n.text.as_str())
            .collect();
        let production = runbook.targets.iter().filter(|target| used.contains(target.name.text.as_str()));
        let mut targets = HashMap::new();
        let mut changes = HashMap::new();
        for target in &runbook.targets {
            targets.entry(target.name.text.as_str()).or_insert(target);
        }
        for change in runbook.overrides.iter().filter(|change| change.mode == Mode::Drill) {
            changes.entry(change.target.text.as_str()).or_insert(change);
        }
        let production = production.map(|target| Place { target, paths: paths(&target.settings) }).collect();
        Self { targets, changes, production }
    }

    pub(crate) fn check(&self, step: &StepDef, found: &Resolved, report: &mut Report) {
        let role = match step.kind {
            StepKind::Restore => "into",
            StepKind::Switch => "target",
            _ => return,
        };
        if found.effect == Effect::Read {
            return;
        }
        let Some(written) = step.roles.get(role) else { return };
        let Some((number, what)) = self.clash(&written.text) else { return };
        let Some(other) = self.production.get(number).map(|place| place.target) else { return };
        let change = self.changes.get(written.text.as_str());
        let message = format!("in a drill, step '{}' would write to production: '{}'", step.id.text, other.name.text);
        report
            .error("LB0306", written.span, message)
            .label(change.map_or(other.head, |change| change.head), what)
            .help(format!(
                "give drills a place of their own: mode \"drill\" {{ target \"{}\" {{ ... }} }}",
                written.text.rsplit('/').next().unwrap_or_default()
            ));
    }

    fn clash(&self, name: &str) -> Clash {
        let target = self.targets.get(name)?;
        let change = self.changes.get(name);
        let settings = change.map_or_else(|| target.settings.clone(), |c| merged(&target.settings, &c.settings));
        let own = paths(&settings);
        self.production.iter().enumerate().find_map(|(number, place)| {
            if place.target.plugin.text != target.plugin.text {
                return None;
            }
            if place.target.settings == settings {
                return Some((number, "its settings are the same".to_owned()));
            }
            let (drill, production) = nested(&own, &place.paths)?;
            Some((number, format!("{drill} and {production} are one inside the other")))
        })
    }
}

/// The settings that may be paths, without what does not change their meaning.
fn paths(settings: &Value) -> Vec<Path> {
    let texts = settings.as_object().into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_str()?)));
    let paths = texts.filter(|(name, text)| *name == "root" || text.starts_with('/'));
    paths.map(|(name, text)| Path { name: name.clone(), text: text.to_owned(), parts: parts(text) }).collect()
}

fn parts(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part.to_owned());
        }
    }
    parts
}

/// Two paths of the same setting of which one is inside the other, as written.
fn nested<'p>(ours: &'p [Path], theirs: &'p [Path]) -> Option<(&'p str, &'p str)> {
    ours.iter().find_map(|own| {
        let other = theirs.iter().find(|other| other.name == own.name)?;
        let inside = own.parts.iter().zip(&other.parts).all(|(a, b)| a == b);
        inside.then_some((own.text.as_str(), other.text.as_str()))
    })
}
