//! The cases, over a journal in the clear.

#[path = "cases.rs"]
mod cases;

fn key() -> Option<lifeboat_store::Key> {
    None
}
