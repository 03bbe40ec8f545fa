//! References: what each one names, and whether that is there.

use lifeboat_core::plan::StepKind;
use lifeboat_core::plugin::KindDescription;
use lifeboat_core::template::{self, Reference};
use serde_json::Value;

use crate::diagnostic::Span;
use crate::model::{Group, LockDef, Places};
use crate::report::Report;
use crate::resolve::Resolver;
use crate::schema::find_output;

impl<'a> Resolver<'a> {
    /// The name of a lock is fixed when a run starts, as settings are.
    pub(crate) fn lock_references(&mut self, lock: Option<&LockDef>, report: &mut Report) {
        let Some(LockDef::Name(name)) = lock else { return };
        let places = Places::from([(String::new(), name.span)]);
        self.setting_references(None, &Value::String(name.text.clone()), &places, name.span, report);
    }

    /// Settings are fixed when a run starts: they can hold inputs and the run's own facts, and no outputs.
    pub(crate) fn setting_references(
        &mut self,
        known: Option<&[(Reference, Span)]>,
        value: &Value,
        places: &crate::model::Places,
        head: Span,
        report: &mut Report,
    ) {
        let mut found = known.unwrap_or_default().to_vec();
        let texts = if known.is_some() { &Value::Null } else { value };
        crate::steps::walk(texts, "", &mut |pointer, text| {
            let span = crate::steps::place_of(places, pointer).unwrap_or(head);
            match template::references(text) {
                Ok(references) => found.extend(references.into_iter().map(|reference| (reference, span))),
                Err(error) => crate::steps::malformed(&error.message, span, report),
            }
        });
        for (reference, span) in found {
            if reference.path.first().is_some_and(|root| root == "steps") {
                let message = format!("'{}' cannot be a part of a target's settings", reference.dotted());
                report
                    .error("LB0223", span, message)
                    .help("settings are fixed when a run starts: use {{inputs.NAME}}, {{run.id}} or {{run.mode}}");
            } else {
                self.reference(None, &reference, span, report);
            }
        }
    }

