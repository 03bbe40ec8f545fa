//! Snapshots in the restic repository format, kept in any plugin that exports a store.
//!
//! The format is written and its bookkeeping is done by `rustic_core`; a vault made here opens with stock `restic` and
//! the same password, so that a recovery never depends on Lifeboat being alive. These things are done here and not by
//! the library, each for a reason:
//!
//! - **Reading the source** ([`source`]): entries are opened through directory handles without following links, so a
//!   link that is swapped in during the walk leads nowhere. A file that cannot be read fails the snapshot: the library
//!   would leave it out with a warning, and a snapshot that is silently partial is worse than none.
//! - **Restoring and checking** ([`restore`], [`check`]): the library writes by path, follows links in the destination
//!   and only logs what it could not set. Here every write goes through a handle below the destination, every blob is
//!   hashed before it is written, what is already right is left alone, and everything is synced before it returns.
//! - **Doubts** ([`doubts`]): a snapshot is held against the earlier ones of its label, and one that looks as if its source had
//!   been encrypted or emptied is told.
//! - **Locks** ([`lock`]): the library has none. While it works, a vault has a shared lock of restic's format, so that
//!   a stock `restic prune` waits or refuses; while it is pruned or repaired, an exclusive one.
//! - **Retention and prune** ([`keep`], [`prune`]): the library's rules are not restic's to the letter, and its plan does
//!   not say which packs it deletes; its repair of snapshots writes changed ones in the place of damaged ones. Here a plan is shown first, and carried out only as it was shown.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod backend;
mod blobs;
mod check;
mod cipher;
mod copy;
mod dirs;
mod doubts;
mod error;
mod exam;
mod existing;
mod forget;
mod format;
mod inventory;
mod keep;
mod lock;
mod making;
mod meta;
mod node;
mod packs;
mod pool;
mod prune;
mod repair;
mod restore;
mod resume;
mod session;
mod snapshot;
mod source;
mod throttle;
mod tree;
mod upkeep;
mod vault;
mod walk;
mod watch;

pub use exam::{DamagedSnapshot, VaultReport};
pub use forget::ForgetPlan;
pub use keep::{Fate, Group, GroupBy, KeepRules, Within};
pub use lock::LockInfo;
pub use prune::{PackFate, PackRewrite, PrunePlan};
pub use repair::{RepairPlan, SetAside};
pub use throttle::slowed;
pub use upkeep::{MAX_UNUSED, Upkeep};
pub use vault::{RusticVaults, open};
