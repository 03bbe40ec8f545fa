//! The look itself.

use std::sync::Arc;

use lifeboat_core::Error;
use lifeboat_core::grants::{Lost, Operator};
use lifeboat_core::graph::PlanGraph;
use lifeboat_core::ids::RunId;
use lifeboat_core::plan::Plan;
use lifeboat_core::verified::{Policy, Verification, verification};
use lifeboat_evidence::words::utc;

use crate::asks::Asks;
use crate::past::Past;
use crate::row::Row;
use crate::{lints, probes};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The plan.
    pub plan: &'a Arc<Plan>,
    /// Its graph.
    pub graph: &'a PlanGraph,
    /// The operator's file, with what is taken for lost. Who is asked has to hold the same.
    pub operator: &'a Operator,
    /// The site that is taken for lost.
    pub site_lost: Option<&'a str>,
    /// How often the runbook wants to be drilled.
    pub verification: Option<Policy>,
    /// What earlier runs say.
    pub past: &'a Past,
    /// A name of a run that there is not: what looks like an attempt has to be one of some run.
    pub run: &'a RunId,
    /// The time, in milliseconds since the Unix epoch.
    pub now: u64,
}

/// What the plan has at a site that is taken for lost.
///
/// # Errors
/// `LB1155` it has nothing there.
pub fn lost(plan: &Plan, site: &str) -> Result<Lost, Error> {
    let lost = Lost::site(plan, site);
    if lost.targets.is_empty() {
        return Err(no_site(plan, site));
    }
    Ok(lost)
}

fn no_site(plan: &Plan, site: &str) -> Error {
    let mut names: Vec<&str> = plan.targets.values().filter_map(|target| target.site.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let hint = if names.is_empty() {
        "write site=\"NAME\" on the targets".to_owned()
    } else {
        format!("its targets are at: {}", names.join(", "))
    };
    Error::new("LB1155", format!("no target of the plan is at a site '{site}'")).hint(hint)
}

/// Looks, and puts what it found into `rows` as it finds it: who cuts it off has what was found until then.
pub async fn look(asks: &dyn Asks, question: &Question<'_>, rows: &mut Vec<Row>) {
    let Question { plan, operator, .. } = *question;
    if let Some(site) = question.site_lost {
        rows.extend(lints::needs_lost(plan, site, &operator.lost));
    }
    plugins(plan, operator, rows);
    secrets(asks, plan, rows).await;
    lints::overlaps(plan, operator, rows);
    lints::provided_later(plan, question.graph, rows);
    rows.push(verified(question));
    probes::steps(asks, question, rows).await;
    probes::vaults(asks, question, rows).await;
}

/// The plugins that the plan pins: the operator's own pins were held against them when they were loaded.
fn plugins(plan: &Plan, operator: &Operator, rows: &mut Vec<Row>) {
    for (name, pin) in &plan.plugins {
        let pinned = if operator.pins.contains_key(name) { "pinned by the operator" } else { "not pinned" };
        rows.push(Row::good(
            format!("plugin {name}"),
            format!("{} is there, {pinned}, {}", pin.version, pin.digest.short()),
        ));
    }
}

/// Whether each secret that the plan names can be read.
async fn secrets(asks: &dyn Asks, plan: &Plan, rows: &mut Vec<Row>) {
    let mut names: Vec<&String> = plan.targets.values().flat_map(|target| target.secrets.values()).collect();
    names.sort();
    names.dedup();
    for name in names {
        rows.push(match asks.secret(name).await {
            Ok(()) => Row::good(format!("secret {name}"), "it can be read"),
            Err(error) => Row::bad(format!("secret {name}"), error),
        });
    }
}

/// Whether its drills say that it works.
fn verified(question: &Question<'_>) -> Row {
    let found = verification(question.verification, question.past.drills(), &question.plan.source, question.now);
    let words = in_words(&found);
    if found.holds() || question.verification.is_none() {
        return Row::good("verification", words);
    }
    let hint = "drill it with 'lifeboat drill'; 'lifeboat drills' tells how its drills went";
    Row::bad("verification", Error::new("LB1153", words).hint(hint))
}

/// Whether a runbook is verified, for a person.
pub fn in_words(found: &Verification) -> String {
    match found {
        Verification::NeedsVerification { because } => format!("needs verification: {}", because.as_str()),
        Verification::Verified { until: Some(until) } => format!("verified until {} UTC", utc(*until)),
        Verification::Verified { until: None } => "verified by its last drill".to_owned(),
        Verification::Stale { since } => format!("stale since {} UTC: drill it again", utc(*since)),
    }
}
