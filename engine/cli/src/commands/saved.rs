//! Plans as files: saved, read again, and compared.

use std::io::Write;
use std::path::Path;

use lifeboat_core::grants::Operator;
use lifeboat_core::plugin::Catalog;
use lifeboat_core::{Error, limits};
use lifeboat_review::{Saved, differences};
use lifeboat_runbook::Trigger;

use crate::args::RunbookArgs;
use crate::args_review::DiffArgs;
use crate::commands::plan::{Compiled, compile_for_anybody, name_people};
use crate::exit::Exit;
use crate::screen::{put, put_json};
use crate::view::duration::duration;
use crate::world::World;

/// A compiled runbook as it is saved.
pub fn of(compiled: &Compiled) -> Saved {
    let triggers = compiled.triggers.iter().map(told).collect();
    Saved::new(compiled.plan.clone(), compiled.text.clone(), triggers)
}

/// What starts a run by itself, on one line.
fn told(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Schedule(schedule) => {
            let spec = &schedule.spec;
            let mut text = format!(
                "schedule {}: {} in {}, mode {}, overlap {}, missed {}",
                schedule.name.text,
                spec.cron,
                spec.zone,
                schedule.mode.as_str(),
                spec.overlap.as_str(),
                spec.missed.as_str()
            );
            if spec.jitter_ms > 0 {
                text.push_str(&format!(", put off by up to {}", duration(spec.jitter_ms)));
            }
            for blackout in &spec.blackouts {
                let parts = [("from", &blackout.from), ("to", &blackout.to), ("on", &blackout.days)];
                let told = |(word, part): (&str, &Option<String>)| part.as_ref().map(|part| format!(" {word} {part}"));
                text.push_str(&format!(", not{}", parts.into_iter().filter_map(told).collect::<String>()));
            }
            text
        }
        Trigger::Alert(alert) => {
            let mut text = format!("alert of {}, mode {}", alert.sources.join(", "), alert.mode.as_str());
            let matchers = alert.matchers.to_string();
            if !matchers.is_empty() {
                text.push_str(&format!(", {matchers}"));
            }
            if !alert.group.is_empty() {
                text.push_str(&format!(", one incident by {}", alert.group.join(", ")));
            }
            if alert.hold_ms > 0 {
                text.push_str(&format!(", held for {}", duration(alert.hold_ms)));
            }
            if let Some(agree) = &alert.agree {
                let of = if agree.of.is_empty() { String::new() } else { format!(" of {}", agree.of.join(", ")) };
                text.push_str(&format!(", {} probes{of} agree within {}", agree.count, duration(agree.within_ms)));
            }
            if alert.past_no_return {
                text.push_str(", past the point of no return");
            }
            text
        }
    }
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// `LB0901` when it cannot be written.
pub fn write(path: &Path, saved: &Saved) -> Result<(), Error> {
    let failed = |cause: std::io::Error| {
        Error::new("LB0901", format!("'{}' cannot be written", path.display())).with("cause", cause)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(saved.to_text().as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|cause| failed(cause.error))?;
    Ok(())
}

/// The text of a saved plan; `None` where the file is a runbook.
fn text(path: &Path) -> Result<Option<String>, Error> {
    let failed =
        |cause: String| Error::new("LB0901", format!("'{}' cannot be read", path.display())).with("cause", cause);
    let about = std::fs::metadata(path).map_err(|cause| failed(cause.to_string()))?;
    if about.is_dir() {
        return Err(failed("it is a folder".to_owned()).hint("name one file"));
    }
    if usize::try_from(about.len()).map_or(true, |length| length > limits::EVENT_BYTES_MAX) {
        return Err(failed(format!("it has {} bytes", about.len())));
    }
    let bytes = std::fs::read(path).map_err(|cause| failed(cause.to_string()))?;
    // What is no text is for the compiler of runbooks to refuse.
    Ok(String::from_utf8(bytes).ok().filter(|text| Saved::looks_like_one(text)))
}

/// A saved plan from a file.
///
/// # Errors
/// `LB0901`, `LB1190`, `LB1191`.
pub fn read(path: &Path) -> Result<Saved, Error> {
    let text = text(path)?.unwrap_or_default();
    Saved::read(&text).map_err(|error| error.with("file", path.display()))
}

/// How a runbook is compiled where nothing else is said: as a saved plan was.
pub struct How {
    /// The mode.
    pub mode: Option<String>,
    /// The inputs, each `KEY=VALUE`.
    pub inputs: Vec<String>,
}

impl How {
    /// The same, with what a saved plan says where the command line says nothing.
    fn or(&self, saved: Option<&Saved>) -> Self {
        let mode = self.mode.clone().or_else(|| saved.map(|saved| saved.plan.mode.as_str().to_owned()));
        let like = || {
            saved
                .map(|saved| saved.plan.given_inputs())
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
        };
        let inputs = if self.inputs.is_empty() { like().collect() } else { self.inputs.clone() };
        Self { mode, inputs }
    }
}

/// A runbook or a saved plan; `None` when the runbook is refused. The people of roles are those of the operator's file, also
/// where they are too few: what is looked at is not run.
///
/// # Errors
/// What the file has against it.
pub fn either(
    world: &World,
    path: &Path,
    how: &How,
    catalog: &Catalog,
    operator: &Operator,
) -> Result<Option<Saved>, Error> {
    if let Some(text) = text(path)? {
        return Saved::read(&text).map(Some).map_err(|error| error.with("file", path.display()));
    }
    let mode = how.mode.clone().unwrap_or_else(|| "failover".to_owned());
    let args = RunbookArgs { runbook: path.to_owned(), mode, inputs: how.inputs.clone() };
    let Some(mut compiled) = compile_for_anybody(world, &args, catalog)? else { return Ok(None) };
    // The error is that of a run. The people are named all the same.
    let _too_few = name_people(&mut compiled.plan, operator);
    Ok(Some(of(&compiled)))
}

/// Compares two plans.
///
/// # Errors
/// What the files have against them.
pub fn diff(world: &World, args: &DiffArgs) -> Result<Exit, Error> {
    let (host, operator) = world.host()?;
    let catalog = host.catalog();
    let how = How { mode: args.mode.clone(), inputs: args.inputs.clone() };
    let saved = |path: &Path| text(path).map(|text| text.and_then(|text| Saved::read(&text).ok()));
    let like = match saved(&args.old)? {
        Some(old) => Some(old),
        None => saved(&args.new)?,
    };
    let how = how.or(like.as_ref());
    let half = |path: &Path| either(world, path, &how, &catalog, &operator);
    let (Some(old), Some(new)) = (half(&args.old)?, half(&args.new)?) else { return Ok(Exit::Refused) };
    let review = differences(&old, &new)?;
    if world.screen.json {
        put_json(&review)?;
    } else {
        put(review.to_text().trim_end());
    }
    Ok(if review.same { Exit::Success } else { Exit::NotMet })
}
