//! `for-each`: a step or a child runbook, once for each item of a list. What the items are is known when the plan is made.

use std::collections::BTreeSet;

use lifeboat_core::template;

use crate::diagnostic::Span;
use crate::fields::{Field, Fields, no_block, number, string};
use crate::report::Report;

/// The list of a `for-each`, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EachList {
    /// An input of type list.
    Input(String),
    /// The items themselves.
    Items(Vec<String>),
    /// It could not be read, which was said.
    Unknown,
}

/// A `for-each` as it was written.
#[derive(Clone, Debug)]
pub(crate) struct EachDef {
    pub(crate) list: EachList,
    pub(crate) span: Span,
    /// How many at once, where it was written.
    pub(crate) limit: Option<u32>,
}

/// One item, where it is known by its name.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) text: String,
}

const HELP: &str = "write for-each \"{{inputs.NAME}}\" with an input of type list, or the items: for-each \"a\" \"b\"";

/// Takes `for-each` and `concurrency` of a node.
pub(crate) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Option<EachDef> {
    let field = fields.one("for-each", report);
    let beside = fields.one("concurrency", report);
    let mut limit = beside.as_ref().and_then(|field| {
        let arg = field.args.first()?;
        number(arg, "concurrency", 1, 10_000, report)
    });
    let Some(field) = field else {
        if let Some(beside) = beside {
            report
                .error("LB0133", beside.span, "'concurrency' says how many items of a for-each are under way at once")
                .help("remove it, or add for-each; for the whole runbook, write max-parallel");
        }
        return None;
    };
    if let Some(node) = field.node {
        no_block(node, report);
        let mut inner = Fields::new(node);
        limit = inner.number("concurrency", 1, 10_000, report).or(limit);
        let (props, _) = inner.rest();
        for prop in props {
            report
                .error("LB0110", prop.whole, format!("'for-each' has no property '{}'", prop.name))
                .did_you_mean(&prop.name, ["concurrency"]);
        }
    }
    let (list, span) = list(&field, report).unwrap_or((EachList::Unknown, field.span));
    Some(EachDef { list, span, limit })
}

/// The list, and where it is written.
fn list(field: &Field<'_>, report: &mut Report) -> Option<(EachList, Span)> {
    let items: Vec<_> = field.args.iter().filter_map(|arg| string(arg, "for-each", report)).collect();
    if items.len() < field.args.len() {
        return None;
    }
    if items.is_empty() {
        report.error("LB0111", field.span, "'for-each' names no list").help(HELP);
        return None;
    }
    let mut list = Vec::new();
    for item in &items {
        let path = match template::references(&item.text).as_deref() {
            Ok([]) => None,
            Ok([only]) if only.range == (0..item.text.len()) && items.len() == 1 => Some(only.path.clone()),
            _ => Some(Vec::new()),
        };
        match path.as_deref() {
            None => list.push(item.text.clone()),
            Some([root, name]) if root == "inputs" => {
                return Some((EachList::Input(name.clone()), item.span));
            }
            Some(_) => {
                report.error("LB0133", item.span, "a for-each needs a list that is known before the run").help(HELP);
                return None;
            }
        }
    }
    Some((EachList::Items(list), field.span))
}

/// The items with their names: an item is its own name where it can be a part of a reference and is there once; else
/// its place in the list is, from 1.
pub(crate) fn named(texts: &[String]) -> Vec<Item> {
    let plain = |text: &str| {
        (1..=40).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let place = |at: usize| (at + 1).to_string();
    let mut names: Vec<String> =
        texts.iter().enumerate().map(|(at, text)| if plain(text) { text.clone() } else { place(at) }).collect();
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        names = (0..texts.len()).map(place).collect();
    }
    names.into_iter().zip(texts).map(|(name, text)| Item { name, text: text.clone() }).collect()
}

/// Whether a text can stand in another one without making a reference there that nobody wrote.
pub(crate) fn is_plain(text: &str) -> bool {
    !text.contains("{{") && !text.ends_with(['{', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(items: &[&str]) -> String {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        named(&items).into_iter().map(|item| item.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn items_are_named_by_what_they_are_or_by_their_place() {
        assert_eq!(names(&["eu-1", "us_2"]), "eu-1 us_2");
        assert_eq!(names(&["eu", "db.example.net", "ü"]), "eu 2 3");
        assert_eq!(names(&["eu", "us", "eu"]), "1 2 3");
        assert_eq!(names(&["2", "a b"]), "1 2");
    }
}
