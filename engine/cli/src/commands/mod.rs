//! The commands, one file each.

pub mod alerts;
pub mod bundle;
pub mod check;
pub mod doctor;
pub mod estimate;
pub mod evidence;
pub mod explain;
pub mod fmt;
pub mod init;
pub mod journal;
pub mod ledger;
pub mod measure;
pub mod needs;
pub mod notify;
pub mod pages;
pub mod plan;
pub mod plugin;
pub mod readiness;
pub mod repair;
pub mod report;
pub mod run;
pub mod runs;
pub mod saved;
pub mod schedule;
pub mod scheduled;
pub mod sentinel;
pub mod serve;
pub mod show;
pub mod simulate;
pub mod snapshots;
pub mod takeover;
pub mod through;
pub mod token;
pub mod vault;
pub mod verbs;
pub mod wanting;

use std::future::Future;

use lifeboat_core::Error;
use lifeboat_core::plan::Mode;
use lifeboat_runtime::Verb;

use crate::args::{Command, JournalCommand, PluginCommand, ScheduleCommand};
use crate::args_drill::SentinelCommand;
use crate::exit::Exit;
use crate::world::World;

/// Carries a command out.
///
/// # Errors
/// What a person has to be told.
pub fn dispatch(world: &World, command: Command) -> Result<Exit, Error> {
    match command {
        Command::Demo { dir, model_mib } => block(crate::demo::demo(world, &dir, model_mib)),
        Command::Check { paths, format } => check::check(world, &paths, format),
        Command::Fmt { paths, check } => fmt::fmt(world, &paths, check),
        Command::Explain { code } => explain::explain(&code),
        Command::Plan { runbook, format, save } => plan::plan(world, &runbook, format, save.as_deref()),
        Command::Diff(args) => saved::diff(world, &args),
        Command::Simulate(args) => simulate::simulate(world, &args),
        Command::Estimate(args) => estimate::estimate(world, &args),
        Command::Run { what, yes, said: speaker } => block(run::either(world, what, yes, &speaker)),
        Command::Drill { runbook, check_the_checks, inputs, said: speaker } => {
            let args = crate::args::RunbookArgs { runbook, mode: Mode::Drill.as_str().to_owned(), inputs };
            block(run::drill(world, &args, check_the_checks, &speaker))
        }
        Command::Runs => runs::runs(world),
        Command::Show { run } => show::show(world, &run),
        Command::Events { run } => show::events(world, &run),
        Command::Resume { run } => block(verbs::resume(world, run.as_deref())),
        Command::Retry(verb) => block(verbs::on_step(world, &verb, Verb::Retry)),
        Command::Skip(verb) => block(verbs::on_step(world, &verb, Verb::Skip)),
        Command::Deny(verb) => block(verbs::deny(world, &verb)),
        Command::Approve { verb, fingerprint } => block(verbs::approve(world, &verb, fingerprint)),
        Command::MarkDone { verb, outputs, evidence } => block(verbs::mark_done(world, &verb, &outputs, &evidence)),
        Command::Attest { verb, evidence } => block(verbs::attest(world, &verb, &evidence)),
        Command::Ledger { run } => ledger::ledger(world, run.as_deref()),
        Command::Cleanup(verb) => block(ledger::cleanup(world, &verb)),
        Command::Measure { run } => measure::print(world, &run),
        Command::Sentinel(SentinelCommand::Write(args)) => block(sentinel::write(world, &args)),
        Command::Readiness(args) => block(readiness::readiness(world, &args)),
        Command::Drills { runbook, inputs } => measure::drills(world, &runbook, &inputs),
        Command::Pause(verb) => block(verbs::on_run(world, &verb, Verb::Pause)),
        Command::Unpause(verb) => block(verbs::on_run(world, &verb, Verb::Unpause)),
        Command::Abandon(verb) => block(verbs::on_run(world, &verb, Verb::Abandon)),
        Command::Takeover(args) => block(takeover::takeover(world, args)),
        Command::Cancel { run, compensate, said: speaker } => block(verbs::cancel(world, &run, compensate, &speaker)),
        Command::Init => init::init(world),
        Command::Serve(args) => block(serve::serve(world, args)),
        Command::Alerts(args) => block(alerts::alerts(world, args)),
        Command::Token(command) => block(token::token(world, command)),
        Command::Notify(command) => block(notify::notify(world, command)),
        Command::Report(args) => report::report(world, &args),
        Command::Evidence(command) => bundle::evidence(world, command),
        Command::Snapshots { vault, runbook, mode } => block(snapshots::snapshots(world, &vault, &runbook, &mode)),
        Command::Vault(command) => block(vault::vault(world, command)),
        Command::Plugin(PluginCommand::Ls) => plugin::list(world),
        Command::Plugin(PluginCommand::Inspect { name }) => plugin::inspect(world, &name),
        Command::Schedule(ScheduleCommand::Ls { paths }) if paths.is_empty() => block(scheduled::list(world)),
        Command::Schedule(ScheduleCommand::Ls { paths }) => schedule::list(world, &paths),
        Command::Schedule(ScheduleCommand::Next { paths, count }) if paths.is_empty() => {
            block(scheduled::next(world, count))
        }
        Command::Schedule(ScheduleCommand::Next { paths, count }) => schedule::next(world, &paths, count),
        Command::Journal(JournalCommand::Encrypt) => journal::encrypt(world),
        Command::Journal(JournalCommand::Rekey { from }) => journal::rekey(world, &from),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { dir } => pages::man(world, &dir),
        Command::Doctor { repair: false, .. } => doctor::doctor(world),
        Command::Doctor { cut, .. } => repair::repair(world, &cut),
    }
}

/// Runs a future on the engine's threads, which are apart from those of guests.
fn block(future: impl Future<Output = Result<Exit, Error>>) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new("LB0904", "the engine's threads can't start").with("cause", cause))?;
    runtime.block_on(future)
}
