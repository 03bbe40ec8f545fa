//! A page as data: what there is to say, without a word on how it looks.

use serde::Serialize;

/// How something is meant. It is always said in words or by a mark, too: colour carries no meaning alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// Neither.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Take care.
    Warn,
    /// Not as it should be.
    Bad,
    /// Less important.
    Soft,
}

impl Tone {
    /// The mark that goes with it.
    pub const fn mark(self) -> &'static str {
        match self {
            Tone::Good => "✓",
            Tone::Warn => "!",
            Tone::Bad => "✗",
            Tone::Plain | Tone::Soft => "",
        }
    }

    /// Its name, as a class.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Soft => "soft",
        }
    }
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The text.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
    /// The mark of its tone.
    pub mark: &'static str,
    /// Whether it is a digest or an id.
    pub code: bool,
    /// Whether it is short enough to stand in one line wherever it is.
    pub short: bool,
    /// More lines below it.
    pub more: Vec<String>,
}

/// Letters of a text that stands in one line.
const SHORT: usize = 12;

fn is_short(text: &str) -> bool {
    text.chars().count() <= SHORT
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { short: is_short(&text), text, ..Self::default() }
    }

    /// A text with a tone.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, mark: tone.mark(), ..Self::text(text) }
    }

    /// A digest or an id.
    pub fn code(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: true, ..Self::default() }
    }

    /// The same with more lines.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.more.extend(more);
        self
    }
}

/// A row: the first cell is its head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The head of the row.
    pub head: Cell,
    /// The others, each with the head of its column.
    pub cells: Vec<Labelled>,
}

/// A cell with the head of its column, for narrow screens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Labelled {
    /// The head of the column.
    pub label: &'static str,
    /// The cell.
    pub cell: Cell,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What it is.
    pub caption: String,
    /// The heads of its columns.
    pub heads: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Whether a narrow screen shows each row as a card: more columns than three do not fit there.
    pub stack: bool,
}

impl Table {
    /// A table of rows that have as many cells as there are heads.
    pub fn new<const N: usize>(
        caption: impl Into<String>,
        heads: [&'static str; N],
        rows: impl IntoIterator<Item = [Cell; N]>,
    ) -> Self {
        let row = |cells: [Cell; N]| {
            let mut cells = heads.into_iter().zip(cells);
            let head = cells.next().map(|(_, cell)| cell).unwrap_or_default();
            Row { head, cells: cells.map(|(label, cell)| Labelled { label, cell }).collect() }
        };
        Self { caption: caption.into(), heads: heads.to_vec(), rows: rows.into_iter().map(row).collect(), stack: N > 3 }
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// An `svg` element that is complete in itself.
    pub svg: String,
    /// What it is.
    pub caption: String,
    /// What it shows, in words: for those who do not see it, and for Markdown.
    pub words: String,
}

/// A part of a section: one of the three is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Block {
    /// A paragraph.
    pub text: Option<Cell>,
    /// A table.
    pub table: Option<Table>,
    /// A picture.
    pub figure: Option<Figure>,
}

impl Block {
    /// A paragraph.
    pub fn text(cell: Cell) -> Self {
        Self { text: Some(cell), ..Self::default() }
    }

    /// A table.
    pub fn table(table: Table) -> Self {
        Self { table: Some(table), ..Self::default() }
    }

    /// A picture.
    pub fn figure(figure: Figure) -> Self {
        Self { figure: Some(figure), ..Self::default() }
    }
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its name in links: letters and marks that need no escaping.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What is in it.
    pub blocks: Vec<Block>,
}

/// A figure at the top of the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tile {
    /// What it is.
    pub label: &'static str,
    /// The figure.
    pub value: String,
    /// What it is held against.
    pub note: Cell,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The name of the runbook.
    pub title: String,
    /// What it is for.
    pub subtitle: String,
    /// What came of it.
    pub verdict: Cell,
    /// What came of it, in a sentence.
    pub sentence: String,
    /// Who, when, which run.
    pub facts: Vec<Labelled>,
    /// The figures.
    pub tiles: Vec<Tile>,
    /// The sections.
    pub sections: Vec<Section>,
    /// The last line.
    pub foot: String,
}
