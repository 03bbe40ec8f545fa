//! A page as HTML or Markdown, by handlebars. Everything that is not a picture of our own is escaped by the template engine.

use handlebars::Handlebars;
use lifeboat_core::Error;
use lifeboat_evidence::words;
use serde::Serialize;

use crate::failed;
use crate::page::Page;

const HTML: &str = include_str!("../templates/report.html.hbs");
const CELL: &str = include_str!("../templates/cell.html.hbs");
const STYLE: &str = include_str!("../templates/style.css");
const MARKDOWN: &str = include_str!("../templates/report.md.hbs");
const MARKDOWN_CELL: &str =
    "{{#if mark}}{{{mark}}} {{/if}}{{#if code}}`{{{text}}}`{{else}}{{text}}{{/if}}{{#each more}}<br>{{this}}{{/each}}";

#[derive(Serialize)]
struct Styled<'a> {
    style: &'static str,
    page: &'a Page,
}

/// Text in HTML. Control characters are nothing that a page may have.
fn escape(text: &str) -> String {
    let clean: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    handlebars::html_escape(&clean)
}

/// The page as one HTML file that needs nothing else.
///
/// # Errors
/// `LB1132` when the template cannot be filled in, which no page causes.
pub fn html(page: &Page) -> Result<String, Error> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(escape);
    engine.register_template_string("cell", CELL.trim_end()).map_err(failed)?;
    engine.register_template_string("page", HTML).map_err(failed)?;
    engine.render("page", &Styled { style: STYLE, page }).map_err(failed)
}

/// The page as Markdown. Pictures are told in words.
///
/// # Errors
/// As [`html`].
pub fn markdown(page: &Page) -> Result<String, Error> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(words::markdown);
    engine.register_template_string("cell", MARKDOWN_CELL).map_err(failed)?;
    engine.register_template_string("page", MARKDOWN).map_err(failed)?;
    let mut page = page.clone();
    plain_codes(&mut page);
    engine.render("page", &Styled { style: "", page: &page }).map_err(failed)
}

/// In Markdown a code ends at the next backtick, whatever is before it: a text with one is no code there.
fn plain_codes(page: &mut Page) {
    let tables =
        page.sections.iter_mut().flat_map(|section| &mut section.blocks).filter_map(|block| block.table.as_mut());
    let rows = tables.flat_map(|table| &mut table.rows);
    let cells =
        rows.flat_map(|row| std::iter::once(&mut row.head).chain(row.cells.iter_mut().map(|one| &mut one.cell)));
    for cell in cells.chain(page.facts.iter_mut().map(|one| &mut one.cell)) {
        cell.code &= cell.text.chars().all(|letter| letter.is_ascii_alphanumeric() || ":-._/".contains(letter));
    }
}
