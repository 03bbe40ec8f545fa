//! Damages that are done on purpose: see [`crate::plan::Step::corruptions`].

use serde::{Deserialize, Serialize};

/// A damage that is done on purpose to a copy of what a drill restored, to see whether its checks notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Corruption {
    /// One byte of a file is another one.
    Flip,
    /// Half of a file is missing.
    Truncate,
    /// A file is missing.
    Drop,
    /// All is from an earlier time: its sentinel is a month older.
    Stale,
}

impl Corruption {
    /// All of them.
    pub const ALL: [Corruption; 4] = [Corruption::Flip, Corruption::Truncate, Corruption::Drop, Corruption::Stale];
}
