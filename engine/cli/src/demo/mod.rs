//! `demo`: a disaster and its recovery, start to end, with the same commands that a person would use.

mod estate;

use std::path::Path;

use lifeboat_core::Error;
use lifeboat_core::plan::Mode;

use crate::args::{RunbookArgs, SaidArgs};
use crate::commands::run;
use crate::exit::Exit;
use crate::screen::{Ink, put};
use crate::view::duration::bytes;
use crate::world::World;

use estate::{Estate, tree};

/// Runs the demo.
///
/// # Errors
/// What keeps it from its end; `LB0904` when the recovered site is not the lost one.
pub async fn demo(world: &World, dir: &Path, model_mib: u64) -> Result<Exit, Error> {
    let own = World { data: dir.join("data"), config: Some(dir.join("lifeboat.kdl")), ..world.clone() };
    // JSON of two runs would be no document; the story is for people.
    let own = World { screen: crate::screen::Screen { json: false, ..own.screen }, ..own };
    title(&own, "1", "A small shop, in folders of its own");
    let estate = Estate::make(dir, model_mib)?;
    let before = tree(&estate.primary())?;
    put(&format!(
        "  {}: a database, invoices and a model; {} files, {}\n  {}/current -> primary: what customers see",
        estate.primary().display(),
        before.files,
        bytes(before.bytes),
        estate.path("site").display(),
    ));

    title(&own, "2", "Protect it: a recovery point, proved, in two vaults");
    if let Some(exit) = carry_out(&own, dir, "protect", Mode::Switchover, "the demo's recovery point").await? {
        return Ok(exit);
    }

    title(&own, "3", "The disaster");
    estate.destroy()?;
    let boom = own.screen.out(Ink::Red, "gone");
    put(&format!("  {}: {boom}\n  {}: {boom}", estate.primary().display(), estate.path("vault").display()));
    put(&format!("  {}/current points to nothing: customers see an error", estate.path("site").display()));

    title(&own, "4", "Recover: restore at the standby, check, switch");
    if let Some(exit) = carry_out(&own, dir, "recover", Mode::Failover, "the primary site is lost").await? {
        return Ok(exit);
    }
    let after = tree(&estate.standby())?;
    if before != after {
        return Err(Error::new("LB0904", "the recovered site is not the lost one")
            .with("lost", format!("{} files, {}", before.files, before.digest))
            .with("recovered", format!("{} files, {}", after.files, after.digest)));
    }
    title(&own, "5", "Recovered");
    put(&format!(
        "  {} {} files, {}: the same to the byte\n  {}/current -> {}",
        own.screen.out(Ink::Green, "✓"),
        after.files,
        bytes(after.bytes),
        estate.path("site").display(),
        std::fs::read_link(estate.path("site/current")).unwrap_or_default().display(),
    ));
    next(&own, dir);
    Ok(Exit::Success)
}

/// Runs one runbook of the demo; an exit where the demo ends with it.
async fn carry_out(world: &World, dir: &Path, name: &str, mode: Mode, why: &str) -> Result<Option<Exit>, Error> {
    let runbook = dir.join(format!("runbooks/{name}.kdl"));
    let args = RunbookArgs { runbook, mode: mode.as_str().to_owned(), inputs: Vec::new() };
    let said = SaidArgs { by: Some("demo".to_owned()), reason: why.to_owned() };
    let exit = run::run(world, &args, true, &said).await?;
    Ok((exit != Exit::Success).then_some(exit))
}

fn title(world: &World, number: &str, text: &str) {
    put(&format!("\n{}", world.screen.out(Ink::Bold, &format!("{number}. {text}"))));
}

fn next(world: &World, dir: &Path) {
    let (dir, me) = (dir.display(), World::program());
    put(&format!(
        "
{}
  export LIFEBOAT_DATA={dir}/data LIFEBOAT_CONFIG={dir}/lifeboat.kdl
  {me} runs                    # and: show RUN, events RUN, report RUN
  {me} plan {dir}/runbooks/recover.kdl
  {me} drill {dir}/runbooks/recover.kdl
  {me} snapshots remote-vault --runbook {dir}/runbooks/recover.kdl

  The vault opens without Lifeboat, too:
  RESTIC_PASSWORD_FILE={dir}/vault-password restic -r {dir}/remote-vault snapshots",
        world.screen.out(Ink::Bold, "What to type next"),
    ));
}
