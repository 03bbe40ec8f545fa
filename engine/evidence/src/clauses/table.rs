//! The rows.

use lifeboat_core::plan::StepKind;

use super::{Case, Row};
use crate::words::duration;

const DORA: &str = "DORA, Regulation (EU) 2022/2554";
const ISO: &str = "ISO 22301:2019";
const SOC: &str = "SOC 2, Trust Services Criteria";

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

pub(super) fn rows(case: &Case<'_>) -> Vec<Row> {
    let mut rows = response(case);
    rows.extend(backup(case));
    rows.extend(continuity(case));
    rows.extend(availability(case));
    rows
}

/// A rehearsal, as far as this run is one.
fn rehearsal(case: &Case<'_>, lacks: &mut Vec<String>) -> Vec<String> {
    if case.rehearsed() {
        return vec![case.run()];
    }
    lacks.insert(0, format!("a test: this run is a {}, done in earnest", case.facts.mode.as_str()));
    Vec::new()
}

fn record(case: &Case<'_>) -> String {
    let (events, deeds) = (case.events, case.facts.people.len());
    format!(
        "events.log: {events} events in a chain of digests, with times; what people did ({deeds}), with names and reasons"
    )
}

fn response(case: &Case<'_>) -> Vec<Row> {
    let mut untested = texts(&[
        "that tests are made at least yearly and after substantive changes: one bundle is one test",
        "which functions are critical, and whether cyber-attacks are among the scenarios",
    ]);
    let tested = rehearsal(case, &mut untested);
    vec![
        Row {
            standard: DORA,
            clause: "Article 11(3)",
            asks: "Have response and recovery plans for ICT, open to independent review",
            shows: vec![case.plan()],
            lacks: texts(&["that the plan covers every critical function", "an independent audit of it"]),
        },
        Row {
            standard: DORA,
            clause: "Article 11(6)",
            asks: "Test the plans at least yearly and after substantive changes, with switches to redundant capacity and backups",
            shows: tested,
            lacks: untested,
        },
        Row {
            standard: DORA,
            clause: "Article 11(8)",
            asks: "Keep records of what was done before and during a disruption, ready to hand",
            shows: vec![record(case)],
            lacks: texts(&[
                "what was done before the run was made, or outside of the engine",
                "how long the records are kept",
            ]),
        },
    ]
}

fn backup(case: &Case<'_>) -> Vec<Row> {
    let kinds = [StepKind::Snapshot, StepKind::Verify, StepKind::Transfer, StepKind::Restore];
    let worked: Vec<String> = kinds
        .into_iter()
        .map(|kind| (kind, case.done(kind)))
        .filter(|(_, steps)| !steps.is_empty())
        .map(|(kind, steps)| format!("{} done: {}", kind.as_str(), steps.join(", ")))
        .collect();
    let mut objectives: Vec<String> = case.objectives().into_iter().collect();
    if !objectives.is_empty() {
        objectives.extend(case.measured());
    }
    let why = case.facts.data_loss.unknown.iter().map(|why| format!("the data loss: {why}"));
    let rows = [
        (
            "Article 12(1)",
            "Write down what is backed up, how often, and how it is restored",
            vec![case.plan()],
            texts(&["which data has to be backed up, and how often: that is the policy's to say"]),
        ),
        (
            "Article 12(2)",
            "Have backup systems that can be activated safely, and test backup and restoration periodically",
            worked,
            texts(&[
                "that it is tested periodically: one bundle is one run",
                "the security of the systems around the engine",
            ]),
        ),
        (
            "Article 12(3)",
            "Restore onto systems that are physically and logically apart from the source",
            case.sites(),
            texts(&["that the sites are apart: their labels are the author's word"]),
        ),
        (
            "Article 12(6)",
            "Set recovery time and recovery point objectives for each function",
            objectives,
            texts(&["how the objectives follow from the impact on the business"]).into_iter().chain(why).collect(),
        ),
        (
            "Article 12(7)",
            "Check data several times on recovery, so that its integrity is as high as can be",
            case.proofs(),
            texts(&["reconciliation with what partners and customers have"]),
        ),
    ];
    let rows = rows.into_iter();
    rows.map(|(clause, asks, shows, lacks)| Row { standard: DORA, clause, asks, shows, lacks }).collect()
}

fn continuity(case: &Case<'_>) -> Vec<Row> {
    let mut unexercised = texts(&[
        "the programme: how often, in which scenarios, with whom",
        "what was learnt from it and changed since",
    ]);
    let exercised = rehearsal(case, &mut unexercised);
    let mut procedure = vec![case.plan()];
    procedure.extend(case.approvals());
    let mut measured = case.measured();
    let spent = case.facts.spent.parts();
    let parts: Vec<String> =
        spent.iter().filter(|(_, ms)| *ms > 0).map(|(name, ms)| format!("{name} {}", duration(*ms))).collect();
    measured.push(format!("facts.json, worked out from the events alone: {}", parts.join(", ")));
    vec![
        Row {
            standard: ISO,
            clause: "8.4",
            asks: "Have plans and procedures for disruptions: who does what, when, with which authority, and how to recover",
            shows: procedure,
            lacks: texts(&[
                "warning and communication with those concerned",
                "the return to normal work beyond this runbook",
            ]),
        },
        Row {
            standard: ISO,
            clause: "8.5",
            asks: "Exercise and test the plans by a programme, report on it, and act on what was found",
            shows: exercised,
            lacks: unexercised,
        },
        Row {
            standard: ISO,
            clause: "9.1",
            asks: "Say what is measured, how and when; measure it; keep the results as evidence",
            shows: measured,
            lacks: texts(&["the evaluation of the results, and of the management system as a whole"]),
        },
    ]
}

fn availability(case: &Case<'_>) -> Vec<Row> {
    let mut untested = texts(&["that tests are made periodically: one bundle is one test"]);
    let tested = rehearsal(case, &mut untested);
    let mut backups: Vec<String> = case.proofs();
    let vaults = case.plan.targets.values().filter(|target| target.secrets.contains_key("password"));
    backups.extend(vaults.map(|target| format!("recovery infrastructure in use: vault '{}'", target.name)));
    vec![
        Row {
            standard: SOC,
            clause: "A1.2",
            asks: "Run and watch over environmental protections, backups and recovery infrastructure that meet the objectives",
            shows: backups,
            lacks: texts(&["environmental protections", "watching over backups from day to day"]),
        },
        Row {
            standard: SOC,
            clause: "A1.3",
            asks: "Test the procedures of the recovery plan against the objectives",
            shows: tested.into_iter().chain(case.measured().into_iter().filter(|_| case.rehearsed())).collect(),
            lacks: untested,
        },
    ]
}
