//! Runbooks of several files: `include` puts the nodes of a file in its place, `run` names the file of a child runbook.
//!
//! Nothing is read here: whoever compiles gives the texts ([`SourceFiles`]), so the compiler stays free of the disk. A
//! file is known by its path from the folder of the first file, wherever that folder is.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::limits::{FILE_DEPTH_MAX, FILES_PER_RUNBOOK_MAX, RUNBOOK_BYTES_MAX};

use crate::diagnostic::Span;
use crate::fields::{at_most_args, no_block, no_props, string};
use crate::model::{Named, Runbook};
use crate::report::Report;
use crate::syntax::{Node, Parsed};
use crate::{SourceFile, read, syntax};

/// Where the texts of further files come from: those that a runbook includes, and its child runbooks.
pub trait SourceFiles {
    /// The bytes of a file. `name` is its path, taken from the folder of the first file's name; `.` and `..` are
    /// resolved in it as far as they can be.
    ///
    /// # Errors
    /// Why it cannot be read: one sentence without a full stop.
    fn read(&self, name: &str) -> Result<Vec<u8>, String>;
}

/// For a text that stands alone: there are no further files.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl SourceFiles for NoFiles {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("this text is read on its own, without other files".to_owned())
    }
}

/// Reads what a runbook names.
pub(crate) struct Loader<'a> {
    files: &'a dyn SourceFiles,
    /// The folder of the first file.
    folder: String,
    /// The paths of all files, as the report numbers them.
    paths: Vec<String>,
    bytes: usize,
    parsed: BTreeMap<String, Parsed>,
    /// The child runbooks by path; `None` where there is none in the file.
    children: BTreeMap<String, Option<usize>>,
    runbooks: Vec<Runbook>,
    /// The paths of the files that are being read, outermost first.
    open: Vec<String>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(first: &SourceFile, files: &'a dyn SourceFiles) -> Self {
        let (folder, name) = first.name.rsplit_once('/').unwrap_or(("", &first.name));
        let folder = if folder.is_empty() && first.name.starts_with('/') { "/" } else { folder };
        Self {
            files,
            folder: folder.to_owned(),
            paths: vec![name.to_owned()],
            bytes: first.text.len(),
            parsed: BTreeMap::new(),
            children: BTreeMap::new(),
            runbooks: Vec::new(),
            open: vec![name.to_owned()],
        }
    }

    /// The runbook of the first file, with all that it includes.
    pub(crate) fn first(&mut self, report: &mut Report) -> Option<Runbook> {
        let parsed = syntax::parse(report, "runbook");
        self.runbook(parsed, 0, report)
    }

    /// The child runbooks, as [`crate::model::RunDef::child`] numbers them.
    pub(crate) fn runbooks(&self) -> &[Runbook] {
        &self.runbooks
    }

    /// The names of all further files.
    pub(crate) fn others(&self) -> Vec<String> {
        self.paths.iter().skip(1).map(|path| join(&self.folder, path)).collect()
    }

    /// All texts as one, as it is stored with a run: each behind a line that names its file. A file alone is as it is.
    pub(crate) fn text(&self, report: &Report) -> String {
        self.joined(report.texts().map(str::to_owned))
    }

    /// [`Self::text`] without what starts a run by itself.
    pub(crate) fn text_of_plan(&self, report: &Report) -> String {
        self.joined(report.texts_of_plan())
    }

    fn joined(&self, mut texts: impl Iterator<Item = String>) -> String {
        if self.paths.len() == 1 {
            return texts.next().unwrap_or_default();
        }
        let mut all = String::with_capacity(self.bytes + 64 * self.paths.len());
        for (path, text) in self.paths.iter().zip(texts) {
            all.push_str(&format!("// file: {}\n{text}", path.replace(char::is_control, " ")));
            if !text.ends_with('\n') {
                all.push('\n');
            }
        }
        all
    }

    fn runbook(&mut self, mut parsed: Parsed, base: usize, report: &mut Report) -> Option<Runbook> {
        let mut included = BTreeSet::new();
        let mut broken = (Vec::new(), false);
        if let Some(node) = parsed.nodes.iter_mut().find(|node| node.name == "runbook") {
            let children = std::mem::take(&mut node.children);
            node.children = self.splice(children, &mut included, &mut broken, report);
        }
        parsed.broken.append(&mut broken.0);
        parsed.incomplete |= broken.1;
        let mut runbook = read::runbook(parsed, base, report)?;
        for run in &mut runbook.runs {
            if let Some(path) = &run.path {
                run.child = self.child(path, report);
            }
        }
        Some(runbook)
    }

    /// The nodes with those of included files in their places. A file that is included a second time is there already.
    fn splice(
        &mut self,
        nodes: Vec<Node>,
        included: &mut BTreeSet<String>,
        broken: &mut (Vec<String>, bool),
        report: &mut Report,
    ) -> Vec<Node> {
        let mut all = Vec::with_capacity(nodes.len());
        for node in nodes {
            if node.name != "include" {
                all.push(node);
                continue;
            }
            no_props(&node, report);
            no_block(&node, report);
            at_most_args(&node, 1, report);
            let Some(arg) = node.args.first() else {
                report.error("LB0111", node.head, "'include' names no file").help("write include \"common.kdl\"");
                continue;
            };
            let Some(name) = string(arg, "include", report) else { continue };
            let path = self.path(&name, report);
            if included.contains(&path) && !self.open.contains(&path) {
                continue;
            }
            let Some(parsed) = self.load(&path, name.span, report) else {
                *broken = (std::mem::take(&mut broken.0), true);
                continue;
            };
            included.insert(path.clone());
            broken.0.extend(parsed.broken);
            self.open.push(path);
            let inner = parsed.nodes.into_iter().filter(|node| part_of_runbook(node, report)).collect();
            all.extend(self.splice(inner, included, broken, report));
            self.open.pop();
        }
        all
    }

    fn child(&mut self, name: &Named, report: &mut Report) -> Option<usize> {
        let path = self.path(name, report);
        if let Some(child) = self.children.get(&path) {
            return *child;
        }
        let parsed = self.load(&path, name.span, report)?;
        let number = self.paths.iter().position(|known| *known == path).unwrap_or_default();
        let base = report.base_of(number);
        self.open.push(path.clone());
        let runbook = self.runbook(parsed, base, report);
        self.open.pop();
        let child = runbook.map(|runbook| {
            self.runbooks.push(runbook);
            self.runbooks.len() - 1
        });
        self.children.insert(path, child);
        child
    }

    /// The path of a file that is named at a place, from the folder of the first file.
    fn path(&self, name: &Named, report: &Report) -> String {
        let from = self.paths.get(report.file_number(name.span.offset)).map(String::as_str).unwrap_or_default();
        join(from.rsplit_once('/').map_or("", |(folder, _)| folder), &name.text)
    }

    fn load(&mut self, path: &str, span: Span, report: &mut Report) -> Option<Parsed> {
        if let Some(at) = self.open.iter().position(|open| open == path) {
            let mut way: Vec<&str> = self.open.iter().skip(at).map(String::as_str).collect();
            way.push(path);
            report
                .error("LB0141", span, format!("these files name each other: {}", way.join(" -> ")))
                .help("remove one of these 'run' or 'include'");
            return None;
        }
        if self.open.len() > FILE_DEPTH_MAX || self.paths.len() >= FILES_PER_RUNBOOK_MAX {
            too_many(span, report);
            return None;
        }
        if let Some(parsed) = self.parsed.get(path) {
            return Some(parsed.clone());
        }
        let source = match self.read(path) {
            Ok(source) => source,
            Err(reason) => {
                report
                    .error("LB0140", span, format!("'{path}' cannot be read: {reason}"))
                    .help("paths start from the folder of the file that names them");
                return None;
            }
        };
        self.bytes += source.text.len();
        if self.bytes > RUNBOOK_BYTES_MAX {
            report
                .error("LB0102", span, format!("with this file, the runbook has more than {RUNBOOK_BYTES_MAX} bytes"))
                .help("split it into several runbooks");
            return None;
        }
        let mut own = Report::new(&source.name, &source.text);
        let mut parsed = syntax::parse(&mut own, "runbook");
        let base = report.absorb(own);
        parsed.nodes.iter_mut().for_each(|node| node.shift(base));
        self.paths.push(path.to_owned());
        self.parsed.insert(path.to_owned(), parsed.clone());
        Some(parsed)
    }

    fn read(&self, path: &str) -> Result<SourceFile, String> {
        if path.is_empty() || path.contains('\0') {
            return Err("this is not a path".to_owned());
        }
        let name = join(&self.folder, path);
        let bytes = self.files.read(&name)?;
        SourceFile::from_bytes(name, &bytes).map_err(|found| match found.first() {
            Some(first) => format!("in line {}, {}", first.line, first.message),
            None => "it is not text".to_owned(),
        })
    }
}

