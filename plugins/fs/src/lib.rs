//! The plugin `fs`: folders of this machine.
//!
//! It carries out all six kinds of step, and a folder can hold a vault (`store`). The bulk work is the host's: the
//! guest names folders, vaults and snapshots, and no file's bytes pass through its memory.

mod expect;
mod link;
mod restore;
mod sentinel;
mod snapshot;
mod store;
mod swap;
mod switch;
mod transfer;
mod validate;
mod verify;

use lifeboat_sdk::prelude::*;

/// A folder.
#[data]
pub struct Settings {
    /// The folder: an absolute path. The operator's file must grant it.
    #[schemars(regex(pattern = "^/"))]
    pub root: String,
    /// The label of its snapshots, where the step names none. Without it: the name of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

lifeboat_sdk::plugin! {
    name: "fs",
    summary: "Folders on this machine",
    settings: Settings,
    steps: [
        snapshot::Snapshot,
        verify::Verify,
        transfer::Transfer,
        restore::Restore,
        validate::Validate,
        switch::Switch,
    ],
    store: store::Objects,
}