    /// Checks a reference. The step that it refers to, if it does.
    pub(crate) fn reference(
        &mut self,
        step: Option<usize>,
        reference: &Reference,
        span: Span,
        report: &mut Report,
    ) -> Option<usize> {
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["run", "id" | "mode"] => None,
            ["run", rest @ ..] => {
                report
                    .error("LB0206", span, format!("'{}' is not a fact of a run", reference.dotted()))
                    .did_you_mean(rest.first().unwrap_or(&""), ["id", "mode"]);
                None
            }
            ["inputs", name] => {
                self.used_inputs.insert((*name).to_owned());
                let inputs: Vec<&str> = self.runbook.inputs.iter().map(|input| input.name.text.as_str()).collect();
                if !inputs.contains(name) && !self.runbook.is_broken(name) {
                    report.error("LB0205", span, format!("there is no input '{name}'")).did_you_mean(name, inputs);
                }
                None
            }
            ["steps", name, _, ..] => self.step_reference(step, name, reference, span, report),
            ["steps" | "inputs", ..] => {
                report
                    .error("LB0206", span, format!("'{}' does not name a value", reference.dotted()))
                    .help("write {{steps.NAME.OUTPUT}} or {{inputs.NAME}}");
                None
            }
            ["item"] => {
                report
                    .error("LB0230", span, "there is no item here")
                    .help("{{item}} is for steps with a for-each; give it to a child runbook as an input");
                None
            }
            _ => {
                let root = path.first().copied().unwrap_or_default();
                report
                    .error("LB0202", span, format!("'{root}' is nothing that can be referred to"))
                    .did_you_mean(root, ["steps", "inputs", "run"]);
                None
            }
        }
    }

    /// The group that a name stands for, or that it names an item of which there is not.
    fn group<'n>(&self, name: &'n str) -> Option<(Group, &'n str)> {
        if let Some(group) = self.runbook.groups.get(name) {
            return Some((*group, name));
        }
        let (parent, _) = name.rsplit_once('/')?;
        let each = self.runbook.groups.get(parent).is_some_and(|group| *group == Group::Each);
        each.then_some((Group::Each, parent))
    }

    /// All that can be waited for.
    pub(crate) fn step_names(&self) -> impl Iterator<Item = &str> {
        self.steps.keys().copied().chain(self.runbook.groups.keys().map(String::as_str))
    }

    fn step_reference(
        &self,
        from: Option<usize>,
        name: &str,
        reference: &Reference,
        span: Span,
        report: &mut Report,
    ) -> Option<usize> {
        let Some(on) = self.steps.get(name).copied() else {
            if let Some((group, name)) = self.group(name) {
                many(group, name, span, report);
            } else if !self.runbook.is_broken(name) {
                report
                    .error("LB0203", span, format!("there is no step '{name}'"))
                    .did_you_mean(name, self.step_names());
            }
            return None;
        };
        if from == Some(on) {
            report
                .error("LB0208", span, format!("step '{name}' refers to itself"))
                .help("refer to a step that comes before it");
            return None;
        }
        let step = self.runbook.steps.get(on)?;
        if !step.kind.by_plugin() {
            report
                .error("LB0224", span, format!("'{name}' ({}) has no outputs", step.kind.as_str()))
                .help(format!("to come after it, write after=\"{name}\""));
            return Some(on);
        }
        self.output(from, on, reference, span, report);
        Some(on)
    }

    fn output(&self, from: Option<usize>, on: usize, reference: &Reference, span: Span, report: &mut Report) {
        let Some(step) = self.runbook.steps.get(on) else { return };
        let output = reference.path.get(2..).unwrap_or_default();
        if let Some(kind) = self.kind_of(on)
            && let Err((part, known)) = find_output(&kind.outputs, output)
        {
            let message = format!("step '{}' ({}) has no output '{part}'", step.id.text, step.kind.as_str());
            report.error("LB0204", span, message).did_you_mean(part, known.iter().map(String::as_str));
            return;
        }
        let as_snapshot = from
            .and_then(|from| self.runbook.steps.get(from))
            .and_then(|from| from.snapshot.as_ref())
            .is_some_and(|snapshot| snapshot.span == span);
        let gives = matches!(step.kind, StepKind::Snapshot | StepKind::Verify | StepKind::Transfer);
        if as_snapshot && !(gives && output.first().is_some_and(|name| name == "snapshot")) {
            report
                .error("LB0216", span, format!("'{}' is not a snapshot", reference.dotted()))
                .help("refer to the output 'snapshot' of a snapshot, verify or transfer");
        }
    }

    /// The description of a step's kind by its plugin, where both are known.
    fn kind_of(&self, index: usize) -> Option<&'a KindDescription> {
        let step = self.runbook.steps.get(index)?;
        let lead = match step.kind {
            StepKind::Snapshot => step.roles.get("of"),
            StepKind::Restore => step.roles.get("into"),
            StepKind::Verify | StepKind::Transfer => step.roles.get("from").or_else(|| self.trace(index)),
            _ => step.roles.get("target"),
        };
        let plugin = &self.target(&lead?.text)?.plugin.text;
        self.catalog.get(plugin)?.description.kind(step.kind)
    }
}

/// A name that stands for several steps has no outputs.
fn many(group: Group, name: &str, span: Span, report: &mut Report) {
    let (what, help) = match group {
        Group::Each => (
            "one step for each item",
            format!(
                "refer to it from a for-each over the same list; to come after all of them, write after=\"{name}\""
            ),
        ),
        Group::Run => (
            "a child runbook",
            format!("name a step of it: {{{{steps.{name}/STEP.OUTPUT}}}}; to come after it, write after=\"{name}\""),
        ),
    };
    report.error("LB0232", span, format!("'{name}' stands for {what}, and has no outputs of its own")).help(help);
}
