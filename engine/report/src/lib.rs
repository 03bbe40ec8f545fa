//! What a run came to, for people: one page that needs nothing else, in HTML or Markdown.
//!
//! A report is a [`page::Page`]: a verdict, a few figures, and sections made of paragraphs, tables and pictures. Each section is a
//! function over what is known of the run ([`sections`]), and leaves itself out where the run has nothing for it. The
//! templates know how a page looks and nothing of runs; all text in them is escaped, and the page carries no script and
//! asks no other place for anything.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod page;
pub mod pictures;
mod render;
pub mod sections;
pub mod verdict;

use lifeboat_core::Error;
use lifeboat_core::event::Event;
use lifeboat_core::state::RunState;
use lifeboat_evidence::{Check, Facts, Manifest, Signed};

pub use page::Page;
pub use render::{html, markdown};
pub use verdict::Verdict;

/// Where a report comes from, if it is a bundle of evidence.
#[derive(Debug)]
pub struct Proof<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// What was checked.
    pub checks: &'a [Check],
    /// Who signed.
    pub signatures: &'a [Signed],
}

/// What a report is made from.
#[derive(Debug)]
pub struct Case<'a> {
    /// The figures.
    pub facts: &'a Facts,
    /// The state that the events give.
    pub state: &'a RunState,
    /// The events.
    pub events: &'a [Event],
    /// The bundle, where it is made from one.
    pub proof: Option<Proof<'a>>,
}

/// The page of a run.
pub fn page(case: &Case<'_>) -> Page {
    sections::page(case)
}

/// An error of this crate.
fn failed(cause: impl std::fmt::Display) -> Error {
    Error::new("LB1132", "the report cannot be written").with("cause", cause)
}

#[cfg(test)]
mod tests;
