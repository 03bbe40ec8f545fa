//! What names stand for: targets, plugins, the vault that a snapshot lives in, references. The same in every mode.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lifeboat_core::plan::{Effect, StepKind, TargetUse};
use lifeboat_core::plugin::{Catalog, KindDescription};
use lifeboat_core::template;
use serde_json::Value;

use crate::diagnostic::Span;
use crate::model::{Named, Runbook, StepDef};
use crate::report::Report;
use crate::schema::{Schemas, Subject, wrap_lists};

/// What was found out about a step.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) targets: Vec<TargetUse>,
    pub(crate) plugin: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) can_probe: bool,
    pub(crate) can_compensate: bool,
    pub(crate) capabilities: Vec<String>,
    pub(crate) edges: Vec<Edge>,
    /// The step whose snapshot it takes.
    pub(crate) source: Option<usize>,
}

/// An order between two steps: this one comes after `on`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) on: usize,
    pub(crate) data: bool,
    pub(crate) span: Span,
}

pub(crate) struct Resolver<'a> {
    pub(crate) runbook: &'a Runbook,
    pub(crate) catalog: &'a Catalog,
    pub(crate) steps: HashMap<&'a str, usize>,
    targets: HashMap<&'a str, usize>,
    used_targets: BTreeSet<String>,
    pub(crate) used_inputs: BTreeSet<String>,
}

