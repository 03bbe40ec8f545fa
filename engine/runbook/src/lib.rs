//! Runbooks: from KDL text to a plan, with every mistake reported in one pass.
//!
//! A text goes through these steps, in modules of their own: `lex` and `syntax` (text to nodes), `load` (the nodes of
//! included files, and child runbooks), `read`, `steps`, `runs`, `triggers` and `schedules` (nodes to a runbook), `expand` (one step an
//! item of a for-each; the steps of child runbooks), `resolve` and `schema` (what names stand for), `modes` (order and
//! safety in one mode), `compile` (the plan). No step stops at a mistake, and none reports what only follows from one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::Digest;
use lifeboat_core::limits::RUNBOOK_BYTES_MAX;
use lifeboat_core::plan::{Mode, Plan};
use lifeboat_core::plugin::Catalog;
use lifeboat_core::verified::Policy;

mod channels;
mod choice;
mod compile;
mod diagnostic;
mod drill;
mod each;
mod egress;
mod expand;
mod explain;
mod fields;
mod fill;
mod format;
mod given;
mod hooks;
pub mod language;
mod lex;
mod load;
mod locks;
mod model;
mod modes;
pub mod operator;
mod read;
mod refs;
mod report;
mod resolve;
mod runs;
mod schedules;
mod schema;
mod secrets;
mod service;
mod speed;
mod steps;
mod syntax;
mod triggers;
mod values;
mod when;

pub use diagnostic::{Diagnostic, Severity, Span, closest};
pub use explain::{codes, explain};
pub use load::{NoFiles, SourceFiles};
pub use model::{AlertDef, Input, InputType, Named, RunDef, Runbook, ScheduleDef, StepDef, TargetDef, Trigger};
pub use values::parse_duration;

use load::Loader;
use report::Report;

/// A text with the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name, as messages print it.
    pub name: String,
    /// The text.
    pub text: String,
}

impl SourceFile {
    /// A file from its bytes.
    ///
    /// # Errors
    /// `LB0101` where they are not UTF-8, `LB0102` where they are too many.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        let name = name.into();
        if bytes.len() > RUNBOOK_BYTES_MAX {
            let mut report = Report::new(&name, "");
            let message = format!("the file has {} bytes, and at most {RUNBOOK_BYTES_MAX} are read", bytes.len());
            report.error("LB0102", Span::default(), message).help("split it into several runbooks");
            return Err(report.finish());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text: text.to_owned() }),
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let text = String::from_utf8_lossy(valid).into_owned();
                let mut report = Report::new(&name, &text);
                let at = Span { offset: text.len(), len: 0 };
                report.error("LB0101", at, "the file is not text in UTF-8 from here on").help("save it as UTF-8");
                Err(report.finish())
            }
        }
    }
}

/// A runbook that was looked at and not compiled.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What could be read; `None` where there is no runbook at all.
    pub runbook: Option<Runbook>,
    /// Mistakes and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// The names of the further files that were read: what it includes, and its child runbooks.
    pub files: Vec<String>,
}

/// Reads a runbook without looking at plugins or further files: syntax, structure, values.
pub fn parse(source: &SourceFile) -> Checked {
    let mut report = Report::new(&source.name, &source.text);
    let runbook = read_source(source, &mut Loader::new(source, &NoFiles), &mut report);
    Checked { runbook, diagnostics: report.finish(), files: Vec::new() }
}

fn read_source(source: &SourceFile, loader: &mut Loader<'_>, report: &mut Report) -> Option<Runbook> {
    if source.text.len() > RUNBOOK_BYTES_MAX {
        let message = format!("the file has {} bytes, and at most {RUNBOOK_BYTES_MAX} are read", source.text.len());
        report.error("LB0102", Span::default(), message).help("split it into several runbooks");
        return None;
    }
    loader.first(report)
}

/// [`check_with`] for a runbook in one file.
pub fn check(source: &SourceFile, catalog: &Catalog) -> (Option<Runbook>, Vec<Diagnostic>) {
    let checked = check_with(source, &NoFiles, catalog);
    (checked.runbook, checked.diagnostics)
}

/// Checks a runbook in all modes that it can be run in, with all that it includes and runs: every mistake in one pass.
pub fn check_with(source: &SourceFile, files: &dyn SourceFiles, catalog: &Catalog) -> Checked {
    let mut report = Report::new(&source.name, &source.text);
    let mut loader = Loader::new(source, files);
    let runbook = read_source(source, &mut loader, &mut report);
    if let Some(root) = &runbook {
        let modes = root.modes();
        let defaults = root.inputs.iter().filter_map(|input| Some((input.name.text.clone(), input.default.clone()?)));
        let spread = expand::expand(root, loader.runbooks(), &defaults.collect(), &modes, true, &mut report);
        check_flat(spread.unwrap_or_else(|| root.clone()), &modes, catalog, &mut report);
    }
    Checked { runbook, diagnostics: report.finish(), files: loader.others() }
}

