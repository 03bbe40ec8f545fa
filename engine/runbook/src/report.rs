//! Collects mistakes. A runbook may be made of several files: their texts stand one behind the other in one space of
//! offsets, so that a place is a number wherever it is passed on, and is told as a file, a line and a column at the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use lifeboat_core::limits::DIAGNOSTICS_MAX;
use miette::NamedSource;

use crate::diagnostic::{Diagnostic, Severity, Span};

/// One file with its place among the others.
struct FileText {
    name: String,
    base: usize,
    source: Arc<NamedSource<String>>,
    line_starts: Vec<usize>,
}

impl FileText {
    fn new(name: &str, text: &str, base: usize) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            name: name.to_owned(),
            base,
            source: Arc::new(NamedSource::new(name, text.to_owned())),
            line_starts: std::iter::once(0).chain(starts).collect(),
        }
    }

    /// From 1.
    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset - self.base).max(1)
    }

    /// From 1, in characters.
    fn column_of(&self, offset: usize) -> usize {
        let start = self.line_starts.get(self.line_of(offset) - 1).copied().unwrap_or(0);
        let text = self.source.inner();
        text.get(start..offset - self.base).map_or(1, |before| before.chars().count() + 1)
    }
}

/// Collects the mistakes of one runbook.
pub(crate) struct Report {
    first: FileText,
    others: Vec<FileText>,
    found: Vec<Diagnostic>,
    seen: BTreeSet<(&'static str, Span)>,
    beyond: usize,
    /// Nodes with a secret in the open: no excerpt shows what stands behind their names.
    hidden: Vec<Span>,
    /// What is no part of a plan: the nodes that start runs.
    apart: Vec<Span>,
    /// Takes what is said about a mistake that is not reported.
    scratch: Option<Diagnostic>,
}

impl Report {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        Self {
            first: FileText::new(file, text, 0),
            others: Vec::new(),
            found: Vec::new(),
            seen: BTreeSet::new(),
            beyond: 0,
            hidden: Vec::new(),
            apart: Vec::new(),
            scratch: None,
        }
    }

    /// The text of the first file.
    pub(crate) fn text(&self) -> &str {
        self.first.source.inner()
    }

