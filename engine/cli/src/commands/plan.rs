//! `plan`: what would happen, before it happens.

use std::collections::BTreeMap;
use std::path::Path;

use lifeboat_core::Error;
use lifeboat_core::grants::Operator;
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::plan::{Corruption, Mode, Plan, StepKind};
use lifeboat_core::plugin::Catalog;
use lifeboat_runbook::{Severity, SourceFile, Trigger};

use crate::args::{PlanFormat, RunbookArgs};
use crate::commands::check::print;
use crate::commands::saved;
use crate::commands::wanting::wanting;
use crate::exit::Exit;
use crate::files;
use crate::past;
use crate::screen::put;
use crate::view::{self, Outlook, plural};
use crate::world::World;

/// Prints the plan, and saves it where that is wished.
///
/// # Errors
/// Wrong usage, plugins that cannot be loaded, or a file that cannot be written.
pub fn plan(world: &World, args: &RunbookArgs, format: PlanFormat, save: Option<&Path>) -> Result<Exit, Error> {
    let (host, operator) = world.host()?;
    let Some(compiled) = compile(world, args, &host.catalog(), &operator)? else { return Ok(Exit::Refused) };
    let (plan, graph) = (&compiled.plan, &compiled.graph);
    let format = if world.screen.json { PlanFormat::Json } else { format };
    let outlook = Outlook::of(plan, &past::of(world, &plan.runbook));
    let text = match format {
        PlanFormat::Text => {
            view::plan_text::render(plan, graph, &outlook, world.screen.colour_out)
                + &view::plan_text::needed(&wanting(plan, &operator), world.screen.colour_out)
        }
        PlanFormat::Json => view::plan_json::render(plan, graph, &outlook, &wanting(plan, &operator)),
        PlanFormat::Mermaid => view::plan_mermaid::render(plan, graph, &outlook),
        PlanFormat::Dot => view::plan_dot::render(plan, graph, &outlook),
        PlanFormat::Svg => view::plan_svg::render(plan, graph, &outlook),
    };
    put(text.trim_end());
    if let Some(file) = save {
        let made = saved::of(&compiled);
        saved::write(file, &made)?;
        let (shown, print) = (file.display(), &made.fingerprint);
        world.screen.say(&format!(
            "saved; run exactly this plan with: {} run --plan {shown} --fingerprint {print}",
            world.me()
        ));
    }
    Ok(Exit::Success)
}

/// A compiled runbook with its text: that of all its files.
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// Its graph.
    pub graph: PlanGraph,
    /// The runbook's text, with those of the files that it includes and runs.
    pub text: String,
    /// What starts it by itself; no part of the plan.
    pub triggers: Vec<Trigger>,
    /// How often it wants to be drilled.
    pub verification: Option<lifeboat_core::verified::Policy>,
}

/// Compiles a runbook; `None` when it is refused, with the diagnostics printed.
///
/// # Errors
/// `LB0902` for an unknown mode or a malformed input; `LB0901` for a file that cannot be read; `LB0509` for a role that
/// nobody has.
pub fn compile(
    world: &World,
    args: &RunbookArgs,
    catalog: &Catalog,
    operator: &Operator,
) -> Result<Option<Compiled>, Error> {
    let Some(mut compiled) = compile_for_anybody(world, args, catalog)? else { return Ok(None) };
    name_people(&mut compiled.plan, operator)?;
    Ok(Some(compiled))
}

/// [`compile`] without the people of roles.
///
/// # Errors
/// As [`compile`], but for `LB0509`.
pub fn compile_for_anybody(world: &World, args: &RunbookArgs, catalog: &Catalog) -> Result<Option<Compiled>, Error> {
    let (mode, inputs) = (parse_mode(&args.mode)?, inputs(&args.inputs)?);
    compile_source(world, &files::read_source(&args.runbook)?, catalog, mode, &inputs)
}

