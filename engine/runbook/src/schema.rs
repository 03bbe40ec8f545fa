//! Arguments and settings against the JSON Schemas of plugins, with the place of each mistake.

use std::collections::BTreeMap;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use lifeboat_core::template;
use serde_json::Value;

use crate::diagnostic::Span;
use crate::model::Places;
use crate::report::Report;
use crate::steps::place_of;
use crate::values::escape;

/// Compiled schemas, by plugin and use. A plan of thousands of steps compiles each only once.
#[derive(Default)]
pub(crate) struct Schemas {
    compiled: BTreeMap<(String, &'static str), Option<Validator>>,
}

/// What is checked, for messages.
pub(crate) struct Subject<'a> {
    pub(crate) plugin: &'a str,
    /// `settings`, or the word of a kind of step.
    pub(crate) part: &'static str,
    pub(crate) schema: &'a Value,
    pub(crate) value: &'a Value,
    pub(crate) places: &'a Places,
    /// Settings that hold a secret, each with what it is; nothing for arguments.
    pub(crate) secrets: Option<&'a BTreeMap<String, String>>,
    /// Where a mistake is that has no place of its own.
    pub(crate) head: Span,
}

impl Subject<'_> {
    fn code(&self) -> &'static str {
        if self.part == "settings" { "LB0213" } else { "LB0212" }
    }

    /// What a member of the value is called.
    fn noun(&self) -> &'static str {
        if self.part == "settings" { "setting" } else { "argument" }
    }

    /// The secret that is meant by this name, where it is one, or much like one and like no setting.
    fn secret_like<'b>(&'b self, name: &'b str) -> Option<&'b str> {
        let declared = self.secrets?;
        if declared.contains_key(name) || SECRETS.contains(&name) {
            return Some(name);
        }
        let known = property_names(self.schema);
        let all = known.iter().chain(declared.keys()).map(String::as_str);
        let best = crate::diagnostic::closest(name, all)?;
        declared.keys().map(String::as_str).find(|secret| *secret == best)
    }

    fn owner(&self) -> String {
        if self.part == "settings" {
            format!("plugin '{}'", self.plugin)
        } else {
            format!("{} by plugin '{}'", self.part, self.plugin)
        }
    }
}

impl Schemas {
    /// Reports what does not fit. A text with references has its value only at run time: it fits everywhere.
    pub(crate) fn check(&mut self, subject: &Subject<'_>, report: &mut Report) {
        let key = (subject.plugin.to_owned(), subject.part);
        let compiled = self.compiled.entry(key).or_insert_with(|| jsonschema::validator_for(subject.schema).ok());
        let Some(validator) = compiled else {
            report
                .error("LB0227", subject.head, format!("the schema of {} is not a JSON Schema", subject.owner()))
                .help("this is a mistake in the plugin, not in the runbook");
            return;
        };
        for error in validator.iter_errors(subject.value) {
            one(&error, subject, report);
        }
    }
}

/// Settings that hold a secret wherever they are.
const SECRETS: [&str; 4] = ["password", "credentials", "secret", "token"];

fn has_references(value: &Value) -> bool {
    template::references_in(value).map_or(true, |found| !found.is_empty())
}

fn one(error: &jsonschema::ValidationError<'_>, subject: &Subject<'_>, report: &mut Report) {
    let at = error.instance_path().as_str();
    let span = place_of(subject.places, at).unwrap_or(subject.head);
    let structural =
        matches!(error.kind(), ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::Required { .. });
    if !structural && has_references(error.instance()) {
        return;
    }
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let parent = error.schema_path().as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
            let known = property_names(subject.schema.pointer(parent).unwrap_or(subject.schema));
            for name in unexpected {
                let place = place_of(subject.places, &format!("{at}/{}", escape(name))).unwrap_or(span);
                let message = format!("'{name}' is not {} {} of {}", article(subject), subject.noun(), subject.owner());
                let meant = at.is_empty().then(|| subject.secret_like(name)).flatten();
                if meant.is_some() {
                    report.hide(place);
                }
                let diagnostic = report.error(subject.code(), place, message);
                let secrets = subject.secrets.iter().flat_map(|secrets| secrets.keys()).filter(|_| at.is_empty());
                diagnostic.did_you_mean(name, known.iter().chain(secrets).map(String::as_str));
                if let Some(meant) = meant {
                    diagnostic.help(format!("a secret is named and never written: {meant} secret=\"NAME\""));
                }
            }
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            // A step without its snapshot is reported as such by the reader of steps.
            let by_reader = subject.part != "settings" && name == "snapshot";
            if by_reader || is_misspelt(name, error.instance(), subject.schema) {
                return;
            }
            let message = format!("{} '{name}' is missing for {}", subject.noun(), subject.owner());
            let span = if at.is_empty() { subject.head } else { span };
            // Two missing members have the same place: they are told apart by giving the second to the same report.
            missing(subject, span, name, message, report);
        }
        _ => {
            let name = at.trim_start_matches('/').replace('/', ".");
            let branches = subject.schema.pointer(error.schema_path().as_str());
            let found = branches.and_then(|branches| crate::choice::explain(branches, error.instance()));
            let mut reason = found.as_ref().map_or_else(|| error.to_string(), |found| found.message.clone());
            if reason.chars().count() > 200 {
                reason = reason.chars().take(200).chain(['…']).collect();
            }
            let named = if name.is_empty() { String::new() } else { format!(" '{name}'") };
            let message = format!("{}{named} does not fit {}: {reason}", subject.noun(), subject.owner());
            let help = found.map(|found| found.help).or_else(|| enum_help(error.kind(), error.instance()));
            let diagnostic = report.error(subject.code(), span, message);
            diagnostic.help(
                help.unwrap_or_else(|| format!("`lifeboat plugin inspect {}` prints its schema", subject.plugin)),
            );
        }
    }
}