/// Lists that were written as one value become lists, as the plugins' schemas want them.
pub(crate) fn normalise(runbook: &mut Runbook, catalog: &Catalog) {
    let plugins: BTreeMap<String, String> =
        runbook.targets.iter().map(|target| (target.name.text.clone(), target.plugin.text.clone())).collect();
    for target in &mut runbook.targets {
        if let Some(known) = catalog.get(&target.plugin.text) {
            wrap_lists(&mut target.settings, &known.description.settings);
        }
    }
    for change in &mut runbook.overrides {
        if let Some(known) = plugins.get(&change.target.text).and_then(|plugin| catalog.get(plugin)) {
            wrap_lists(&mut change.settings, &known.description.settings);
        }
    }
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(runbook: &'a Runbook, catalog: &'a Catalog) -> Self {
        let mut steps = HashMap::new();
        for (index, step) in runbook.steps.iter().enumerate() {
            steps.entry(step.id.text.as_str()).or_insert(index);
        }
        let mut targets = HashMap::new();
        for (index, target) in runbook.targets.iter().enumerate() {
            targets.entry(target.name.text.as_str()).or_insert(index);
        }
        Self {
            runbook,
            catalog,
            steps,
            targets,
            used_targets: BTreeSet::new(),
            used_inputs: runbook.used_inputs.clone(),
        }
    }

    pub(crate) fn resolve(mut self, report: &mut Report) -> Vec<Resolved> {
        let mut schemas = Schemas::default();
        self.check_targets(&mut schemas, report);
        let steps: Vec<Resolved> =
            (0..self.runbook.steps.len()).filter_map(|index| self.step(index, &mut schemas, report)).collect();
        for (reference, span) in &self.runbook.loose {
            self.reference(None, reference, *span, report);
        }
        self.unused(report);
        steps
    }

    fn check_targets(&mut self, schemas: &mut Schemas, report: &mut Report) {
        for target in &self.runbook.targets {
            let Some(known) = self.catalog.get(&target.plugin.text) else {
                let plugin = &target.plugin;
                report
                    .error("LB0210", plugin.span, format!("there is no plugin '{}'", plugin.text))
                    .did_you_mean(&plugin.text, self.catalog.keys().map(String::as_str));
                continue;
            };
            let schema = &known.description.settings;
            let plugin = target.plugin.text.as_str();
            let (value, places, head) = (&target.settings, &target.places, target.head);
            self.lock_references(target.lock.as_ref(), report);
            let secrets = Some(&known.description.secrets);
            schemas.check(&Subject { plugin, part: "settings", schema, value, places, secrets, head }, report);
            self.setting_references(target.references.as_deref(), value, places, head, report);
        }
        for change in &self.runbook.overrides {
            let name = &change.target;
            let Some(target) = self.target(&name.text) else {
                if !self.runbook.is_broken(&name.text) {
                    report
                        .error("LB0222", name.span, format!("there is no target '{}' to change", name.text))
                        .did_you_mean(&name.text, self.targets.keys().copied());
                }
                continue;
            };
            self.setting_references(
                change.references.as_deref(),
                &change.settings,
                &change.places,
                change.head,
                report,
            );
            self.lock_references(change.lock.as_ref(), report);
            let plugin = target.plugin.text.as_str();
            let Some(known) = self.catalog.get(plugin) else { continue };
            let value = &merged(&target.settings, &change.settings);
            let schema = &known.description.settings;
            let (places, head) = (&change.places, change.head);
            let secrets = Some(&known.description.secrets);
            schemas.check(&Subject { plugin, part: "settings", schema, value, places, secrets, head }, report);
        }
    }

    pub(crate) fn target(&self, name: &str) -> Option<&'a crate::model::TargetDef> {
        self.targets.get(name).and_then(|index| self.runbook.targets.get(*index))
    }

    fn step(&mut self, index: usize, schemas: &mut Schemas, report: &mut Report) -> Option<Resolved> {
        let runbook = self.runbook;
        let step = runbook.steps.get(index)?;
        let mut resolved = Resolved {
            targets: Vec::new(),
            plugin: None,
            effect: Effect::Read,
            can_probe: false,
            can_compensate: false,
            capabilities: Vec::new(),
            edges: Vec::new(),
            source: self.snapshot_source(step),
        };
        let lead = self.roles(index, step, &mut resolved, report);
        if let Some(kind) = lead.and_then(|target| self.plugin_kind(step, &target, &mut resolved, report)) {
            let plugin = resolved.plugin.clone().unwrap_or_default();
            let mut value = step.args.clone();
            wrap_lists(&mut value, &kind.args);
            let (plugin, part) = (plugin.as_str(), step.kind.as_str());
            let (schema, places, head) = (&kind.args, &step.places, step.head);
            schemas.check(&Subject { plugin, part, schema, value: &value, places, secrets: None, head }, report);
            self.kind_rules(step, kind, &mut resolved, report);
        }
        let conditions = step.when.iter().flat_map(|when| &when.references);
        for (reference, span) in step.references.iter().chain(conditions) {
            if let Some(on) = self.reference(Some(index), reference, *span, report) {
                resolved.edges.push(Edge { on, data: true, span: *span });
            }
        }
        for name in &step.after {
            match self.steps.get(name.text.as_str()) {
                Some(on) => resolved.edges.push(Edge { on: *on, data: false, span: name.span }),
                None if runbook.is_broken(&name.text) => {}
                None => {
                    report
                        .error("LB0214", name.span, format!("there is no step '{}' to come after", name.text))
                        .did_you_mean(&name.text, self.step_names());
                }
            }
        }
        Some(resolved)
    }

    /// The step that a `snapshot=` refers to.
    fn snapshot_source(&self, step: &StepDef) -> Option<usize> {
        let text = &step.snapshot.as_ref()?.text;
        let references = template::references(text).ok()?;
        let [only] = references.as_slice() else { return None };
        match only.path.as_slice() {
            [root, name, _] if root == "steps" => self.steps.get(name.as_str()).copied(),
            _ => None,
        }
    }

    /// Fills in the targets by role. The result is the target whose plugin carries the step out.
    fn roles(&mut self, index: usize, step: &StepDef, resolved: &mut Resolved, report: &mut Report) -> Option<Named> {
        let mut roles: BTreeMap<&'static str, Named> = step.roles.clone();
        if matches!(step.kind, StepKind::Verify | StepKind::Transfer | StepKind::Restore) {
            self.vault_role(index, step, &mut roles, report);
        }
        let mut all_known = true;
        for (role, name) in &roles {
            self.used_targets.insert(name.text.clone());
            if self.target(&name.text).is_none() {
                all_known = false;
                if !self.runbook.is_broken(&name.text) {
                    report
                        .error("LB0209", name.span, format!("there is no target '{}'", name.text))
                        .did_you_mean(&name.text, self.targets.keys().copied());
                }
            }
            resolved.targets.push(TargetUse { role: (*role).to_owned(), target: name.text.clone() });
        }
        let pair = match step.kind {
            StepKind::Snapshot => roles.get("of").zip(roles.get("into")),
            StepKind::Transfer | StepKind::Restore => roles.get("from").zip(roles.get("into")),
            _ => None,
        };
        if let Some((source, into)) = pair
            && source.text == into.text
        {
            report
                .error("LB0228", into.span, format!("'{}' is both the source and the destination", into.text))
                .help("a copy in the place of the original is no copy: name another target");
        }
        if matches!(step.kind, StepKind::Snapshot | StepKind::Transfer) {
            self.must_keep_vaults(roles.get("into"), report);
        }
        let lead = match step.kind {
            StepKind::Snapshot => "of",
            StepKind::Verify | StepKind::Transfer => "from",
            StepKind::Restore => "into",
            _ => "target",
        };
        roles
            .get(lead)
            .filter(|_| all_known || roles.get(lead).is_some_and(|n| self.target(&n.text).is_some()))
            .cloned()
    }

    fn must_keep_vaults(&self, into: Option<&Named>, report: &mut Report) {
        let Some(into) = into else { return };
        let Some(target) = self.target(&into.text) else { return };
        if self.catalog.get(&target.plugin.text).is_some_and(|known| !known.description.store) {
            let message = format!("plugin '{}' of target '{}' keeps no vaults", target.plugin.text, into.text);
            report.error("LB0225", into.span, message).help("use a target whose plugin exports `store`, as fs");
        }
    }

    /// Whether two targets are one place: a child runbook has its own name for the vault that its parent uses, too.
    fn one_place(&self, one: &str, other: &str) -> bool {
        let (Some(one), Some(other)) = (self.target(one), self.target(other)) else { return false };
        (&one.plugin.text, &one.settings, &one.secrets) == (&other.plugin.text, &other.settings, &other.secrets)
    }

    /// The vault of a snapshot: written as `from=`, or followed through the references.
    fn vault_role(&self, index: usize, step: &StepDef, roles: &mut BTreeMap<&'static str, Named>, report: &mut Report) {
        let Some(snapshot) = &step.snapshot else { return };
        let traced = self.trace(index);
        match (roles.get("from"), traced) {
            (Some(from), Some(vault)) if from.text != vault.text && !self.one_place(&from.text, &vault.text) => {
                report
                    .error("LB0229", from.span, format!("this snapshot is in '{}', not in '{}'", vault.text, from.text))
                    .label(snapshot.span, "this snapshot")
                    .help("remove from=: it follows from the reference");
            }
            (Some(_), _) => {}
            (None, Some(vault)) => {
                roles.insert("from", Named { text: vault.text.clone(), span: snapshot.span });
            }
            (None, None) if self.snapshot_is_reported(&snapshot.text) => {}
            (None, None) => {
                report
                    .error("LB0215", snapshot.span, "nothing says which vault this snapshot is in")
                    .help("add from=\"VAULT\", or refer to the step that made it: {{steps.NAME.snapshot}}");
            }
        }
    }

    /// Whether a snapshot's text refers to a step: then what is wrong with it is reported as such.
    fn snapshot_is_reported(&self, text: &str) -> bool {
        match template::references(text) {
            Ok(found) => found
                .iter()
                .any(|reference| reference.path.first().is_some_and(|root| root != "inputs" && root != "run")),
            Err(_) => true,
        }
    }

    /// Follows `snapshot=` from step to step to the one that says which vault it is in.
    pub(crate) fn trace(&self, index: usize) -> Option<&'a Named> {
        let mut at = self.snapshot_source(self.runbook.steps.get(index)?)?;
        // A chain without an end is a cycle, which is reported as one.
        for _ in 0..=self.runbook.steps.len() {
            let step = self.runbook.steps.get(at)?;
            match step.kind {
                StepKind::Snapshot | StepKind::Transfer => return step.roles.get("into"),
                StepKind::Verify => match step.roles.get("from") {
                    Some(from) => return Some(from),
                    None => at = self.snapshot_source(step)?,
                },
                _ => return None,
            }
        }
        None
    }

    fn plugin_kind(
        &self,
        step: &StepDef,
        lead: &Named,
        resolved: &mut Resolved,
        report: &mut Report,
    ) -> Option<&'a KindDescription> {
        let plugin = &self.target(&lead.text)?.plugin;
        let known = self.catalog.get(&plugin.text)?;
        let Some(kind) = known.description.kind(step.kind) else {
            let kinds: Vec<&str> = known.description.kinds.iter().map(|kind| kind.kind.as_str()).collect();
            report
                .error("LB0211", lead.span, format!("plugin '{}' carries out no {}", plugin.text, step.kind.as_str()))
                .help(format!("it carries out: {}", kinds.join(", ")));
            return None;
        };
        resolved.plugin = Some(plugin.text.clone());
        let asked = |name: &String| step.args.get(name) == Some(&Value::Bool(true));
        resolved.effect = if kind.irreversible_with.iter().any(asked) { Effect::Irreversible } else { kind.effect };
        resolved.can_probe = kind.probe;
        resolved.can_compensate = kind.compensate;
        resolved.capabilities.clone_from(&kind.capabilities);
        Some(kind)
    }

    /// What a step may ask of its plugin.
    fn kind_rules(&self, step: &StepDef, kind: &KindDescription, resolved: &mut Resolved, report: &mut Report) {
        let name = resolved.plugin.as_deref().unwrap_or_default();
        if let Some((true, span)) = step.compensate
            && !kind.compensate
        {
            let message = format!("plugin '{name}' cannot undo a {}", step.kind.as_str());
            report.error("LB0307", span, message).help("remove compensate");
        }
        if let Some((lifeboat_core::plan::InDoubt::Probe, span)) = step.policy.in_doubt
            && !kind.probe
        {
            let message = format!("plugin '{name}' cannot tell whether a {} happened", step.kind.as_str());
            report.error("LB0308", span, message).help("write in-doubt=\"ask\", or \"rerun\" where it is idempotent");
        }
    }

    /// What is not used may well be meant by a name that is wrong: with errors there are no such warnings.
    fn unused(&self, report: &mut Report) {
        if report.has_errors() {
            return;
        }
        for target in self.runbook.targets.iter().filter(|_| !self.runbook.targets_by_item) {
            let here = report.file_number(target.name.span.offset) == 0;
            if here && !self.used_targets.contains(&target.name.text) && self.runbook.broken.is_empty() {
                report
                    .warn("LB0217", target.name.span, format!("no step uses target '{}'", target.name.text))
                    .help("remove it, or use it");
            }
        }
        for input in &self.runbook.inputs {
            // A required input that no step reads is still asked for and recorded: a reason, a ticket.
            let here = report.file_number(input.name.span.offset) == 0;
            if here && !self.used_inputs.contains(&input.name.text) && !input.required && self.runbook.broken.is_empty()
            {
                report
                    .warn("LB0218", input.name.span, format!("nothing refers to input '{}'", input.name.text))
                    .help("remove it, refer to it as {{inputs.NAME}}, or make it required to have it recorded");
            }
        }
    }
}

/// Settings with the members that a mode has instead.
pub(crate) fn merged(base: &Value, change: &Value) -> Value {
    let (Some(base), Some(change)) = (base.as_object(), change.as_object()) else { return base.clone() };
    let mut all = base.clone();
    all.extend(change.iter().map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(all)
}
