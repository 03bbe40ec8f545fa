//! Durable run state: a journal with group commit, and sled as the state that is rebuilt from it.
//!
//! The journal is the truth. An append is acknowledged when its frame and everything before it in the same batch is on
//! the disk (`fdatasync`), and not before. sled holds what makes opening fast: heads, the places of frames, documents,
//! leases, and the place in the journal up to which it is complete. It is written behind the acknowledgements, so it may
//! lag, be damaged or be deleted at any time: opening replays what it lacks, and rebuilds it whole when it is unusable.
//!
//! [`MemoryStore`] keeps the same rules without a disk. [`read_only`] reads a journal beside a running engine, and
//! [`inspect`] tells what a data folder holds and what is wrong with it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod check;
mod embedded;
mod encrypt;
mod errors;
mod examine;
mod folder;
mod frame;
mod gaps;
mod index;
mod indexer;
mod inspect;
mod key;
mod memory;
mod model;
mod offline;
mod open;
mod reader;
mod repair;
mod replay;
mod rewrite;
mod scan;
mod seal;
mod segment;
mod shared;
#[cfg(feature = "mutants")]
pub mod witness;
mod writer;

pub use check::{Break, Broken};
pub use embedded::EmbeddedStore;
pub use encrypt::{encrypt, rekey};
pub use examine::Finding;
pub use inspect::{Inspection, inspect, inspect_and_read, inspect_with};
pub use key::Key;
pub use memory::MemoryStore;
pub use offline::{ReadOnly, read_only, read_only_with};
pub use open::{Fault, FaultHook, Opened, Options, Rebuilt};
pub use repair::{Cut, Repaired, Wish, repair};
pub use replay::{Damage, Quarantined};
