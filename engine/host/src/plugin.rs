//! Loading: from the bytes of a `.wasm` file to a plugin that is known, checked and ready to be instantiated.

use lifeboat_core::grants::Operator;
use lifeboat_core::plugin::{Description, Known};
use lifeboat_core::{Digest, Error};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Engine, Module};

use crate::bindings::StoragePlugin;
use crate::bindings::exports::lifeboat::plugin::{steps, store};
use crate::bounds::DESCRIPTION_BYTES_MAX;
use crate::cache::Cache;
use crate::guest::Guest;

/// What a plugin may declare.
const CAPABILITIES: [&str; 5] = ["bytes", "dir", "http", "sql", "vault"];

/// A plugin that is ready to be instantiated.
pub struct Loaded {
    /// Its description, and the digest of its file.
    pub known: Known,
    /// Linked, and ready.
    pub pre: InstancePre<Guest>,
    /// Where its steps are.
    pub steps: steps::GuestIndices,
    /// Where its store is, if it has one.
    pub store: Option<store::GuestIndices>,
}

/// The linker with all that the host lends. What a call may use of it is decided at the call.
pub fn linker(engine: &Engine) -> Result<Linker<Guest>, Error> {
    let mut linker = Linker::new(engine);
    StoragePlugin::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)
        .map_err(|error| Error::new("LB0709", "the plugin interface can't be set up").with("cause", error))?;
    Ok(linker)
}

/// The error for a file that is no plugin.
pub fn no_plugin(name: &str, cause: impl std::fmt::Display) -> Error {
    Error::new("LB0703", format!("'{name}' is no plugin for this version of lifeboat"))
        .hint("build it against schemas/wit of this version: see plugins/README.md")
        .with("cause", cause)
}

/// A component out of the file: as it is, or made of a core module that carries its interface in a section.
fn componentize(engine: &Engine, name: &str, wasm: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    match wasm.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(None),
        Some(b"\0asm\x01\0\0\0") => {
            // First of all: the encoder trusts the lengths of sections, and panics at a file that was cut off.
            Module::validate(engine, wasm).map_err(|error| no_plugin(name, format!("{error:#}")))?;
            let encode =
                || wit_component::ComponentEncoder::default().validate(true).module(wasm).and_then(|e| e.encode());
            match std::panic::catch_unwind(encode) {
                Ok(Ok(component)) => Ok(Some(component)),
                Ok(Err(error)) => Err(no_plugin(name, format!("{error:#}"))),
                Err(_) => Err(no_plugin(name, "its interface section is damaged")),
            }
        }
        _ => Err(no_plugin(name, "it does not begin as WebAssembly does")),
    }
}

/// Compiles (or takes from the cache) and links. Its description is not known yet.
pub fn prepare(
    engine: &Engine,
    linker: &Linker<Guest>,
    cache: Option<&Cache>,
    name: &str,
    wasm: &[u8],
) -> Result<Loaded, Error> {
    let fail = |error: wasmtime::Error| no_plugin(name, format!("{error:#}"));
    // What is compiled already was checked and made a component then; the key is the digest of the file.
    let component = match cache.and_then(|cache| cache.load(engine, wasm)) {
        Some(component) => component,
        None => {
            let made = componentize(engine, name, wasm)?;
            let bytes = made.as_deref().unwrap_or(wasm);
            let compiled = match cache {
                Some(cache) => cache.compile(engine, wasm, bytes),
                None => Component::from_binary(engine, bytes),
            };
            compiled.map_err(fail)?
        }
    };
    let pre = linker.instantiate_pre(&component).map_err(fail)?;
    let steps = steps::GuestIndices::new(&pre).map_err(fail)?;
    let has_store =
        component.component_type().exports(engine).any(|(export, _)| export.starts_with("lifeboat:plugin/store@"));
    let store = if has_store { Some(store::GuestIndices::new(&pre).map_err(fail)?) } else { None };
    let known = Known { description: empty(name), digest: Digest::of(wasm) };
    Ok(Loaded { known, pre, steps, store })
}

fn empty(name: &str) -> Description {
    Description {
        name: name.to_owned(),
        version: String::new(),
        summary: String::new(),
        settings: serde_json::Value::Null,
        secrets: std::collections::BTreeMap::new(),
        kinds: Vec::new(),
        store: false,
    }
}