/// Whether a missing member is there under a name much like it: that is one mistake, and it is reported as the unknown name.
fn is_misspelt(name: &str, instance: &Value, schema: &Value) -> bool {
    let known = property_names(schema);
    let Some(map) = instance.as_object() else { return false };
    map.keys().any(|key| !known.contains(key) && key != "kind" && crate::diagnostic::closest(key, [name]).is_some())
}

/// Missing members of one value have one place, and one place is reported once: all of them go into one message.
fn missing(subject: &Subject<'_>, span: Span, name: &str, message: String, report: &mut Report) {
    let code = subject.code();
    if let Some(first) = report.at(code, span) {
        // A step that stands for several items, or a child that is run twice, misses it once.
        if !first.message.contains(&format!("'{name}'")) {
            first.message.push_str(&format!("; and so is '{name}'"));
        }
        return;
    }
    let help = if subject.part == "validate" && name == "expect" {
        "add: expect \"file\" path=\"...\"".to_owned()
    } else {
        format!("add: {name} ...")
    };
    report.error(code, span, message).help(help);
}

fn article(subject: &Subject<'_>) -> &'static str {
    if subject.part == "settings" { "a" } else { "an" }
}

fn enum_help(kind: &ValidationErrorKind, instance: &Value) -> Option<String> {
    let ValidationErrorKind::Enum { options } = kind else { return None };
    let options: Vec<&str> = options.as_array()?.iter().filter_map(Value::as_str).collect();
    match instance.as_str().and_then(|word| crate::diagnostic::closest(word, options.iter().copied())) {
        Some(best) => Some(format!("did you mean '{best}'?")),
        None => Some(format!("one of: {}", options.join(", "))),
    }
}

/// The names of the properties that a schema knows.
pub(crate) fn property_names(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// Where a schema wants a list and one value was written, that value becomes a list of one: `tags "a"`.
pub(crate) fn wrap_lists(value: &mut Value, schema: &Value) {
    let Some(map) = value.as_object_mut() else { return };
    for (name, member) in map.iter_mut() {
        let wanted = schema.get("properties").and_then(|properties| properties.get(name)).and_then(|s| s.get("type"));
        let is_list = match wanted {
            Some(Value::String(word)) => word == "array",
            Some(Value::Array(words)) => words.iter().any(|word| word == "array"),
            _ => false,
        };
        if is_list && !member.is_array() && !member.is_null() {
            *member = Value::Array(vec![member.take()]);
        }
    }
}

/// Whether a schema of outputs has what a path names. `Err`: the part that it has not, and what it has instead.
pub(crate) fn find_output<'p>(schema: &Value, path: &'p [String]) -> Result<(), (&'p str, Vec<String>)> {
    let mut schema = schema;
    for part in path {
        if let Some(next) = schema.get("properties").and_then(|properties| properties.get(part)) {
            schema = next;
            continue;
        }
        let open = match schema.get("additionalProperties") {
            Some(Value::Bool(open)) => *open,
            Some(_) => true,
            // A schema without any properties says nothing about them.
            None => schema.get("properties").is_none(),
        };
        return if open { Ok(()) } else { Err((part, property_names(schema))) };
    }
    Ok(())
}
