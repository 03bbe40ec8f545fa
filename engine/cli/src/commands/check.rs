//! `check`: every mistake of every file, in one pass.

use std::path::{Path, PathBuf};

use lifeboat_core::Error;
use lifeboat_runbook::{Diagnostic, Severity, operator};
use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::args::CheckFormat;
use crate::exit::Exit;
use crate::files;
use crate::screen::{Ink, Screen, note, put_json};
use crate::world::World;

/// Checks runbooks, and the operator's file where it is among them.
///
/// # Errors
/// A file that cannot be read, or plugins that cannot be loaded.
pub fn check(world: &World, paths: &[PathBuf], format: CheckFormat) -> Result<Exit, Error> {
    let catalog = world.catalog()?;
    let mut all = Vec::new();
    let files = files::kdl_files(paths)?;
    for path in &files {
        let source = files::read_source(path)?;
        if is_operator(path) {
            let folder = path.parent().unwrap_or(Path::new("."));
            all.extend(operator::parse_operator(&source, folder).err().unwrap_or_default());
        } else {
            all.extend(lifeboat_runbook::check(&source, &catalog).1);
        }
    }
    let errors = all.iter().filter(|found| found.severity == Severity::Error).count();
    if format == CheckFormat::Json || world.screen.json {
        put_json(&all)?;
    } else {
        print(&world.screen, &all);
        let screen = &world.screen;
        let verdict = if errors == 0 {
            screen.err(Ink::Green, "in order")
        } else {
            screen.err(Ink::Red, &format!("{errors} {}", if errors == 1 { "mistake" } else { "mistakes" }))
        };
        let warnings = all.len() - errors;
        let more = if warnings == 0 { String::new() } else { format!(", {warnings} to look at") };
        screen.say(&format!("{}: {verdict}{more}", counted(&files)));
    }
    Ok(if errors == 0 { Exit::Success } else { Exit::Refused })
}

/// Whether a file is an operator's file: its name says so.
fn is_operator(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "lifeboat.kdl")
}

/// How many files of which kind were looked at.
fn counted(files: &[PathBuf]) -> String {
    let operators = files.iter().filter(|path| is_operator(path)).count();
    let count = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {more}")),
    };
    let runbooks = count(files.len() - operators, "runbook", "runbooks");
    let operators = count(operators, "operator's file", "operators' files");
    runbooks.into_iter().chain(operators).collect::<Vec<_>>().join(" and ")
}

/// Prints diagnostics with their source on standard error.
pub fn print(screen: &Screen, diagnostics: &[Diagnostic]) {
    let theme = if screen.colour_err { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
    for found in diagnostics {
        let mut text = String::new();
        if handler.render_report(&mut text, found).is_ok() {
            note(text.trim_end());
            note("");
        }
    }
}
