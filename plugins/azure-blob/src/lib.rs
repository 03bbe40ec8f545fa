//! The plugin `azure-blob`: containers of Azure Blob Storage.
//!
//! A target is a container, or what lies below a prefix of it. It can hold a vault. As the thing to protect it has recovery points
//! of its own kind: a manifest of names and versions, or of snapshots of single blobs where the account keeps no versions. The
//! bytes stay where they are; a transfer makes copies of them elsewhere.

mod answer;
mod container;
mod copy;
mod freeze;
mod list;
mod provider;
mod upload;

use lifeboat_objects::{Objects, Restore, Snapshot, Transfer, Validate, Verify};
use lifeboat_sdk::prelude::*;

/// A container, or what lies below a prefix of it. `account-key`, `sas` or `token` has to name a secret.
#[data]
#[serde(rename_all = "kebab-case")]
#[derive(Clone)]
pub struct Settings {
    /// The storage account.
    #[schemars(regex(pattern = "^[a-z0-9]{3,24}$"))]
    pub account: String,
    /// The container. It has to be there already.
    #[schemars(regex(pattern = "^[a-z0-9$][a-z0-9-]{2,62}$"))]
    pub container: String,
    /// Only blobs below it are seen and written. Without it: all of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[^/]"))]
    pub prefix: Option<String>,
    /// The server with all that stands before the container, as `http://127.0.0.1:10000/ACCOUNT`. Without it:
    /// `https://ACCOUNT.blob.core.windows.net`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^https?://[^?#]+$"))]
    pub endpoint: Option<String>,
    /// From so many MiB on, a blob is sent in blocks of that size.
    #[serde(default = "block_mib")]
    #[schemars(range(min = 1, max = 4000))]
    pub block_mib: u64,
    /// What is written here can't be changed or deleted for so many days. The container needs version-level immutability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36500))]
    pub retain_days: Option<u32>,
    /// How strictly it is kept.
    #[serde(default)]
    pub retain_mode: Retain,
}

/// Who may end what is retained.
#[data]
#[serde(rename_all = "lowercase")]
#[derive(Clone, Copy, Default)]
pub enum Retain {
    /// Those with a special permission.
    #[default]
    Unlocked,
    /// Nobody, before the time has come.
    Locked,
}

fn block_mib() -> u64 {
    64
}

lifeboat_sdk::plugin! {
    name: "azure-blob",
    summary: "Containers of Azure Blob Storage",
    settings: Settings,
    secrets: {
        "account-key": "The key of the account, in base 64.",
        "sas": "A shared access signature.",
        "token": "A token of Entra.",
    },
    steps: [
        Snapshot<container::Container>,
        Verify<container::Container>,
        Transfer<container::Container>,
        Restore<container::Container>,
        Validate<container::Container>,
    ],
    store: Objects<container::Container>,
}
