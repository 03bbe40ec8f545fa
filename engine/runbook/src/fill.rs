//! Texts of steps that are spread out: the item of a for-each and the inputs of a child runbook are put in, and the
//! names of steps become those that they have in the plan.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use lifeboat_core::template::{self, Reference};
use serde_json::Value;

use crate::diagnostic::Span;
use crate::each::{EachList, Item};
use crate::model::{Places, WhenDef};
use crate::steps::place_of;
use crate::values::escape;

/// A text with the references in it and where each was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filled {
    pub(crate) text: String,
    pub(crate) references: Vec<(Reference, Span)>,
}

/// What a reference takes besides its text.
const REFERENCE_BYTES: usize = 128;

/// What may still be put into a plan, in bytes, about. A small text can ask for more than any machine has: children of
/// children, each given a text that repeats what its parent was given.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Rc<Cell<usize>>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    /// Takes that much. Where there is less, nothing is left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        self.0.set(self.0.get().saturating_sub(bytes));
        !self.is_spent()
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// What names mean in one runbook, as it is spread out.
pub(crate) struct Scope {
    /// What stands before the names of its steps and targets: empty, or the way to it with a `/` at the end.
    pub(crate) prefix: String,
    /// What its inputs stand for; `None`: for themselves.
    pub(crate) inputs: Option<HashMap<String, Filled>>,
    /// Its steps and child runbooks with a for-each, with their lists.
    pub(crate) fans: HashMap<String, EachList>,
    pub(crate) budget: Budget,
}

/// The item that a step is made for.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) list: &'a EachList,
    pub(crate) item: &'a Item,
}

pub(crate) fn reference(path: Vec<String>) -> Reference {
    Reference { path, range: 0..0 }
}

impl Scope {
    /// The name in the plan.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A text as the plan has it.
    pub(crate) fn text(&self, text: &str, span: Span, at: Option<At<'_>>) -> Filled {
        let mut filled = Filled { text: String::with_capacity(text.len()), references: Vec::new() };
        let mut from = 0;
        // A text that cannot be read was reported where it was read.
        for found in template::references(text).unwrap_or_default() {
            filled.text.push_str(text.get(from..found.range.start).unwrap_or_default());
            from = found.range.end;
            let before = (filled.text.len(), filled.references.len());
            self.one(found.path, span, at, &mut filled);
            let more = filled.references.len() - before.1;
            if !self.budget.take(filled.text.len() - before.0 + more * REFERENCE_BYTES) {
                break;
            }
        }
        filled.text.push_str(text.get(from..).unwrap_or_default());
        filled
    }

    fn one(&self, path: Vec<String>, span: Span, at: Option<At<'_>>, filled: &mut Filled) {
        let path = match (path.as_slice(), at, &self.inputs) {
            ([root], Some(at), _) if root == "item" => {
                filled.text.push_str(&at.item.text);
                return;
            }
            ([root, name], _, Some(inputs)) if root == "inputs" => {
                if let Some(value) = inputs.get(name) {
                    filled.text.push_str(&value.text);
                    filled.references.extend(value.references.iter().cloned());
                    return;
                }
                vec![root.clone(), self.name(name)]
            }
            ([root, name, rest @ ..], _, _) if root == "steps" => {
                let mut path = vec![root.clone(), self.step(name, at)];
                path.extend(rest.iter().cloned());
                path
            }
            _ => path,
        };
        filled.text.push_str(&format!("{{{{{}}}}}", path.join(".")));
        filled.references.push((reference(path), span));
    }

    /// The name of a step in the plan. Within a for-each, a step of another one over the same list is that of the item.
    fn step(&self, name: &str, at: Option<At<'_>>) -> String {
        let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
        let same = at.filter(|at| self.fans.get(first) == Some(at.list));
        let Some(at) = same else { return self.name(name) };
        let rest = rest.map(|rest| format!("/{rest}")).unwrap_or_default();
        self.name(&format!("{first}/{}{rest}", at.item.name))
    }

    /// A value with all its texts as the plan has them. References go into `found`.
    pub(crate) fn value(
        &self,
        value: &Value,
        pointer: &str,
        places: (&Places, Span),
        at: Option<At<'_>>,
        found: &mut Vec<(Reference, Span)>,
    ) -> Value {
        match value {
            Value::String(text) if text.contains("{{") => {
                let span = place_of(places.0, pointer).unwrap_or(places.1);
                let filled = self.text(text, span, at);
                found.extend(filled.references);
                Value::String(filled.text)
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.value(item, &format!("{pointer}/{index}"), places, at, found)).collect()
            }
            Value::Object(map) => {
                let members = map.iter().map(|(key, item)| {
                    let pointer = format!("{pointer}/{}", escape(key));
                    (key.clone(), self.value(item, &pointer, places, at, found))
                });
                Value::Object(members.collect())
            }
            other => other.clone(),
        }
    }

    /// A condition as the plan has it.
    pub(crate) fn when(&self, when: &WhenDef, at: Option<At<'_>>) -> WhenDef {
        let filled = self.text(&when.text.text, when.text.span, at);
        let mut made = when.clone();
        made.text.text = filled.text;
        made.references = filled.references;
        made
    }
}
