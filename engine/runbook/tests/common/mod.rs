//! The plugins that the tests check runbooks against, described in code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, dead_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use lifeboat_core::Digest;
use lifeboat_core::plan::{Effect, StepKind};
use lifeboat_core::plugin::{Catalog, Description, KindDescription, Known};
use lifeboat_runbook::{Diagnostic, SourceFile, SourceFiles};
use serde_json::{Value, json};

fn object(properties: Value, required: Value) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn kind(kind: StepKind, effect: Effect, args: Value, outputs: Value) -> KindDescription {
    KindDescription {
        kind,
        summary: kind.as_str().to_owned(),
        effect,
        irreversible_with: Vec::new(),
        args,
        outputs,
        capabilities: vec!["dir".to_owned()],
        probe: kind != StepKind::Validate,
        compensate: effect == Effect::Compensatable,
        cleanup: kind == StepKind::Restore,
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn fs_kinds() -> Vec<KindDescription> {
    let tags = json!({ "type": "array", "items": { "type": "string" } });
    // As the schemas of real plugins are: made from Rust enums.
    let word = |word: &str| json!({ "const": word, "type": "string" });
    let depth = json!({ "oneOf": [word("index"), word("data"), word("restore")] });
    let expect = json!({
        "type": "array",
        "minItems": 1,
        "items": { "oneOf": [
            object(json!({ "kind": word("file"), "path": text(), "bytes": number() }), json!(["kind", "path"])),
            object(json!({ "kind": word("sqlite"), "path": text() }), json!(["kind", "path"])),
            object(json!({ "kind": word("digest"), "path": text(), "blake3": text() }), json!(["kind", "path", "blake3"])),
        ] },
    });
    let taken = json!({ "snapshot": text(), "files": number(), "bytes": number(), "bytes_added": number() });
    let proved = json!({ "snapshot": text(), "files": number(), "bytes": number() });
    vec![
        kind(
            StepKind::Snapshot,
            Effect::Reversible,
            object(json!({ "label": text(), "tags": tags }), json!([])),
            object(taken, json!(["snapshot"])),
        ),
        kind(
            StepKind::Verify,
            Effect::Read,
            object(json!({ "snapshot": text(), "depth": depth }), json!(["snapshot"])),
            object(proved, json!(["snapshot"])),
        ),
        kind(
            StepKind::Transfer,
            Effect::Reversible,
            object(json!({ "snapshot": text(), "tags": tags }), json!(["snapshot"])),
            object(json!({ "snapshot": text() }), json!(["snapshot"])),
        ),
        kind(
            StepKind::Restore,
            Effect::Compensatable,
            object(json!({ "snapshot": text() }), json!(["snapshot"])),
            object(json!({ "files": number(), "bytes": number() }), json!([])),
        ),
        kind(
            StepKind::Validate,
            Effect::Read,
            object(json!({ "expect": expect }), json!(["expect"])),
            object(json!({ "checked": number() }), json!([])),
        ),
        kind(
            StepKind::Switch,
            Effect::Compensatable,
            object(json!({ "link": text(), "to": text() }), json!(["link", "to"])),
            object(json!({ "previous": text() }), json!([])),
        ),
    ]
}

/// `fs`: all six kinds. `dns`: a switch that cannot be undone.
pub fn catalog() -> Catalog {
    let fs = Description {
        name: "fs".to_owned(),
        version: "0.1.0".to_owned(),
        summary: "Directories".to_owned(),
        settings: object(json!({ "root": { "type": "string", "minLength": 1 } }), json!(["root"])),
        secrets: [("password".to_owned(), "What opens the vault".to_owned())].into(),
        kinds: fs_kinds(),
        store: true,
    };
    let record = object(json!({ "value": text(), "to": text(), "ttl": number() }), json!(["value", "to"]));
    let mut switch = kind(
        StepKind::Switch,
        Effect::Irreversible,
        object(json!({ "record": record }), json!(["record"])),
        object(json!({}), json!([])),
    );
    switch.probe = false;
    let dns = Description {
        name: "dns".to_owned(),
        version: "0.1.0".to_owned(),
        summary: "Records".to_owned(),
        settings: object(json!({ "zone": text(), "server": text() }), json!(["zone"])),
        secrets: [("transfer-key".to_owned(), "What signs updates".to_owned())].into(),
        kinds: vec![switch],
        store: false,
    };
    let known = |description: Description| {
        let digest = Digest::of(description.name.as_bytes());
        (description.name.clone(), Known { description, digest })
    };
    [known(fs), known(dns)].into_iter().collect()
}

/// A source file for a test.
pub fn source(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), text: text.to_owned() }
}

/// Further files, from their texts.
pub struct Files(pub BTreeMap<String, String>);

impl Files {
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }
}

impl SourceFiles for Files {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        self.0.get(name).map(|text| text.clone().into_bytes()).ok_or_else(|| "there is no such file".to_owned())
    }
}

/// Further files, from a folder.
pub struct Folder(pub PathBuf);

impl SourceFiles for Folder {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(name)).map_err(|_| "there is no such file".to_owned())
    }
}

/// [`rendered`] for a runbook of several files: those behind the first one are named.
pub fn rendered_files(first: &SourceFile, files: &dyn SourceFiles, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for one in diagnostics {
        if one.file == first.name {
            out.push_str(&rendered(&first.text, std::slice::from_ref(one)));
        } else {
            let text = String::from_utf8(files.read(&one.file).unwrap()).unwrap();
            out.push_str(&format!("{}: {}", one.file, rendered(&text, std::slice::from_ref(one))));
        }
    }
    out
}

/// Diagnostics as a golden file has them: code, place, the text there, message, labels, help.
pub fn rendered(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    let at = |offset: usize, len: usize| {
        let part = text.get(offset..offset + len).unwrap_or("<outside>");
        part.chars().take(80).collect::<String>().replace('\n', "\\n")
    };
    for diagnostic in diagnostics {
        let level = format!("{:?}", diagnostic.severity).to_lowercase();
        out.push_str(&format!(
            "{} {level} {}:{} |{}|\n",
            diagnostic.code,
            diagnostic.line,
            diagnostic.column,
            at(diagnostic.span.offset, diagnostic.span.len)
        ));
        out.push_str(&format!("  {}\n", diagnostic.message));
        for (span, label) in &diagnostic.labels {
            out.push_str(&format!("  label |{}| {label}\n", at(span.offset, span.len)));
        }
        if let Some(help) = &diagnostic.help {
            out.push_str(&format!("  help: {help}\n"));
        }
    }
    out
}
