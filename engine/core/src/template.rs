//! References in runbooks: `{{steps.take.snapshot}}`, `{{inputs.reason}}`, `{{run.id}}`, `{{run.mode}}`.
//!
//! The syntax is the plain path of handlebars and nothing else of it: no helpers, no blocks, no comments. What can be
//! written can therefore be checked before a run: every reference is known with its place, and a value that is missing
//! at run time is an error and never an empty text.

use std::ops::Range;

use handlebars::Handlebars;
use serde_json::Value;

use crate::Error;

/// One reference in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The parts of its path, as `["steps", "take", "snapshot"]`. At least one.
    pub path: Vec<String>,
    /// Where it stands in the text, in bytes, braces included.
    pub range: Range<usize>,
}

impl Reference {
    /// The path as it is written, with dots.
    pub fn dotted(&self) -> String {
        self.path.join(".")
    }
}

/// A text in which a reference is not written as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// One sentence, without a full stop.
    pub message: String,
    /// Where, in bytes of the text.
    pub range: Range<usize>,
}

/// The references of a text, in order.
///
/// # Errors
/// The first thing between `{{` and `}}` that is not a path, or a `{{` that is never closed.
pub fn references(text: &str) -> Result<Vec<Reference>, TemplateError> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find("{{")).map(|at| from + at) {
        let open = start + 2;
        let refuse = |message: &str, end: usize| TemplateError { message: message.to_owned(), range: start..end };
        let Some(inner_len) = text.get(open..).and_then(|rest| rest.find("}}")) else {
            return Err(refuse("a reference that starts with '{{' has no '}}'", text.len()));
        };
        let end = open + inner_len + 2;
        if text.get(..start).is_some_and(|before| before.ends_with('\\')) {
            return Err(refuse("a backslash cannot stand before a reference", end));
        }
        let inner = text.get(open..open + inner_len).unwrap_or_default().trim();
        let path = parse_path(inner).map_err(|message| refuse(&message, end))?;
        found.push(Reference { path, range: start..end });
        from = end;
    }
    Ok(found)
}

fn parse_path(inner: &str) -> Result<Vec<String>, String> {
    if inner.is_empty() {
        return Err("a reference is empty".to_owned());
    }
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/'))
    };
    if inner.split('.').all(is_part) {
        return Ok(inner.split('.').map(str::to_owned).collect());
    }
    Err(format!("'{inner}' is not a reference: it is a path of names with dots between them"))
}

/// The references in all strings of a JSON value, in the order of its text.
///
/// # Errors
/// The first string in which a reference is not written as one.
pub fn references_in(value: &Value) -> Result<Vec<Reference>, TemplateError> {
    match value {
        Value::String(text) => references(text),
        Value::Array(items) => items.iter().try_fold(Vec::new(), |mut all, item| {
            all.extend(references_in(item)?);
            Ok(all)
        }),
        Value::Object(map) => map.values().try_fold(Vec::new(), |mut all, item| {
            all.extend(references_in(item)?);
            Ok(all)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Vec::new()),
    }
}

/// Puts values in the place of the references of a text. A text that is exactly one reference becomes the value
/// itself, with its JSON type; in a longer text, a value has to be a string, a number or a boolean.
///
/// # Errors
/// `LB0507` where a value is missing, or does not fit into a text.
pub fn render(text: &str, context: &Value) -> Result<Value, Error> {
    let found = references(text).map_err(|error| {
        Error::new("LB0507", format!("a reference cannot be read: {}", error.message))
            .hint("write references as {{steps.NAME.OUTPUT}}, {{inputs.NAME}}, {{run.id}} or {{run.mode}}")
            .with("text", text)
    })?;
    if found.is_empty() {
        return Ok(Value::String(text.to_owned()));
    }
    if let [only] = found.as_slice()
        && only.range == (0..text.len())
    {
        return look_up(only, context).cloned();
    }
    for reference in &found {
        let value = look_up(reference, context)?;
        if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
            let message = format!("the value of '{}' cannot be a part of a text", reference.dotted());
            return Err(Error::new("LB0507", message)
                .hint("let the reference stand alone, or refer to a string, a number or a boolean")
                .with("text", text));
        }
    }
    render_text(text, &found, context).map(Value::String)
}

/// The values get names of their own (`v0`, `v1`, ...), so that a step may be named like a word of handlebars.
fn render_text(text: &str, found: &[Reference], context: &Value) -> Result<String, Error> {
    let mut template = String::with_capacity(text.len());
    let mut values = serde_json::Map::new();
    let mut from = 0;
    for (index, reference) in found.iter().enumerate() {
        template.push_str(text.get(from..reference.range.start).unwrap_or_default());
        let name = format!("v{index}");
        template.push_str(&format!("{{{{{name}}}}}"));
        values.insert(name, look_up(reference, context)?.clone());
        from = reference.range.end;
    }
    template.push_str(text.get(from..).unwrap_or_default());
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    engine.render_template(&template, &values).map_err(|error| {
        Error::new("LB0507", "a text with references cannot be made").with("text", text).with("cause", error)
    })
}

