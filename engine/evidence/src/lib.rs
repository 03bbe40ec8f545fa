//! Evidence of a run: one file that says what was approved, what was done, by whom, and how long it took, and that a
//! stranger can check with one public key and no engine.
//!
//! [`make`] puts a bundle together from the stored events of a run; [`sign`] adds the word of one more key; [`verify`]
//! takes nothing on trust but the keys it is given: it checks the bytes, the chain of events, the plan, the approvals,
//! and lets [`lifeboat_core::apply`] follow the events to see that they give the end that the bundle tells.
//! [`facts`] is what the events say in figures, for bundles and reports alike. [`clauses`] says what a bundle shows of
//! what standards ask, and what it does not.
//!
//! The format is written down in `schemas/evidence.md`, so that another program can read it. Nothing in here reads a
//! clock, randomness or a file.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod clauses;
mod container;
mod events;
pub mod facts;
mod hex;
pub mod keys;
pub mod limits;
mod make;
mod manifest;
mod pae;
mod sign;
mod verify;
pub mod words;

pub use facts::{Facts, Witness};
pub use keys::{PublicKey, SigningKey};
pub use make::{Attachment, Material, make};
pub use manifest::{End, Manifest, PartEntry, Statement, StepEnd};
pub use sign::{Signer, sign};
pub use verify::{Check, Contents, Found, PluginFile, Question, Signed, Verdict, verify};

#[cfg(test)]
mod tests;
