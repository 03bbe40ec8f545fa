//! The plugin `gcs`: buckets of Google Cloud Storage, through its JSON API.
//!
//! A target is a bucket, or what lies below a prefix of it. It can hold a vault. As the thing to protect it has recovery points
//! of its own kind: a manifest of names and generations of a bucket that keeps versions. The bytes stay where they are; a
//! transfer makes copies of them elsewhere.

mod answer;
mod bucket;
mod copy;
mod provider;
mod upload;

use lifeboat_objects::{Objects, Restore, Snapshot, Transfer, Validate, Verify};
use lifeboat_sdk::prelude::*;

/// A bucket, or what lies below a prefix of it. `credentials` or `token` has to name a secret.
#[data]
#[serde(rename_all = "kebab-case")]
#[derive(Clone)]
pub struct Settings {
    /// The bucket. It has to be there already.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"))]
    pub bucket: String,
    /// Only objects below it are seen and written. Without it: all of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[^/]"))]
    pub prefix: Option<String>,
    /// The server, as `https://HOST` or `http://HOST:PORT`. Without it: `https://storage.googleapis.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^https?://[^/]+/?$"))]
    pub endpoint: Option<String>,
    /// From so many MiB on, an object is sent in chunks of that size, by a resumable upload.
    #[serde(default = "chunk_mib")]
    #[schemars(range(min = 1, max = 4096))]
    pub chunk_mib: u64,
    /// What is written here can't be replaced or deleted for so many days. The bucket needs object retention.
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

fn chunk_mib() -> u64 {
    64
}

lifeboat_sdk::plugin! {
    name: "gcs",
    summary: "Buckets of Google Cloud Storage",
    settings: Settings,
    secrets: {
        "credentials": "The key file of a service account, as JSON.",
        "token": "A token that was made elsewhere.",
    },
    steps: [
        Snapshot<bucket::Bucket>,
        Verify<bucket::Bucket>,
        Transfer<bucket::Bucket>,
        Restore<bucket::Bucket>,
        Validate<bucket::Bucket>,
    ],
    store: Objects<bucket::Bucket>,
}
