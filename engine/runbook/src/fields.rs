//! Typed access to what a node says. What was said and never asked for is unknown, and is reported.

use kdl::KdlValue;

use crate::diagnostic::Span;
use crate::model::Named;
use crate::report::Report;
use crate::syntax::{Arg, Node, Prop};
use crate::values::{DURATION_HELP, is_name, parse_duration, twice, type_word};

/// The fields of a node: its properties and its children, each taken once.
pub(crate) struct Fields<'n> {
    pub(crate) node: &'n Node,
    props: Vec<&'n Prop>,
    children: Vec<&'n Node>,
}

/// One field, written as a property or as a child node.
pub(crate) struct Field<'n> {
    pub(crate) args: Vec<&'n Arg>,
    pub(crate) span: Span,
    pub(crate) node: Option<&'n Node>,
}

impl<'n> Fields<'n> {
    pub(crate) fn new(node: &'n Node) -> Self {
        Self { node, props: node.props.iter().collect(), children: node.children.iter().collect() }
    }

    /// Takes all fields of that name.
    pub(crate) fn all(&mut self, name: &str) -> Vec<Field<'n>> {
        #[cfg(test)]
        asked::note(&self.node.name, name);
        let mut found = Vec::new();
        self.props.retain(|prop| {
            if prop.name == name {
                found.push(Field { args: vec![&prop.arg], span: prop.whole, node: None });
            }
            prop.name != name
        });
        self.children.retain(|child| {
            if child.name == name {
                found.push(Field { args: child.args.iter().collect(), span: child.head, node: Some(child) });
            }
            child.name != name
        });
        found
    }

    /// Takes the one field of that name.
    pub(crate) fn one(&mut self, name: &str, report: &mut Report) -> Option<Field<'n>> {
        let mut all = self.all(name).into_iter();
        let first = all.next();
        for more in all {
            twice(name, more.span, report);
        }
        first
    }

    /// Takes a field with one value.
    pub(crate) fn value(&mut self, name: &str, report: &mut Report) -> Option<(&'n Arg, Span)> {
        let field = self.one(name, report)?;
        if let Some(node) = field.node {
            no_props(node, report);
            no_block(node, report);
        }
        let mut args = field.args.iter();
        let Some(first) = args.next() else {
            report.error("LB0111", field.span, format!("'{name}' has no value")).help(format!("write {name} VALUE"));
            return None;
        };
        if let Some(second) = args.next() {
            report.error("LB0112", second.span, format!("'{name}' has more than one value")).help("keep the first one");
        }
        Some((first, field.span))
    }

    pub(crate) fn string(&mut self, name: &str, report: &mut Report) -> Option<Named> {
        let (arg, _) = self.value(name, report)?;
        string(arg, name, report)
    }

    pub(crate) fn boolean(&mut self, name: &str, report: &mut Report) -> Option<(bool, Span)> {
        let (arg, span) = self.value(name, report)?;
        match arg.value {
            KdlValue::Bool(value) => Some((value, span)),
            _ => {
                let message = format!("'{name}' is {}, not a boolean", type_word(&arg.value));
                report.error("LB0113", arg.span, message).help("write #true or #false");
                None
            }
        }
    }

    pub(crate) fn duration(&mut self, name: &str, report: &mut Report) -> Option<(u64, Span)> {
        let (arg, span) = self.value(name, report)?;
        duration(arg, name, report).map(|ms| (ms, span))
    }

    /// A whole number between bounds.
    pub(crate) fn number(&mut self, name: &str, min: u32, max: u32, report: &mut Report) -> Option<u32> {
        let (arg, _) = self.value(name, report)?;
        number(arg, name, min, max, report)
    }

    /// A string out of a list of words.
    pub(crate) fn word(&mut self, name: &str, words: &[&str], report: &mut Report) -> Option<Named> {
        let named = self.string(name, report)?;
        if words.contains(&named.text.as_str()) {
            return Some(named);
        }
        report
            .error("LB0120", named.span, format!("'{}' is not a value of '{name}'", named.text))
            .did_you_mean(&named.text, words.iter().copied());
        None
    }

    /// What nobody asked for.
    pub(crate) fn rest(self) -> (Vec<&'n Prop>, Vec<&'n Node>) {
        (self.props, self.children)
    }

    /// Reports what nobody asked for. `known`: what there is, for "did you mean".
    pub(crate) fn refuse_rest(self, known: &[&str], report: &mut Report) {
        let owner = self.node.name.clone();
        let (props, children) = self.rest();
        for prop in props {
            let span = Span { offset: prop.whole.offset, len: prop.name.len().min(prop.whole.len) };
            report
                .error("LB0110", span, format!("'{owner}' has no property '{}'", prop.name))
                .did_you_mean(&prop.name, known.iter().copied());
        }
        for child in children {
            unknown_node(child, &owner, known, report);
        }
    }
}

