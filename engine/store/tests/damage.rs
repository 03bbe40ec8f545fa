//! Damaged data folders, with the journal in the clear.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "damage/cases.rs"]
mod cases;

fn key() -> Option<lifeboat_store::Key> {
    None
}