fn check_flat(mut runbook: Runbook, modes: &[Mode], catalog: &Catalog, report: &mut Report) {
    resolve::normalise(&mut runbook, catalog);
    let resolved = resolve::Resolver::new(&runbook, catalog).resolve(report);
    let mut used = BTreeSet::new();
    for mode in modes {
        let graph = modes::graph(&runbook, &resolved, *mode, report);
        modes::check(&runbook, &resolved, &graph, &mut used, report);
    }
    for (index, step) in runbook.steps.iter().enumerate().filter(|(_, step)| !step.foreign) {
        if !step.modes.iter().any(|mode| modes.contains(mode)) {
            report
                .error("LB0304", step.head, format!("step '{}' is in no mode of this runbook", step.id.text))
                .help("change only= and except=, or add its mode to 'modes'");
        }
        for (waiver, span) in &step.waivers {
            let known = steps::WAIVABLE.contains(&waiver.rule.as_str());
            if known && !used.iter().any(|(by, rule)| *by == index && *rule == waiver.rule) && !report.has_errors() {
                report
                    .warn("LB0130", *span, format!("nothing here breaks '{}'", waiver.rule))
                    .help("remove the waiver, so that the rule holds again");
            }
        }
    }
    check_triggers(&runbook, modes, report);
}

fn check_triggers(runbook: &Runbook, modes: &[Mode], report: &mut Report) {
    for trigger in &runbook.triggers {
        let mode = trigger.mode();
        if !modes.contains(&mode) {
            report
                .error(
                    "LB0226",
                    runbook.head,
                    format!("a trigger starts mode {}, which is no mode of this runbook", mode.as_str()),
                )
                .help(format!("add mode \"{0}\" {{ ... }} or modes \"{0}\"", mode.as_str()));
        }
    }
}

/// A compiled runbook.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan. Its `source` is the digest of `text` without the triggers: who changes when a plan runs
    /// does not change the plan. (The line of a step is in it: a trigger that is put before the steps moves them.)
    pub plan: Plan,
    /// What a person should look at.
    pub warnings: Vec<Diagnostic>,
    /// How often it has to be drilled to count as verified, where it says so.
    pub verification: Option<Policy>,
    /// The text that is stored with a run: that of the file, or those of all files, each behind a line that names it.
    pub text: String,
    /// What starts it by itself.
    pub triggers: Vec<Trigger>,
}

/// [`compile_with`] for a runbook in one file. The second part of the result are warnings.
///
/// # Errors
/// As [`compile_with`].
pub fn compile(
    source: &SourceFile,
    catalog: &Catalog,
    mode: Mode,
    inputs: &BTreeMap<String, String>,
) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    compile_with(source, &NoFiles, catalog, mode, inputs).map(|compiled| (compiled.plan, compiled.warnings))
}

/// Compiles a runbook, with all that it includes and runs, for one mode and one set of inputs.
///
/// # Errors
/// Every mistake of its files, and of the inputs, in the order of the text.
pub fn compile_with(
    source: &SourceFile,
    files: &dyn SourceFiles,
    catalog: &Catalog,
    mode: Mode,
    inputs: &BTreeMap<String, String>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut report = Report::new(&source.name, &source.text);
    let mut loader = Loader::new(source, files);
    let Some(root) = read_source(source, &mut loader, &mut report) else { return Err(report.finish()) };
    if let Some(declared) = &root.declared_modes
        && !declared.contains(&mode)
    {
        let words: Vec<&str> = declared.iter().map(|mode| mode.as_str()).collect();
        report
            .error("LB0226", root.head, format!("this runbook cannot be run in mode {}", mode.as_str()))
            .help(format!("its modes are: {}", words.join(", ")));
    }
    let verification = root.verification;
    let mut values = compile::inputs(&root, inputs, &mut report);
    let mut runbook = expand::expand(&root, loader.runbooks(), &values, &[mode], false, &mut report).unwrap_or(root);
    compile::inner_inputs(&runbook, &mut values);
    resolve::normalise(&mut runbook, catalog);
    let resolved = resolve::Resolver::new(&runbook, catalog).resolve(&mut report);
    let graph = modes::graph(&runbook, &resolved, mode, &mut report);
    modes::check(&runbook, &resolved, &graph, &mut BTreeSet::new(), &mut report);
    if !graph.included.contains(&true) && !report.has_errors() {
        report
            .error("LB0226", runbook.head, format!("no step of this runbook is in mode {}", mode.as_str()))
            .help("change only= and except= of its steps, give its lists items, or choose another mode");
    }
    if report.has_errors() {
        return Err(report.finish());
    }
    let text = loader.text(&report);
    let source = Digest::of(loader.text_of_plan(&report).as_bytes());
    let plan = compile::plan(&runbook, &resolved, &graph, catalog, values, source, &report);
    Ok(Compiled { plan, warnings: report.finish(), text, verification, triggers: runbook.triggers })
}

/// The text of a file in canonical form, with all its comments. Formatting twice is formatting once.
///
/// # Errors
/// The syntax errors of the file: what cannot be read is not formatted.
pub fn format(source: &SourceFile) -> Result<String, Vec<Diagnostic>> {
    let mut report = Report::new(&source.name, &source.text);
    if source.text.len() > RUNBOOK_BYTES_MAX {
        let message = format!("the file has {} bytes, and at most {RUNBOOK_BYTES_MAX} are read", source.text.len());
        report.error("LB0102", Span::default(), message).help("split it into several files");
        return Err(report.finish());
    }
    let _ = syntax::parse(&mut report, "runbook");
    if report.has_errors() {
        return Err(report.finish());
    }
    Ok(format::format(&mut report))
}
