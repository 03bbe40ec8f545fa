//! `simulate`: the branches of a plan that nobody handles.

use std::collections::BTreeSet;

use lifeboat_core::Error;
use lifeboat_core::plan::Plan;
use lifeboat_core::plugin::Catalog;
use lifeboat_review::simulate::{Setting, simulate as play};

use crate::args_review::SimulateArgs;
use crate::commands::saved::{How, either};
use crate::exit::Exit;
use crate::screen::{put, put_json};
use crate::world::World;

/// Plays a runbook in a world in which everything goes wrong.
///
/// # Errors
/// `LB0912` for no cases at all; what the file has against it.
pub fn simulate(world: &World, args: &SimulateArgs) -> Result<Exit, Error> {
    if args.cases == Some(0) {
        return Err(Error::new("LB0912", "no cases are to be played").hint("leave --cases out, or give 1 or more"));
    }
    let (host, operator) = world.host()?;
    let catalog = host.catalog();
    let how = How { mode: args.mode.clone(), inputs: args.inputs.clone() };
    let Some(saved) = either(world, &args.runbook, &how, &catalog, &operator)? else { return Ok(Exit::Refused) };
    let setting = Setting {
        probes: probes(&saved.plan, &catalog),
        roles: !operator.roles.is_empty(),
        seed: args.seed,
        cases: args.cases,
    };
    let found = play(&saved.plan, &setting)?;
    if world.screen.json {
        put_json(&found)?;
    } else {
        put(found.to_text().trim_end());
    }
    Ok(if found.branches.is_empty() { Exit::Success } else { Exit::NotMet })
}

/// The steps whose plugin says that it can tell whether an attempt happened.
fn probes(plan: &Plan, catalog: &Catalog) -> BTreeSet<lifeboat_core::StepId> {
    let can_tell = |step: &&lifeboat_core::Step| {
        let known = step.plugin.as_ref().and_then(|name| catalog.get(name));
        known.and_then(|known| known.description.kind(step.kind)).is_some_and(|kind| kind.probe)
    };
    plan.steps.iter().filter(can_tell).map(|step| step.id.clone()).collect()
}
