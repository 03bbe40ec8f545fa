//! `check`: every mistake of every file, in one pass.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lifeboat_core::Error;
use lifeboat_core::plugin::Catalog;
use lifeboat_runbook::{Diagnostic, Severity, operator};
use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::args::CheckFormat;
use crate::exit::Exit;
use crate::files;
use crate::screen::{Ink, Screen, note, put_json};
use crate::view::plural;
use crate::world::World;

/// Checks runbooks, and the operator's file where it is among them.
///
/// # Errors
/// A file that cannot be read, or plugins that cannot be loaded.
pub fn check(world: &World, paths: &[PathBuf], format: CheckFormat) -> Result<Exit, Error> {
    let catalog = world.catalog()?;
    let files = files::kdl_files(paths)?;
    let (all, counted) = look(&files, &catalog)?;
    let errors = all.iter().filter(|found| found.severity == Severity::Error).count();
    if format == CheckFormat::Json || world.screen.json {
        put_json(&all)?;
    } else {
        print(&world.screen, &all);
        let screen = &world.screen;
        let verdict = if errors == 0 {
            screen.err(Ink::Green, "in order")
        } else {
            screen.err(Ink::Red, &plural(errors as u64, "mistake"))
        };
        let warnings = all.len() - errors;
        let more = if warnings == 0 { String::new() } else { format!(", {warnings} to look at") };
        screen.say(&format!("{counted}: {verdict}{more}"));
    }
    Ok(if errors == 0 { Exit::Success } else { Exit::Refused })
}

/// What is wrong with these files, and what they are, in words. A file without a runbook that one of the others includes
/// is a part of that one; what is wrong with a file that several others name is said once.
fn look(files: &[PathBuf], catalog: &Catalog) -> Result<(Vec<Diagnostic>, String), Error> {
    let (operators, runbooks): (Vec<_>, Vec<_>) = files.iter().partition(|path| is_operator(path));
    let mut all = Vec::new();
    for path in &operators {
        let folder = path.parent().unwrap_or(Path::new("."));
        all.extend(operator::parse_operator(&files::read_source(path)?, folder).err().unwrap_or_default());
    }
    let mut checked = Vec::new();
    let mut named: BTreeSet<PathBuf> = BTreeSet::new();
    // What cannot be found is reported where it is named.
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for path in runbooks {
        let found = lifeboat_runbook::check_with(&files::read_source(path)?, &files::Disk, catalog);
        named.extend(found.files.iter().map(|name| whole(Path::new(name))));
        checked.push((whole(path), found));
    }
    checked.retain(|(path, found)| found.runbook.is_some() || !named.contains(path));
    let counted = counted(checked.len(), operators.len());
    all.extend(checked.into_iter().flat_map(|(_, found)| found.diagnostics));
    let mut seen = BTreeSet::new();
    all.retain(|one: &Diagnostic| seen.insert((whole(Path::new(&one.file)), one.code, one.span)));
    Ok((all, counted))
}

/// Whether a file is an operator's file: its name says so.
pub fn is_operator(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "lifeboat.kdl")
}

/// How many files of which kind were looked at.
fn counted(runbooks: usize, operators: usize) -> String {
    let count = |count: usize, one: &str, more: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {more}")),
    };
    let runbooks = count(runbooks, "runbook", "runbooks");
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
