//! What is wrong with a file, and where: rendered by miette, serialised for scripts.

use std::fmt;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, SourceCode};
use serde::{Serialize, Serializer};

/// A stretch of a file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Where it starts, from 0.
    pub offset: usize,
    /// How long it is.
    pub len: usize,
}

impl Span {
    /// From one offset to another; empty where the second is not after the first.
    pub const fn between(start: usize, end: usize) -> Self {
        Self { offset: start, len: end.saturating_sub(start) }
    }

    /// The offset behind its last byte.
    pub const fn end(self) -> usize {
        self.offset.saturating_add(self.len)
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted; a person should look.
    Warning,
}

/// One mistake. Its serialised form is the format of `lifeboat check --format json`.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The stable code, which has a page: [`crate::explain`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence, without a full stop.
    pub message: String,
    /// The name of the file, as it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Where.
    pub span: Span,
    /// What to change, where there is one thing to say.
    pub help: Option<String>,
    /// What is said at the place itself, and other places that have to do with it.
    pub labels: Vec<(Span, String)>,
    pub(crate) source: Arc<NamedSource<String>>,
}

impl Diagnostic {
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" where something of that kind has a name much like it.
    pub(crate) fn did_you_mean<'a>(&mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let known: Vec<&str> = known.into_iter().collect();
        if let Some(best) = closest(word, known.iter().copied()) {
            self.help = Some(format!("did you mean '{best}'?"));
        } else if known.is_empty() {
            self.help = Some("nothing of that kind is declared: declare it first".to_owned());
        } else {
            // A long list helps nobody.
            let more = if known.len() > 24 { ", ..." } else { "" };
            let mut first = known;
            first.sort_unstable();
            first.truncate(24);
            self.help = Some(format!("known here: {}{more}", first.join(", ")));
        }
        self
    }

    pub(crate) fn label(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.labels.push((span, text.into()));
        self
    }
}

/// The known word that is much like this one, if there is one.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long word that somebody made up is not compared: the distance takes time of the product of both lengths.
    if word.len() > 100 {
        return None;
    }
    let limit = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= 100)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let at_itself = self.labels.iter().any(|(span, _)| *span == self.span);
        let own = (!at_itself).then(|| LabeledSpan::new_primary_with_span(None, (self.span.offset, self.span.len)));
        let others = self.labels.iter().map(move |(span, text)| {
            let place = (span.offset, span.len);
            if *span == self.span {
                LabeledSpan::new_primary_with_span(Some(text.clone()), place)
            } else {
                LabeledSpan::new_with_span(Some(text.clone()), place)
            }
        });
        Some(Box::new(own.into_iter().chain(others)))
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Diagnostic", 7)?;
        fields.serialize_field("code", self.code)?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("file", &self.file)?;
        fields.serialize_field("line", &self.line)?;
        fields.serialize_field("column", &self.column)?;
        fields.serialize_field("help", &self.help)?;
        fields.end()
    }
}
