//! `plugin`: what plugins there are, and what they can do.

use lifeboat_core::Error;
use lifeboat_core::plugin::Known;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::screen::{Ink, put, put_json};
use crate::world::World;

fn as_json(known: &Known) -> Value {
    json!({ "digest": known.digest, "description": known.description })
}

/// Lists plugins.
///
/// # Errors
/// Plugins that cannot be loaded.
pub fn list(world: &World) -> Result<Exit, Error> {
    let catalog = world.catalog()?;
    if world.screen.json {
        put_json(&catalog.values().map(as_json).collect::<Vec<_>>())?;
        return Ok(Exit::Success);
    }
    for (name, known) in &catalog {
        let kinds: Vec<&str> = known.description.kinds.iter().map(|kind| kind.kind.as_str()).collect();
        let store = if known.description.store { "; holds vaults" } else { "" };
        put(&format!(
            "{}  {}  {}\n    {}\n    {}{store}",
            world.screen.out(Ink::Bold, name),
            known.description.version,
            known.digest,
            known.description.summary,
            kinds.join(", "),
        ));
    }
    Ok(Exit::Success)
}

/// Prints one plugin.
///
/// # Errors
/// `LB0701` when there is none of that name.
pub fn inspect(world: &World, name: &str) -> Result<Exit, Error> {
    let catalog = world.catalog()?;
    let known = catalog.get(name).ok_or_else(|| {
        let names: Vec<&str> = catalog.keys().map(String::as_str).collect();
        Error::new("LB0701", format!("there is no plugin '{name}'"))
            .hint(format!("there are: {}; lifeboat.kdl names folders with more", names.join(", ")))
    })?;
    if world.screen.json {
        put_json(&as_json(known))?;
        return Ok(Exit::Success);
    }
    let screen = &world.screen;
    let about = &known.description;
    put(&format!("{} {}\n{}\n{}\n", screen.out(Ink::Bold, name), about.version, about.summary, known.digest));
    put(&format!("{}\n{}", screen.out(Ink::Bold, "settings of a target"), properties(&about.settings)));
    if !about.secrets.is_empty() {
        let lines = about.secrets.iter().map(|(name, what)| format!("    {name} secret=\"NAME\"  {what}"));
        let title = screen.out(Ink::Bold, "settings that are secrets, which a target only names");
        put(&format!("\n{title}\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    for kind in &about.kinds {
        let can: Vec<&str> = [(kind.probe, "can be probed"), (kind.compensate, "can be undone")]
            .into_iter()
            .filter_map(|(can, text)| can.then_some(text))
            .collect();
        let can = if can.is_empty() { String::new() } else { format!("; {}", can.join(", ")) };
        put(&format!(
            "\n{} ({}{can}; needs {})\n  {}",
            screen.out(Ink::Bold, kind.kind.as_str()),
            kind.effect.as_str(),
            kind.capabilities.join(", "),
            kind.summary
        ));
        put(&format!("  arguments\n{}\n  outputs\n{}", properties(&kind.args), properties(&kind.outputs)));
    }
    Ok(Exit::Success)
}

/// The properties of a schema, a line each.
fn properties(schema: &Value) -> String {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(all) = schema.get("properties").and_then(Value::as_object) else { return "    (none)".to_owned() };
    if all.is_empty() {
        return "    (none)".to_owned();
    }
    let lines = all.iter().flat_map(|(name, property)| {
        let about = property.get("description").and_then(Value::as_str).unwrap_or("").replace('\n', " ");
        let must = if required.contains(&name.as_str()) { ", required" } else { "" };
        let default = property.get("default").filter(|value| value.is_string() || value.is_number());
        let default = default.map_or_else(String::new, |value| format!(", {value} if it is left out"));
        let line = format!("    {name} ({}{must}{default})  {about}", kind(property)).trim_end().to_owned();
        std::iter::once(line).chain(choices(name, property))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a property takes, in a word: its type, or the words that there are.
fn kind(property: &Value) -> String {
    let words = |list: &Value| -> Option<String> {
        let words = list.as_array()?.iter().map(|one| one.get("const").unwrap_or(one).as_str());
        Some(words.collect::<Option<Vec<_>>>()?.join(" | "))
    };
    let choice = property.get("enum").or_else(|| property.get("oneOf")).and_then(words);
    choice.unwrap_or_else(|| match property.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join("|")
        }
        _ => "value".to_owned(),
    })
}

/// The kinds of thing that a list takes, a line each, as they are written: `expect "file" path [digest]`.
fn choices(name: &str, property: &Value) -> Vec<String> {
    let of = property.get("items").and_then(|items| items.get("oneOf")).and_then(Value::as_array);
    let line = |branch: &Value| {
        let properties = branch.get("properties")?.as_object()?;
        let kind = properties.get("kind")?.get("const")?.as_str()?;
        let required = branch.get("required").and_then(Value::as_array);
        let must = |field: &str| required.is_some_and(|all| all.iter().any(|one| one == field));
        let (needed, more): (Vec<&str>, Vec<&str>) =
            properties.keys().map(String::as_str).filter(|field| *field != "kind").partition(|field| must(field));
        let more = more.into_iter().map(|field| format!("[{field}]"));
        let fields: Vec<String> = needed.into_iter().map(str::to_owned).chain(more).collect();
        let about = branch.get("description").and_then(Value::as_str).unwrap_or_default();
        Some(format!("        {name} \"{kind}\" {}  {about}", fields.join(" ")))
    };
    of.into_iter().flatten().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_written_is_printed() {
        let schema = json!({ "required": ["depth"], "properties": {
            "depth": { "oneOf": [{ "const": "index" }, { "const": "data" }], "default": "data", "description": "How much." },
            "expect": { "type": "array", "items": { "oneOf": [{
                "description": "A file is there.",
                "required": ["kind", "path"],
                "properties": { "kind": { "const": "file" }, "digest": {}, "path": {} },
            }] } },
            "label": { "type": ["string", "null"] },
        } });
        let lines = [
            "    depth (index | data, required, \"data\" if it is left out)  How much.",
            "    expect (array)",
            "        expect \"file\" path [digest]  A file is there.",
            "    label (string)",
        ];
        assert_eq!(properties(&schema), lines.join("\n"));
        assert_eq!(properties(&json!({})), "    (none)");
    }
}