fn look_up<'a>(reference: &Reference, context: &'a Value) -> Result<&'a Value, Error> {
    let mut value = context;
    for part in &reference.path {
        let next = match value {
            Value::Object(map) => map.get(part),
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        value = next.ok_or_else(|| missing(reference, part))?;
    }
    Ok(value)
}

fn missing(reference: &Reference, part: &str) -> Error {
    let path = reference.dotted();
    let hint = match reference.path.as_slice() {
        [root, step, ..] if root == "steps" => {
            format!("step '{step}' has not given this output; `lifeboat show RUN` lists what each step gave")
        }
        [root, name, ..] if root == "inputs" => format!("give it with --input {name}=VALUE"),
        _ => "known are steps.NAME.OUTPUT, inputs.NAME, run.id and run.mode".to_owned(),
    };
    Error::new("LB0507", format!("there is no value for '{path}'")).hint(hint).with("missing", part)
}

/// [`render`] for all strings of a JSON value. Keys stay as they are.
///
/// # Errors
/// As [`render`].
pub fn render_value(value: &Value, context: &Value) -> Result<Value, Error> {
    match value {
        Value::String(text) => render(text, context),
        Value::Array(items) => items.iter().map(|item| render_value(item, context)).collect(),
        Value::Object(map) => map.iter().map(|(key, item)| Ok((key.clone(), render_value(item, context)?))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context() -> Value {
        json!({
            "steps": {
                "prove-offsite": { "snapshot": "ab<c>&\"d\"", "files": 12, "list": ["x", "y"], "nothing": null },
                "this": { "each": "words of handlebars" },
            },
            "inputs": { "reason": "fire" },
            "run": { "id": "r-1", "mode": "drill" },
        })
    }

    #[test]
    fn references_are_found_with_their_place() {
        let text = "a {{steps.prove-offsite.snapshot}} b {{ run.id }}";
        let found = references(text).unwrap();
        assert_eq!(found[0].path, ["steps", "prove-offsite", "snapshot"]);
        assert_eq!(&text[found[1].range.clone()], "{{ run.id }}");
        assert_eq!(references_in(&json!({ "a": ["{{run.id}}", 1], "b": "{{inputs.x}}" })).unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for text in [
            "{{}}",
            "{{ }}",
            "{{a",
            "{{#if x}}",
            "{{{run.id}}}",
            "{{a..b}}",
            "{{! x }}",
            "{{a b}}",
            "\\{{run.id}}",
            "{{.}}",
        ] {
            assert!(references(text).is_err(), "{text}");
            assert_eq!(render(text, &context()).unwrap_err().code.0, "LB0507", "{text}");
        }
    }

    #[test]
    fn a_lone_reference_keeps_its_type_and_a_text_is_not_escaped() {
        let render = |text: &str| render(text, &context()).unwrap();
        assert_eq!(render("{{steps.prove-offsite.files}}"), json!(12));
        assert_eq!(render("{{steps.prove-offsite.list}}"), json!(["x", "y"]));
        assert_eq!(render("{{steps.prove-offsite.list.1}}"), json!("y"));
        assert_eq!(render("<{{steps.prove-offsite.snapshot}}>"), json!("<ab<c>&\"d\">"));
        assert_eq!(render("{{steps.prove-offsite.files}} of {{run.mode}}"), json!("12 of drill"));
        assert_eq!(render("say {{steps.this.each}}"), json!("say words of handlebars"));
        assert_eq!(render("{\"a\":{{steps.prove-offsite.files}}}"), json!("{\"a\":12}"));
        assert_eq!(render("no references } }} {"), json!("no references } }} {"));
    }

    #[test]
    fn a_missing_value_is_an_error_that_names_it() {
        for text in ["{{steps.x.y}}", "say {{inputs.other}}", "{{run.id.more}}", "a{{steps.prove-offsite.list.7}}"] {
            let error = render(text, &context()).unwrap_err();
            assert_eq!(error.code.0, "LB0507");
            assert!(error.message.starts_with("there is no value for '"), "{error}");
        }
        for text in ["say {{steps.prove-offsite.list}}", "say {{steps.prove-offsite.nothing}}"] {
            assert_eq!(render(text, &context()).unwrap_err().code.0, "LB0507");
        }
    }

    #[test]
    fn values_are_rendered_at_every_depth() {
        let value = json!({ "a": ["{{run.id}}", 3, { "b": "x-{{run.mode}}" }], "{{run.id}}": true });
        let want = json!({ "a": ["r-1", 3, { "b": "x-drill" }], "{{run.id}}": true });
        assert_eq!(render_value(&value, &context()).unwrap(), want);
    }
}