    /// The texts of all files, in the order in which they were added.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.first).chain(&self.others).map(|file| file.source.inner().as_str())
    }

    /// Notes that this stretch of the text is no part of a plan.
    pub(crate) fn apart(&mut self, span: Span) {
        self.apart.push(span);
    }

    /// [`Self::texts`] without what is no part of a plan. A line that holds nothing else goes as a whole.
    pub(crate) fn texts_of_plan(&self) -> impl Iterator<Item = String> {
        let mut spans = self.apart.clone();
        // A file that is included twice is read once; a node counts once in any case.
        spans.sort_unstable();
        spans.dedup();
        std::iter::once(&self.first).chain(&self.others).map(move |file| {
            let text = file.source.inner();
            let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
            let own = spans.iter().filter(|span| span.offset >= file.base && span.end() <= file.base + text.len());
            for (mut start, mut end) in own.map(|span| (span.offset - file.base, span.end() - file.base)) {
                let line = text.get(..start).map_or(0, |before| before.rfind('\n').map_or(0, |at| at + 1));
                let rest = text.get(end..).unwrap_or_default();
                let behind = rest.find('\n').map_or(rest.len(), |at| at + 1);
                let blank = |part: Option<&str>| part.is_some_and(|part| part.trim().is_empty());
                if blank(text.get(line..start)) && blank(rest.get(..behind)) {
                    (start, end) = (line, end + behind);
                }
                kept.push_str(text.get(at..start).unwrap_or_default());
                at = at.max(end);
            }
            kept.push_str(text.get(at..).unwrap_or_default());
            kept
        })
    }

    /// Keeps what a node says out of every excerpt of the text; its name stays.
    pub(crate) fn hide(&mut self, node: Span) {
        self.hidden.push(node);
    }

    /// The texts with a star for each byte that is hidden: places stay where they are.
    fn cover(&mut self) {
        for span in std::mem::take(&mut self.hidden) {
            let Some(text) = self.slice(span) else { continue };
            let name = text.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(text.len());
            let stars: String = text
                .char_indices()
                .map(|(at, c)| match c {
                    _ if at < name || c.is_whitespace() => c.to_string(),
                    _ => "*".repeat(c.len_utf8()),
                })
                .collect();
            let number = self.file_number(span.offset);
            let file = match number.checked_sub(1) {
                None => &mut self.first,
                Some(at) => match self.others.get_mut(at) {
                    Some(file) => file,
                    None => continue,
                },
            };
            let mut covered = file.source.inner().clone();
            let start = span.offset - file.base;
            covered.replace_range(start..start + span.len, &stars);
            file.source = Arc::new(NamedSource::new(&file.name, covered));
        }
    }

    /// The text at a place, where it is within one file.
    pub(crate) fn slice(&self, span: Span) -> Option<&str> {
        let file = self.file(span.offset);
        file.source.inner().get(span.offset.checked_sub(file.base)?..span.end().checked_sub(file.base)?)
    }

    fn file(&self, offset: usize) -> &FileText {
        let at = self.others.partition_point(|file| file.base <= offset);
        at.checked_sub(1).and_then(|at| self.others.get(at)).unwrap_or(&self.first)
    }

    /// The number of the file that an offset is in: 0 is the first one.
    pub(crate) fn file_number(&self, offset: usize) -> usize {
        self.others.partition_point(|file| file.base <= offset)
    }

    /// Where the text of a file starts, by its number.
    pub(crate) fn base_of(&self, number: usize) -> usize {
        number.checked_sub(1).and_then(|at| self.others.get(at)).map_or(0, |file| file.base)
    }

    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.file(offset).line_of(offset)
    }

    /// Takes in the report of a file of its own, behind the others. The result is where its text starts: all that was
    /// read from it has to be moved there.
    pub(crate) fn absorb(&mut self, other: Report) -> usize {
        let last = self.others.last().unwrap_or(&self.first);
        // One more than its length: the end of a file is a place in it.
        let base = last.base + last.source.inner().len() + 1;
        for mut diagnostic in other.found {
            diagnostic.span.offset += base;
            diagnostic.labels.iter_mut().for_each(|(span, _)| span.offset += base);
            if self.found.len() < DIAGNOSTICS_MAX {
                self.seen.insert((diagnostic.code, diagnostic.span));
                self.found.push(diagnostic);
            } else {
                self.beyond += 1;
            }
        }
        self.beyond += other.beyond;
        self.others.push(FileText { base, ..other.first });
        base
    }

    pub(crate) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(code, Severity::Error, span, message.into())
    }

    pub(crate) fn warn(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.push(code, Severity::Warning, span, message.into())
    }

    fn diagnostic(&self, code: &'static str, severity: Severity, span: Span, message: String) -> Diagnostic {
        let file = self.file(span.offset);
        Diagnostic {
            code,
            severity,
            message,
            file: file.name.clone(),
            line: file.line_of(span.offset),
            column: file.column_of(span.offset),
            span,
            help: None,
            labels: Vec::new(),
            source: file.source.clone(),
        }
    }

    /// The same rule at the same place is reported once, however many modes break it.
    fn push(&mut self, code: &'static str, severity: Severity, span: Span, message: String) -> &mut Diagnostic {
        let diagnostic = self.diagnostic(code, severity, span, message);
        let new = self.seen.insert((code, span));
        if new && self.found.len() < DIAGNOSTICS_MAX {
            self.found.push(diagnostic);
            let last = self.found.len() - 1;
            // The element was pushed just now; the scratch is never reached.
            #[allow(clippy::indexing_slicing)]
            return &mut self.found[last];
        }
        self.beyond += usize::from(new);
        self.scratch.insert(diagnostic)
    }

    /// What was reported with that code at that place.
    pub(crate) fn at(&mut self, code: &str, span: Span) -> Option<&mut Diagnostic> {
        self.found.iter_mut().find(|diagnostic| diagnostic.code == code && diagnostic.span == span)
    }

    /// Whether one of those codes was reported for a place that starts there.
    pub(crate) fn any_at(&self, offset: usize, codes: &[&str]) -> bool {
        self.found.iter().any(|one| one.span.offset == offset && codes.contains(&one.code))
    }

    /// How much was reported.
    pub(crate) fn count(&self) -> usize {
        self.found.len() + self.beyond
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All mistakes in the order of the text, the first file first. Their places are those in their own file.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.beyond > 0 {
            let message = format!("{} more mistakes are not listed", self.beyond);
            let last = self.others.last().unwrap_or(&self.first);
            let end = Span { offset: last.base + last.source.inner().len(), len: 0 };
            let mut more = self.diagnostic("LB0199", Severity::Error, end, message);
            more.help("mend the first ones and check again");
            self.found.push(more);
        }
        self.found.sort_by_key(|diagnostic| (diagnostic.span.offset, diagnostic.severity, diagnostic.code));
        let covered = !self.hidden.is_empty();
        self.cover();
        let mut found = std::mem::take(&mut self.found);
        if covered {
            found.iter_mut().for_each(|one| one.source = self.file(one.span.offset).source.clone());
        }
        found.iter_mut().for_each(|diagnostic| self.localise(diagnostic));
        found
    }

    /// Offsets become those of the diagnostic's own file. A label in another file cannot be drawn: it is told.
    fn localise(&self, diagnostic: &mut Diagnostic) {
        let file = self.file(diagnostic.span.offset);
        let mut elsewhere = Vec::new();
        let labels = std::mem::take(&mut diagnostic.labels);
        for (span, text) in labels {
            let other = self.file(span.offset);
            if other.base == file.base {
                diagnostic.labels.push((Span { offset: span.offset - file.base, ..span }, text));
            } else {
                elsewhere.push(format!("{text}: {}:{}", other.name, other.line_of(span.offset)));
            }
        }
        diagnostic.span.offset -= file.base;
        if !elsewhere.is_empty() {
            let help = diagnostic.help.take().map(|help| format!("{help}; ")).unwrap_or_default();
            diagnostic.help = Some(format!("{help}{}", elsewhere.join("; ")));
        }
    }
}
