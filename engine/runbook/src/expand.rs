//! A runbook is spread out before anything else is checked: a step with a for-each becomes one step an item, a child
//! runbook becomes its steps and targets. So the plan that a person approves has every step that will run, and all
//! rules hold for all of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use lifeboat_core::limits::{
    EVENT_BYTES_MAX, FAN_OUT_MAX, FILE_DEPTH_MAX, PARALLEL_PER_RUN_DEFAULT, STEPS_PER_PLAN_MAX,
};
use lifeboat_core::plan::{Fan, Mode};
use serde_json::Value;

use crate::diagnostic::Span;
use crate::each::{EachDef, EachList, Item, is_plain, named};
use crate::fill::{At, Budget, Filled, Scope};
use crate::model::{Group, InputType, LockDef, Named, RunDef, Runbook, StepDef, WhenDef};
use crate::report::Report;

/// What a part of a plan takes besides its texts.
const PART_BYTES: usize = 256;
/// The stand-in for an item where the list has no value yet.
const STAND_IN: &str = "item";

/// The items of a list input, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// `None`: no run has given them yet.
    pub(crate) items: Option<Vec<String>>,
    /// An item that is there without a run giving it.
    pub(crate) example: Option<String>,
}

/// What holds for all that is spread out below a runbook.
#[derive(Clone, Default)]
struct Below {
    lists: HashMap<String, List>,
    when: Vec<WhenDef>,
    fan: Option<Fan>,
    /// `None`: it is in no mode, since it stands for no item.
    modes: Vec<Mode>,
    depth: usize,
}

/// Spreads a runbook out.
pub(crate) struct Expander<'a> {
    pub(crate) children: &'a [Runbook],
    /// The modes that are looked at.
    pub(crate) modes: &'a [Mode],
    /// Nothing is run: an empty list has a stand-in, so that what it would do is checked.
    pub(crate) checking: bool,
    pub(crate) flat: Runbook,
    /// By group: the steps after which it is complete.
    last: HashMap<String, Vec<String>>,
    full: bool,
    budget: Budget,
}