/// The same of a text that was read already.
///
/// # Errors
/// `LB0503` when the plan is no graph.
pub fn compile_source(
    world: &World,
    source: &SourceFile,
    catalog: &Catalog,
    mode: Mode,
    inputs: &BTreeMap<String, String>,
) -> Result<Option<Compiled>, Error> {
    match lifeboat_runbook::compile_with(source, &files::Disk, catalog, mode, inputs) {
        Ok(lifeboat_runbook::Compiled { plan, warnings, text, triggers, verification }) => {
            if !world.screen.quiet {
                print(&world.screen, &warnings);
            }
            let graph = PlanGraph::new(&plan)
                .map_err(|cause| Error::new("LB0503", "the plan is no graph").with("cause", format!("{cause:?}")))?;
            Ok(Some(Compiled { plan, graph, text, triggers, verification }))
        }
        Err(diagnostics) => {
            print(&world.screen, &diagnostics);
            let count = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
            let mistakes = plural(count as u64, "mistake");
            world.screen.say(&format!("the runbook is refused: {mistakes}; nothing was started"));
            Ok(None)
        }
    }
}

/// Has the checks of a drill checked: each `validate` of a folder that a step before it restores. How many those are.
pub fn check_the_checks(compiled: &mut Compiled) -> usize {
    let restored = |step: &lifeboat_core::Step, role: &str| {
        step.targets.iter().find(|used| used.role == role).map(|used| used.target.clone())
    };
    let checked: Vec<lifeboat_core::StepId> = compiled
        .plan
        .steps
        .iter()
        .filter(|step| step.kind == StepKind::Validate)
        .filter(|step| {
            let target = restored(step, "target");
            let before = compiled.graph.ancestors(&step.id);
            let mut before = before.iter().filter_map(|id| compiled.plan.step(id));
            before.any(|other| other.kind == StepKind::Restore && restored(other, "into") == target)
        })
        .map(|step| step.id.clone())
        .collect();
    for step in compiled.plan.steps.iter_mut().filter(|step| checked.contains(&step.id)) {
        step.corruptions = Corruption::ALL.to_vec();
    }
    checked.len()
}

/// The inputs of a command line.
///
/// # Errors
/// `LB0902` for a malformed one.
pub fn inputs(given: &[String]) -> Result<BTreeMap<String, String>, Error> {
    let split = |pair: &String| {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Error::new("LB0902", format!("'{pair}' is no input")).hint("inputs are given as --input name=value")
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    given.iter().map(split).collect()
}

/// Writes the people who may answer into the plan, where the operator's file keeps roles: what is shown and approved says who.
/// All of them are written, also where they are too few somewhere.
///
/// # Errors
/// `LB0509` too few have a role.
pub fn name_people(plan: &mut Plan, operator: &Operator) -> Result<(), Error> {
    if operator.roles.is_empty() {
        return Ok(());
    }
    let mut too_few = Ok(());
    for step in &mut plan.steps {
        let Some(approval) = &mut step.approval else { continue };
        approval.people = operator.roles.get(&approval.role).cloned().unwrap_or_default();
        let have = approval.people.len();
        if have < usize::try_from(approval.quorum).unwrap_or(usize::MAX) && too_few.is_ok() {
            let (role, asked) = (&approval.role, approval.quorum);
            let text = format!("step '{}' asks for {asked} yes from the role '{role}', which {have} have", step.id);
            too_few = Err(Error::new("LB0509", text)
                .hint(format!("name them in the operator's file: role \"{role}\" \"NAME\" …")));
        }
    }
    too_few
}

/// A mode by its name.
///
/// # Errors
/// `LB0902` when there is none of that name.
pub fn parse_mode(text: &str) -> Result<Mode, Error> {
    Mode::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Mode::ALL.iter().map(|mode| mode.as_str()).collect();
        Error::new("LB0902", format!("there is no mode '{text}'")).hint(format!("modes are {}", names.join(", ")))
    })
}