/// Reads what `describe` gave, and checks what the engine relies on.
pub fn description(name: &str, text: &str, has_store: bool) -> Result<Description, Error> {
    let wrong = |cause: String| no_plugin(name, format!("its description is wrong: {cause}"));
    if text.len() > DESCRIPTION_BYTES_MAX {
        return Err(wrong(format!("{} bytes; the limit is {DESCRIPTION_BYTES_MAX}", text.len())));
    }
    let description: Description = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if description.name.is_empty() || description.name.len() > 64 || !description.name.bytes().all(plain) {
        return Err(wrong("its name has to be 1 to 64 lower-case letters, digits and '-'".into()));
    }
    if description.store != has_store {
        let (says, is) = if has_store { ("no", "a") } else { ("a", "no") };
        return Err(wrong(format!("it says that it has {says} store, and exports {is} `store`")));
    }
    if !(description.settings.is_object() || description.settings.is_boolean()) {
        return Err(wrong("`settings` is no JSON Schema".into()));
    }
    let mut seen = Vec::new();
    for entry in &description.kinds {
        let kind = entry.kind.as_str();
        if !entry.kind.by_plugin() {
            return Err(wrong(format!("steps of kind '{kind}' are the engine's own")));
        }
        if seen.contains(&entry.kind) {
            return Err(wrong(format!("it describes '{kind}' twice")));
        }
        seen.push(entry.kind);
        if let Some(unknown) = entry.capabilities.iter().find(|name| !CAPABILITIES.contains(&name.as_str())) {
            return Err(wrong(format!("'{kind}' needs the capability '{unknown}', which this host does not have")));
        }
        let schemas = [&entry.args, &entry.outputs];
        if schemas.iter().any(|schema| !(schema.is_object() || schema.is_boolean())) {
            return Err(wrong(format!("`args` and `outputs` of '{kind}' have to be JSON Schemas")));
        }
    }
    Ok(description)
}

/// Whether the operator pins that name to another digest.
pub fn check_pin(operator: &Operator, known: &Known) -> Result<(), Error> {
    let name = &known.description.name;
    match operator.pins.get(name) {
        Some(pin) if *pin != known.digest => {
            Err(Error::new("LB0702", format!("plugin '{name}' is not the one that is pinned"))
                .hint(format!("if the new one is meant, put its digest into the pin of '{name}' in lifeboat.kdl"))
                .with("pinned", pin)
                .with("found", &known.digest))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_plugins_are_named() {
        for bytes in [&b""[..], b"\0asm", b"#!/bin/sh\n", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"] {
            let engine = Engine::default();
            let linker = Linker::new(&engine);
            let error = prepare(&engine, &linker, None, "odd.wasm", bytes).map(|_| ()).unwrap_err();
            assert_eq!(error.code.0, "LB0703");
            assert!(error.message.contains("odd.wasm"));
        }
    }

    #[test]
    fn descriptions_are_checked() {
        let good = serde_json::json!({"name": "x", "version": "1", "summary": "", "settings": {}, "kinds": [
            {"kind": "verify", "summary": "", "effect": "read", "args": {}, "outputs": {}, "capabilities": ["dir"]}]});
        assert!(description("x", &good.to_string(), false).is_ok());
        assert!(description("x", &good.to_string(), true).is_err());
        for (pointer, value) in [
            ("/name", serde_json::json!("X y")),
            ("/kinds/0/kind", serde_json::json!("approve")),
            ("/kinds/0/capabilities", serde_json::json!(["network"])),
            ("/kinds/0/args", serde_json::json!(7)),
            ("/settings", serde_json::json!(null)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert_eq!(description("x", &bad.to_string(), false).unwrap_err().code.0, "LB0703", "{pointer}");
        }
    }

    #[test]
    fn pins_hold() {
        let known = Known { description: empty("x"), digest: Digest::of(b"1") };
        let mut operator = Operator::default();
        assert!(check_pin(&operator, &known).is_ok());
        operator.pins.insert("x".into(), Digest::of(b"2"));
        assert_eq!(check_pin(&operator, &known).unwrap_err().code.0, "LB0702");
    }
}
