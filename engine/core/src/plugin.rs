//! What a plugin says about itself, as JSON from its `describe` export. The compiler checks runbooks against it, offline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Digest;
use crate::plan::{Effect, StepKind};

/// A plugin's description of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Its name, as in `plugin="fs"`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for a list.
    pub summary: String,
    /// JSON Schema of a target's settings.
    pub settings: Value,
    /// Settings that hold a secret: their names, each with what it is. They are no part of the schema, since a target only names them.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// The kinds of step that it carries out.
    pub kinds: Vec<KindDescription>,
    /// Whether it exports `store`, so that a vault can be kept in its targets.
    #[serde(default)]
    pub store: bool,
}

/// What a plugin says about one kind of step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindDescription {
    /// The kind.
    pub kind: StepKind,
    /// One line for a list.
    pub summary: String,
    /// What it does to the world.
    pub effect: Effect,
    /// Arguments that, when they are `true`, make the effect irreversible.
    #[serde(default)]
    pub irreversible_with: Vec<String>,
    /// JSON Schema of the arguments (an object; targets and policies are not arguments).
    pub args: Value,
    /// JSON Schema of the outputs (an object).
    pub outputs: Value,
    /// The capabilities it needs: `dir`, `vault`, `bytes`, `sql`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Whether `probe` can tell if it happened.
    #[serde(default)]
    pub probe: bool,
    /// Whether `compensate` can undo it.
    #[serde(default)]
    pub compensate: bool,
    /// Whether `cleanup` (after `compensate`, where there is one) removes all that it makes.
    #[serde(default)]
    pub cleanup: bool,
}

impl Description {
    /// What it says of that kind of step, if it carries it out.
    pub fn kind(&self, kind: StepKind) -> Option<&KindDescription> {
        self.kinds.iter().find(|entry| entry.kind == kind)
    }
}

/// A plugin as the compiler sees it: its description and the digest of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// Its description.
    pub description: Description,
    /// The digest of its `.wasm` file.
    pub digest: Digest,
}

/// The plugins that there are, by name.
pub type Catalog = std::collections::BTreeMap<String, Known>;
