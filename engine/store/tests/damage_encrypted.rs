//! Damaged data folders, with an encrypted journal: the same is found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "damage/cases.rs"]
mod cases;

fn key() -> Option<lifeboat_store::Key> {
    Some(lifeboat_store::Key::new(b"a secret".to_vec()))
}