pub(crate) fn unknown_node(node: &Node, owner: &str, known: &[&str], report: &mut Report) {
    report
        .error("LB0109", node.name_span, format!("'{}' means nothing in '{owner}'", node.name))
        .did_you_mean(&node.name, known.iter().copied());
}

/// The name that a node gives to what it declares: its first argument.
pub(crate) fn declared_name(node: &Node, report: &mut Report) -> Option<Named> {
    let Some(arg) = node.args.first() else {
        report
            .error("LB0111", node.name_span, format!("this '{}' has no name", node.name))
            .help(format!("write {} \"NAME\"", node.name));
        return None;
    };
    let named = string(arg, "name", report)?;
    if !is_name(&named.text) {
        report
            .error("LB0115", named.span, format!("'{}' cannot be a name", named.text))
            .help("names are made of letters, digits, '-' and '_', and start with a letter or digit");
    }
    Some(named)
}

/// Reports arguments beyond the first `count`.
pub(crate) fn at_most_args(node: &Node, count: usize, report: &mut Report) {
    if let Some(extra) = node.args.get(count) {
        report
            .error("LB0112", extra.span, format!("'{}' has too many values", node.name))
            .help("write properties as name=value, and other things into the block");
    }
}

pub(crate) fn no_props(node: &Node, report: &mut Report) {
    for prop in &node.props {
        report
            .error("LB0110", prop.whole, format!("'{}' has no property '{}'", node.name, prop.name))
            .help("remove it");
    }
}

pub(crate) fn no_block(node: &Node, report: &mut Report) {
    if node.has_block {
        report.error("LB0125", node.head, format!("'{}' has no block", node.name)).help("remove the braces");
    }
}

pub(crate) fn string(arg: &Arg, name: &str, report: &mut Report) -> Option<Named> {
    match &arg.value {
        KdlValue::String(text) => Some(Named { text: text.clone(), span: arg.span }),
        other => {
            let message = format!("'{name}' is {}, not a string", type_word(other));
            report.error("LB0113", arg.span, message).help("put it into quotation marks");
            None
        }
    }
}

pub(crate) fn duration(arg: &Arg, name: &str, report: &mut Report) -> Option<u64> {
    let named = match &arg.value {
        KdlValue::String(text) => text,
        other => {
            let message = format!("'{name}' is {}, not a duration", type_word(other));
            report.error("LB0113", arg.span, message).help(DURATION_HELP);
            return None;
        }
    };
    match parse_duration(named) {
        Ok(ms) => Some(ms),
        Err(reason) => {
            let message = format!("'{named}' is not a duration: {reason}");
            report.error("LB0117", arg.span, message).help(DURATION_HELP);
            None
        }
    }
}

pub(crate) fn number(arg: &Arg, name: &str, min: u32, max: u32, report: &mut Report) -> Option<u32> {
    let KdlValue::Integer(value) = arg.value else {
        let message = format!("'{name}' is {}, not a whole number", type_word(&arg.value));
        report.error("LB0113", arg.span, message).help(format!("write a number from {min} to {max}"));
        return None;
    };
    match u32::try_from(value) {
        Ok(number) if (min..=max).contains(&number) => Some(number),
        _ => {
            let message = format!("'{name}' is {value}, which is out of bounds");
            report.error("LB0120", arg.span, message).help(format!("write a number from {min} to {max}"));
            None
        }
    }
}

/// What was asked of which node: for the test that holds the table of the language to the compiler.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static ASKED: RefCell<BTreeSet<(String, String)>> = RefCell::default();
    }

    pub(crate) fn note(node: &str, field: &str) {
        ASKED.with_borrow_mut(|all| all.insert((node.to_owned(), field.to_owned())));
    }

    pub(crate) fn clear() {
        ASKED.take();
    }

    pub(crate) fn taken() -> BTreeSet<(String, String)> {
        ASKED.take()
    }
}