/// The runbook with all its steps; `None` where it has them already.
pub(crate) fn expand(
    root: &Runbook,
    children: &[Runbook],
    values: &BTreeMap<String, Value>,
    modes: &[Mode],
    checking: bool,
    report: &mut Report,
) -> Option<Runbook> {
    if root.runs.is_empty() && root.steps.iter().all(|step| step.each.is_none()) {
        return None;
    }
    let flat = Runbook { steps: Vec::new(), runs: Vec::new(), ..root.clone() };
    let mut expander = Expander {
        children,
        modes,
        checking,
        flat,
        last: HashMap::new(),
        full: false,
        budget: Budget::new(EVENT_BYTES_MAX),
    };
    let lists = root.inputs.iter().filter(|input| input.kind == InputType::List).map(|input| {
        let known = values.get(&input.name.text).and_then(Value::as_array);
        let items = known.map(|items| items.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        let default = input.default.as_ref().and_then(|default| default.get(0)?.as_str());
        (input.name.text.clone(), List { items, example: default.map(str::to_owned) })
    });
    let below = Below { lists: lists.collect(), modes: Mode::ALL.to_vec(), ..Below::default() };
    expander.runbook(root, String::new(), None, &below, report);
    Some(expander.flat)
}

impl Expander<'_> {
    fn runbook(
        &mut self,
        runbook: &Runbook,
        prefix: String,
        inputs: Option<HashMap<String, Filled>>,
        below: &Below,
        report: &mut Report,
    ) {
        let start = self.flat.steps.len();
        let steps = runbook.steps.iter().map(|step| (&step.id, &step.each));
        let fans = steps.chain(runbook.runs.iter().map(|run| (&run.id, &run.each)));
        let fans = fans.filter_map(|(id, each)| Some((id.text.clone(), each.as_ref()?.list.clone()))).collect();
        let scope = Scope { prefix, inputs, fans, budget: self.budget.clone() };
        if below.depth > 0 {
            self.targets(runbook, &scope);
        }
        let mut runs = runbook.runs.iter().peekable();
        for (place, step) in runbook.steps.iter().enumerate() {
            while let Some(run) = runs.next_if(|run| run.at <= place) {
                self.run(run, &scope, below, report);
            }
            self.step(step, &scope, below, report);
            if self.full {
                return;
            }
        }
        for run in runs {
            self.run(run, &scope, below, report);
        }
        self.spread_after(start);
        self.is_spent(runbook.head, report);
    }

    /// A name in `after` that stands for several steps becomes their names.
    fn spread_after(&mut self, start: usize) {
        if self.last.is_empty() {
            return;
        }
        for step in self.flat.steps.iter_mut().skip(start) {
            if !step.after.iter().any(|name| self.last.contains_key(&name.text)) {
                continue;
            }
            let mut all = Vec::new();
            for name in std::mem::take(&mut step.after) {
                match self.last.get(&name.text) {
                    Some(last) if self.budget.take(last.iter().map(|text| text.len() + 8).sum()) => {
                        all.extend(last.iter().map(|text| Named { text: text.clone(), span: name.span }));
                    }
                    Some(_) => {}
                    None => all.push(name),
                }
            }
            step.after = all;
        }
    }

    fn targets(&mut self, runbook: &Runbook, scope: &Scope) {
        let lock = |lock: &Option<LockDef>| match lock {
            Some(LockDef::Name(name)) => {
                let text = scope.text(&name.text, name.span, None).text;
                Some(LockDef::Name(Named { text, span: name.span }))
            }
            other => other.clone(),
        };
        for target in &runbook.targets {
            let mut made = target.clone();
            made.name.text = scope.name(&target.name.text);
            let mut found = Vec::new();
            made.settings = scope.value(&target.settings, "", (&target.places, target.head), None, &mut found);
            self.budget.take(weight(&made.settings));
            made.references = Some(found);
            made.lock = lock(&target.lock);
            self.flat.targets.push(made);
        }
        for change in &runbook.overrides {
            let mut made = change.clone();
            made.target.text = scope.name(&change.target.text);
            let mut found = Vec::new();
            made.settings = scope.value(&change.settings, "", (&change.places, change.head), None, &mut found);
            self.budget.take(weight(&made.settings));
            made.references = Some(found);
            made.lock = lock(&change.lock);
            self.flat.overrides.push(made);
        }
        let broken = runbook.broken.iter().filter(|name| !name.is_empty()).map(|name| scope.name(name));
        self.flat.broken.extend(broken);
        self.flat.incomplete |= runbook.incomplete;
    }

    /// The items of a for-each. The second value: they stand for none.
    fn items(&mut self, each: &EachDef, scope: &Scope, below: &Below, report: &mut Report) -> (Vec<Item>, bool) {
        let example = match &each.list {
            EachList::Input(name) => below.lists.get(name).and_then(|list| list.example.as_deref()),
            _ => None,
        };
        let stand_in = || vec![Item { name: STAND_IN.to_owned(), text: example.unwrap_or(STAND_IN).to_owned() }];
        let items = match &each.list {
            EachList::Items(items) => Some(items.clone()),
            EachList::Unknown => None,
            EachList::Input(name) => {
                if scope.inputs.is_none() {
                    self.flat.used_inputs.insert(name.clone());
                }
                match below.lists.get(name) {
                    Some(list) => list.items.clone(),
                    None => {
                        self.no_list(name, each.span, scope, report);
                        return (stand_in(), false);
                    }
                }
            }
        };
        let Some(items) = items else { return (stand_in(), false) };
        if items.len() > FAN_OUT_MAX {
            report
                .error(
                    "LB0233",
                    each.span,
                    format!("this list has {} items, and at most {FAN_OUT_MAX} are done", items.len()),
                )
                .help("split it over several runs");
            return (stand_in(), false);
        }
        if let Some(item) = items.iter().find(|item| !is_plain(item)) {
            report
                .error("LB0231", each.span, format!("'{item}' cannot be an item: it would make a reference"))
                .help("an item holds no '{{', and ends neither with '{' nor with a backslash");
            return (stand_in(), false);
        }
        if let Some(twice) =
            items.iter().enumerate().find_map(|(at, item)| items.get(..at)?.contains(item).then_some(item))
        {
            report
                .error("LB0231", each.span, format!("'{twice}' is in this list twice"))
                .help("each item is done once; two at the same time would work on the same places");
            return (stand_in(), false);
        }
        if items.is_empty() {
            return (stand_in(), !self.checking);
        }
        (named(&items), false)
    }

    fn no_list(&self, name: &str, span: Span, scope: &Scope, report: &mut Report) {
        let declared = match &scope.inputs {
            Some(inputs) => inputs.contains_key(name),
            None => self.flat.inputs.iter().any(|input| input.name.text == name),
        };
        if declared {
            report
                .error("LB0231", span, format!("input '{name}' is not a list"))
                .help(format!("declare it so: input \"{name}\" type=\"list\""));
        } else if !self.flat.is_broken(&scope.name(name)) {
            let known = below_names(&self.flat, scope);
            report
                .error("LB0205", span, format!("there is no input '{name}'"))
                .did_you_mean(name, known.iter().map(String::as_str));
        }
    }

    fn fan(&self, of: String, item: &Item, each: &EachDef) -> Fan {
        let all = self.flat.max_parallel.unwrap_or(PARALLEL_PER_RUN_DEFAULT);
        Fan { of, item: Value::String(item.text.clone()), limit: each.limit.unwrap_or(all) }
    }

    fn step(&mut self, step: &StepDef, scope: &Scope, below: &Below, report: &mut Report) {
        let Some(each) = &step.each else {
            let made = one(step, scope, below, None);
            self.push(made, step.head, report);
            return;
        };
        let (items, none) = self.items(each, scope, below, report);
        let role = step.roles.values().find(|name| name.text.contains("{{item}}"));
        self.flat.targets_by_item |= role.is_some();
        if let (Some(role), EachList::Input(name)) = (role, &each.list)
            && below.lists.get(name).is_some_and(|list| list.example.is_none())
        {
            report
                .error("LB0234", role.span, "which targets these are is not known before a run")
                .help(format!("give input '{name}' a default, or write the items here: for-each \"a\" \"b\""));
            self.flat.broken.push(scope.name(&step.id.text));
            return;
        }
        let of = scope.name(&step.id.text);
        let mut last = Vec::with_capacity(items.len());
        for item in &items {
            let mut below = below.clone();
            below.fan = Some(self.fan(of.clone(), item, each));
            if none {
                below.modes.clear();
            }
            let made = one(step, scope, &below, Some(At { list: &each.list, item }));
            last.push(made.id.text.clone());
            self.push(made, step.head, report);
        }
        self.flat.groups.insert(of.clone(), Group::Each);
        self.last.insert(of, last);
    }

    fn push(&mut self, step: StepDef, span: Span, report: &mut Report) {
        self.budget.take(weight(&step.args) + step.when.iter().map(|when| when.text.text.len()).sum::<usize>());
        if self.full {
            return;
        }
        if self.flat.steps.len() >= STEPS_PER_PLAN_MAX {
            self.full = true;
            report
                .error("LB0127", span, format!("with this, the plan has more than {STEPS_PER_PLAN_MAX} steps"))
                .help("split it into several runbooks");
        } else if !self.is_spent(span, report) {
            self.flat.steps.push(step);
        }
    }

    /// Whether the plan is as large as it may be.
    fn is_spent(&mut self, span: Span, report: &mut Report) -> bool {
        if self.budget.is_spent() && !self.full {
            self.full = true;
            report
                .error("LB0235", span, format!("with this, the plan has more than {EVENT_BYTES_MAX} bytes"))
                .help("give child runbooks shorter texts, or split it into several runbooks");
        }
        self.full
    }

    fn run(&mut self, run: &RunDef, scope: &Scope, below: &Below, report: &mut Report) {
        if self.is_spent(run.head, report) {
            return;
        }
        let name = scope.name(&run.id.text);
        let Some(child) = run.child.and_then(|child| self.children.get(child)) else {
            // What is wrong with the file was said.
            self.flat.broken.push(name);
            return;
        };
        if below.depth >= FILE_DEPTH_MAX {
            crate::load::too_many(run.head, report);
            self.flat.broken.push(name);
            return;
        }
        self.check_modes(run, child, below, report);
        let Some(each) = &run.each else {
            let prefix = format!("{name}/");
            let last = self.one_run(run, child, prefix, (scope, None), below.clone(), report);
            self.flat.groups.insert(name.clone(), Group::Run);
            self.last.insert(name, last);
            return;
        };
        let (items, none) = self.items(each, scope, below, report);
        let mut all = Vec::new();
        for item in &items {
            if self.full {
                return;
            }
            let mut below = below.clone();
            below.fan = Some(self.fan(name.clone(), item, each));
            if none {
                below.modes.clear();
            }
            let at = At { list: &each.list, item };
            let own = format!("{name}/{}", item.name);
            let last = self.one_run(run, child, format!("{own}/"), (scope, Some(at)), below, report);
            all.extend(last.iter().cloned());
            self.flat.groups.insert(own.clone(), Group::Run);
            self.last.insert(own, last);
        }
        self.flat.groups.insert(name.clone(), Group::Each);
        self.last.insert(name, all);
    }

    fn check_modes(&self, run: &RunDef, child: &Runbook, below: &Below, report: &mut Report) {
        let span = run.path.as_ref().map_or(run.head, |path| path.span);
        let modes = child.modes();
        let mine: Vec<Mode> = self.modes.iter().copied().filter(|mode| run.modes.contains(mode)).collect();
        if mine.is_empty() && self.checking {
            report
                .error("LB0304", run.head, format!("run '{}' is in no mode of this runbook", run.id.text))
                .help("change only= and except=, or add its mode to 'modes'");
        }
        let words = |modes: &[Mode]| modes.iter().map(|mode| mode.as_str()).collect::<Vec<_>>().join(", ");
        let missing: Vec<Mode> =
            mine.into_iter().filter(|mode| below.modes.contains(mode) && !modes.contains(mode)).collect();
        if !missing.is_empty() {
            report
                .error("LB0226", span, format!("runbook '{}' cannot be run in mode {}", child.name, words(&missing)))
                .help(format!(
                    "its modes are: {}; give it that mode, or change only= and except= of this run",
                    words(&modes)
                ));
        }
    }

    /// Puts the steps of a child runbook in. The result: the steps after which it is complete.
    fn one_run(
        &mut self,
        run: &RunDef,
        child: &Runbook,
        prefix: String,
        (scope, at): (&Scope, Option<At<'_>>),
        below: Below,
        report: &mut Report,
    ) -> Vec<String> {
        let mut own = Below { depth: below.depth + 1, lists: HashMap::new(), ..below.clone() };
        own.modes.retain(|mode| run.modes.contains(mode));
        own.when.extend(run.when.iter().map(|when| scope.when(when, at)));
        let inputs = self.inputs(run, child, &prefix, (scope, at), &below.lists, report);
        let inputs = inputs.into_iter().map(|(name, (filled, list))| {
            own.lists.extend(list.map(|list| (name.clone(), list)));
            (name, filled)
        });
        let inputs: HashMap<String, Filled> = inputs.collect();
        // A child has a size of its own, so that children without any step have an end, too.
        self.budget.take(PART_BYTES * (1 + child.inputs.len()));
        let start = self.flat.steps.len();
        self.runbook(child, prefix, Some(inputs), &own, report);
        let first: Vec<Named> =
            run.after.iter().map(|on| Named { text: scope.name(&on.text), span: on.span }).collect();
        self.link(start, &first)
    }

    /// The steps that wait for no step of their runbook come after `first`. The result: those that none waits for.
    fn link(&mut self, start: usize, first: &[Named]) -> Vec<String> {
        let steps = self.flat.steps.get_mut(start..).unwrap_or_default();
        let names: HashSet<String> = steps.iter().map(|step| step.id.text.clone()).collect();
        let mut waited: HashSet<String> = HashSet::new();
        for step in steps.iter_mut() {
            let before = waits_for(step).into_iter().filter(|name| names.contains(name));
            let before: Vec<String> = before.collect();
            if before.is_empty() {
                step.after.extend(first.iter().cloned());
            }
            waited.extend(before);
        }
        steps.iter().map(|step| step.id.text.clone()).filter(|name| !waited.contains(name)).collect()
    }
}

/// The names of the steps that a step waits for.
fn waits_for(step: &StepDef) -> Vec<String> {
    let references = step.references.iter().chain(step.when.iter().flat_map(|when| &when.references));
    let data = references.filter_map(|(reference, _)| match reference.path.as_slice() {
        [root, name, ..] if root == "steps" => Some(name.clone()),
        _ => None,
    });
    data.chain(step.after.iter().map(|name| name.text.clone())).collect()
}

/// The inputs that can be named in a runbook.
fn below_names(flat: &Runbook, scope: &Scope) -> Vec<String> {
    match &scope.inputs {
        Some(inputs) => inputs.keys().cloned().collect(),
        None => flat.inputs.iter().map(|input| input.name.text.clone()).filter(|name| !name.contains('/')).collect(),
    }
}

/// One step of the plan.
fn one(step: &StepDef, scope: &Scope, below: &Below, at: Option<At<'_>>) -> StepDef {
    let mut made = step.clone();
    made.id.text = scope.name(&step.id.text);
    if let Some(at) = at {
        made.id.text = format!("{}/{}", made.id.text, at.item.name);
    }
    for name in made.roles.values_mut() {
        let text = at.map_or_else(|| name.text.clone(), |at| name.text.replace("{{item}}", &at.item.text));
        name.text = scope.name(&text);
    }
    if let Some(snapshot) = &mut made.snapshot {
        snapshot.text = scope.text(&snapshot.text, snapshot.span, at).text;
    }
    made.references.clear();
    made.args = scope.value(&step.args, "", (&step.places, step.head), at, &mut made.references);
    made.after.iter_mut().for_each(|name| name.text = scope.name(&name.text));
    made.modes.retain(|mode| below.modes.contains(mode));
    made.when = step.when.iter().map(|when| scope.when(when, at)).chain(below.when.iter().cloned()).collect();
    made.fan.clone_from(&below.fan);
    made.foreign = below.depth > 0 || below.modes.is_empty();
    made
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    PART_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(map) => map.iter().map(|(key, item)| key.len() + weight(item)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}
