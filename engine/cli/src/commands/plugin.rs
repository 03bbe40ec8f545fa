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
    let line = |(name, property): (&String, &Value)| {
        let kind = match property.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join("|")
            }
            _ => "value".to_owned(),
        };
        let about = property.get("description").and_then(Value::as_str).unwrap_or("").replace('\n', " ");
        let must = if required.contains(&name.as_str()) { ", required" } else { "" };
        format!("    {name} ({kind}{must})  {about}").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}
