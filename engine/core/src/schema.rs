//! JSON Schemas (2020-12) of what others read: the events of a run and the plan that they pin.
//!
//! They are made from the types, so that they cannot tell another story than the engine. They say what a reader has to
//! take: a field that older engines did not write is not required, and fields that are not named here may be there.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::event::Event;
use crate::plan::Plan;

/// The schema of one event: one line of `lifeboat events --json`, one frame of the journal.
pub fn event() -> Schema {
    of::<Event>()
}

/// The schema of a plan: what `lifeboat plan --format json` has under `plan`, and what the first event of a run pins.
pub fn plan() -> Schema {
    of::<Plan>()
}

fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}
