//! What a child runbook is given: each of its inputs, as the runbook that runs it says, or by its default.

use std::collections::HashMap;

use lifeboat_core::template;
use serde_json::Value;

use crate::diagnostic::Span;
use crate::each::is_plain;
use crate::expand::{Expander, List};
use crate::fill::{At, Filled, Scope, reference};
use crate::model::{GivenInput, Input, InputType, Named, RunDef, Runbook};
use crate::read::typed_input;
use crate::report::Report;

/// The inputs of a child by name: the text that each stands for, and its items where it is a list.
type Given = HashMap<String, (Filled, Option<List>)>;

impl Expander<'_> {
    pub(crate) fn inputs(
        &mut self,
        run: &RunDef,
        child: &Runbook,
        prefix: &str,
        (scope, at): (&Scope, Option<At<'_>>),
        lists: &HashMap<String, List>,
        report: &mut Report,
    ) -> Given {
        let mut all = Given::new();
        for input in &child.inputs {
            let name = &input.name.text;
            let given = run.inputs.iter().find(|given| given.name.text == *name);
            let found = match given {
                Some(given) => self.given(given, input, prefix, (scope, at), lists, report),
                None => {
                    if input.required && input.default.is_none() {
                        report
                            .error(
                                "LB0219",
                                run.head,
                                format!("input '{name}' of '{}' is required and is not given", child.name),
                            )
                            .help(format!("write input \"{name}\" \"...\" into the block of this run"));
                    }
                    self.literal(input, input.default.clone(), prefix, input.name.span)
                }
            };
            all.insert(name.clone(), found);
        }
        for given in &run.inputs {
            let name = &given.name;
            if !child.inputs.iter().any(|input| input.name.text == name.text) && !child.is_broken(&name.text) {
                report
                    .error("LB0220", name.span, format!("runbook '{}' has no input '{}'", child.name, name.text))
                    .did_you_mean(&name.text, child.inputs.iter().map(|input| input.name.text.as_str()));
            }
        }
        all
    }

    fn given(
        &mut self,
        given: &GivenInput,
        input: &Input,
        prefix: &str,
        (scope, at): (&Scope, Option<At<'_>>),
        lists: &HashMap<String, List>,
        report: &mut Report,
    ) -> (Filled, Option<List>) {
        if let Value::String(text) = &given.value {
            match template::references(text) {
                Ok(found) if found.is_empty() => {}
                Ok(found) => {
                    let alone = found.first().filter(|first| first.range == (0..text.len()));
                    let filled = scope.text(text, given.span, at);
                    // An item is a value as if it were written here.
                    if filled.references.is_empty() {
                        return self.typed(given, input, &filled.text, prefix, report);
                    }
                    self.flat.loose.extend(filled.references.iter().cloned());
                    let path = alone.map(|reference| reference.path.as_slice());
                    return (filled, self.passed(given, input, path, scope, lists, report));
                }
                Err(error) => {
                    crate::steps::malformed(&error.message, given.span, report);
                    return (Filled::default(), None);
                }
            }
        }
        match (&given.value, input.kind) {
            (Value::Array(items), InputType::List) if items.iter().all(Value::is_string) => {
                self.literal(input, Some(given.value.clone()), prefix, given.span)
            }
            (Value::Array(_), _) => {
                let message = format!("input '{}' is not of type {}", input.name.text, input.kind.as_str());
                report.error("LB0221", given.span, message).help("give one value; several texts are for a list");
                (Filled::default(), Some(List::default()))
            }
            (Value::String(text), _) => self.typed(given, input, text, prefix, report),
            (other, _) => self.typed(given, input, &other.to_string(), prefix, report),
        }
    }

    fn typed(
        &mut self,
        given: &GivenInput,
        input: &Input,
        text: &str,
        prefix: &str,
        report: &mut Report,
    ) -> (Filled, Option<List>) {
        match typed_input(input.kind, text) {
            Ok(value) => self.literal(input, Some(value), prefix, given.span),
            Err(reason) => {
                let name = &input.name.text;
                let message = format!("input '{name}' is not of type {}: {reason}", input.kind.as_str());
                report.error("LB0221", given.span, message).help("change the value, or the type of the input");
                (Filled::default(), None)
            }
        }
    }

    /// A text with references for an input: it has to fit as far as that is known. The items, where it is a list.
    fn passed(
        &self,
        given: &GivenInput,
        input: &Input,
        alone: Option<&[String]>,
        scope: &Scope,
        lists: &HashMap<String, List>,
        report: &mut Report,
    ) -> Option<List> {
        let mut refuse = |help: &str| {
            let message = format!("input '{}' is not of type {}", input.name.text, input.kind.as_str());
            report.error("LB0221", given.span, message).help(help);
        };
        let name = match alone {
            Some([root, name]) if root == "inputs" => Some(name),
            _ => None,
        };
        let list = name.and_then(|name| lists.get(name));
        if input.kind == InputType::List {
            if list.is_none() {
                refuse("a list is known before a run: give an input of type list, or the items");
            }
            return Some(list.cloned().unwrap_or_default());
        }
        let kind = name
            .filter(|_| scope.inputs.is_none())
            .and_then(|name| self.flat.inputs.iter().find(|own| own.name.text == *name).map(|own| own.kind));
        let is_text = matches!(input.kind, InputType::String | InputType::Path);
        match kind {
            _ if list.is_some() => refuse("the value is a list: go over it with for-each"),
            Some(kind) if kind != input.kind && !is_text => {
                refuse(&format!("the value is of type {}", kind.as_str()));
            }
            None if alone.is_none() && !is_text => refuse("a longer text with references in it is a text"),
            _ => {}
        }
        None
    }

    /// A value that is known. A text stands for itself; what has a type of its own, or would make a reference, is an
    /// input of the plan with the name of the child before it.
    fn literal(&mut self, input: &Input, value: Option<Value>, prefix: &str, span: Span) -> (Filled, Option<List>) {
        let list = (input.kind == InputType::List).then(|| {
            let items = value.as_ref().and_then(Value::as_array);
            let items: Option<Vec<String>> =
                items.map(|items| items.iter().filter_map(Value::as_str).map(str::to_owned).collect());
            List { example: items.as_ref().and_then(|items| items.first().cloned()), items }
        });
        if let Some(Value::String(text)) = &value
            && is_plain(text)
        {
            return (Filled { text: text.clone(), references: Vec::new() }, list);
        }
        let name = format!("{prefix}{}", input.name.text);
        let path = vec!["inputs".to_owned(), name.clone()];
        let filled = Filled { text: format!("{{{{inputs.{name}}}}}"), references: vec![(reference(path), span)] };
        let name = Named { text: name, span: input.name.span };
        self.flat.inputs.push(Input { name, kind: input.kind, required: false, default: value });
        (filled, list)
    }
}
