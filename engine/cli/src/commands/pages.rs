//! `completions` and `man`: made from the command line itself, so that they tell of exactly the commands that there are.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use lifeboat_core::Error;

use crate::args::Cli;
use crate::exit::Exit;
use crate::screen::put;
use crate::world::World;

/// Prints the completions of a shell.
///
/// # Errors
/// None; the others have the same form.
pub fn completions(shell: Shell) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lifeboat", &mut script);
    put(String::from_utf8_lossy(&script).trim_end());
    Ok(Exit::Success)
}

/// Writes a page for each command into a folder.
///
/// # Errors
/// `LB0901` it cannot be written there.
pub fn man(world: &World, folder: &Path) -> Result<Exit, Error> {
    let failed = |cause: std::io::Error| {
        Error::new("LB0901", format!("the pages cannot be written into '{}'", folder.display()))
            .with("cause", cause)
            .hint("name a folder that this user may write to")
    };
    fs::create_dir_all(folder).map_err(failed)?;
    // Without pages that say that there is help.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let pages = pages(&command, "lifeboat").map_err(failed)?;
    for (name, page) in &pages {
        fs::write(folder.join(format!("{name}.1")), page).map_err(failed)?;
    }
    world.screen.say(&format!("wrote {} pages into '{}'", pages.len(), folder.display()));
    Ok(Exit::Success)
}

/// The pages of a command and of those below it. Pages are named as git names its own: `lifeboat-token-create`.
fn pages(command: &clap::Command, name: &str) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let mut all = vec![(name.to_owned(), page)];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        all.extend(pages(below, &format!("{name}-{}", below.get_name()))?);
    }
    Ok(all)
}
