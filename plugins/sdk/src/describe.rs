//! The plugin's description of itself: `lifeboat_core::plugin::Description`, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::schema::schema_of;
use crate::serve::Steps;
use crate::step::Data;

#[derive(Serialize)]
struct Description<'a> {
    name: &'a str,
    version: &'a str,
    summary: &'a str,
    settings: Value,
    secrets: BTreeMap<&'a str, &'a str>,
    kinds: Vec<KindDescription>,
    store: bool,
}

#[derive(Serialize)]
pub(crate) struct KindDescription {
    pub(crate) kind: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) effect: &'static str,
    pub(crate) irreversible_with: &'static [&'static str],
    pub(crate) args: Value,
    pub(crate) outputs: Value,
    pub(crate) capabilities: Vec<&'static str>,
    pub(crate) probe: bool,
    pub(crate) compensate: bool,
    pub(crate) cleanup: bool,
}

/// What a vault's target has, whatever the plugin.
const PASSWORD: (&str, &str) = ("password", "What opens the vault that is kept there; it makes the target one.");

/// The JSON of a description. `secrets` are the names of settings that hold one, each with what it is.
pub fn describe<S: Data>(
    (name, version, summary): (&str, &str, &str),
    steps: &Steps,
    store: bool,
    secrets: &[(&str, &str)],
) -> String {
    let secrets = secrets.iter().copied().chain(store.then_some(PASSWORD)).collect();
    let kinds = steps.0.iter().map(|entry| (entry.describe)()).collect();
    let description = Description { name, version, summary, settings: schema_of::<S>(), secrets, kinds, store };
    // The types above always serialise; an empty text would be refused by the host with a clear message.
    serde_json::to_string(&description).unwrap_or_default()
}
