//! The plugin's description of itself: `lifeboat_core::plugin::Description`, as JSON.

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

/// The JSON of a description.
pub fn describe<S: Data>(name: &str, version: &str, summary: &str, steps: &Steps, store: bool) -> String {
    let kinds = steps.0.iter().map(|entry| (entry.describe)()).collect();
    let description = Description { name, version, summary, settings: schema_of::<S>(), kinds, store };
    // The types above always serialise; an empty text would be refused by the host with a clear message.
    serde_json::to_string(&description).unwrap_or_default()
}
