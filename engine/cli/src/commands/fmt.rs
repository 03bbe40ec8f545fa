//! `fmt`: runbooks in their canonical form.

use std::path::PathBuf;

use lifeboat_core::Error;

use crate::commands::check::print;
use crate::exit::Exit;
use crate::files;
use crate::screen::put;
use crate::world::World;

/// Formats runbooks in place, or says which ones would change.
///
/// # Errors
/// A file that cannot be read or written.
pub fn fmt(world: &World, paths: &[PathBuf], check: bool) -> Result<Exit, Error> {
    let mut exit = Exit::Success;
    for path in files::kdl_files(paths)? {
        let source = files::read_source(&path)?;
        match lifeboat_runbook::format(&source) {
            Err(diagnostics) => {
                print(&world.screen, &diagnostics);
                exit = Exit::Refused;
            }
            Ok(text) if text == source.text => {}
            Ok(_) if check => {
                put(&path.display().to_string());
                world.screen.say(&format!("'lifeboat fmt {}' puts it into its canonical form", path.display()));
                exit = Exit::Refused;
            }
            Ok(text) => {
                write(&path, &text)?;
                world.screen.say(&format!("formatted {}", path.display()));
            }
        }
    }
    Ok(exit)
}

/// Through a new file and a rename: a crash leaves the old text or the new one, never half of it.
fn write(path: &std::path::Path, text: &str) -> Result<(), Error> {
    let beside = path.with_extension("kdl.new");
    let done = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    done.map_err(|cause| Error::new("LB0901", format!("'{}' cannot be written", path.display())).with("cause", cause))
}