pub(crate) fn too_many(span: Span, report: &mut Report) {
    report
        .error(
            "LB0142",
            span,
            format!(
                "a runbook has at most {FILES_PER_RUNBOOK_MAX} files, and they name each other {FILE_DEPTH_MAX} deep at most"
            ),
        )
        .help("put some of them together");
}

fn part_of_runbook(node: &Node, report: &mut Report) -> bool {
    if node.name == "runbook" {
        report
            .error("LB0109", node.head, "an included file holds nodes of a runbook, and this is a runbook")
            .help("write its nodes without runbook { }, or run it as a child: run \"NAME\" runbook=\"FILE\"");
    }
    node.name != "runbook"
}

/// A path from a folder, without `.` and with `..` taken back where it can be.
fn join(folder: &str, path: &str) -> String {
    let folder = if path.starts_with('/') { "" } else { folder };
    let absolute = path.starts_with('/') || folder.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_from_the_file_that_names_them() {
        for (folder, path, want) in [
            ("", "common.kdl", "common.kdl"),
            ("app", "../db/./runbook.kdl", "db/runbook.kdl"),
            ("..", "../x.kdl", "../../x.kdl"),
            ("./runbooks/app", "../x.kdl", "runbooks/x.kdl"),
            ("/srv/runbooks", "../../../x.kdl", "/x.kdl"),
            ("/srv", "/etc/x.kdl", "/etc/x.kdl"),
            ("app", "", "app"),
        ] {
            assert_eq!(join(folder, path), want, "{folder} {path}");
        }
    }
}
