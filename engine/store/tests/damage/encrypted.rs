//! The cases, over an encrypted journal.

#[path = "cases.rs"]
mod cases;

fn key() -> Option<lifeboat_store::Key> {
    Some(lifeboat_store::Key::new(b"a secret".to_vec()))
}
