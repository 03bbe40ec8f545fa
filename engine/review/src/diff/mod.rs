//! What is different between two plans, as a reviewer has to know it: most dangerous first.
//!
//! It is a diff of what would happen and not of texts: comments, order in the file and lines are no differences. What is
//! lost weighs more than what is gained: a check that does not come before a switch any more, an approval that is gone, a
//! way back that is gone, new places that a plan reaches.

mod change;
mod guards;
mod plans;
mod reach;
mod steps;

use lifeboat_core::graph::PlanGraph;
use lifeboat_core::{Digest, Error};
use serde::Serialize;

pub use self::change::{Change, Kind, Weight};
use crate::Saved;

/// The differences between two plans.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Review {
    /// The old plan.
    pub old: Side,
    /// The new plan.
    pub new: Side,
    /// Whether the two would do the same.
    pub same: bool,
    /// What is different, most dangerous first.
    pub changes: Vec<Change>,
}

/// What a review says of a plan by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The runbook's name.
    pub runbook: String,
    /// The mode.
    pub mode: lifeboat_core::Mode,
    /// What approvals name.
    pub fingerprint: Digest,
}

/// A plan with its graph.
struct Half<'a> {
    saved: &'a Saved,
    graph: PlanGraph,
}

impl<'a> Half<'a> {
    fn of(saved: &'a Saved) -> Result<Self, Error> {
        let graph = PlanGraph::new(&saved.plan)
            .map_err(|cause| Error::new("LB1190", "the plan is no graph").with("cause", cause))?;
        Ok(Self { saved, graph })
    }

    fn side(&self) -> Side {
        let plan = &self.saved.plan;
        Side { runbook: plan.runbook.clone(), mode: plan.mode, fingerprint: self.saved.fingerprint.clone() }
    }
}

/// Compares two plans.
///
/// # Errors
/// `LB1190` one of them is no graph, which no plan that was compiled is.
pub fn differences(old: &Saved, new: &Saved) -> Result<Review, Error> {
    let (old, new) = (Half::of(old)?, Half::of(new)?);
    let mut changes = Vec::new();
    guards::compare(&old, &new, &mut changes);
    steps::compare(&old, &new, &mut changes);
    reach::compare(&old, &new, &mut changes);
    plans::compare(&old, &new, &mut changes);
    // A stable sort: within a kind the order of the plan stays.
    changes.sort_by_key(|change| (change.weight, change.kind));
    Ok(Review { old: old.side(), new: new.side(), same: changes.is_empty(), changes })
}

impl Review {
    /// The review as text, one change a line, with a line end.
    pub fn to_text(&self) -> String {
        let name = |side: &Side| format!("{} ({}, {})", side.runbook, side.mode.as_str(), side.fingerprint.short());
        let mut text = format!("{}\n  -> {}\n", name(&self.old), name(&self.new));
        if self.same {
            let why = if self.old.fingerprint == self.new.fingerprint {
                "no differences: the plans are the same"
            } else {
                "no differences in what would be done; the texts differ, so approvals of one are none of the other"
            };
            return format!("{text}{why}\n");
        }
        for change in &self.changes {
            text.push_str(&format!("{:<8} {}\n", change.weight.as_str(), change.text));
        }
        let count = |weight: Weight| self.changes.iter().filter(|change| change.weight == weight).count();
        let (danger, caution, note) = (count(Weight::Danger), count(Weight::Caution), count(Weight::Note));
        text.push_str(&format!("{danger} to be afraid of, {caution} to look at, {note} to know\n"));
        text
    }
}
