//! The plugin `s3`: buckets of S3 and of the servers that speak its language.
//!
//! A target is a bucket, or what lies below a prefix of it. It can hold a vault. As the thing to protect it has
//! recovery points of its own kind: the host's vaults take folders only, so a snapshot of a bucket is a manifest of keys
//! and version ids, and the bytes stay where the provider keeps its versions. A transfer makes copies of them elsewhere.

mod answer;
mod bucket;
mod copy;
mod list;
mod provider;
mod sums;
mod upload;

use lifeboat_objects::{Objects, Restore, Snapshot, Transfer, Validate, Verify};
use lifeboat_sdk::prelude::*;

/// A bucket, or what lies below a prefix of it. `secret-key` has to name a secret, or `credentials` one that holds all.
#[data]
#[serde(rename_all = "kebab-case")]
#[derive(Clone)]
pub struct Settings {
    /// The bucket. It has to be there already.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$"))]
    pub bucket: String,
    /// Only keys below it are seen and written. Without it: all of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[^/]"))]
    pub prefix: Option<String>,
    /// The server, as `https://HOST` or `http://HOST:PORT`. Without it: that of AWS in the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^https?://[^/]+/?$"))]
    pub endpoint: Option<String>,
    /// The region of the bucket, as signatures name it.
    #[serde(default = "us_east_1")]
    #[schemars(length(min = 1))]
    pub region: String,
    /// Whether the bucket stands in the path of requests and not in the name of the host. Without it: with `endpoint` yes,
    /// without `endpoint` no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// The id of the key. It may stand here in the open, or be a secret as `secret-key` and `session-token` have to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// From so many MiB on, an object is sent in parts of that size.
    #[serde(default = "part_mib")]
    #[schemars(range(min = 5, max = 4096))]
    pub part_mib: u64,
    /// What is written here can't be deleted for so many days. The bucket needs object lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36500))]
    pub retain_days: Option<u32>,
    /// How strictly it is kept.
    #[serde(default)]
    pub retain_mode: Retain,
}

/// Who may delete what is retained.
#[data]
#[serde(rename_all = "lowercase")]
#[derive(Clone, Copy, Default)]
pub enum Retain {
    /// Those with a special permission.
    #[default]
    Governance,
    /// Nobody, before the time has come.
    Compliance,
}

fn us_east_1() -> String {
    "us-east-1".to_owned()
}

fn part_mib() -> u64 {
    64
}

lifeboat_sdk::plugin! {
    name: "s3",
    summary: "Buckets of S3, at AWS and elsewhere",
    settings: Settings,
    secrets: {
        "secret-key": "The secret part of the key whose id is `access-key`.",
        "session-token": "The token that belongs to a key which expires.",
        "credentials": "All of the key in one secret: ID:KEY, ID:KEY:SESSION-TOKEN, or JSON.",
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
